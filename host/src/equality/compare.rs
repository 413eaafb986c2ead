//! Rendered against live, field by field.

use std::fmt;
use std::ops::ControlFlow;

use serde_json::Value;

use super::lists::{self, Shape, is_absent, is_default, place};
use super::path::Path;
use super::{Report, quantity, stands};

/// One difference.
#[derive(Debug)]
pub(super) enum Difference<'v> {
    /// Rendered, not there.
    Missing(&'v Value),
    /// There with another value.
    Changed { has: &'v Value, wanted: &'v Value },
    /// There in another order.
    Order,
    /// There, and nobody wants it any more.
    Dropped(&'v Value),
    /// A toleration that is rendered and not there.
    TolerationAdded(&'v Value),
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(wanted) | Self::TolerationAdded(wanted) => write!(f, "absent, wanted {wanted}"),
            Self::Changed { has, wanted } => write!(f, "{has}, wanted {wanted}"),
            Self::Order => f.write_str("in another order"),
            Self::Dropped(_) => f.write_str("no longer wanted"),
        }
    }
}

/// Reports every rendered field that `has` lacks or has otherwise.
pub(super) fn compare(
    path: &Path<'_>,
    wanted: &Value,
    has: Option<&Value>,
    report: &mut Report<'_>,
) -> ControlFlow<()> {
    let Some(has) = has.filter(|has| !has.is_null()) else {
        return if is_absent(wanted) {
            ControlFlow::Continue(())
        } else {
            report(path, Difference::Missing(wanted))
        };
    };
    match (wanted, has) {
        (Value::Null, _) => ControlFlow::Continue(()),
        _ if stands::as_it_is(path) => ControlFlow::Continue(()),
        (Value::Object(wanted), Value::Object(has)) => {
            for (name, value) in wanted {
                compare(&Path::Field(path, name), value, has.get(name), report)?;
            }
            ControlFlow::Continue(())
        }
        (Value::Array(wanted), Value::Array(has)) => lists_differ(path, wanted, has, report),
        (wanted, has) if equal(path, wanted, has) => ControlFlow::Continue(()),
        (wanted, has) => report(path, Difference::Changed { has, wanted }),
    }
}

fn lists_differ(
    path: &Path<'_>,
    wanted: &[Value],
    has: &[Value],
    report: &mut Report<'_>,
) -> ControlFlow<()> {
    let Some(first) = wanted.first().or_else(|| has.first()) else { return ControlFlow::Continue(()) };
    match lists::shape(path.name(), first) {
        Shape::Keyed { keys, ordered } => keyed(path, keys, ordered, wanted, has, report),
        Shape::Set => {
            for value in wanted.iter().filter(|value| !has.contains(value)) {
                report(path, Difference::Missing(value))?;
            }
            ControlFlow::Continue(())
        }
        Shape::Tolerations => tolerations(path, wanted, has, report),
        Shape::Atomic => {
            for (index, value) in wanted.iter().enumerate() {
                compare(&Path::Index(path, index), value, has.get(index), report)?;
            }
            for (index, value) in has.iter().enumerate().skip(wanted.len()) {
                report(&Path::Index(path, index), Difference::Dropped(value))?;
            }
            ControlFlow::Continue(())
        }
    }
}

fn keyed(
    path: &Path<'_>,
    keys: &[&str],
    ordered: bool,
    wanted: &[Value],
    has: &[Value],
    report: &mut Report<'_>,
) -> ControlFlow<()> {
    let mut last = 0;
    for (index, item) in wanted.iter().enumerate() {
        let place = place(keys, index, item, has);
        let name = item.get(keys[0]).and_then(Value::as_str);
        let path = name.map_or(Path::Index(path, index), |name| Path::Item(path, name));
        compare(&path, item, place.map(|place| &has[place]), report)?;
        if ordered && place.is_some_and(|place| place < last) {
            report(&path, Difference::Order)?;
        }
        last = place.unwrap_or(last);
    }
    ControlFlow::Continue(())
}

/// Admission adds `node.kubernetes.io/…` tolerations to every Pod; those are nobody's difference.
fn tolerations(path: &Path<'_>, wanted: &[Value], has: &[Value], report: &mut Report<'_>) -> ControlFlow<()> {
    for toleration in wanted.iter().filter(|toleration| !has.contains(toleration)) {
        report(path, Difference::TolerationAdded(toleration))?;
    }
    for (index, toleration) in has.iter().enumerate() {
        let key = toleration.get("key").and_then(Value::as_str).unwrap_or_default();
        if !key.starts_with("node.kubernetes.io/") && !wanted.contains(toleration) {
            report(&Path::Index(path, index), Difference::Dropped(toleration))?;
        }
    }
    ControlFlow::Continue(())
}

/// Reports what `has` holds beyond `wanted`: with [`compare`], agreement as a whole.
pub(super) fn surplus(
    path: &Path<'_>,
    wanted: &Value,
    has: &Value,
    report: &mut Report<'_>,
) -> ControlFlow<()> {
    match (wanted, has) {
        (Value::Object(wanted), Value::Object(has)) => {
            for (name, value) in has {
                let path = Path::Field(path, name);
                match wanted.get(name).filter(|wanted| !wanted.is_null()) {
                    Some(wanted) => surplus(&path, wanted, value, report)?,
                    None if is_default(name, value) => {}
                    None => report(&path, Difference::Dropped(value))?,
                }
            }
        }
        (Value::Array(_), Value::Array(_)) if path.name() == "tolerations" => {}
        (Value::Array(wanted), Value::Array(has)) => {
            for (index, value) in has.iter().enumerate() {
                let path = Path::Index(path, index);
                match wanted.get(index) {
                    Some(wanted) => surplus(&path, wanted, value, report)?,
                    None => report(&path, Difference::Dropped(value))?,
                }
            }
        }
        _ => {} // scalars: `compare` has seen them
    }
    ControlFlow::Continue(())
}

/// Whether two scalars mean the same at this place.
pub(super) fn equal(path: &Path<'_>, wanted: &Value, has: &Value) -> bool {
    wanted == has
        || (is_absent(wanted) && is_absent(has))
        || stands::is_the_same_zone_label(path, wanted, has)
        || match (wanted, has) {
            (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
            _ => quantity::same(path, wanted, has),
        }
}
