//! What a component asks for and offers, against the contract.
//!
//! Owns the judgement at load: which imports are allowed, whether the slot's
//! interface is there. Reads types by reflection and runs nothing.

use std::fmt;

use pilothouse_core::plan::Slot;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use crate::bindings::{context, types, view};
use crate::engine::Engine;
use crate::inert;
use crate::state::HostState;

/// The contract's package and the versions that this host speaks.
const PACKAGE: &str = "pilothouse:policy/";
const VERSION: &str = "0.1.";
/// Interfaces of the contract that every policy may import.
const OFFERED: [&str; 3] = ["types", "view", "context"];

/// Imports and exports of a component, by name, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Everything that it imports.
    pub imports: Vec<String>,
    /// Imports that the host answers as the inert set of WASI.
    pub inert: Vec<String>,
    /// Imports that the host refuses.
    pub refused: Vec<String>,
    /// Everything that it exports.
    pub exports: Vec<String>,
    /// Slots that it can serve.
    pub slots: Vec<Slot>,
}

/// Why a component does not fit its slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It wants what no policy gets.
    #[error("imports {}, which no policy gets", .0.join(", "))]
    Imports(Vec<String>),
    /// It serves other slots.
    #[error("is a {} policy, bound to slot {wanted}", Words(found))]
    WrongSlot {
        /// What it is.
        found: Vec<Slot>,
        /// What it was bound to.
        wanted: Slot,
    },
    /// It serves none.
    #[error("exports no policy interface of {PACKAGE}*@{VERSION}x (its exports: {})", List(exports))]
    NoSlot {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// It does not say who it is.
    #[error("does not export {PACKAGE}meta@{VERSION}x")]
    NoMeta,
    /// Names fit but types do not.
    #[error("was built against another contract: {0}")]
    Types(String),
}

struct Words<'a>(&'a [Slot]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|s| s.as_str()).collect();
        f.write_str(&words.join(" and "))
    }
}

struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("none") } else { f.write_str(&self.0.join(", ")) }
    }
}

/// The interface of the contract that a name stands for, if it is one in a version that we speak.
fn interface(name: &str) -> Option<&str> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    version.starts_with(VERSION).then_some(interface)
}

fn slot(name: &str) -> Option<Slot> {
    let interface = interface(name)?;
    Slot::ALL.into_iter().find(|s| s.as_str() == interface)
}

impl Contract {
    /// Reads a component's types.
    #[must_use]
    pub fn of(engine: &Engine, component: &Component) -> Self {
        let (engine, ty) = (engine.wasmtime(), component.component_type());
        let mut exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
        exports.sort();
        let slots = Slot::ALL
            .into_iter()
            .filter(|s| exports.iter().any(|name| slot(name) == Some(*s)))
            .collect::<Vec<_>>();
        let (mut imports, mut inert, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (name, item) in ty.imports(engine) {
            let instance = matches!(item.ty, ComponentItem::ComponentInstance(_));
            // A rule names the other slots' action types, so it imports those interfaces, without functions.
            let ours = interface(name).is_some_and(|i| OFFERED.contains(&i)) || slot(name).is_some();
            imports.push(name.to_owned());
            if instance && inert::allows(name) {
                inert.push(name.to_owned());
            } else if !(instance && ours) {
                refused.push(name.to_owned());
            }
        }
        for list in [&mut imports, &mut inert, &mut refused] {
            list.sort();
        }
        Self { imports, inert, refused, exports, slots }
    }

    /// Whether it may serve the slot.
    ///
    /// # Errors
    /// Why not: a refused import, no manifest, another slot, none.
    pub fn check(&self, wanted: Slot) -> Result<(), Misfit> {
        if !self.refused.is_empty() {
            return Err(Misfit::Imports(self.refused.clone()));
        }
        if self.slots.is_empty() {
            return Err(Misfit::NoSlot { exports: self.exports.clone() });
        }
        if !self.slots.contains(&wanted) {
            return Err(Misfit::WrongSlot { found: self.slots.clone(), wanted });
        }
        if !self.exports.iter().any(|name| interface(name) == Some("meta")) {
            return Err(Misfit::NoMeta);
        }
        Ok(())
    }
}

/// Links a component that fits: the contract's imports and, if it wants any, the inert set's.
pub(crate) fn link(engine: &Engine, component: &Component) -> Result<InstancePre<HostState>, Misfit> {
    let pre = || -> wasmtime::Result<_> {
        let mut linker: Linker<HostState> = Linker::new(engine.wasmtime());
        types::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)?;
        view::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)?;
        context::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)?;
        for (name, item) in component.component_type().imports(engine.wasmtime()) {
            if let ComponentItem::ComponentInstance(ty) = item.ty
                && inert::allows(name)
            {
                inert::link(engine.wasmtime(), &mut linker, name, &ty)?;
            }
        }
        linker.instantiate_pre(component)
    };
    pre().map_err(|e| Misfit::Types(format!("{e:#}")))
}
