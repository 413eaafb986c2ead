//! A component's bytes and their digest.
//!
//! Owns reading and naming; must not know engines.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Why text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("digest {0:?}: expected sha256: and 64 lower-case hexadecimal digits")]
pub struct DigestError(String);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 digits alone.
    #[must_use]
    pub fn hex(&self) -> String {
        let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
        self.0.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(s: &str) -> Result<Self, DigestError> {
        let bad = || DigestError(s.to_owned());
        let hex = s.strip_prefix("sha256:").ok_or_else(bad)?;
        let lower = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex.len() != 64 || !lower {
            return Err(bad());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[pair..pair + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(s: String) -> Result<Self, DigestError> {
        s.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Why bytes cannot be taken as a component.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not the one that was meant.
    #[error("{path} has digest {found}, the binding wants {wanted}")]
    Digest {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: Digest,
        /// What the binding says.
        wanted: Digest,
    },
    /// Too big.
    #[error("has more than {limit} bytes")]
    TooBig {
        /// The bound.
        limit: u64,
    },
    /// Something else than a component.
    #[error("is {0}, not a WebAssembly component")]
    NotAComponent(Kind),
}

/// What bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A component.
    Component,
    /// A core module: it was never made a component.
    CoreModule,
    /// Compiled code, which only the host itself may write.
    Compiled,
    /// WebAssembly as text.
    Text,
    /// Nothing at all.
    Empty,
    /// Anything else.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Component => "a component",
            Self::CoreModule => "a core WebAssembly module",
            Self::Compiled => "compiled code",
            Self::Text => "WebAssembly text",
            Self::Empty => "an empty file",
            Self::Other => "not WebAssembly",
        })
    }
}

impl Kind {
    /// Judges by the first bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::Empty,
            [0, b'a', b's', b'm', _, _, 1, 0, ..] => Self::Component,
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Self::CoreModule,
            [0x7F, b'E', b'L', b'F', ..] => Self::Compiled,
            [b'(', ..] => Self::Text,
            _ => Self::Other,
        }
    }
}

/// A component's bytes with their digest.
#[derive(Debug, Clone)]
pub struct Artifact {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Artifact {
    /// Takes bytes that look like a component and are not too many.
    ///
    /// # Errors
    /// When they are too many, or something else.
    pub fn new(bytes: Vec<u8>, limit: u64) -> Result<Self, ArtifactError> {
        if bytes.len() as u64 > limit {
            return Err(ArtifactError::TooBig { limit });
        }
        match Kind::of(&bytes) {
            Kind::Component => Ok(Self { digest: Digest::of(&bytes), bytes }),
            kind @ (Kind::CoreModule | Kind::Compiled | Kind::Text | Kind::Empty | Kind::Other) => {
                Err(ArtifactError::NotAComponent(kind))
            }
        }
    }

    /// Reads a file, never more than `limit` bytes of it.
    ///
    /// # Errors
    /// Those of [`Artifact::new`], and when the file cannot be read or has another digest than `wanted`.
    pub fn read(path: &Path, wanted: Option<Digest>, limit: u64) -> Result<Self, ArtifactError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(|source| ArtifactError::Read { path: path.to_owned(), source })?;
        if let Some(wanted) = wanted
            && bytes.len() as u64 <= limit
        {
            let found = Digest::of(&bytes);
            if found != wanted {
                return Err(ArtifactError::Digest { path: path.to_owned(), found, wanted });
            }
        }
        Self::new(bytes, limit)
    }

    /// The component.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_round_trip_and_nothing_else_parses() {
        let digest = Digest::of(b"pilot");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for bad in ["", "sha256:", &digest.hex(), &digest.to_string().to_uppercase(), "sha256:zz"] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_component_is_named() {
        for (bytes, kind) in [
            (&b"\0asm\x01\0\0\0"[..], Kind::CoreModule),
            (b"\x7FELF...", Kind::Compiled),
            (b"(component)", Kind::Text),
            (b"", Kind::Empty),
            (b"#!/bin/sh", Kind::Other),
        ] {
            let error = Artifact::new(bytes.to_vec(), 100).unwrap_err().to_string();
            assert_eq!(error, format!("is {kind}, not a WebAssembly component"));
        }
        assert!(Artifact::new(b"\0asm\x0d\0\x01\0".to_vec(), 100).is_ok());
        assert!(matches!(Artifact::new(vec![0; 101], 100), Err(ArtifactError::TooBig { limit: 100 })));
    }
}
