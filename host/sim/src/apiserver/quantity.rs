//! Quantities, exact enough to compare: thousandths of the unit as an integer.

use serde_json::Value;

/// Thousandths of what a quantity says; `None` if it is none.
pub fn parse(text: &str) -> Option<i128> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (factor, divisor): (i128, i128) = match suffix {
        "" => (1_000, 1),
        "n" => (1, 1_000_000),
        "u" => (1, 1_000),
        "m" => (1, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000_000, 1),
        "Ki" => (1_000 << 10, 1),
        "Mi" => (1_000 << 20, 1),
        "Gi" => (1_000 << 30, 1),
        "Ti" => (1_000 << 40, 1),
        "Pi" => (1_000 << 50, 1),
        "Ei" => (1_000 << 60, 1),
        _ => {
            let power: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (1_000_i128.checked_mul(10_i128.checked_pow(power)?)?, 1)
        }
    };
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let joined: i128 = format!("{whole}{fraction}").parse().ok()?;
    let value = joined.checked_mul(factor)? / scale / divisor;
    Some(if negative { -value } else { value })
}

/// The same of a JSON string or number.
pub fn of_value(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => parse(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare() {
        assert_eq!(parse("10Gi"), Some(10 * (1000 << 30)));
        assert_eq!(parse("100m"), Some(100));
        assert_eq!(parse("1.5"), Some(1500));
        assert_eq!(parse("1e3"), Some(1_000_000));
        assert_eq!(parse("-1"), Some(-1000));
        assert!(parse("1Gi") < parse("1.1Gi"));
        assert_eq!(parse("x"), None);
        assert_eq!(parse("1Xi"), None);
    }
}
