//! What a request of the host asks for, read from its method and path.

use http::Method;
use pilothouse_sim::apiserver::ResourceId;

/// Kubernetes' verbs, as far as faults tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    /// Create, update, patch.
    Write,
    Delete,
    /// The deletion of a Pod, if its budget lets it go.
    Evict,
}

/// A request, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) verb: Verb,
    pub(super) kind: ResourceId,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Asked {
    /// `None` for what addresses no object (discovery, version).
    pub(super) fn read(method: &Method, path: &str, query: &str) -> Option<Self> {
        let words: Vec<&str> = path.split('/').filter(|w| !w.is_empty()).collect();
        let (group, rest) = match words.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return None,
        };
        let (namespace, resource, name) = match rest {
            ["namespaces", namespace, resource, rest @ ..] => (*namespace, *resource, rest.first()),
            [resource, rest @ ..] => ("", *resource, rest.first()),
            [] => return None,
        };
        let verb = match *method {
            Method::GET if query.split('&').any(|p| p == "watch=true" || p == "watch=1") => Verb::Watch,
            Method::GET if name.is_some() => Verb::Get,
            Method::GET => Verb::List,
            Method::DELETE => Verb::Delete,
            Method::POST if words.last() == Some(&"eviction") => Verb::Evict,
            _ => Verb::Write,
        };
        let name = name.copied().unwrap_or_default().to_owned();
        Some(Self { verb, kind: ResourceId::new(group, resource), namespace: namespace.to_owned(), name })
    }

    pub(super) fn is_write(&self) -> bool {
        match self.verb {
            Verb::Write | Verb::Delete | Verb::Evict => true,
            Verb::Get | Verb::List | Verb::Watch => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let read = |method, path, query| Asked::read(&method, path, query).expect("an object");
        let asked =
            read(Method::PATCH, "/apis/planetscale.com/v2/namespaces/d/vitessshards/s/status", "force=true");
        assert_eq!((asked.verb, asked.name.as_str(), asked.namespace.as_str()), (Verb::Write, "s", "d"));
        assert_eq!(asked.kind, ResourceId::new("planetscale.com", "vitessshards"));
        assert_eq!(read(Method::GET, "/api/v1/pods", "&watch=true").verb, Verb::Watch);
        assert_eq!(read(Method::GET, "/api/v1/nodes", "").verb, Verb::List);
        assert_eq!(read(Method::GET, "/api/v1/namespaces/d/pods/p", "").verb, Verb::Get);
        assert!(read(Method::DELETE, "/api/v1/namespaces/d/pods/p", "").is_write());
        assert_eq!(Asked::read(&Method::GET, "/version", ""), None);
    }
}
