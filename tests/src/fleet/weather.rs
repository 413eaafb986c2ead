//! What is broken between whom, and when: known before a run begins.

use std::sync::Arc;

use pilothouse_core::Millis;

/// Zones of every cluster; a tablet stands in each.
pub(super) const ZONES: usize = 3;

/// What can be broken. The host, vtctld, the topology and the API server stand beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A zone has no power.
    Power(usize),
    /// A zone and the host do not reach each other.
    Host(usize),
    /// Two zones do not reach each other.
    Between(usize, usize),
    /// A zone's disks take no write, and whoever asks a server there is answered (D9).
    Disks(usize),
    /// A zone's nodes are labelled as that other zone's, or as none's (N8).
    Labels(usize, Option<usize>),
}

/// Something is broken from then until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// Its beginning.
    pub from: Millis,
    /// The first moment after it.
    pub until: Millis,
    /// What.
    pub cut: Cut,
}

/// All that is broken in the course of a run.
#[derive(Debug, Clone, Default)]
pub struct Weather(Arc<[Spell]>);

impl From<Vec<Spell>> for Weather {
    fn from(spells: Vec<Spell>) -> Self {
        Self(spells.into())
    }
}

impl Weather {
    fn any(&self, at: Millis, is_it: impl Fn(Cut) -> bool) -> bool {
        self.0.iter().any(|s| s.from <= at && at < s.until && is_it(s.cut))
    }

    /// Whether a zone has power.
    #[must_use]
    pub fn powered(&self, zone: usize, at: Millis) -> bool {
        !self.any(at, |cut| cut == Cut::Power(zone))
    }

    /// Whether host and zone reach each other.
    #[must_use]
    pub fn answers(&self, zone: usize, at: Millis) -> bool {
        !self.any(at, |cut| cut == Cut::Power(zone) || cut == Cut::Host(zone))
    }

    /// Whether two zones reach each other.
    #[must_use]
    pub fn linked(&self, one: usize, other: usize, at: Millis) -> bool {
        let between = |cut| cut == Cut::Between(one, other) || cut == Cut::Between(other, one);
        self.powered(one, at) && self.powered(other, at) && !self.any(at, between)
    }

    /// Whether a zone's disks take writes.
    #[must_use]
    pub fn writes(&self, zone: usize, at: Millis) -> bool {
        !self.any(at, |cut| cut == Cut::Disks(zone))
    }

    /// The zone that nodes of `zone` are labelled with.
    #[must_use]
    pub fn label(&self, zone: usize, at: Millis) -> Option<usize> {
        let of = |spell: &&Spell| matches!(spell.cut, Cut::Labels(labelled, _) if labelled == zone);
        let now = self.0.iter().filter(of).find(|s| s.from <= at && at < s.until).map(|s| s.cut);
        if let Some(Cut::Labels(_, label)) = now { label } else { Some(zone) }
    }

    /// Since when the host has not reached a zone, if it does not.
    #[must_use]
    pub fn silent_since(&self, zone: usize, at: Millis) -> Option<Millis> {
        let of_zone = |cut: Cut| cut == Cut::Power(zone) || cut == Cut::Host(zone);
        let now = self.0.iter().filter(|s| s.from <= at && at < s.until && of_zone(s.cut));
        now.map(|s| s.from).min()
    }

    /// The same, so much later.
    #[must_use]
    pub fn later_by(&self, span: Millis) -> Self {
        let later = |s: &Spell| Spell { from: s.from + span, until: s.until + span, cut: s.cut };
        Self(self.0.iter().map(later).collect())
    }

    /// When something changes.
    pub fn changes(&self) -> impl Iterator<Item = Millis> {
        self.0.iter().flat_map(|s| [s.from, s.until])
    }
}
