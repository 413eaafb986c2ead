//! Server-side apply: who owns which field, and merging by it.
//!
//! It follows the published algorithm of structured merge: field sets, compare, merge, prune.
//! It must not know the store or HTTP.

pub(crate) mod fieldset;
pub(crate) mod ownership;
pub(crate) mod typed;
