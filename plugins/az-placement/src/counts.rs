//! How many there are of something in each cell or zone: few names, so a list.

/// Counts by name; a name that was never added counts 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts<'a>(Vec<(&'a str, u32)>);

impl<'a> Counts<'a> {
    /// One more there.
    pub(crate) fn add(&mut self, name: &'a str) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.0.push((name, 1)),
        }
    }

    /// How many there.
    pub(crate) fn of(&self, name: &str) -> u32 {
        self.0.iter().find(|(n, _)| *n == name).map_or(0, |(_, count)| *count)
    }

    /// How many names have any.
    pub(crate) const fn names(&self) -> usize {
        self.0.len()
    }
}
