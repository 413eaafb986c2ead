//! Reading a value deep inside a JSON value.

use serde_json::Value;

/// The value at a JSON pointer (RFC 6901) without escapes. The library's own makes a new
/// string of each name on the way; a played day asks some hundred thousand times.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    debug_assert!(!pointer.contains('~'), "{pointer} has an escape");
    pointer.split('/').skip(1).try_fold(value, |value, name| match value {
        Value::Object(map) => map.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// Text at a JSON pointer; empty if absent.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whole number at a JSON pointer.
pub(crate) fn number(value: &Value, pointer: &str) -> Option<i64> {
    at(value, pointer).and_then(Value::as_i64)
}

/// Array at a JSON pointer; empty if absent.
pub(crate) fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::at;
    use serde_json::json;

    #[test]
    fn it_finds_what_the_library_finds() {
        let value = json!({ "a": [{ "b": 1 }, null], "": { "c": false }, "0": [] });
        for pointer in
            ["", "/", "/a", "/a/0/b", "/a/1", "/a/2", "/a/x", "//c", "/0", "/0/0", "/a/0/b/c", "/z"]
        {
            assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer}");
        }
    }
}
