//! Versions of MySQL as image tags begin with them, and what a change of one asks of the server before it.
//!
//! Owns the one reading of an image's tag. Must not know how a server is told anything.

use serde::{Deserialize, Serialize};

/// From here on releases of 8.0 leave the files as they are (source: MySQL's release model).
const FILES_STAY_SINCE: Version = (8, 0, 34);

/// Major, minor, patch.
type Version = (u32, u32, u32);

/// What another image of mysqld does to the files of the one that runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It reads them as they are.
    #[default]
    None,
    /// It converts them, or may: the old one writes out all that it has before it ends
    /// (`innodb_fast_shutdown = 0`).
    Upgrade,
    /// It cannot read them.
    Downgrade,
}

/// What becomes of the files when `to` follows `from`; an image without a version may be any.
#[must_use]
pub fn change(from: &str, to: &str) -> Change {
    if from.is_empty() || to.is_empty() || from == to {
        return Change::None;
    }
    let (Some(from), Some(to)) = (version(from), version(to)) else { return Change::Upgrade };
    let series = |(major, minor, _): Version| (major, minor);
    let of_8_0 = series(from) == series(FILES_STAY_SINCE);
    let files_stay = series(from) == series(to) && !(of_8_0 && from.min(to) < FILES_STAY_SINCE);
    match to.cmp(&from) {
        _ if files_stay || from == to => Change::None,
        std::cmp::Ordering::Less => Change::Downgrade,
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => Change::Upgrade,
    }
}

/// The tag of an image; empty if it has none. A port of the registry and a digest are none.
#[must_use]
pub fn tag(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or_default();
    name.rsplit('/').next().and_then(|last| last.split_once(':')).map_or("", |(_, tag)| tag)
}

/// The version that an image's tag begins with.
fn version(image: &str) -> Option<Version> {
    let end = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut parts = tag(image).splitn(3, '.');
    let (major, minor, rest) = (parts.next()?, parts.next()?, parts.next()?);
    Some((major.parse().ok()?, minor.parse().ok()?, rest[..end(rest)].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str, expected: Change) {
        let image = |tag: &str| format!("registry:5000/mysql:{tag}");
        assert_eq!(change(&image(from), &image(to)), expected, "{from} to {to}");
    }

    #[test]
    fn files_are_converted_between_series_and_within_the_early_8_0() {
        for (from, to, expected) in [
            ("8.0.40", "8.0.40", Change::None),
            ("8.0.34", "8.0.40-debian", Change::None),
            ("8.0.40", "8.0.34", Change::None),
            ("8.0.33", "8.0.34", Change::Upgrade),
            ("8.0.23", "8.0.24", Change::Upgrade),
            ("8.0.40", "8.0.33", Change::Downgrade),
            ("8.0.24", "8.0.23", Change::Downgrade),
            ("5.7.44", "8.0.40", Change::Upgrade),
            ("8.0.40", "8.4.3", Change::Upgrade),
            ("8.4.3", "8.0.40", Change::Downgrade),
            ("9.1.0", "8.4.3", Change::Downgrade),
            ("8.4.1", "8.4.3", Change::None),
            ("8.4.3", "8.4.1", Change::None),
            ("10.11.6", "11.4.2", Change::Upgrade),
            ("v24.0.2-mysql80", "v24.0.3-mysql80", Change::Upgrade),
            ("8.0.40", "latest", Change::Upgrade),
            ("8.0", "8.0.40", Change::Upgrade),
        ] {
            check(from, to, expected);
        }
    }

    #[test]
    fn an_image_without_a_tag_may_be_any_version_and_no_image_is_no_server() {
        assert_eq!(change("registry:5000/mysql@sha256:12", "registry:5000/mysql@sha256:34"), Change::Upgrade);
        assert_eq!(change("registry:5000/mysql", "registry:5000/mysql"), Change::None);
        assert_eq!(change("", "mysql:8.4.3"), Change::None);
        assert_eq!(change("mysql:8.4.3", ""), Change::None);
    }
}
