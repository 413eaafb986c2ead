//! The policies that are embedded in this program.
//!
//! Owns the list; `build.rs` builds the crates under `plugins/` and makes them components.

use pilothouse_core::plan::Slot;

/// An embedded component.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    /// The name that bindings use.
    pub name: &'static str,
    /// The slot that it was written for.
    pub slot: Slot,
    /// The component.
    pub component: &'static [u8],
}

macro_rules! embedded {
    ($name:literal, $slot:expr) => {
        Builtin {
            name: $name,
            slot: $slot,
            component: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
        }
    };
}

/// Every embedded policy, in slot order.
pub const BUILTINS: [Builtin; 4] = [
    embedded!("az-placement", Slot::Placement),
    embedded!("failover", Slot::Failover),
    embedded!("expansion", Slot::Expansion),
    embedded!("backup", Slot::Backup),
];

/// The embedded policy of that name.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|b| b.name == name)
}
