//! A rule that refuses every reparent and labels every object that it sees.

wit_bindgen::generate!({
    path: "../../../../../wit",
    world: "pilothouse:policy/rule-policy@0.1.0",
});

use exports::pilothouse::policy::meta::{Guest as Meta, Manifest};
use exports::pilothouse::policy::rule::{
    Adjustment, AnyAction, Guest as Rule, PlannedStep, Refusal, Rendered, Verdict,
};
use pilothouse::policy::failover;
use pilothouse::policy::types::{ConfigError, PolicyError};
use pilothouse::policy::view::Cluster;

struct Reviewer;

export!(Reviewer);

impl Meta for Reviewer {
    fn describe() -> Manifest {
        Manifest {
            name: "reviewer".into(),
            version: "0.1.0".into(),
            config_schema: "{}".into(),
            needs: Vec::new(),
            emits: Vec::new(),
        }
    }

    fn validate_config(_: String) -> Result<(), Vec<ConfigError>> {
        Ok(())
    }
}

fn words(step: &PlannedStep) -> String {
    match &step.action {
        AnyAction::Placement(action) => format!("{action:?}"),
        AnyAction::Failover(action) => format!("{action:?}"),
        AnyAction::Expansion(action) => format!("{action:?}"),
        AnyAction::Backup(action) => format!("{action:?}"),
        AnyAction::Host(action) => format!("{} {}/{}", action.verb, action.kind, action.name),
    }
}

impl Rule for Reviewer {
    fn review(
        _: &Cluster,
        steps: Vec<PlannedStep>,
        objects: Vec<Rendered>,
        config: String,
    ) -> Result<Verdict, PolicyError> {
        let outside = config == r#"{"do":"outside"}"#;
        let mut refusals = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            if matches!(step.action, AnyAction::Failover(failover::Action::PlannedReparent(_))) {
                refusals.push(Refusal {
                    step: if outside { 99 } else { i as u32 },
                    code: "no-reparent-today".into(),
                    message: format!("{}: {}", step.author, words(step)),
                });
            }
        }
        let adjust = |(i, object): (usize, &Rendered)| Adjustment {
            object: i as u32,
            patch: format!(r#"[{{"op":"add","path":"/metadata/labels/seen","value":"{}"}}]"#, object.name),
        };
        let adjustments = objects.iter().enumerate().map(adjust).collect();
        Ok(Verdict { refusals, adjustments, diagnostics: Vec::new() })
    }
}
