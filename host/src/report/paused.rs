//! The condition that says that people paused an object, or something above it. It stands only meanwhile.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use pilothouse_api::condition::ConditionStatus;
use pilothouse_api::labels::annotations;
use pilothouse_core::action::ObjectRef;
use pilothouse_core::pass::Report;

use super::set;
use crate::kinds::Kind;

const PAUSED: &str = "Paused";

/// Says it of the object of that kind and name, or takes it away.
pub(super) fn tell(
    conditions: &mut Vec<Condition>,
    report: &Report,
    generation: Option<i64>,
    (kind, name): (Kind, &str),
) {
    let namespace = report.view.cluster.namespace.clone();
    let object = ObjectRef { kind: kind.as_str().to_owned(), namespace, name: name.to_owned() };
    let pauses = &report.view.pauses;
    let of_itself = pauses.iter().find(|pause| pause.object == object);
    let (reason, message) = match of_itself.or_else(|| pauses.iter().find(|pause| pause.covers(&object))) {
        Some(pause) if pause.object == object => {
            let message = "nothing under it is changed until the annotation is taken away";
            ("Annotated", format!("{}: {message}", annotations::PAUSED))
        }
        Some(pause) => ("Above", format!("{} is paused", pause.object)),
        None => return conditions.retain(|condition| condition.type_ != PAUSED),
    };
    set(conditions, report, generation, (PAUSED, ConditionStatus::True, reason, &message));
}
