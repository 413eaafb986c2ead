//! The contract of `wit/` in Rust, the shared types once in [`base`].
//!
//! Generated code only; everything that a policy uses is re-exported by the crate's root.
//! Each world of the contract is `base` and one slot. The two are generated apart
//! (a macro of one name cannot be exported twice from a crate); a component that
//! exports both is of the slot's world.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated bindings"
)]

/// What every world has: the view, the context, `meta`.
pub mod base {
    wit_bindgen::generate!({
        world: "base",
        path: "../../wit",
        runtime_path: "pilothouse_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq, PartialOrd, Ord],
    });
}

/// The `placement` slot.
pub mod placement {
    wit_bindgen::generate!({
        inline: "
            package pilothouse:placement-slot;
            world placement-slot { export pilothouse:policy/placement@0.1.0; }
        ",
        path: "../../wit",
        runtime_path: "pilothouse_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq, PartialOrd, Ord],
        with: {
            "pilothouse:policy/types@0.1.0": crate::bindings::base::pilothouse::policy::types,
            "pilothouse:policy/view@0.1.0": crate::bindings::base::pilothouse::policy::view,
            "pilothouse:policy/placement@0.1.0": generate,
        },
    });
}

/// The `failover` slot.
pub mod failover {
    wit_bindgen::generate!({
        inline: "
            package pilothouse:failover-slot;
            world failover-slot { export pilothouse:policy/failover@0.1.0; }
        ",
        path: "../../wit",
        runtime_path: "pilothouse_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq, PartialOrd, Ord],
        with: {
            "pilothouse:policy/types@0.1.0": crate::bindings::base::pilothouse::policy::types,
            "pilothouse:policy/view@0.1.0": crate::bindings::base::pilothouse::policy::view,
            "pilothouse:policy/failover@0.1.0": generate,
        },
    });
}

/// The `expansion` slot.
pub mod expansion {
    wit_bindgen::generate!({
        inline: "
            package pilothouse:expansion-slot;
            world expansion-slot { export pilothouse:policy/expansion@0.1.0; }
        ",
        path: "../../wit",
        runtime_path: "pilothouse_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq, PartialOrd, Ord],
        with: {
            "pilothouse:policy/types@0.1.0": crate::bindings::base::pilothouse::policy::types,
            "pilothouse:policy/view@0.1.0": crate::bindings::base::pilothouse::policy::view,
            "pilothouse:policy/expansion@0.1.0": generate,
        },
    });
}

/// The `backup` slot.
pub mod backup {
    wit_bindgen::generate!({
        inline: "
            package pilothouse:backup-slot;
            world backup-slot { export pilothouse:policy/backup@0.1.0; }
        ",
        path: "../../wit",
        runtime_path: "pilothouse_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq, PartialOrd, Ord],
        with: {
            "pilothouse:policy/types@0.1.0": crate::bindings::base::pilothouse::policy::types,
            "pilothouse:policy/view@0.1.0": crate::bindings::base::pilothouse::policy::view,
            "pilothouse:policy/backup@0.1.0": generate,
        },
    });
}

/// The `rule` slot.
pub mod rule {
    wit_bindgen::generate!({
        inline: "
            package pilothouse:rule-slot;
            world rule-slot { export pilothouse:policy/rule@0.1.0; }
        ",
        path: "../../wit",
        runtime_path: "pilothouse_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq, PartialOrd, Ord],
        with: {
            "pilothouse:policy/types@0.1.0": crate::bindings::base::pilothouse::policy::types,
            "pilothouse:policy/view@0.1.0": crate::bindings::base::pilothouse::policy::view,
            "pilothouse:policy/placement@0.1.0": crate::bindings::placement::exports::pilothouse::policy::placement,
            "pilothouse:policy/failover@0.1.0": crate::bindings::failover::exports::pilothouse::policy::failover,
            "pilothouse:policy/expansion@0.1.0": crate::bindings::expansion::exports::pilothouse::policy::expansion,
            "pilothouse:policy/backup@0.1.0": crate::bindings::backup::exports::pilothouse::policy::backup,
            "pilothouse:policy/rule@0.1.0": generate,
        },
    });
}
