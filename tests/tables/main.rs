//! What stands, object by object, and what changes of it from step to step: our own tables, where the recordings of
//! the operator of these kinds show births of Immediate clusters alone.
//!
//! `NAME.yaml` is a script in the language of `tests/scenarios`, `NAME.txt` the table; `PILOTHOUSE_ACCEPT=1` writes
//! the latter. After each step that waits stands what has changed since the one before: objects that came (`+`), went
//! (`-`), were made anew (`±`) or have changed (`~`), those with the same changes together.

#[path = "../scenarios/run.rs"]
mod run;
#[path = "../scenarios/script.rs"]
mod script;
mod table;

use pilothouse_tests::repository;
use pilothouse_tests::stage::virtually;

use table::Table;

/// A new table is a new script.
#[test]
fn each_step_changes_what_its_table_says() {
    let here = repository("tests/tables");
    let files = std::fs::read_dir(&here).unwrap().filter_map(|f| f.unwrap().file_name().into_string().ok());
    let mut names: Vec<String> = files.filter_map(|f| f.strip_suffix(".yaml").map(str::to_owned)).collect();
    names.sort();
    assert!(names.len() >= 4, "{names:?}");
    let mut wrong = Vec::new();
    for name in names {
        let script = std::fs::read_to_string(here.join(format!("{name}.yaml"))).unwrap();
        let script = script::read(&script).unwrap_or_else(|e| panic!("{name}.yaml: {e}"));
        assert_eq!(script.inputs().find(|input| !repository(input).exists()), None, "{name}");
        // The others begin where it ends.
        let mut table = Table::new(name == "ready_three_zones");
        let told = virtually(run::run(&script, &mut table)).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        let expected = here.join(format!("{name}.txt"));
        if std::env::var_os("PILOTHOUSE_ACCEPT").is_some() {
            std::fs::write(&expected, &told).unwrap();
        }
        if told != std::fs::read_to_string(&expected).unwrap_or_default() {
            wrong.push(format!("{name} came out otherwise (PILOTHOUSE_ACCEPT=1 accepts):\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
