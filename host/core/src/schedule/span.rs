//! Spans of time as Go writes them (`24h`, `1h30m`, `0.5h`), and how often a span may ask for a backup.

use crate::Millis;

const MINUTE_MS: Millis = 60_000;

/// Why a text is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{0:?} is not a span such as 24h or 1h30m")]
    Text(String),
    /// Backups cannot come so often.
    #[error("{0:?}: expected minutes that divide an hour, hours that divide a day, or 24h")]
    Uneven(String),
}

/// Reads a span of at least a millisecond.
///
/// # Errors
/// [`Error::Text`].
pub fn parse(text: &str) -> Result<Millis, Error> {
    let bad = || Error::Text(text.to_owned());
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, behind) = rest.split_at(digits);
        let unit_ends = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_ends);
        nanos = nanos.saturating_add(part(number, unit).ok_or_else(bad)?);
        rest = behind;
    }
    let millis = Millis::try_from(nanos / 1_000_000).map_err(|_| bad())?;
    if millis == 0 { Err(bad()) } else { Ok(millis) }
}

/// Nanoseconds of a number and its unit.
fn part(number: &str, unit: &str) -> Option<u128> {
    let unit: u128 = match unit {
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() > 12 || fraction.len() > 12 {
        return None;
    }
    let read = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(read(whole)? * unit + read(fraction)? * unit / scale)
}

/// Minutes between backups, if they come at the same times every day.
///
/// # Errors
/// No span, or one that no cron form can have.
pub fn frequency(text: &str) -> Result<u64, Error> {
    let span = parse(text)?;
    let minutes = span / MINUTE_MS;
    let even = match minutes {
        _ if !span.is_multiple_of(MINUTE_MS) => false,
        1..60 => 60_u64.is_multiple_of(minutes),
        60..=1_440 => minutes.is_multiple_of(60) && 1_440_u64.is_multiple_of(minutes),
        _ => false,
    };
    if even { Ok(minutes) } else { Err(Error::Uneven(text.to_owned())) }
}

/// The cron form of a [`frequency`], begun `offset` minutes late: shards that have different ones do
/// not all begin at once.
#[must_use]
pub fn cron(minutes: u64, offset: u64) -> String {
    let offset = offset % minutes;
    let (hour, minute) = (offset / 60, offset % 60);
    match minutes {
        1..60 => format!("{offset}/{minutes} * * * *"),
        60 => format!("{minute} * * * *"),
        1_440 => format!("{minute} {hour} * * *"),
        _ => format!("{minute} {hour}/{} * * *", minutes / 60),
    }
}
