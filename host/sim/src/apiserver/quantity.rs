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

/// As the real server writes it: the whole number with the largest suffix of its own family, small ones without.
/// Below thousandths, and as powers of ten, it stays as it was given. `None` if it is none.
pub(crate) fn canonical(value: &Value) -> Option<String> {
    let thousandths = of_value(value)?;
    let text = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    if text.ends_with(['n', 'u']) || text.contains(['e', 'E']) && !text.ends_with(['i', 'E']) {
        return Some(text);
    }
    let (mut number, mut steps) = (thousandths, 0);
    if text.ends_with('i') && thousandths.abs() >= 1_024_000 {
        number = thousandths.signum() * ((thousandths.abs() + 999) / 1_000);
        while number % 1_024 == 0 && steps < 6 {
            (number, steps) = (number / 1_024, steps + 1);
        }
        return Some(format!("{number}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][steps]));
    }
    while number % 1_000 == 0 && number != 0 && steps < 7 {
        (number, steps) = (number / 1_000, steps + 1);
    }
    let suffix = if number == 0 { "" } else { ["m", "", "k", "M", "G", "T", "P", "E"][steps] };
    Some(format!("{number}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_the_real_server_writes_them() {
        let cases = [
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1023Ki", "1023Ki"),
            ("0.5Ki", "512"),
            ("1000", "1k"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("0Gi", "0"),
            ("2E", "2E"),
            ("1e3", "1e3"),
        ];
        for (given, written) in cases {
            assert_eq!(canonical(&Value::from(given)).as_deref(), Some(written), "{given}");
        }
        assert_eq!(canonical(&Value::from(1)).as_deref(), Some("1"));
        assert_eq!(canonical(&Value::from("big")), None);
    }

    #[test]
    fn quantities_compare() {
        assert_eq!(parse("10Gi"), Some(10 * (1000 << 30)));
        assert_eq!(parse("100m"), Some(100));
        assert_eq!(parse("1.5"), Some(1500));
        assert_eq!(parse("1e3"), Some(1_000_000));
        assert_eq!(parse("-1"), Some(-1000));
        assert!(parse("1Gi") < parse("1.1Gi"));
        assert_eq!(parse("x"), None);
        assert_eq!(parse("-"), None);
        assert_eq!(parse("1Xi"), None);
    }
}
