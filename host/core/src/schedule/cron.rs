//! Times in cron form, in UTC: minute, hour, day of the month, month, day of the week.
//!
//! Owns reading them and the arithmetic of the calendar. Reads what vitess-operator reads
//! (numbers, lists, ranges, steps, names, `?`, `@daily` and its like, `@every 6h`), but for a time
//! zone: a schedule means the same everywhere.

use super::span;
use crate::Millis;

const MINUTE_MS: Millis = 60_000;
const MINUTES_A_DAY: u64 = 1_440;
/// A 29th of February comes after eight years at the latest, and one on a given weekday within forty.
const LONGEST_GAP_DAYS: u64 = 41 * 366;

/// Why a text names no times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too few or too many fields.
    #[error("{0} fields: expected minute, hour, day of the month, month and day of the week")]
    Fields(usize),
    /// An item of a field cannot be read.
    #[error("{field} {item:?}: expected a number from {least} to {most}, a range, or either with a step")]
    Item {
        /// The field.
        field: &'static str,
        /// The item.
        item: String,
        /// The least value of the field.
        least: u32,
        /// The most.
        most: u32,
    },
    /// Another word behind the `@` than those known.
    #[error("{0:?}: expected @hourly, @daily, @weekly, @monthly, @yearly or @every SPAN")]
    Word(String),
    /// The span of `@every`.
    #[error("@every: {0}")]
    Every(span::Error),
    /// A time zone is named.
    #[error("{0:?}: times are in UTC, a time zone cannot be named")]
    TimeZone(String),
    /// No day is like that.
    #[error("no day ever fits")]
    Never,
}

/// Times that come again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// So long after the last.
    Every(Millis),
    Calendar(Calendar),
}

/// One bit for each value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Calendar {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether both the day of the month and that of the week must fit: one of them is `*`.
    both_days: bool,
}

struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of the values from `least` on.
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, words: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, words: &[] };
const DAY: Field = Field { name: "day of the month", least: 1, most: 31, words: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field = Field {
    name: "day of the week",
    least: 0,
    most: 6,
    words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl Cron {
    /// Reads the form.
    ///
    /// # Errors
    /// What cannot be read, or that no time is ever meant.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err(Error::TimeZone(text.to_owned()));
        }
        if let Some(span) = text.strip_prefix("@every ") {
            let span = span::parse(span.trim()).map_err(Error::Every)?;
            // Whole seconds, and at least one.
            return Ok(Self(Form::Every((span / 1_000).max(1) * 1_000)));
        }
        let calendar = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            word if word.starts_with('@') => return Err(Error::Word(word.to_owned())),
            fields => fields,
        };
        let cron = Self(Form::Calendar(Calendar::parse(calendar)?));
        cron.next(0).map(|_| cron).ok_or(Error::Never)
    }

    /// The first time after `at`.
    #[must_use]
    pub fn next(&self, at: Millis) -> Option<Millis> {
        match &self.0 {
            Form::Every(span) => at.checked_add(*span).map(|next| next / 1_000 * 1_000),
            Form::Calendar(calendar) => calendar.next(at),
        }
    }

    /// The last time after `since` that is not after `as_of`.
    #[must_use]
    pub fn latest(&self, since: Millis, as_of: Millis) -> Option<Millis> {
        match &self.0 {
            Form::Every(span) => {
                let since = since / 1_000 * 1_000;
                let times = as_of.checked_sub(since)? / span;
                (times > 0).then(|| since + times * span)
            }
            Form::Calendar(calendar) => calendar.latest(since, as_of),
        }
    }
}

impl Calendar {
    fn parse(text: &str) -> Result<Self, Error> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(Error::Fields(fields.len()));
        };
        let is_any = |field: &str| field.starts_with(['*', '?']);
        Ok(Self {
            minutes: MINUTE.parse(minutes)?,
            hours: HOUR.parse(hours)?,
            days: DAY.parse(days)?,
            months: MONTH.parse(months)?,
            weekdays: WEEKDAY.parse(weekdays)?,
            both_days: is_any(days) || is_any(weekdays),
        })
    }

    fn next(&self, at: Millis) -> Option<Millis> {
        let minute = at / MINUTE_MS + 1;
        let today = minute / MINUTES_A_DAY;
        (today..=today + LONGEST_GAP_DAYS).filter(|&day| self.has_day(day)).find_map(|day| {
            let first = if day == today { minute % MINUTES_A_DAY } else { 0 };
            let mut minutes = (first..MINUTES_A_DAY).filter(|&minute| self.has_minute(minute));
            minutes.next().map(|minute| (day * MINUTES_A_DAY + minute) * MINUTE_MS)
        })
    }

    fn latest(&self, since: Millis, as_of: Millis) -> Option<Millis> {
        let minute = as_of / MINUTE_MS;
        let today = minute / MINUTES_A_DAY;
        let first = since / MINUTE_MS / MINUTES_A_DAY;
        let found = (first..=today).rev().filter(|&day| self.has_day(day)).find_map(|day| {
            let last = if day == today { minute % MINUTES_A_DAY } else { MINUTES_A_DAY - 1 };
            let mut minutes = (0..=last).rev().filter(|&minute| self.has_minute(minute));
            minutes.next().map(|minute| (day * MINUTES_A_DAY + minute) * MINUTE_MS)
        });
        found.filter(|&found| found > since)
    }

    fn has_minute(&self, minute: u64) -> bool {
        holds(self.hours, minute / 60) && holds(self.minutes, minute % 60)
    }

    /// `day` counts from the Unix epoch, which was a Thursday.
    fn has_day(&self, day: u64) -> bool {
        let (month, of_month) = month_and_day(day);
        let fits = (holds(self.days, of_month), holds(self.weekdays, (day + 4) % 7));
        let fits = if self.both_days { fits.0 && fits.1 } else { fits.0 || fits.1 };
        fits && holds(self.months, month)
    }
}

const fn holds(bits: u64, value: u64) -> bool {
    bits >> value & 1 == 1
}

/// Month and day of the month, both from 1, of a day since the Unix epoch (source: H. Hinnant,
/// `chrono`-Compatible Low-Level Date Algorithms: years that begin in March).
const fn month_and_day(day: u64) -> (u64, u64) {
    let day = day + 719_468;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    (if month < 10 { month + 3 } else { month - 9 }, of_year - (153 * month + 2) / 5 + 1)
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, Error> {
        text.split(',').try_fold(0, |bits, item| {
            let values = self.item(item).ok_or_else(|| Error::Item {
                field: self.name,
                item: item.to_owned(),
                least: self.least,
                most: self.most,
            })?;
            Ok(values.fold(bits, |bits, value| bits | 1 << value))
        })
    }

    /// `*`, `5`, `5-9`, each with a step behind a slash; `5/10` goes on to the most.
    fn item(&self, item: &str) -> Option<impl Iterator<Item = u32> + use<>> {
        let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.least, self.most),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None => {
                let value = self.value(range)?;
                (value, if step.is_some() { self.most } else { value })
            }
        };
        let step = step.map_or(Some(1), |step| step.parse().ok().filter(|step| *step > 0))?;
        (first <= last).then(|| (first..=last).step_by(step))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let word = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let number = word.and_then(|place| u32::try_from(place).ok()).map(|place| place + self.least);
        let number = number.or_else(|| text.parse().ok())?;
        (self.least..=self.most).contains(&number).then_some(number)
    }
}
