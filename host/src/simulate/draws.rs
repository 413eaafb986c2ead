//! Random numbers of one seed, a stream a purpose.
//!
//! Owns the generator (SplitMix64). A stream depends on seed and purpose only, so
//! that one purpose's draws never shift another's.

/// One stream of numbers.
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// The stream of a purpose.
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Self {
        let fnv = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let mut stream = Self(purpose.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed.rotate_left(17), fnv));
        stream.0 ^= stream.number();
        stream
    }

    /// The next number.
    #[must_use]
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `low..=high`.
    #[must_use]
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        low + self.number() % span
    }

    /// As [`Draws::range`], but each order of magnitude is as likely as another. `low` is at least 1.
    #[must_use]
    pub fn spread(&mut self, low: u64, high: u64) -> u64 {
        let (low, high) = (low.max(1), high.max(1));
        let bits = self.range(u64::from(low.ilog2()), u64::from(high.ilog2()));
        let base = 1_u64 << bits;
        self.range(base.max(low), (base * 2 - 1).min(high))
    }

    /// True in so many of a hundred cases.
    #[must_use]
    pub fn chance(&mut self, percent: u64) -> bool {
        self.number() % 100 < percent
    }

    /// One of a list that is not empty.
    ///
    /// # Panics
    /// When it is.
    #[must_use]
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let last = u64::try_from(of.len()).unwrap_or(1).saturating_sub(1);
        of[usize::try_from(self.range(0, last)).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_differ_and_stay_in_bounds() {
        let first = |seed, purpose| Draws::new(seed, purpose).number();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        let mut draws = Draws::new(3, "bounds");
        let mut low = false;
        for _ in 0..1_000 {
            assert!((5..=9).contains(&draws.range(5, 9)));
            let wide = draws.spread(10, 10_000);
            assert!((10..=10_000).contains(&wide));
            low |= wide < 100;
            assert!([1, 2, 3].contains(&draws.pick(&[1, 2, 3])));
        }
        assert!(low, "small numbers come up too");
    }
}
