//! What becomes of claims when the object that asked for them is deleted.
//!
//! A setting by annotation: the specs of these kinds are vitess-operator's, and it has none for it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::labels::annotations::CLAIMS_WHEN_DELETED;

/// The choices, as in a StatefulSet's `persistentVolumeClaimRetentionPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClaimRetention {
    /// They stay, with what is on them.
    #[default]
    Retain,
    /// They go with it.
    Delete,
}

impl ClaimRetention {
    /// The words of the choices.
    pub const WORDS: &'static str = "Retain or Delete";

    /// What an object of any level says; a word that is none of the choices keeps the claims.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::read(metadata).unwrap_or_default()
    }

    /// The same, for whoever tells of mistakes.
    ///
    /// # Errors
    /// The word, when it is none of the choices.
    pub fn read(metadata: &ObjectMeta) -> Result<Self, &str> {
        let word =
            metadata.annotations.as_ref().and_then(|all: &BTreeMap<_, _>| all.get(CLAIMS_WHEN_DELETED));
        match word.map(String::as_str) {
            None | Some("Retain") => Ok(Self::Retain),
            Some("Delete") => Ok(Self::Delete),
            Some(other) => Err(other),
        }
    }
}
