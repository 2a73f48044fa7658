//! A number from 0 to 1 in fixed point, so that equal inputs give equal bytes on every machine.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ONE: u32 = 1_000_000;

/// A number from 0 to 1, kept in millionths: a confidence, or a score of complexity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fraction(u32);

/// A number is not from 0 to 1.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0} is not from 0 to 1")]
pub struct FractionError(f64);

impl Fraction {
    /// Takes a number from 0 to 1, rounded to millionths.
    ///
    /// # Errors
    /// [`FractionError`] for any other, and for what is not a number.
    pub fn new(number: f64) -> Result<Self, FractionError> {
        if !(0.0..=1.0).contains(&number) {
            return Err(FractionError(number));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was just checked"
        )]
        Ok(Self((number * f64::from(ONE)).round() as u32))
    }

    /// So many millionths, and 1 for more than a million.
    #[must_use]
    pub fn of_millionths(millionths: u64) -> Self {
        Self(u32::try_from(millionths).map_or(ONE, |millionths| millionths.min(ONE)))
    }

    pub(super) const fn of_percent(percent: u32) -> Self {
        assert!(percent <= 100, "BUG: a fraction is at most 1");
        Self(percent * (ONE / 100))
    }

    /// It in millionths.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// It as a double.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(ONE)
    }
}

impl fmt::Display for Fraction {
    /// With a digit after the point at least: `1.0`, `0.95`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_f64(), f)
    }
}

impl fmt::Debug for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_f64(), f)
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_from_0_to_1_is_refused() {
        let refused = |number| Fraction::new(number).map_err(|error| error.to_string());
        assert_eq!(refused(1.5), Err("1.5 is not from 0 to 1".to_owned()));
        assert_eq!(refused(-0.1), Err("-0.1 is not from 0 to 1".to_owned()));
        assert_eq!(refused(f64::NAN), Err("NaN is not from 0 to 1".to_owned()));
        assert_eq!(refused(0.123_456_7), Ok(Fraction(123_457)));
    }

    #[test]
    fn it_is_printed_as_a_decimal_fraction() {
        for (millionths, text) in [(0, "0.0"), (1, "1e-6"), (950_000, "0.95"), (1_000_000, "1.0")] {
            let fraction = Fraction::of_millionths(millionths);
            assert_eq!(fraction.to_string(), text);
            assert_eq!(serde_json::to_string(&fraction).unwrap(), text);
        }
    }
}
