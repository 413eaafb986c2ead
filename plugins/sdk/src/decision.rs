//! What a policy answers, with the action as a parameter: the same for every slot.

use crate::types::{Diagnostic, Expectation, Reason, Severity};

/// How long a step stays valid unless it says otherwise, in milliseconds.
const DEFAULT_TTL_MS: u64 = 30_000;

/// One proposed action with what explains and guards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<A> {
    /// What to do.
    pub action: A,
    /// Why.
    pub reason: Reason,
    /// What must still be true when it is done.
    pub expect: Vec<Expectation>,
    /// For how long it may be done, from the view's `as_of`, in milliseconds.
    pub ttl_ms: u64,
}

impl<A> Step<A> {
    /// A step that lives 30 s; `code` is kebab-case, `message` one sentence.
    pub fn new(action: impl Into<A>, code: &str, message: impl Into<String>) -> Self {
        let reason = Reason { code: code.to_owned(), message: message.into() };
        Self { action: action.into(), reason, expect: Vec::new(), ttl_ms: DEFAULT_TTL_MS }
    }

    /// The same step with one more expectation.
    #[must_use]
    pub fn expecting(mut self, expectation: Expectation) -> Self {
        self.expect.push(expectation);
        self
    }

    /// The same step with another time to live, in milliseconds.
    #[must_use]
    pub const fn living(mut self, ttl_ms: u64) -> Self {
        self.ttl_ms = ttl_ms;
        self
    }
}

/// Everything that a policy answers to one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<A> {
    /// Proposed steps, in the order in which they should be done.
    pub steps: Vec<Step<A>>,
    /// What a human should know.
    pub diagnostics: Vec<Diagnostic>,
    /// Ask again after this many milliseconds even if the view stays as it is; absent: no need.
    pub requeue_after_ms: Option<u64>,
}

impl<A> Default for Decision<A> {
    fn default() -> Self {
        Self { steps: Vec::new(), diagnostics: Vec::new(), requeue_after_ms: None }
    }
}

impl<A> Decision<A> {
    /// Proposes a step.
    pub fn propose(&mut self, step: Step<A>) {
        self.steps.push(step);
    }

    /// Says something good to know; `code` is CamelCase, `subject` a shard, alias or cell, or empty.
    pub fn info(&mut self, code: &str, subject: impl ToString, message: impl Into<String>) {
        self.say(Severity::Info, code, subject, message);
    }

    /// Says something that a human should look at soon.
    pub fn warn(&mut self, code: &str, subject: impl ToString, message: impl Into<String>) {
        self.say(Severity::Warning, code, subject, message);
    }

    /// Says that the policy could not do its work.
    pub fn error(&mut self, code: &str, subject: impl ToString, message: impl Into<String>) {
        self.say(Severity::Error, code, subject, message);
    }

    fn say(&mut self, severity: Severity, code: &str, subject: impl ToString, message: impl Into<String>) {
        let (code, message, subject) = (code.to_owned(), message.into(), subject.to_string());
        self.diagnostics.push(Diagnostic { severity, code, message, subject });
    }

    /// Asks to be called again after `ms` at the latest; the shortest wish wins.
    pub fn again_in(&mut self, ms: u64) {
        self.requeue_after_ms = Some(self.requeue_after_ms.map_or(ms, |asked| asked.min(ms)));
    }
}
