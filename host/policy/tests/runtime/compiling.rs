//! The compiling child and the cache of what it writes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use pilothouse_core::plan::Slot;
use pilothouse_policy::cache::Cache;
use pilothouse_policy::compile::{CompileError, Compiler};
use pilothouse_policy::limits::{CompileLimits, Limits};
use pilothouse_policy::runtime::Runtime;
use serde_json::json;

use crate::fixture::{compiler, engine, hostile, text};

fn bounded(limits: CompileLimits) -> CompileError {
    Compiler { limits, ..compiler() }.compile(hostile().bytes()).map(drop).unwrap_err()
}

#[test]
fn the_child_is_bounded() {
    let error = bounded(CompileLimits { memory_bytes: 1 << 20, ..CompileLimits::default() });
    assert!(matches!(error, CompileError::Died { .. }), "{error}");
    let error = bounded(CompileLimits { wall_ms: 0, ..CompileLimits::default() });
    assert!(matches!(error, CompileError::Wall { limit_ms: 0 }), "{error}");
    let error = bounded(CompileLimits { code_bytes: 1_000, ..CompileLimits::default() });
    assert!(matches!(error, CompileError::CodeTooBig { limit: 1_000 }), "{error}");
}

fn leb(mut n: usize, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push((n & 0x7F) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn section(id: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(id);
    leb(content.len(), out);
    out.extend(content);
}

/// A component of one module with many functions of many multiplications: minutes of compilation.
fn endless_work() -> Vec<u8> {
    let (functions, multiplications) = (4_000, 4_000);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(1, &[1, 0x60, 1, 0x7E, 1, 0x7E], &mut module); // one type: i64 to i64
    let (mut types, mut code, mut body) = (Vec::new(), Vec::new(), vec![0, 0x20, 0]);
    for _ in 0..multiplications {
        body.extend([0x20, 0, 0x7E]); // local.get 0, i64.mul
    }
    body.push(0x0B);
    leb(functions, &mut types);
    leb(functions, &mut code);
    types.resize(types.len() + functions, 0);
    for _ in 0..functions {
        leb(body.len(), &mut code);
        code.extend(&body);
    }
    section(3, &types, &mut module);
    section(10, &code, &mut module);
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    section(1, &module, &mut component);
    component
}

#[test]
fn compilation_without_end_stops_after_its_cpu_seconds() {
    let limits = CompileLimits { cpu_seconds: 1, ..CompileLimits::default() };
    let error = Compiler { limits, ..compiler() }.compile(&endless_work()).map(drop).unwrap_err();
    let CompileError::Died { status, .. } = &error else { panic!("{error}") };
    assert!(std::os::unix::process::ExitStatusExt::signal(status).is_some(), "{error}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let missing = Compiler { program: PathBuf::from("/nowhere/compiler"), ..compiler() };
    let error = missing.compile(b"").unwrap_err().to_string();
    assert!(error.starts_with("the compiler /nowhere/compiler cannot run: "), "{error}");
}

/// Makes a cached file unfit; it is given what was there.
type Spoil = fn(&PathBuf, &[u8]);

#[test]
fn code_is_kept_and_spoilt_code_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("deep/cache");
    let cache = Cache::open(&place).unwrap();
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
    let artifact = text("(component)");
    let runtime = Runtime::new(engine(), compiler(), cache.clone());
    let load = |runtime: &Runtime| {
        // It fits no slot, but it has to be compiled to know that.
        let error = runtime.policy(Slot::Failover, &artifact, &json!({}), &Limits::default()).unwrap_err();
        assert!(error.to_string().starts_with("exports no policy interface"), "{error}");
    };
    load(&runtime);
    let file = cache.path(&engine(), artifact.digest());
    assert!(cache.load(&engine(), artifact.digest()).is_some());
    let good = fs::read(&file).unwrap();

    // Spoilt, cut, readable by others, a link to elsewhere: not used, and made again.
    let spoil: [(&str, Spoil); 4] = [
        ("flipped", |file, good| {
            let mut bad = good.to_vec();
            bad[good.len() / 2] ^= 1;
            fs::write(file, bad).unwrap();
        }),
        ("cut", |file, good| fs::write(file, &good[..100]).unwrap()),
        ("open", |file, _| fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap()),
        ("link", |file, good| {
            let elsewhere = file.with_extension("elsewhere");
            fs::write(&elsewhere, good).unwrap();
            fs::remove_file(file).unwrap();
            std::os::unix::fs::symlink(&elsewhere, file).unwrap();
        }),
    ];
    for (how, spoil) in spoil {
        spoil(&file, &good);
        assert!(cache.load(&engine(), artifact.digest()).is_none(), "{how}");
        load(&runtime);
        assert!(cache.load(&engine(), artifact.digest()).is_some(), "{how}");
    }

    // With good code at hand no compiler is needed.
    let without = Compiler { program: PathBuf::from("/nowhere/compiler"), ..compiler() };
    load(&Runtime::new(engine(), without, cache));
}

#[test]
fn a_directory_that_others_reach_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = Cache::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("others may reach it"), "{error}");
}
