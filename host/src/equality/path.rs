//! A place in an object, kept on the stack so that nothing is allocated while all is equal.

use std::fmt;

/// From the outermost field inwards.
pub(super) enum Path<'a> {
    /// A top-level field.
    Root(&'a str),
    /// A field of a map.
    Field(&'a Path<'a>, &'a str),
    /// A list item, named by its merge key or value.
    Item(&'a Path<'a>, &'a str),
    /// A list item, named by its place.
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// The top-level field that this place is in.
    pub(super) fn root(&self) -> &str {
        match self {
            Self::Root(name) => name,
            Self::Field(parent, _) | Self::Item(parent, _) | Self::Index(parent, _) => parent.root(),
        }
    }

    /// The field's name; a list item answers with its list's.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Root(name) | Self::Field(_, name) => name,
            Self::Item(list, _) | Self::Index(list, _) => list.name(),
        }
    }

    /// The name of the field that holds this one.
    pub(super) fn holder(&self) -> &str {
        match self {
            Self::Root(_) => "",
            Self::Field(parent, _) => parent.name(),
            Self::Item(list, _) | Self::Index(list, _) => list.holder(),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Field(parent, name) if name.contains(['.', '/']) => write!(f, "{parent}[{name}]"),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(list, key) => write!(f, "{list}[{key}]"),
            Self::Index(list, index) => write!(f, "{list}[{index}]"),
        }
    }
}
