//! Verdicts of rule plugins, in from the guest.

use pilothouse_core::plan::Diagnostic;

use super::reader::{BadValue, Flaw, Reader};
use crate::bindings::rule;
use crate::limits::Limits;

/// An object that the plan would write, as a rule plugin sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedObject {
    /// Kubernetes kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object as JSON text.
    pub json: String,
}

/// A rule's "no" to one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRefusal {
    /// Index of the step under review.
    pub step: usize,
    /// A stable kebab-case reason.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// A rule's change to one rendered object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// Index of the object.
    pub object: usize,
    /// A JSON Patch (RFC 6902). Whether its paths are allowed is not judged here.
    pub patch: serde_json::Value,
}

/// What one rule plugin said of a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Steps that it refuses.
    pub refusals: Vec<StepRefusal>,
    /// Objects that it adjusts.
    pub adjustments: Vec<Adjustment>,
    /// What it wants said.
    pub diagnostics: Vec<Diagnostic>,
}

pub(crate) fn rendered(object: &RenderedObject) -> rule::Rendered {
    let RenderedObject { kind, namespace, name, json } = object.clone();
    rule::Rendered { kind, namespace, name, json }
}

/// Reads a verdict over `steps` steps and `objects` objects.
pub(crate) fn read_verdict(
    raw: rule::Verdict,
    steps: usize,
    objects: usize,
    limits: &Limits,
) -> Result<Verdict, BadValue> {
    let whole = Reader { limits, step: None };
    whole.at_most(&["refusals"], raw.refusals.len(), limits.verdicts)?;
    whole.at_most(&["adjustments"], raw.adjustments.len(), limits.verdicts)?;
    let refusal = |(i, raw): (usize, rule::Refusal)| {
        let r = Reader { limits, step: Some(i) };
        Ok(StepRefusal {
            step: within(&r, &["refusals", "step"], raw.step, steps)?,
            code: r.kebab(&["refusals", "code"], raw.code)?,
            message: r.sentence(&["refusals", "message"], raw.message)?,
        })
    };
    let adjustment = |(i, raw): (usize, rule::Adjustment)| {
        let r = Reader { limits, step: Some(i) };
        let field = ["adjustments", "patch"];
        if raw.patch.len() > limits.patch_bytes {
            let (bytes, limit) = (raw.patch.len(), limits.patch_bytes);
            return r.no(&field, Flaw::TooLong { bytes, limit });
        }
        Ok(Adjustment {
            object: within(&r, &["adjustments", "object"], raw.object, objects)?,
            patch: serde_json::from_str(&raw.patch)
                .or_else(|e| r.no(&field, Flaw::NotJson(e.to_string())))?,
        })
    };
    Ok(Verdict {
        refusals: raw.refusals.into_iter().enumerate().map(refusal).collect::<Result<_, _>>()?,
        adjustments: raw.adjustments.into_iter().enumerate().map(adjustment).collect::<Result<_, _>>()?,
        diagnostics: whole.diagnostics(raw.diagnostics)?,
    })
}

fn within(r: &Reader<'_>, field: &[&str], index: u32, count: usize) -> Result<usize, BadValue> {
    match usize::try_from(index) {
        Ok(i) if i < count => Ok(i),
        Ok(_) | Err(_) => r.no(field, Flaw::Outside { index, count }),
    }
}
