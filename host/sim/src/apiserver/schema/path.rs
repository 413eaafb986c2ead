//! Where in an object a walk is. Written out only when something is wrong there.

use std::fmt;

/// A place, by the way to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    /// The object.
    Root,
    /// A field of an object or map.
    Field(&'a Path<'a>, &'a str),
    /// An item of a list, from 0.
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}
