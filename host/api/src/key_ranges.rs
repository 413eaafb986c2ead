//! The key ranges of equal partitionings, exactly as Vitess computes them.

use pilothouse_core::topology::{KeyRange, ParseError};

use crate::partitioning::{EqualPartitioning, KeyRangeSpec};

/// Why a partitioning has no key ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not 1 to 65536 parts.
    #[error("{0} parts: expected 1 to 65536")]
    Parts(i32),
    /// Bounds would not be whole bytes, or not fit a keyspace id.
    #[error("hexWidth {0}: expected an even number from 0 to 14")]
    HexWidth(i32),
    /// More parts than bounds of that width.
    #[error("{parts} parts are too many for bounds of {hex_width} hexadecimal digits")]
    TooManyParts {
        /// The parts asked for.
        parts: i32,
        /// Digits of each bound.
        hex_width: i32,
    },
}

impl KeyRangeSpec {
    /// The range.
    ///
    /// # Errors
    /// When a bound is not lower-case hexadecimal pairs, or the end does not lie behind the start.
    pub fn read(&self) -> Result<KeyRange, ParseError> {
        format!("{}-{}", self.start, self.end).parse()
    }
}

impl From<&KeyRange> for KeyRangeSpec {
    fn from(range: &KeyRange) -> Self {
        let text = range.to_string();
        let (start, end) = text.split_once('-').unwrap_or_default();
        Self { start: start.to_owned(), end: end.to_owned() }
    }
}

/// The key ranges of an equal partitioning, in order.
///
/// # Errors
/// When its parts or its width are out of bounds or do not fit each other.
pub fn equal(partitioning: &EqualPartitioning) -> Result<Vec<KeyRangeSpec>, Error> {
    let (parts, asked_width) = (partitioning.parts, partitioning.hex_width);
    let width = match (parts, asked_width) {
        (1, _) => return Ok(vec![KeyRangeSpec::default()]),
        (2..=256, 0) => 2,
        (257..=65536, 0) => 4,
        (2..=65536, 1..=14) if asked_width % 2 == 0 => asked_width,
        (2..=65536, _) => return Err(Error::HexWidth(asked_width)),
        _ => return Err(Error::Parts(parts)),
    };
    // Vitess divides in floating point. Up to 14 digits the bounds fit, but beyond
    // 13 they can differ from an exact division, so we divide as it does.
    let span = 16_f64.powi(width);
    if f64::from(parts) > span {
        return Err(Error::TooManyParts { parts, hex_width: width });
    }
    let digits = usize::try_from(width).unwrap_or_default();
    let bound = |part: i32| {
        if part == 0 || part == parts {
            return String::new();
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= value < 16^14")]
        let value = (f64::from(part) * span / f64::from(parts)) as u64;
        format!("{value:0digits$x}")
    };
    Ok((0..parts).map(|part| KeyRangeSpec { start: bound(part), end: bound(part + 1) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(parts: i32, hex_width: i32) -> Result<String, Error> {
        let equal = equal(&EqualPartitioning { parts, hex_width, ..EqualPartitioning::default() })?;
        let spelt: Vec<_> = equal.iter().map(|r| format!("{}-{}", r.start, r.end)).collect();
        Ok(spelt.join(" "))
    }

    #[test]
    fn bounds_are_those_of_vitess() {
        for (parts, width, expected) in [
            (1, 0, "-"),
            (1, 3, "-"),
            (2, 0, "-80 80-"),
            (2, 4, "-8000 8000-"),
            (3, 0, "-55 55-aa aa-"),
            (7, 0, "-24 24-49 49-6d 6d-92 92-b6 b6-db db-"),
            (7, 4, "-2492 2492-4924 4924-6db6 6db6-9249 9249-b6db b6db-db6d db6d-"),
            (8, 4, "-2000 2000-4000 4000-6000 6000-8000 8000-a000 a000-c000 c000-e000 e000-"),
        ] {
            assert_eq!(ranges(parts, width).as_deref(), Ok(expected), "{parts} parts, width {width}");
        }
    }

    #[test]
    fn many_parts_are_contiguous_and_cover_everything() {
        for parts in [5, 49, 103, 256, 257, 1000, 65536] {
            let equal = equal(&EqualPartitioning { parts, ..EqualPartitioning::default() }).unwrap();
            assert_eq!(equal.len(), usize::try_from(parts).unwrap());
            assert!(equal.windows(2).all(|w| w[0].end == w[1].start && w[0].start < w[1].start));
            assert!(equal[0].start.is_empty() && equal[equal.len() - 1].end.is_empty());
        }
    }

    #[test]
    fn refuses_what_has_no_ranges() {
        assert_eq!(ranges(0, 0), Err(Error::Parts(0)));
        assert_eq!(ranges(65537, 0), Err(Error::Parts(65537)));
        assert_eq!(ranges(7, 3), Err(Error::HexWidth(3)));
        assert_eq!(ranges(2, 16), Err(Error::HexWidth(16)));
        assert_eq!(ranges(257, 2), Err(Error::TooManyParts { parts: 257, hex_width: 2 }));
    }
}
