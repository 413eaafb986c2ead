//! What people choose by annotation, because the specs of these kinds, vitess-operator's, have no field for it.
//!
//! Owns keys, words and defaults. A choice goes down the tree: [`INHERITED`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The annotations that an object hands down to its children.
pub const INHERITED: [&str; 2] = [ClaimRetention::KEY, DisruptionBudgets::KEY];

/// A choice between some words.
pub trait Choice: Copy + Default + 'static {
    /// The annotation.
    const KEY: &'static str;
    /// Its words, the default first.
    const WORDS: [(&'static str, Self); 2];

    /// What an object of any level says; a word that is none of the choices counts as the default.
    #[must_use]
    fn of(metadata: &ObjectMeta) -> Self {
        Self::read(metadata).unwrap_or_default()
    }

    /// The same, for whoever tells of mistakes.
    ///
    /// # Errors
    /// The word, when it is none of the choices.
    fn read(metadata: &ObjectMeta) -> Result<Self, &str> {
        let Some(word) = metadata.annotations.as_ref().and_then(|all| all.get(Self::KEY)) else {
            return Ok(Self::default());
        };
        let known = Self::WORDS.into_iter().find(|(known, _)| known == word);
        known.map(|(_, choice)| choice).ok_or(word.as_str())
    }
}

/// What becomes of claims when the object, or one above it, is deleted: the words are those of a
/// StatefulSet's `persistentVolumeClaimRetentionPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClaimRetention {
    /// They stay, with what is on them.
    #[default]
    Retain,
    /// They go with it.
    Delete,
}

impl Choice for ClaimRetention {
    const KEY: &'static str = "pilothouse.dev/claims-when-deleted";
    const WORDS: [(&'static str, Self); 2] = [("Retain", Self::Retain), ("Delete", Self::Delete)];
}

/// Whether tablets and gateways get disruption budgets: where people have their own, a second one
/// for the same Pod would make every eviction fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DisruptionBudgets {
    /// One a shard, one a cell.
    #[default]
    Create,
    /// None.
    Omit,
}

impl Choice for DisruptionBudgets {
    const KEY: &'static str = "pilothouse.dev/disruption-budgets";
    const WORDS: [(&'static str, Self); 2] = [("Create", Self::Create), ("Omit", Self::Omit)];
}
