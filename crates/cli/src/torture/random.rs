//! A small generator (SplitMix64), so that a seed means the same on every machine and in every
//! version.

/// Random numbers that follow from a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Random(u64);

impl Random {
    /// Those that follow from these parts.
    pub(super) fn of(parts: &[u64]) -> Self {
        let mut random = Self(0);
        for part in parts {
            random.0 = random.next() ^ part;
        }
        random
    }

    /// Those that follow from a seed and a text.
    pub(super) fn named(seed: u64, text: &str) -> Self {
        let parts: Vec<u64> = std::iter::once(seed).chain(text.bytes().map(u64::from)).collect();
        Self::of(&parts)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below this one, which is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number from one to another, both included.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap_or(0)]
    }
}
