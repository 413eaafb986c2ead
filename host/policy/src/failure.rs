//! Why a call gave no decision.
//!
//! Owns the one error of calls and its stable code, which conditions, logs and
//! metrics share. Knows how wasmtime reports a trap; must not know policies.

use std::fmt;

use pilothouse_core::plan::{Diagnostic, Severity, Slot};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::convert::BadValue;
use crate::inert::Exited;
use crate::state::LimitHit;

/// A call that gave no decision. Displays as `policy PLUGIN (slot SLOT): REASON`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy {plugin} (slot {slot}): {failure}")]
pub struct CallError {
    /// The plugin's own name.
    pub plugin: String,
    /// The slot that it serves.
    pub slot: Slot,
    /// What happened.
    pub failure: Failure,
}

/// What can happen in a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It used all its fuel: the same view does so again.
    #[error("out of fuel after {fuel} units")]
    OutOfFuel {
        /// Its budget.
        fuel: u64,
    },
    /// The wall-clock backstop: the machine was too slow for the fuel that was given.
    #[error("stopped by the wall clock after {deadline_ms} ms, before its fuel was spent")]
    OutOfTime {
        /// The deadline.
        deadline_ms: u64,
    },
    /// It ran into a bound of the host's.
    #[error(transparent)]
    Limit(#[from] LimitHit),
    /// It handed over more bytes in one call than allowed.
    #[error("more than {limit} bytes handed to the host in one call")]
    HostBytes {
        /// The bound.
        limit: u64,
    },
    /// Recursion without end.
    #[error("call stack exhausted{at}")]
    StackOverflow {
        /// Where.
        at: Frames,
    },
    /// It asked for the process to end, as only a command may.
    #[error("asked for the process to exit")]
    Exited,
    /// Any other trap: a panic shows as `unreachable`.
    #[error("trapped: {trap}{at}")]
    Trapped {
        /// The engine's words.
        trap: String,
        /// Where.
        at: Frames,
    },
    /// It answered with an error of its own.
    #[error(transparent)]
    Refused(#[from] PolicyError),
    /// More steps than allowed.
    #[error("{count} steps in one decision, allowed are {limit}")]
    TooManySteps {
        /// What it returned.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// A value that cannot be taken.
    #[error("bad value: {0}")]
    BadValue(#[from] BadValue),
    /// All of the pool's slots are taken. Not the plugin's fault.
    #[error("the host runs as many calls as it has room for")]
    Busy,
}

/// A policy's own "no", as the contract types it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Its configuration is not usable.
    #[error("refuses its configuration: {field}: {message}")]
    Config {
        /// The field.
        field: String,
        /// Why.
        message: String,
    },
    /// The view holds something that it cannot work with.
    #[error("cannot work with the view: {0}")]
    View(String),
    /// A mistake of its own.
    #[error("internal error: {0}")]
    Internal(String),
}

/// The wasm frames of a trap, innermost first; displays as nothing when there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames(pub Vec<String>);

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (at {})", self.0.join(" < ")) }
    }
}

impl Failure {
    /// A stable CamelCase code for conditions and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OutOfFuel { .. } => "PluginOutOfFuel",
            Self::OutOfTime { .. } => "PluginOutOfTime",
            Self::Limit(LimitHit::Memory { .. }) => "PluginOutOfMemory",
            Self::Limit(LimitHit::Table { .. }) => "PluginTableLimit",
            Self::Limit(LimitHit::HostWork { .. }) => "PluginHostWorkLimit",
            Self::HostBytes { .. } => "PluginHostBytesLimit",
            Self::StackOverflow { .. } => "PluginStackOverflow",
            Self::Exited => "PluginExited",
            Self::Trapped { .. } => "PluginTrapped",
            Self::Refused(PolicyError::Config { .. }) => "PluginRefusedConfig",
            Self::Refused(PolicyError::View(_)) => "PluginRefusedView",
            Self::Refused(PolicyError::Internal(_)) => "PluginInternalError",
            Self::TooManySteps { .. } => "PluginTooManySteps",
            Self::BadValue(_) => "PluginBadValue",
            Self::Busy => "PluginHostBusy",
        }
    }

    /// Reads wasmtime's error. `fuel`, `deadline_ms` and `host_bytes` are the budgets that it ran under.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error, limits: &crate::limits::Limits) -> Self {
        if let Some(hit) = error.downcast_ref::<LimitHit>() {
            return Self::Limit(hit.clone());
        }
        if error.is::<Exited>() {
            return Self::Exited;
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::Busy;
        }
        let at = backtrace(error);
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Self::OutOfFuel { fuel: limits.fuel },
            Some(Trap::Interrupt) => Self::OutOfTime { deadline_ms: limits.deadline_ms },
            Some(Trap::StackOverflow) => Self::StackOverflow { at },
            Some(trap) => Self::Trapped { trap: trap.to_string(), at },
            None => {
                let trap = error.root_cause().to_string();
                // wasmtime has no type for this one; a test keeps the words in step.
                if trap.contains("fuel allocated for hostcalls has been exhausted") {
                    return Self::HostBytes { limit: limits.host_bytes };
                }
                Self::Trapped { trap, at }
            }
        }
    }
}

impl CallError {
    /// The error as a diagnostic: severity error, the failure's code, plugin and reason in the message.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code: self.failure.code().to_owned(),
            message: self.to_string(),
            subject: String::new(),
        }
    }
}

fn backtrace(error: &wasmtime::Error) -> Frames {
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    let name = |frame: &wasmtime::FrameInfo| {
        let at = frame.module_offset().map_or_else(String::new, |offset| format!("+{offset:#x}"));
        let function = frame
            .func_name()
            .map_or_else(|| format!("function {}", frame.func_index()), |name| crate::text::clean(name, 120));
        format!("{function}{at}")
    };
    Frames(frames.iter().map(name).collect())
}
