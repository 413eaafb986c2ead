//! A container's environment, and `$(NAME)` in its command, as the kubelet reads them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt as _;

/// A field of a Pod, by the path that a `fieldRef` names.
pub(super) fn field(pod: &Pod, path: &str, address: Ipv4Addr) -> anyhow::Result<String> {
    let of_map = |map: &BTreeMap<String, String>, rest: &str| {
        let key = rest.strip_prefix("['").and_then(|rest| rest.strip_suffix("']"));
        key.map(|key| map.get(key).cloned().unwrap_or_default())
    };
    let field = match path {
        "status.podIP" | "status.podIPs" => Some(address.to_string()),
        "metadata.name" => Some(pod.name_any()),
        "metadata.namespace" => pod.namespace(),
        "metadata.uid" => pod.uid(),
        "spec.nodeName" => pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        _ => match (path.strip_prefix("metadata.annotations"), path.strip_prefix("metadata.labels")) {
            (Some(rest), _) => of_map(pod.annotations(), rest),
            (_, Some(rest)) => of_map(pod.labels(), rest),
            _ => None,
        },
    };
    field.with_context(|| format!("no field {path} of a Pod can be had here"))
}

/// The variables of a container.
pub(super) fn variables(
    pod: &Pod,
    container: &Container,
    address: Ipv4Addr,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    if container.env_from.as_ref().is_some_and(|from| !from.is_empty()) {
        bail!("{}: envFrom cannot be had here", container.name);
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, variable.value_from.as_ref().and_then(|f| f.field_ref.as_ref())) {
            (Some(value), _) => expanded(value, &all),
            (None, Some(reference)) => field(pod, &reference.field_path, address)?,
            (None, None) if variable.value_from.is_none() => String::new(),
            (None, None) => bail!("{}: only fields of the Pod can be had here", variable.name),
        };
        all.insert(variable.name.clone(), value);
    }
    Ok(all)
}

/// The command line of a container; its image has none of its own.
pub(super) fn command(
    container: &Container,
    variables: &BTreeMap<String, String>,
) -> anyhow::Result<Vec<String>> {
    let command = container.command.iter().flatten();
    let all: Vec<String> =
        command.chain(container.args.iter().flatten()).map(|word| expanded(word, variables)).collect();
    if container.command.as_ref().is_none_or(Vec::is_empty) {
        bail!("{}: images have no commands here", container.name);
    }
    Ok(all)
}

/// With the values of variables for `$(NAME)`; `$$` stands for a dollar, and an unknown name for itself.
fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match variables.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_the_kubelet_reads_them() {
        let known = BTreeMap::from([("POD_IP".to_owned(), "10.0.0.1".to_owned())]);
        for (text, read) in [
            ("--tablet_hostname=$(POD_IP)", "--tablet_hostname=10.0.0.1"),
            ("$$(POD_IP) $(NOBODY) $5", "$(POD_IP) $(NOBODY) $5"),
            ("$(POD_IP", "$(POD_IP"),
            ("", ""),
        ] {
            assert_eq!(expanded(text, &known), read, "{text}");
        }
    }
}
