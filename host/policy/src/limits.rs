//! Every bound on a plugin, with its default.
//!
//! Owns numbers only. [`Limits`] bounds one plugin's calls and may be set for
//! each binding; [`PoolLimits`] sizes what all plugins share; [`CompileLimits`]
//! bounds the compiling child process.

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;

/// Bounds on one plugin, the same for every call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Fuel for instantiation, and again for the call: the deterministic verdict on a run. Default
    /// 200,000,000, about seven times what a policy over 3,000 tablets needs.
    pub fuel: u64,
    /// Wall-clock backstop of a call in milliseconds, far behind the fuel. Default 10,000.
    pub deadline_ms: u64,
    /// Bytes of all linear memories together. Default 64 MiB.
    pub memory_bytes: u64,
    /// Elements of all tables together. Default 20,000.
    pub table_elements: u64,
    /// Core instances, adapters included. Default 24.
    pub instances: u32,
    /// Linear memories. Default 4.
    pub memories: u32,
    /// Tables. Default 24.
    pub tables: u32,
    /// Resource handles alive at once. Default 1,000.
    pub handles: u32,
    /// Bytes that may be copied from the guest in one call across the boundary. Default 8 MiB.
    pub host_bytes: u64,
    /// Entries that host calls may look at or write, one more for each call. Default 20,000,000.
    pub host_work: u64,
    /// Steps in a decision; more is an error, not a cut. Default 256.
    pub steps: usize,
    /// Expectations of a step. Default 16.
    pub expectations: usize,
    /// Diagnostics of a decision. Default 64.
    pub diagnostics: usize,
    /// Refusals, and adjustments, of a review. Default 256 each.
    pub verdicts: usize,
    /// Bytes of a name: cell, zone, claim, backup. Default 253, as Kubernetes has it.
    pub name_bytes: usize,
    /// Bytes of a sentence. Default 1,024.
    pub text_bytes: usize,
    /// Bytes of a JSON Patch. Default 64 KiB.
    pub patch_bytes: usize,
    /// Bytes of the configuration's schema. Default 256 KiB.
    pub schema_bytes: usize,
    /// Log lines of a call; more are counted and dropped. Default 64.
    pub log_lines: usize,
    /// Bytes of a log line; longer ones are cut. Default 1,024.
    pub log_line_bytes: usize,
    /// Longest time to live of a step in milliseconds; longer ones are shortened. Default one hour.
    pub ttl_ms: u64,
    /// Shortest time after which a policy may ask to be called again, in milliseconds. Default 500.
    pub requeue_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 200_000_000,
            deadline_ms: 10_000,
            memory_bytes: 64 * MIB,
            table_elements: 20_000,
            instances: 24,
            memories: 4,
            tables: 24,
            handles: 1_000,
            host_bytes: 8 * MIB,
            host_work: 20_000_000,
            steps: 256,
            expectations: 16,
            diagnostics: 64,
            verdicts: 256,
            name_bytes: 253,
            text_bytes: 1_024,
            patch_bytes: 64 << 10,
            schema_bytes: 256 << 10,
            log_lines: 64,
            log_line_bytes: 1_024,
            ttl_ms: 3_600_000,
            requeue_ms: 500,
        }
    }
}

/// What the engine's pool is sized for; a binding's [`Limits`] cannot go beyond it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PoolLimits {
    /// Calls that may run at once; the next one is answered with "busy". Default 32.
    pub concurrent_calls: u32,
    /// Bytes that one linear memory may grow to. Default 64 MiB.
    pub memory_bytes: u64,
    /// Linear memories of one component. Default 4.
    pub memories: u32,
    /// Elements that one table may have. Default 20,000.
    pub table_elements: u64,
    /// Core instances, and tables, of one component. Default 24.
    pub instances: u32,
    /// Milliseconds between two ticks of the epoch while calls run. Default 10.
    pub tick_ms: u64,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            concurrent_calls: 32,
            memory_bytes: 64 * MIB,
            memories: 4,
            table_elements: 20_000,
            instances: 24,
            tick_ms: 10,
        }
    }
}

/// Bounds on compiling one component in a child process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CompileLimits {
    /// Bytes of the component. Default 32 MiB.
    pub component_bytes: u64,
    /// Bytes of the compiled code. Default 256 MiB.
    pub code_bytes: u64,
    /// Address space of the child in bytes. Default 4 GiB.
    pub memory_bytes: u64,
    /// CPU seconds of the child. Default 60.
    pub cpu_seconds: u64,
    /// Wall-clock milliseconds after which the child is killed. Default 120,000.
    pub wall_ms: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            component_bytes: 32 * MIB,
            code_bytes: 256 * MIB,
            memory_bytes: 4_096 * MIB,
            cpu_seconds: 60,
            wall_ms: 120_000,
        }
    }
}
