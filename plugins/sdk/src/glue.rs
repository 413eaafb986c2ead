//! The macros that make a component of a policy. Natively they expand to nothing:
//! a policy's tests never meet the component model.

/// Exports a [`crate::Policy`] as a `placement-policy` component.
#[macro_export]
macro_rules! export_placement {
    ($policy:ident) => {
        $crate::export_policy!($policy, placement);
    };
}

/// Exports a [`crate::Policy`] as a `failover-policy` component.
#[macro_export]
macro_rules! export_failover {
    ($policy:ident) => {
        $crate::export_policy!($policy, failover);
    };
}

/// Exports a [`crate::Policy`] as an `expansion-policy` component.
#[macro_export]
macro_rules! export_expansion {
    ($policy:ident) => {
        $crate::export_policy!($policy, expansion);
    };
}

/// Exports a [`crate::Policy`] as a `backup-policy` component.
#[macro_export]
macro_rules! export_backup {
    ($policy:ident) => {
        $crate::export_policy!($policy, backup);
    };
}

/// Exports a [`crate::Reviewer`] as a `rule-policy` component.
#[macro_export]
macro_rules! export_rule {
    ($policy:ident) => {
        $crate::export_component!($policy, rule, {
            fn review(
                view: &$crate::records::Cluster,
                steps: ::std::vec::Vec<slot::PlannedStep>,
                objects: ::std::vec::Vec<slot::Rendered>,
                config: ::std::string::String,
            ) -> ::std::result::Result<slot::Verdict, $crate::PolicyError> {
                let config = $crate::parse_config::<$policy>(&config).map_err($crate::PolicyError::Config)?;
                let view = $crate::View::of(view);
                <$policy as $crate::Reviewer>::review(&view, &steps, &objects, &config)
            }
        });
    };
}

/// The four deciding slots.
#[doc(hidden)]
#[macro_export]
macro_rules! export_policy {
    ($policy:ident, $slot:ident) => {
        $crate::export_component!($policy, $slot, {
            fn decide(
                view: &$crate::records::Cluster,
                config: ::std::string::String,
            ) -> ::std::result::Result<slot::Decision, $crate::PolicyError> {
                let config = $crate::parse_config::<$policy>(&config).map_err($crate::PolicyError::Config)?;
                let view = $crate::View::of(view);
                let decision = <$policy as $crate::Policy>::decide(&view, &config)?;
                let step = |s: $crate::Step<slot::Action>| slot::Step {
                    action: s.action,
                    reason: s.reason,
                    expect: s.expect,
                    ttl_ms: s.ttl_ms,
                };
                Ok(slot::Decision {
                    steps: decision.steps.into_iter().map(step).collect(),
                    diagnostics: decision.diagnostics,
                    requeue_after_ms: decision.requeue_after_ms,
                })
            }
        });
    };
}

/// The exports that every world has, and the slot's own function.
#[doc(hidden)]
#[macro_export]
macro_rules! export_component {
    ($policy:ident, $slot:ident, { $($decide:tt)* }) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "a component's exports are raw functions")]
        mod component {
            use super::$policy;
            use $crate::bindings::base::exports::pilothouse::policy::meta;
            use $crate::bindings::$slot::exports::pilothouse::policy::$slot as slot;

            struct Component;

            impl meta::Guest for Component {
                fn describe() -> meta::Manifest {
                    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
                    meta::Manifest {
                        name: <$policy as $crate::Plugin>::NAME.to_owned(),
                        version: <$policy as $crate::Plugin>::VERSION.to_owned(),
                        config_schema: $crate::schema_of::<$policy>(),
                        needs: owned(<$policy as $crate::Plugin>::NEEDS),
                        emits: owned(<$policy as $crate::Plugin>::EMITS),
                    }
                }

                fn validate_config(
                    config: ::std::string::String,
                ) -> ::std::result::Result<(), ::std::vec::Vec<$crate::ConfigError>> {
                    $crate::validate::<$policy>(&config).map(drop)
                }
            }

            impl slot::Guest for Component {
                $($decide)*
            }

            $crate::bindings::base::export!(Component with_types_in $crate::bindings::base);
            $crate::bindings::$slot::export!(Component with_types_in $crate::bindings::$slot);
        }
    };
}
