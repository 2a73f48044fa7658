//! How often values of each size were measured, in room that does not grow.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts into which each power of two is divided.
const PARTS: u32 = 8;

/// How many bits of a value tell its part.
const PART_BITS: u32 = PARTS.trailing_zeros();

/// Values below this have a bucket of their own.
const EXACT: u64 = 1 << (PART_BITS + 1);

const BUCKETS: usize = 16 + (64 - PART_BITS as usize - 1) * PARTS as usize;

/// Counts of values by their size, in buckets that are an eighth of their values wide at most.
#[derive(Debug)]
pub(super) struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Histogram {
    pub(super) fn add(&self, value: u64) {
        self.0[bucket(value)].fetch_add(1, Ordering::Relaxed);
    }

    /// How many values there are, and for each share the largest value of the bucket in which that
    /// share of them ends; 0 if there are none.
    pub(super) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> (u64, [u64; N]) {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let quantile = |share: f64| {
            let wanted = (all as f64 * share).ceil();
            let mut seen = 0;
            let found = counts.iter().position(|count| {
                seen += count;
                *count > 0 && seen as f64 >= wanted
            });
            found.map_or(0, largest)
        };
        (all, shares.map(quantile))
    }
}

fn bucket(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let power = value.ilog2();
    let part = (value >> (power - PART_BITS)) & u64::from(PARTS - 1);
    EXACT as usize + ((power - PART_BITS - 1) * PARTS) as usize + part as usize
}

/// The largest value of a bucket.
fn largest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let (power, part) = ((bucket - EXACT) / u64::from(PARTS), (bucket - EXACT) % u64::from(PARTS));
    let shift = u32::try_from(power).unwrap_or(u32::MAX) + 1;
    let next = (u128::from(PARTS) + u128::from(part) + 1) << shift;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bucket_that_is_an_eighth_wide_at_most() {
        let edges = (0..64).flat_map(|power| {
            let power = 1_u64 << power;
            [power - 1, power, power + power / 3, power + (power - 1)]
        });
        for value in edges.chain([u64::MAX]) {
            let largest = largest(bucket(value));
            assert!(largest >= value, "{value} is above {largest}");
            assert!(largest - value <= value / 8, "{value} is far below {largest}");
            assert_eq!(bucket(largest), bucket(value));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantiles([0.5]), (0, [0]));
        (1..=100).for_each(|value| histogram.add(value));
        let (count, [p50, p95]) = histogram.quantiles([0.5, 0.95]);
        assert_eq!(count, 100);
        assert!((50..=56).contains(&p50) && (95..=106).contains(&p95), "{p50} {p95}");
    }
}
