//! Where quantities stand, and when two are the same number: `1Gi` is `1024Mi`, `100m` is `0.1`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pilothouse_api::quantity::nanos;
use serde_json::Value;

use super::path::Path;

/// Maps of quantities, and single ones (source: core/v1's types).
const HOLDERS: [&str; 5] = ["requests", "limits", "capacity", "overhead", "hard"];
const FIELDS: [&str; 3] = ["sizeLimit", "divisor", "averageValue"];

/// Whether the field at `path` is a quantity, and both values are the same one.
pub(super) fn same(path: &Path<'_>, a: &Value, b: &Value) -> bool {
    let is_quantity = HOLDERS.contains(&path.holder()) || FIELDS.contains(&path.name());
    is_quantity && read(a).is_some_and(|a| read(b) == Some(a))
}

/// In billionths; `None` if it is no quantity. Manifests may write a bare number.
fn read(value: &Value) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    nanos(&Quantity(text)).ok()
}
