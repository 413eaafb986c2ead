//! Two answers side by side.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::Answer;

/// Where two answers differ, a line each; empty when they agree.
pub(super) fn differences(played: &Answer, real: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if played.code != real.code {
        let shown = |answer: &Answer| {
            let message = answer.body.get("message").map_or(String::new(), Value::to_string);
            format!("{} {message}", answer.code)
        };
        return vec![format!("/code: played {}\n      real   {}", shown(played), shown(real))];
    }
    let whole = |answer: &Answer| json!({ "warnings": answer.warnings, "body": answer.body });
    compare("", &whole(played), &whole(real), &mut found);
    found
}

fn compare(at: &str, played: &Value, real: &Value, found: &mut Vec<String>) {
    match (played, real) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let (a, b) = (a.get(name), b.get(name));
                match (a, b) {
                    (Some(a), Some(b)) => compare(&format!("{at}/{name}"), a, b, found),
                    (a, b) => {
                        let shown = |v: Option<&Value>| v.map_or("nothing".to_owned(), Value::to_string);
                        found.push(format!("{at}/{name}: played {}, real {}", shown(a), shown(b)));
                    }
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{at}/{i}"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{at}: played {a}\n      real   {b}")),
    }
}
