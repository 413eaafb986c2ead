//! Kubernetes quantities: reading them as numbers and writing them canonically.
//!
//! Owns the arithmetic of `1024Mi` and `1.5` (source: the API machinery's
//! resource quantities). Child objects carry canonical spellings, so that
//! `1024Mi` in a manifest and `1Gi` in a live object are no difference.

use k8s_openapi::api::core::v1::{PersistentVolumeClaimSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Why a quantity could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a number with one of Kubernetes' suffixes.
    #[error("{0:?} is not a quantity")]
    Malformed(String),
    /// Below zero where bytes are meant.
    #[error("{0:?} is below zero")]
    Negative(String),
    /// Beyond 2^63-1.
    #[error("{0:?} is beyond 2^63-1")]
    TooLarge(String),
}

const NANO: i128 = 1_000_000_000;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Binary,
    Decimal,
    Exponent,
}

/// The number of bytes that a quantity asks for, rounded up.
///
/// # Errors
/// When it is malformed, negative or beyond 2^63-1.
pub fn bytes(quantity: &Quantity) -> Result<u64, Error> {
    let (nanos, _) = parse(&quantity.0)?;
    if nanos < 0 {
        return Err(Error::Negative(quantity.0.clone()));
    }
    let whole = (nanos + NANO - 1) / NANO;
    match u64::try_from(whole) {
        Ok(n) if i64::try_from(n).is_ok() => Ok(n),
        Ok(_) | Err(_) => Err(Error::TooLarge(quantity.0.clone())),
    }
}

/// The value in units of 10^-9, rounded up.
///
/// # Errors
/// When it is malformed or beyond 2^63-1.
pub fn nanos(quantity: &Quantity) -> Result<i128, Error> {
    parse(&quantity.0).map(|(nanos, _)| nanos)
}

/// The spelling that the API machinery writes: the largest suffix without a fraction.
///
/// # Errors
/// When it is malformed or beyond 2^63-1.
pub fn canonical(quantity: &Quantity) -> Result<Quantity, Error> {
    let (nanos, form) = parse(&quantity.0)?;
    let small = nanos.abs() < 1024 * NANO || nanos % NANO != 0;
    Ok(Quantity(match form {
        Form::Binary if !small => binary(nanos / NANO),
        Form::Binary | Form::Decimal => decimal(nanos, |index| DECIMAL[index].to_owned()),
        Form::Exponent => decimal(nanos, |index| match (i32::try_from(index).unwrap_or(3) - 3) * 3 {
            0 => String::new(),
            exponent => format!("e{exponent}"),
        }),
    }))
}

fn binary(mut value: i128) -> String {
    let mut index = 0;
    while index + 1 < BINARY.len() && value % 1024 == 0 && value != 0 {
        value /= 1024;
        index += 1;
    }
    format!("{value}{}", BINARY[index])
}

fn decimal(nanos: i128, suffix: impl Fn(usize) -> String) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    let (mut value, mut index) = (nanos, 0);
    while index + 1 < DECIMAL.len() && value % 1000 == 0 {
        value /= 1000;
        index += 1;
    }
    format!("{value}{}", suffix(index))
}

/// The value in units of 10^-9, rounded up, and how it was spelt.
fn parse(text: &str) -> Result<(i128, Form), Error> {
    let malformed = || Error::Malformed(text.to_owned());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(malformed());
    }
    let (scale, form) = scale(suffix).ok_or_else(malformed)?;
    let too_large = || Error::TooLarge(text.to_owned());
    let mantissa: i128 = format!("{whole}{fraction}").parse().map_err(|_| too_large())?;
    let power = u32::try_from(fraction.len()).ok().filter(|p| *p <= 27).ok_or_else(too_large)?;
    let divisor = 10_i128.pow(power);
    let (numerator, denominator) = scale;
    let product = mantissa.checked_mul(numerator).ok_or_else(too_large)?;
    let divisor = divisor.checked_mul(denominator).ok_or_else(too_large)?;
    let nanos = product / divisor + i128::from(product % divisor != 0);
    if nanos / NANO > i128::from(i64::MAX) {
        return Err(too_large());
    }
    Ok((if text.starts_with('-') { -nanos } else { nanos }, form))
}

/// A suffix as a fraction of nano-units.
fn scale(suffix: &str) -> Option<((i128, i128), Form)> {
    let power = |base: i128, exponent: usize| base.pow(u32::try_from(exponent).unwrap_or(u32::MAX));
    if let Some(index) = DECIMAL.iter().position(|s| *s == suffix) {
        return Some(((power(1000, index), 1), Form::Decimal));
    }
    if let Some(index) = BINARY.iter().position(|s| *s == suffix) {
        return Some(((NANO * power(1024, index), 1), Form::Binary));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    match exponent + 9 {
        up @ 0..=28 => Some(((power(10, usize::try_from(up).ok()?), 1), Form::Exponent)),
        down @ -28..=-1 => Some(((1, power(10, usize::try_from(-down).ok()?)), Form::Exponent)),
        _ => None,
    }
}

fn spell_canonically(quantities: &mut Option<BTreeMap<String, Quantity>>) {
    for quantity in quantities.iter_mut().flat_map(BTreeMap::values_mut) {
        // A malformed one stays as it is, for validation to name.
        if let Ok(spelt) = canonical(quantity) {
            *quantity = spelt;
        }
    }
}

/// Reads resources with canonical quantities.
pub(crate) fn resources<'de, D: Deserializer<'de>>(from: D) -> Result<ResourceRequirements, D::Error> {
    let mut resources = ResourceRequirements::deserialize(from)?;
    spell_canonically(&mut resources.limits);
    spell_canonically(&mut resources.requests);
    Ok(resources)
}

/// Reads a claim template with canonical quantities.
pub(crate) fn volume_claim<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<PersistentVolumeClaimSpec>, D::Error> {
    let mut claim = Option::<PersistentVolumeClaimSpec>::deserialize(from)?;
    if let Some(resources) = claim.as_mut().and_then(|c| c.resources.as_mut()) {
        spell_canonically(&mut resources.limits);
        spell_canonically(&mut resources.requests);
    }
    Ok(claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected_bytes: Option<u64>, expected_spelling: Option<&str>) {
        let quantity = Quantity(text.to_owned());
        assert_eq!(bytes(&quantity).ok(), expected_bytes, "bytes of {text}");
        assert_eq!(
            canonical(&quantity).ok().map(|q| q.0).as_deref(),
            expected_spelling,
            "spelling of {text}"
        );
    }

    #[test]
    fn spells_as_the_api_machinery_does() {
        check("1024Mi", Some(1 << 30), Some("1Gi"));
        check("512Mi", Some(512 << 20), Some("512Mi"));
        check("1.5Gi", Some(1_610_612_736), Some("1536Mi"));
        check("0.5Ki", Some(512), Some("512"));
        check("1500m", Some(2), Some("1500m"));
        check("1000m", Some(1), Some("1"));
        check("0.1", Some(1), Some("100m"));
        check("2000000", Some(2_000_000), Some("2M"));
        check("1e3", Some(1000), Some("1e3"));
        check("1E", Some(1_000_000_000_000_000_000), Some("1E"));
        check("0", Some(0), Some("0"));
        check("+5", Some(5), Some("5"));
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        check("10GB", None, None);
        check("", None, None);
        check("Gi", None, None);
        check("1.2.3", None, None);
        check("16Ei", None, None);
        check("-1Gi", None, Some("-1Gi"));
    }
}
