//! The simple JSON paths of printer columns: fields, indices, `[*]` and `[?(@.a=="b")]`.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Where(Vec<String>, bool, String),
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

impl JsonPath {
    /// `None` for a path outside the supported form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}');
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                if after.is_empty() {
                    break;
                }
                if after.starts_with('.') {
                    return None;
                }
                if after.starts_with('[') {
                    rest = after;
                    continue;
                }
                let (name, left) = take_name(after);
                steps.push(if name == "*" { Step::All } else { Step::Field(name) });
                rest = left;
            } else if let Some(after) = rest.strip_prefix('[') {
                let end = closing(after)?;
                steps.push(bracket(&after[..end])?);
                rest = &after[end + 1..];
            } else {
                return None;
            }
        }
        Some(Self { steps })
    }

    /// What the path finds, in order.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.apply(value)).collect();
        }
        found
    }
}

fn take_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => return (name, &text[at..]),
            _ => name.push(c),
        }
    }
    (name, "")
}

/// The end of a bracket, quotes respected.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, ']') => return Some(at),
            _ => {}
        }
    }
    None
}

fn unquote(text: &str) -> Option<&str> {
    let text = text.trim();
    let inner = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.or_else(|| text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')))
}

fn bracket(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(name) = unquote(text) {
        return Some(Step::Field(name.to_owned()));
    }
    if let Some(condition) = text.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        let (left, right, equal) = match condition.split_once("==") {
            Some((left, right)) => (left, right, true),
            None => condition.split_once("!=").map(|(left, right)| (left, right, false))?,
        };
        let path = left.trim().strip_prefix("@.")?.split('.').map(str::to_owned).collect();
        let wanted = unquote(right).unwrap_or(right.trim());
        return Some(Step::Where(path, equal, wanted.to_owned()));
    }
    text.parse().ok().map(Step::Index)
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(at) => {
                let Some(items) = value.as_array() else { return Vec::new() };
                let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let at = if *at < 0 { length + at } else { *at };
                usize::try_from(at).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            Self::All => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(map) => map.values().collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
            },
            Self::Where(path, equal, wanted) => {
                let holds = |item: &&Value| {
                    let found = path.iter().try_fold(*item, |value, part| value.get(part));
                    found.is_some_and(|found| (text_of(found) == *wanted) == *equal)
                };
                value.as_array().into_iter().flatten().filter(holds).collect()
            }
        }
    }
}

/// A value as a table cell shows it.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find() {
        let object = json!({ "a": { "b.c": [1, { "type": "Ready", "status": "True" }] } });
        let show = |path: &str| -> Vec<String> {
            JsonPath::parse(path).expect(path).find(&object).into_iter().map(text_of).collect()
        };
        assert_eq!(show(".a.b\\.c[0]"), ["1"]);
        assert_eq!(show(".a['b.c'][?(@.type==\"Ready\")].status"), ["True"]);
        assert_eq!(show(".a.b\\.c[-1].type"), ["Ready"]);
        assert_eq!(show(".x.y"), Vec::<String>::new());
        assert_eq!(JsonPath::parse("..a"), None);
        assert_eq!(JsonPath::parse(".a[?(@.b)]"), None);
    }
}
