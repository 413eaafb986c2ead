//! The Secrets that we write, looked at one by one.
//!
//! Owns when they are looked at. A watch would need the right to read everybody's Secrets;
//! so each is asked for by its name, which the right to `get` in the cluster's own namespace
//! allows, once when it is first rendered and again now and then. What one keeps goes nowhere
//! but into the comparison with what is rendered.

use std::collections::BTreeMap;

use pilothouse_core::Millis;
use pilothouse_core::action::ObjectRef;

use crate::actuate::Effects;
use crate::cache::ClusterKey;
use crate::kinds::{Kind, Read};

/// One that somebody changed or deleted is put right at the first pass after this long.
const AGAIN_AFTER_MS: Millis = 600_000;

/// When each was last looked at.
#[derive(Debug, Default)]
pub struct Looked(BTreeMap<ObjectRef, Millis>);

impl Looked {
    /// Asks for those of `rendered` that are due and takes the answers into the cache; answers
    /// whether any was. One that cannot be had now stays as it is known, and is asked for again.
    pub(crate) async fn at_those_due<'a>(
        &mut self,
        effects: &Effects,
        key: &ClusterKey,
        rendered: impl Iterator<Item = &'a ObjectRef>,
        now: Millis,
    ) -> bool {
        let secrets = rendered.filter(|object| object.kind == Kind::Secret.as_str());
        let last: BTreeMap<ObjectRef, Option<Millis>> =
            secrets.map(|object| (object.clone(), self.0.get(object).copied())).collect();
        self.0.retain(|object, _| last.contains_key(object));
        let due = last.into_iter().filter(|(_, at)| at.is_none_or(|at| now >= at + AGAIN_AFTER_MS));
        let mut any = false;
        for (object, _) in due {
            let api = Kind::Secret.api(&effects.client, &object.namespace);
            let answer = match api.get_opt(&object.name).await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::debug!(cluster = %key, %object, %error, "a Secret cannot be looked at");
                    continue;
                }
            };
            let mut cache = effects.cache.lock().expect("no panic under the lock");
            match answer {
                Some(found) => cache.assume(Kind::Secret, Read::from(&found)),
                None => cache.forget(key, Kind::Secret, &object.name),
            }
            self.0.insert(object, now);
            any = true;
        }
        any
    }
}
