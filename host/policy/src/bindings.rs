//! The contract's bindings, generated from `wit/`.
//!
//! One synthetic world holds the exports of all five slots, so that the types of
//! `types` and `view` exist once and every conversion is written once. A loaded
//! component exports one slot's interface only: [`crate::contract`] picks the
//! indices of that one and never instantiates the synthetic world itself.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package pilothouse:host;
            world every-slot {
                include pilothouse:policy/placement-policy@0.1.0;
                include pilothouse:policy/failover-policy@0.1.0;
                include pilothouse:policy/expansion-policy@0.1.0;
                include pilothouse:policy/backup-policy@0.1.0;
                include pilothouse:policy/rule-policy@0.1.0;
            }
        ",
        world: "pilothouse:host/every-slot",
        imports: { default: trappable },
        with: { "pilothouse:policy/view.cluster": crate::snapshot::Snapshot },
    });
}

pub(crate) use generated::exports::pilothouse::policy::{backup, expansion, failover, meta, placement, rule};
pub(crate) use generated::pilothouse::policy::{context, types, view};
