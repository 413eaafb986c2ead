//! Whether a volume has to grow, and to what size it should.
//!
//! Pure arithmetic over one volume; knows nothing of limits, budgets and peers.

use pilothouse_sdk::Volume;

use crate::config::{Config, GIB};
use crate::rate::{HOUR_MS, wait_after};

/// Why a volume has to grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The rule that says so, kebab-case.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Milliseconds until it is full; absent while its fill rate is not known.
    pub full_in_ms: Option<u64>,
    /// Used share of the capacity, in thousandths.
    pub used_permille: u64,
}

/// A product divided, without overflow on the way; the divisor must not be 0.
fn scaled(value: u64, by: u64, over: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(by) / u128::from(over)).unwrap_or(u64::MAX)
}

/// Bytes that are added in this span at the present rate.
fn filled_in(volume: &Volume, span_ms: u64) -> u64 {
    scaled(volume.fill_per_hour, span_ms, HOUR_MS)
}

/// Milliseconds until `level` bytes are used at the present rate; absent without a rate.
fn reaches_in(volume: &Volume, used: u64, level: u64) -> Option<u64> {
    (volume.fill_per_hour > 0).then(|| scaled(level.saturating_sub(used), HOUR_MS, volume.fill_per_hour))
}

/// What a volume needs now. Absent: nothing, or nobody knows its use.
#[must_use]
pub fn need(volume: &Volume, config: &Config) -> Option<Need> {
    let used = volume.used.filter(|_| volume.capacity > 0)?;
    let full_in_ms = reaches_in(volume, used, volume.capacity);
    let used_permille = scaled(used, 1_000, volume.capacity);
    let (code, message) = if let Some(left) = full_in_ms.filter(|&ms| ms < config.horizon.ms()) {
        let (hours, minutes) = (left / HOUR_MS, left % HOUR_MS / 60_000);
        let message = format!(
            "Full in {hours} h {minutes} min at {} an hour, within the horizon of {}.",
            shown(volume.fill_per_hour),
            config.horizon
        );
        ("fills-within-horizon", message)
    } else if used >= threshold(volume.capacity, config) {
        let (whole, tenth) = (used_permille / 10, used_permille % 10);
        let (size, limit) = (shown(volume.capacity), config.used_percent);
        ("used-over-threshold", format!("{whole}.{tenth}% of {size} used, the threshold is {limit}%."))
    } else {
        return None;
    };
    Some(Need { code, message, full_in_ms, used_permille })
}

/// The used bytes at which a volume of this capacity has to grow, rounded up.
fn threshold(capacity: u64, config: &Config) -> u64 {
    u64::try_from((u128::from(capacity) * u128::from(config.used_percent)).div_ceil(100)).unwrap_or(u64::MAX)
}

/// The smallest size with which neither rule asks again before another change
/// may follow: by then the horizon is still ahead, and use below the threshold.
#[must_use]
pub fn enough(volume: &Volume, config: &Config, as_of: u64) -> u64 {
    let used = volume.used.unwrap_or(0);
    let later = used.saturating_add(filled_in(volume, wait_after(&volume.changes, as_of)));
    let by_use = scaled(later, 100, u64::from(config.used_percent)).saturating_add(1);
    let by_rate = later.saturating_add(filled_in(volume, config.horizon.ms()));
    by_use.max(by_rate)
}

/// The size to ask for: what is enough, at least the growth factor, in whole GiB.
#[must_use]
pub fn wanted(volume: &Volume, config: &Config, as_of: u64) -> u64 {
    let base = volume.requested.max(volume.capacity);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the factor is between 1.05 and 10 by validation, and `as` saturates"
    )]
    let permille = (config.growth_factor * 1_000.0).round() as u64;
    let size = enough(volume, config, as_of).max(scaled(base, permille, 1_000));
    size.div_ceil(GIB).saturating_mul(GIB)
}

/// How long until the volume may need something at its present rate, in milliseconds.
#[must_use]
pub fn next_look_ms(volume: &Volume, config: &Config) -> Option<u64> {
    let used = volume.used?;
    let by_use = reaches_in(volume, used, threshold(volume.capacity, config))?;
    let by_rate = reaches_in(volume, used, volume.capacity)?.saturating_sub(config.horizon.ms());
    Some(by_use.min(by_rate).saturating_add(1))
}

/// A size for a human: `12.5 GiB`.
#[must_use]
pub fn shown(bytes: u64) -> String {
    let (whole, tenth) = (bytes / GIB, bytes % GIB * 10 / GIB);
    if tenth == 0 { format!("{whole} GiB") } else { format!("{whole}.{tenth} GiB") }
}
