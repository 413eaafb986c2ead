//! What a shard's location holds, and which of it is no longer needed.
//!
//! Pure reading of backups; decides nothing about runs.

use pilothouse_sdk::{Backup, Shard, View};

/// The backups of one shard in the location that the manifest names.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// Complete ones, the newest first.
    pub complete: Vec<&'a Backup>,
    /// The others, the newest first.
    pub incomplete: Vec<&'a Backup>,
    /// Whether another location holds a complete backup of the shard.
    pub elsewhere: bool,
}

/// A backup that is no longer needed, and the one that covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expirable<'a> {
    /// May go.
    pub backup: &'a Backup,
    /// Verified, newer, holds all that the other has, and reaches back as far as the retention.
    pub covered_by: &'a Backup,
}

impl<'a> Record<'a> {
    /// Reads the view.
    #[must_use]
    pub fn of(view: &'a View<'_>, shard: &Shard, location: &str) -> Self {
        let mut all: Vec<&Backup> = view.backups_of(&shard.id).collect();
        all.sort_by(|a, b| (b.started, &b.name).cmp(&(a.started, &a.name)));
        let (here, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|b| b.location == location);
        let elsewhere = others.iter().any(|b| b.finished.is_some());
        let (complete, incomplete) = here.into_iter().partition(|b| b.finished.is_some());
        Self { complete, incomplete, elsewhere }
    }

    /// The newest complete backup.
    #[must_use]
    pub fn newest(&self) -> Option<&'a Backup> {
        self.complete.first().copied()
    }

    /// The newest of them that a restore has proven.
    #[must_use]
    pub fn proven(&self) -> Option<&'a Backup> {
        self.complete.iter().copied().find(|b| b.verified.is_some())
    }

    /// When a restore last proved one of them; absent when none ever did.
    #[must_use]
    pub fn proven_at(&self) -> Option<u64> {
        self.complete.iter().filter_map(|b| b.verified).max()
    }

    /// The oldest backup that may go when every point since `border` has to stay covered
    /// and `kept` backups have to stay anyhow.
    ///
    /// The newest verified backup that was finished by the border is the anchor of that
    /// span: it stays, also when nothing else is as old, and what is older than it may go.
    #[must_use]
    pub fn expirable(&self, border: u64, kept: usize) -> Option<Expirable<'a>> {
        let proven = |b: &&&Backup| b.verified.is_some() && b.covers_older;
        let anchor = self
            .complete
            .iter()
            .filter(proven)
            .find(|b| b.finished.is_some_and(|finished| finished <= border))?;
        let mut old = self.complete.iter().skip(kept).filter(|b| b.started < anchor.started);
        old.next_back().map(|backup| Expirable { backup, covered_by: anchor })
    }

    /// The newest verified backup finished by `border` that could not cover those older than it,
    /// while something is old enough to go and nothing else covers it.
    #[must_use]
    pub fn uncovering(&self, border: u64, kept: usize) -> Option<&'a Backup> {
        let verified = self.complete.iter().filter(|b| b.verified.is_some());
        let lacking = verified
            .filter(|b| b.finished.is_some_and(|finished| finished <= border))
            .find(|b| self.complete.iter().skip(kept).any(|old| old.started < b.started))
            .filter(|b| !b.covers_older && self.expirable(border, kept).is_none())?;
        Some(lacking)
    }

    /// The first time from now on that something becomes expirable by the passing of time alone.
    #[must_use]
    pub fn next_expiry(&self, as_of: u64, retention_ms: u64, kept: usize) -> Option<u64> {
        let anchors = self.complete.iter().rev().filter(|b| b.verified.is_some() && b.covers_older);
        let mut ahead = anchors
            .filter_map(|b| b.finished)
            .filter(|finished| finished.saturating_add(retention_ms) > as_of);
        let first = ahead.find(|&border| self.expirable(border, kept).is_some())?;
        Some(first.saturating_add(retention_ms))
    }
}
