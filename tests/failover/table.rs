//! What was measured, as people read it.

use crate::decider::Decider;
use crate::faults::Fault;

/// What came of one round.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) decider: Decider,
    pub(crate) fault: Fault,
    /// From the fault to the first acknowledged row that was begun after it, in milliseconds.
    pub(crate) write_ms: u64,
    /// Whether another tablet is the primary.
    pub(crate) replaced: bool,
    /// Acknowledged rows that are not there any more.
    pub(crate) lost: usize,
    /// Rows that were refused, or of which nobody heard.
    pub(crate) failed: usize,
}

/// A line for each that decided, and each fault; and for all killed processes together.
pub(crate) fn render(all: &[Measured]) -> String {
    let mut out = String::from(
        "| fault | decides | rounds | first write: median | worst | primary replaced | rows lost | rows failed |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for fault in Fault::ALL {
        out += &lines(fault.name(), all, |m| m.fault == fault);
    }
    out + &lines("any process killed", all, |m| !m.fault.is_of_zone())
}

/// A line for each that decided in rounds that are so.
fn lines(name: &str, all: &[Measured], are: impl Fn(&Measured) -> bool) -> String {
    let mut out = String::new();
    for decider in [Decider::Host, Decider::Vtorc, Decider::VtorcAsRendered] {
        let of: Vec<&Measured> = all.iter().filter(|m| m.decider == decider && are(m)).collect();
        let mut times: Vec<u64> = of.iter().map(|m| m.write_ms).collect();
        times.sort_unstable();
        let (Some(worst), Some(median)) = (times.last(), times.get(times.len() / 2)) else { continue };
        let replaced = of.iter().filter(|m| m.replaced).count();
        let lost: usize = of.iter().map(|m| m.lost).sum();
        let failed: usize = of.iter().map(|m| m.failed).sum();
        out += &format!(
            "| {name} | {} | {} | {} | {} | {replaced} | {lost} | {failed} |\n",
            decider.name(),
            of.len(),
            seconds(*median),
            seconds(*worst),
        );
    }
    out
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
}
