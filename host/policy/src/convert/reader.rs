//! Checked reading of a guest's values: every "no" says step, field and flaw.

use std::fmt;

use pilothouse_core::action::Expectation;
use pilothouse_core::plan::{Diagnostic, Reason};
use pilothouse_core::topology::{Cell, KeyRange, ParseError, PoolKey, PoolType, ShardId, TabletAlias, Zone};
use pilothouse_core::zones::ZoneState;

use super::view::severity;
use crate::bindings::types;
use crate::limits::Limits;
use crate::text;

/// Longest code of a reason or diagnostic in bytes, as the contract says.
const CODE_BYTES: usize = 64;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It must not be empty.
    #[error("is empty")]
    Empty,
    /// It must not be zero.
    #[error("is zero")]
    Zero,
    /// Too long.
    #[error("has {bytes} bytes, allowed are {limit}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// A list that is too long.
    #[error("has {count} entries, allowed are {limit}")]
    TooMany {
        /// Its length.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// A character that would garble a log line or a name.
    #[error("holds the character U+{0:04X}")]
    Character(u32),
    /// Not kebab-case.
    #[error("{0:?} is not kebab-case")]
    NotKebab(String),
    /// Not CamelCase.
    #[error("{0:?} is not CamelCase")]
    NotCamel(String),
    /// Not a key range.
    #[error(transparent)]
    KeyRange(#[from] ParseError),
    /// An index outside the list that it refers to.
    #[error("is {index}, there are {count}")]
    Outside {
        /// The index.
        index: u32,
        /// The length of the list.
        count: usize,
    },
    /// Not JSON.
    #[error("is not JSON: {0}")]
    NotJson(String),
}

/// A value of a decision that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadValue {
    /// Index of the step, refusal or adjustment; none for the decision's own fields.
    pub step: Option<usize>,
    /// The field, dotted: `surge-tablet.pool.cell`.
    pub field: String,
    /// What is wrong with it.
    pub flaw: Flaw,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step {
            write!(f, "step {step}, ")?;
        }
        write!(f, "field {}: {}", self.field, self.flaw)
    }
}

/// Reads values of one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) step: Option<usize>,
}

type Read<T> = Result<T, BadValue>;

impl Reader<'_> {
    pub(crate) fn no<T>(&self, field: &[&str], flaw: Flaw) -> Read<T> {
        Err(BadValue { step: self.step, field: field.join("."), flaw })
    }

    fn printable(&self, field: &[&str], value: String, limit: usize) -> Read<String> {
        if value.len() > limit {
            return self.no(field, Flaw::TooLong { bytes: value.len(), limit });
        }
        match text::unprintable(&value) {
            Some(c) => self.no(field, Flaw::Character(u32::from(c))),
            None => Ok(value),
        }
    }

    /// A sentence for humans; may be empty.
    pub(crate) fn sentence(&self, field: &[&str], value: String) -> Read<String> {
        self.printable(field, value, self.limits.text_bytes)
    }

    /// A name that may be empty, such as that of the default backup location.
    pub(crate) fn label(&self, field: &[&str], value: String) -> Read<String> {
        self.printable(field, value, self.limits.name_bytes)
    }

    /// A name: never empty, no white space.
    pub(crate) fn name(&self, field: &[&str], value: String) -> Read<String> {
        if value.is_empty() {
            return self.no(field, Flaw::Empty);
        }
        if let Some(c) = text::white_space(&value) {
            return self.no(field, Flaw::Character(u32::from(c)));
        }
        self.label(field, value)
    }

    pub(crate) fn positive(&self, field: &[&str], value: u32) -> Read<u32> {
        if value == 0 { self.no(field, Flaw::Zero) } else { Ok(value) }
    }

    pub(crate) fn cell(&self, field: &[&str], value: String) -> Read<Cell> {
        self.name(field, value).map(Cell)
    }

    pub(crate) fn zone(&self, field: &[&str], value: String) -> Read<Zone> {
        self.name(field, value).map(Zone)
    }

    pub(crate) fn alias(&self, verb: &str, field: &str, value: types::TabletAlias) -> Read<TabletAlias> {
        Ok(TabletAlias { cell: self.cell(&[verb, field, "cell"], value.cell)?, uid: value.uid })
    }

    pub(crate) fn shard(&self, verb: &str, value: types::ShardId) -> Read<ShardId> {
        let keyspace = self.name(&[verb, "shard", "keyspace"], value.keyspace)?;
        if keyspace.contains('/') {
            return self.no(&[verb, "shard", "keyspace"], Flaw::Character(u32::from('/')));
        }
        let field = [verb, "shard", "key-range"];
        let range = self.name(&field, value.key_range)?;
        let range: KeyRange = range.parse().or_else(|e| self.no(&field, Flaw::KeyRange(e)))?;
        Ok(ShardId { keyspace, range })
    }

    pub(crate) fn pool(&self, verb: &str, value: types::PoolKey) -> Read<PoolKey> {
        Ok(PoolKey {
            cell: self.cell(&[verb, "pool", "cell"], value.cell)?,
            pool_type: match value.pool_type {
                types::PoolType::Replica => PoolType::Replica,
                types::PoolType::Rdonly => PoolType::Rdonly,
                types::PoolType::ExternalMaster => PoolType::ExternalMaster,
                types::PoolType::ExternalReplica => PoolType::ExternalReplica,
                types::PoolType::ExternalRdonly => PoolType::ExternalRdonly,
            },
            name: self.label(&[verb, "pool", "name"], value.name)?,
        })
    }

    pub(crate) fn reason(&self, value: types::Reason) -> Read<Reason> {
        Ok(Reason {
            code: self.kebab(&["reason", "code"], value.code)?,
            message: self.sentence(&["reason", "message"], value.message)?,
        })
    }

    pub(crate) fn kebab(&self, field: &[&str], code: String) -> Read<String> {
        let code = self.printable(field, code, CODE_BYTES)?;
        if text::is_kebab(&code) { Ok(code) } else { self.no(field, Flaw::NotKebab(code)) }
    }

    pub(crate) fn camel(&self, field: &[&str], code: String) -> Read<String> {
        let code = self.printable(field, code, CODE_BYTES)?;
        if text::is_camel(&code) { Ok(code) } else { self.no(field, Flaw::NotCamel(code)) }
    }

    /// The decision's diagnostics; too many of them are an error as well.
    pub(crate) fn diagnostics(&self, values: Vec<types::Diagnostic>) -> Read<Vec<Diagnostic>> {
        self.at_most(&["diagnostics"], values.len(), self.limits.diagnostics)?;
        let read = |value: types::Diagnostic| {
            Ok(Diagnostic {
                severity: severity(value.severity),
                code: self.camel(&["diagnostics", "code"], value.code)?,
                message: self.sentence(&["diagnostics", "message"], value.message)?,
                subject: self.label(&["diagnostics", "subject"], value.subject)?,
            })
        };
        values.into_iter().map(read).collect()
    }

    pub(crate) fn at_most(&self, field: &[&str], count: usize, limit: usize) -> Read<()> {
        if count > limit { self.no(field, Flaw::TooMany { count, limit }) } else { Ok(()) }
    }

    pub(crate) fn expectation(&self, value: types::Expectation) -> Read<Expectation> {
        Ok(match value {
            types::Expectation::Primary(e) => Expectation::Primary {
                shard: self.shard("expect.primary", e.shard)?,
                is: e.is.map(|a| self.alias("expect.primary", "is", a)).transpose()?,
            },
            types::Expectation::Zone(e) => Expectation::Zone {
                zone: self.zone(&["expect.zone", "zone"], e.zone)?,
                state: from_zone_state(e.state),
            },
            types::Expectation::VolumeRequest(e) => Expectation::VolumeRequest {
                claim: self.name(&["expect.volume-request", "claim"], e.claim)?,
                bytes: e.bytes,
            },
            types::Expectation::BackupPresent(e) => Expectation::BackupPresent {
                shard: self.shard("expect.backup-present", e.shard)?,
                backup: self.name(&["expect.backup-present", "backup"], e.backup)?,
            },
            types::Expectation::BackupIdle(s) => {
                Expectation::BackupIdle { shard: self.shard("expect.backup-idle", s)? }
            }
        })
    }
}

const fn from_zone_state(state: types::ZoneState) -> ZoneState {
    match state {
        types::ZoneState::Unknown => ZoneState::Unknown,
        types::ZoneState::Healthy => ZoneState::Healthy,
        types::ZoneState::Suspect => ZoneState::Suspect,
        types::ZoneState::Lost => ZoneState::Lost,
        types::ZoneState::Recovering => ZoneState::Recovering,
    }
}
