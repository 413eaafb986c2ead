//! Kubernetes quantities as numbers: `1Gi` is `1024Mi`, `100m` is `0.1`.

use serde_json::Value;

use super::path::Path;

/// Fields that hold quantities by name: (source: core/v1 `ResourceList` and its few single quantities).
const HOLDERS: [&str; 5] = ["requests", "limits", "capacity", "overhead", "hard"];
const FIELDS: [&str; 3] = ["sizeLimit", "divisor", "averageValue"];
const NANO: i128 = 1_000_000_000;

/// Whether the field at that place is a quantity.
pub(super) fn is_at(path: &Path<'_>) -> bool {
    HOLDERS.contains(&path.holder()) || FIELDS.contains(&path.name())
}

/// A quantity in billionths, rounded up as Kubernetes does; `None` if it is none.
#[must_use]
pub fn nanos(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => parse(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A quantity in whole units (bytes, for storage), rounded up; `None` if it is none, negative
/// or too large.
#[must_use]
pub fn units(text: &str) -> Option<u64> {
    let nanos = u128::try_from(parse(text)?).ok()?;
    u64::try_from(nanos.div_ceil(NANO as u128)).ok()
}

fn parse(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let scale = scale(suffix)?;
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut mantissa: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
    }
    let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let scaled = mantissa.checked_mul(scale)?;
    let rounded = scaled / divisor + i128::from(scaled % divisor != 0);
    Some(if negative { -rounded } else { rounded })
}

/// What a suffix multiplies by, in billionths.
fn scale(suffix: &str) -> Option<i128> {
    let binary = |power: u32| Some(NANO << (10 * power));
    let decimal = |power: u32| Some(NANO * 10_i128.pow(power));
    match suffix {
        "n" => Some(1),
        "u" => Some(1_000),
        "m" => Some(1_000_000),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            10_i128.checked_pow(u32::try_from(exponent.checked_add(9)?).ok()?)
        }
    }
}
