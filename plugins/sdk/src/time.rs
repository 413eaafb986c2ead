//! Spans in configurations, and instants in messages.
//!
//! Owns the two texts: `24h` for a span, RFC 3339 in UTC for an instant. Knows
//! no clock: a policy's only clock is the view's `as_of`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A span of time, written as a whole number and one unit: `30s`, `10m`, `6h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    ms: u64,
}

/// Units, the longest first, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

impl Span {
    /// That many seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self { ms: n * 1_000 }
    }

    /// That many minutes.
    #[must_use]
    pub const fn minutes(n: u64) -> Self {
        Self { ms: n * 60_000 }
    }

    /// That many hours.
    #[must_use]
    pub const fn hours(n: u64) -> Self {
        Self { ms: n * 3_600_000 }
    }

    /// That many days of 24 hours.
    #[must_use]
    pub const fn days(n: u64) -> Self {
        Self { ms: n * 86_400_000 }
    }

    /// The span in milliseconds; never 0 when it was read from text.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.ms
    }
}

/// A text that is no span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotASpan(String);

impl fmt::Display for NotASpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "span {:?}: expected a whole number above 0 and one of s, m, h, d, as in \"24h\"", self.0)
    }
}

impl std::error::Error for NotASpan {}

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let bad = || NotASpan(text.to_owned());
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let unit = &text[digits.len()..];
        let (_, each) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let number: u64 = digits.parse().map_err(|_| bad())?;
        number.checked_mul(each).filter(|&ms| ms > 0).map(|ms| Self { ms }).ok_or_else(bad)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, each) =
            UNITS.into_iter().find(|(_, each)| self.ms.is_multiple_of(*each)).unwrap_or(("s", 1_000));
        write!(f, "{}{name}", self.ms / each)
    }
}

impl TryFrom<String> for Span {
    type Error = NotASpan;

    fn try_from(text: String) -> Result<Self, NotASpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]*[1-9][0-9]*[smhd]$" })
    }
}

/// An instant (milliseconds since the Unix epoch) to the second, as in `2026-03-01T12:00:00Z`.
#[must_use]
pub fn utc(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Civil date from a day count, years counted from March so that leap days come last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_alike() {
        for (text, ms, shown) in [
            ("30s", 30_000, "30s"),
            ("90m", 5_400_000, "90m"),
            ("24h", 86_400_000, "1d"),
            ("7d", 604_800_000, "7d"),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.ms(), span.to_string()), (ms, shown.to_owned()), "{text}");
        }
        for text in
            ["", "h", "0h", "-1h", "+1h", "1.5h", "1h30m", "24", "1w", "1 h", "99999999999999999999d", "1é"]
        {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn instants_are_written_in_utc() {
        for (ms, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59Z"),
            (1_735_689_600_000, "2025-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc(ms), shown);
        }
    }
}
