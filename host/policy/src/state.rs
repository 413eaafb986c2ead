//! What a store holds during one call: budgets, the log, handles, the seed.
//!
//! Owns every counter that bounds a guest beyond fuel. A store lives for one
//! call, so nothing here outlives a call or meets another plugin.

use pilothouse_core::Millis;
use pilothouse_core::plan::Severity;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Result};

use crate::limits::Limits;

/// A bound of the host's own that a guest ran into. Travels through wasmtime as an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitHit {
    /// Linear memory.
    #[error("memory would grow to {wanted} bytes, allowed are {limit}")]
    Memory {
        /// Bytes of all memories together.
        wanted: u64,
        /// The bound.
        limit: u64,
    },
    /// Tables.
    #[error("tables would grow to {wanted} elements, allowed are {limit}")]
    Table {
        /// Elements of all tables together.
        wanted: u64,
        /// The bound.
        limit: u64,
    },
    /// Work done by the host on the guest's behalf.
    #[error("host calls looked at more than {limit} entries")]
    HostWork {
        /// The bound.
        limit: u64,
    },
}

/// One line that a plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// As the plugin judged it.
    pub severity: Severity,
    /// Without control characters, cut to the limit.
    pub message: String,
}

/// Memory and tables of one store.
#[derive(Debug)]
pub(crate) struct Budget {
    memory: u64,
    memory_limit: u64,
    peak_memory: u64,
    table: u64,
    table_limit: u64,
    instances: u32,
    memories: u32,
    tables: u32,
}

/// What a store holds.
#[derive(Debug)]
pub(crate) struct HostState {
    pub(crate) budget: Budget,
    pub(crate) handles: ResourceTable,
    pub(crate) as_of: Millis,
    log: Vec<LogLine>,
    log_dropped: u64,
    log_lines: usize,
    log_line_bytes: usize,
    work: u64,
    work_limit: u64,
    random: u64,
}

impl HostState {
    pub(crate) fn new(limits: &Limits, as_of: Millis) -> Self {
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(limits.handles as usize);
        Self {
            budget: Budget {
                memory: 0,
                memory_limit: limits.memory_bytes,
                peak_memory: 0,
                table: 0,
                table_limit: limits.table_elements,
                instances: limits.instances,
                memories: limits.memories,
                tables: limits.tables,
            },
            handles,
            as_of,
            log: Vec::new(),
            log_dropped: 0,
            log_lines: limits.log_lines,
            log_line_bytes: limits.log_line_bytes,
            work: 0,
            work_limit: limits.host_work,
            random: 0x7069_6C6F_7468_6F75,
        }
    }

    /// Counts entries that a host call looked at: fuel does not see them.
    pub(crate) fn work(&mut self, entries: usize) -> Result<()> {
        self.work = self.work.saturating_add(entries as u64).saturating_add(1);
        if self.work > self.work_limit {
            return Err(LimitHit::HostWork { limit: self.work_limit }.into());
        }
        Ok(())
    }

    pub(crate) fn log(&mut self, severity: Severity, message: &str) {
        if self.log.len() >= self.log_lines {
            self.log_dropped = self.log_dropped.saturating_add(1);
        } else {
            self.log.push(LogLine { severity, message: crate::text::clean(message, self.log_line_bytes) });
        }
    }

    /// The next of a constant sequence (SplitMix64): the same for every call.
    pub(crate) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) const fn peak_memory(&self) -> u64 {
        self.budget.peak_memory
    }

    pub(crate) const fn work_done(&self) -> u64 {
        self.work
    }

    pub(crate) fn into_log(self) -> (Vec<LogLine>, u64) {
        (self.log, self.log_dropped)
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current) as u64);
        if wanted > self.memory_limit {
            return Err(LimitHit::Memory { wanted, limit: self.memory_limit }.into());
        }
        self.memory = wanted;
        self.peak_memory = self.peak_memory.max(wanted);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let wanted = self.table.saturating_add(desired.saturating_sub(current) as u64);
        if wanted > self.table_limit {
            return Err(LimitHit::Table { wanted, limit: self.table_limit }.into());
        }
        self.table = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances as usize
    }

    fn tables(&self) -> usize {
        self.tables as usize
    }

    fn memories(&self) -> usize {
        self.memories as usize
    }
}
