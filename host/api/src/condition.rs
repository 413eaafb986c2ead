//! Status words that several kinds share: three-valued answers, orphans, conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;

/// A three-valued answer. Unknown is no weak false: it blocks destructive steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub enum ConditionStatus {
    /// Yes.
    True,
    /// No.
    False,
    /// Not known, or a word that we do not know.
    #[default]
    Unknown,
}

impl ConditionStatus {
    /// Kubernetes' word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }

    /// Yes if both are; no if one is no.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }

    /// Whether it is a plain yes.
    #[must_use]
    pub const fn is_true(self) -> bool {
        matches!(self, Self::True)
    }
}

impl From<String> for ConditionStatus {
    fn from(word: String) -> Self {
        match word.as_str() {
            "True" => Self::True,
            "False" => Self::False,
            _ => Self::Unknown,
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(yes: bool) -> Self {
        if yes { Self::True } else { Self::False }
    }
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl JsonSchema for ConditionStatus {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConditionStatus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Why an unwanted object is still there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanStatus {
    /// One word.
    pub reason: String,
    /// What to do about it.
    pub message: String,
}

/// Reads conditions from a list, or from an older map by type; drops those that are unreadable.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Condition>, D::Error> {
    let mut conditions: Vec<Condition> = match Value::deserialize(from)? {
        Value::Array(list) => list.into_iter().filter_map(|c| serde_json::from_value(c).ok()).collect(),
        Value::Object(map) => map
            .into_iter()
            .filter_map(|(kind, mut condition)| {
                condition.as_object_mut()?.insert("type".to_owned(), Value::String(kind));
                serde_json::from_value(condition).ok()
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    Ok(conditions)
}

/// What a condition says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The condition's type, in CamelCase.
    pub kind: &'a str,
    /// The answer.
    pub status: ConditionStatus,
    /// One word, in CamelCase.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
}

/// Puts a verdict into a list of conditions, which stays sorted by type. The
/// transition time moves only when the answer does.
pub fn set(conditions: &mut Vec<Condition>, verdict: &Verdict<'_>, now: &Time, generation: Option<i64>) {
    let status = verdict.status.as_str().to_owned();
    let since = conditions
        .iter()
        .find(|c| c.type_ == verdict.kind && c.status == status)
        .map_or_else(|| now.clone(), |c| c.last_transition_time.clone());
    conditions.retain(|c| c.type_ != verdict.kind);
    conditions.push(Condition {
        type_: verdict.kind.to_owned(),
        status,
        reason: verdict.reason.to_owned(),
        message: verdict.message.to_owned(),
        last_transition_time: since,
        observed_generation: generation,
    });
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
}

/// The answer of a condition; unknown when it is absent.
#[must_use]
pub fn status_of(conditions: &[Condition], kind: &str) -> ConditionStatus {
    match conditions.iter().find(|c| c.type_ == kind).map(|c| c.status.as_str()) {
        Some("True") => ConditionStatus::True,
        Some("False") => ConditionStatus::False,
        Some(_) | None => ConditionStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn transition_time_moves_with_the_answer_only() {
        let mut list = Vec::new();
        let mut verdict = Verdict { kind: "Ready", status: ConditionStatus::True, reason: "A", message: "" };
        set(&mut list, &verdict, &at(1), Some(1));
        verdict.reason = "B";
        set(&mut list, &verdict, &at(2), Some(2));
        assert_eq!((list[0].last_transition_time.clone(), list[0].reason.as_str()), (at(1), "B"));
        verdict.status = ConditionStatus::False;
        set(&mut list, &verdict, &at(3), Some(2));
        assert_eq!((list.len(), list[0].last_transition_time.clone()), (1, at(3)));
        assert_eq!(status_of(&list, "Ready"), ConditionStatus::False);
        assert_eq!(status_of(&list, "Other"), ConditionStatus::Unknown);
    }

    #[test]
    fn reads_lists_and_older_maps() {
        let time = "2026-01-01T00:00:00Z";
        let list =
            json!([{ "type": "Ready", "status": "True", "lastTransitionTime": time }, { "type": "X" }]);
        let map = json!({ "Ready": { "status": "True", "lastTransitionTime": time } });
        assert_eq!(read(list).unwrap(), read(map).unwrap());
        assert_eq!(
            serde_json::from_value::<ConditionStatus>(json!("Maybe")).unwrap(),
            ConditionStatus::Unknown
        );
    }
}
