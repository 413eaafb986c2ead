//! Reads a request's path and query: what is asked, of which kind, with which options.
//!
//! It must not know the store.

use std::collections::BTreeMap;

use super::status::Status;

/// A path below `/api` or `/apis`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// What a path addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Health,
    Version,
    CoreVersions,
    Groups,
    Group(String),
    Resources { group: String, version: String },
    OpenApiIndex,
    OpenApiGroup(String),
    Object(ResourcePath),
    Nothing,
}

/// Takes a path apart.
pub(crate) fn target(path: &str) -> Result<Target, Status> {
    let parts: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).map(decode).collect::<Result<_, _>>()?;
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(match words.as_slice() {
        ["healthz" | "readyz" | "livez", ..] => Target::Health,
        ["version"] => Target::Version,
        ["api"] => Target::CoreVersions,
        ["apis"] => Target::Groups,
        ["apis", group] => Target::Group((*group).to_owned()),
        ["api", version] => Target::Resources { group: String::new(), version: (*version).to_owned() },
        ["apis", group, version] => {
            Target::Resources { group: (*group).to_owned(), version: (*version).to_owned() }
        }
        ["openapi", "v3"] => Target::OpenApiIndex,
        ["openapi", "v3", rest @ ..] => Target::OpenApiGroup(rest.join("/")),
        ["api", version, rest @ ..] => resource_path("", version, rest),
        ["apis", group, version, rest @ ..] => resource_path(group, version, rest),
        _ => Target::Nothing,
    })
}

fn resource_path(group: &str, version: &str, rest: &[&str]) -> Target {
    let made = |namespace: Option<&str>, resource: &str, name: Option<&str>, subresource: Option<&str>| {
        Target::Object(ResourcePath {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.map(str::to_owned),
            resource: resource.to_owned(),
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    };
    match rest {
        ["namespaces", name, sub @ ("status" | "finalize")] if group.is_empty() => {
            made(None, "namespaces", Some(name), Some(sub))
        }
        ["namespaces", namespace, resource] => made(Some(namespace), resource, None, None),
        ["namespaces", namespace, resource, name] => made(Some(namespace), resource, Some(name), None),
        ["namespaces", namespace, resource, name, sub] => {
            made(Some(namespace), resource, Some(name), Some(sub))
        }
        [resource] => made(None, resource, None, None),
        [resource, name] => made(None, resource, Some(name), None),
        [resource, name, sub] => made(None, resource, Some(name), Some(sub)),
        _ => Target::Nothing,
    }
}

/// Percent-decodes one path part or query value.
fn decode(text: &str) -> Result<String, Status> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let Some(byte) = digits else {
                return Err(Status::bad_request(format!("invalid URL escape \"{}\"", &text[at..])));
            };
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).map_err(|_| Status::bad_request("the URL is not UTF-8"))
}

/// The query's parameters; the first of a repeated one counts, as in the real server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    values: BTreeMap<String, String>,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Status> {
        let mut values = BTreeMap::new();
        for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(&value.replace('+', " "))?;
            values.entry(decode(key)?).or_insert(value);
        }
        Ok(Self { values })
    }

    /// The parameter's text; empty if absent.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    /// `true`, `1` or present without a value.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| !matches!(value.as_str(), "false" | "0"))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, Status> {
        match self.text(key) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Status::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let Ok(Target::Object(path)) = target("/apis/apps/v1/namespaces/a/deployments/b/scale") else {
            panic!("not an object path");
        };
        assert_eq!(path.group, "apps");
        assert_eq!(path.namespace.as_deref(), Some("a"));
        assert_eq!(path.name.as_deref(), Some("b"));
        assert_eq!(path.subresource.as_deref(), Some("scale"));
        let Ok(Target::Object(path)) = target("/api/v1/namespaces/a%2Db") else {
            panic!("not an object path")
        };
        assert_eq!((path.resource.as_str(), path.name.as_deref()), ("namespaces", Some("a-b")));
        let Ok(Target::Object(path)) = target("/api/v1/namespaces/a/pods") else {
            panic!("not an object path")
        };
        assert_eq!((path.namespace.as_deref(), path.resource.as_str()), (Some("a"), "pods"));
    }

    #[test]
    fn queries_decode() {
        let query = Query::parse(Some("labelSelector=a%3Db%2Cc+in+(d)&watch=1")).expect("parses");
        assert_eq!(query.text("labelSelector"), "a=b,c in (d)");
        assert!(query.flag("watch"));
        assert!(Query::parse(Some("a=%zz")).is_err());
    }
}
