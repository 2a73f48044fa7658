//! Quantities with units: durations, sizes, counts, costs and shares, read from text and written
//! back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It has no unit, and needs one.
    #[error("the unit is missing")]
    NoUnit,
    /// It has another unit than there is.
    #[error("unknown unit `{0}`")]
    UnknownUnit(String),
    /// It does not begin with a number.
    #[error("it does not start with a number")]
    NoNumber,
    /// It is finer than what is counted, such as half a byte.
    #[error("it is too precise")]
    TooFine,
    /// It is larger than what can be counted.
    #[error("it is too large")]
    TooLarge,
}

/// A kind of quantity: its units, the largest first, each with how many of the smallest it is.
pub(in crate::plan) struct Scale {
    units: &'static [(&'static str, u64)],
    /// What a number without a unit counts, if that is allowed.
    bare: Option<u64>,
    /// Whether several may follow each other, as in `1h30m`.
    compound: bool,
}

const DURATION: Scale = Scale {
    units: &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)],
    bare: None,
    compound: true,
};

const SIZE: Scale = Scale {
    units: &[
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("KB", 1_000),
        ("B", 1),
    ],
    bare: None,
    compound: false,
};

const COUNT: Scale = Scale {
    units: &[("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)],
    bare: Some(1),
    compound: false,
};

impl Scale {
    /// Reads a quantity in the smallest unit.
    fn read(&self, text: &str) -> Result<u64, UnitError> {
        let mut rest = text.trim();
        let mut total: u64 = 0;
        loop {
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            if !number.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(UnitError::NoNumber);
            }
            let after = after.trim_start();
            let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let factor = match unit {
                "" if !after.is_empty() => return Err(UnitError::UnknownUnit(after.to_owned())),
                "" => self.bare.ok_or(UnitError::NoUnit)?,
                unit => {
                    let known = self.units.iter().find(|(name, _)| *name == unit);
                    known.ok_or_else(|| UnitError::UnknownUnit(unit.to_owned()))?.1
                }
            };
            total = total.checked_add(scaled(number, factor)?).ok_or(UnitError::TooLarge)?;
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(total);
            }
            if !self.compound {
                return Err(UnitError::UnknownUnit(format!("{unit}{after}")));
            }
        }
    }

    /// Writes a quantity in the largest unit that it is a whole number of.
    fn write(&self, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole =
            self.units.iter().find(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
        match whole {
            Some((unit, factor)) => write!(f, "{}{unit}", value / factor),
            None if self.bare.is_some() => write!(f, "{value}"),
            None => write!(f, "{value}{}", self.units.last().map_or("", |(unit, _)| unit)),
        }
    }
}

/// A decimal number times a factor, if that is a whole number.
fn scaled(number: &str, factor: u64) -> Result<u64, UnitError> {
    let digits = number.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    if fraction.contains('.') || number.ends_with(['.', '_']) {
        return Err(UnitError::NoNumber);
    }
    let fraction = fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    let scale = 10_u128.checked_pow(places).ok_or(UnitError::TooFine)?;
    let all: u128 = format!("{whole}{fraction}").parse().map_err(|_| UnitError::TooLarge)?;
    let product = all.checked_mul(factor.into()).ok_or(UnitError::TooLarge)?;
    if !product.is_multiple_of(scale) {
        return Err(UnitError::TooFine);
    }
    u64::try_from(product / scale).map_err(|_| UnitError::TooLarge)
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $scale:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            pub(in crate::plan) fn read(text: &str) -> Result<Self, UnitError> {
                $scale.read(text).map(Self)
            }
        }

        impl FromStr for $name {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                Self::read(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $scale.write(self.0, f)
            }
        }
    };
}

quantity! {
    /// A span of time in milliseconds: `500ms`, `30s`, `10m`, `2h`, `1d`, `1h30m`.
    Millis, DURATION
}
quantity! {
    /// A size in bytes: `64KiB`, `1MB`, `2GiB`.
    Bytes, SIZE
}
quantity! {
    /// How many of something: `20`, `200k`, `1M`.
    Count, COUNT
}

/// An amount of money, in millionths of a currency: `2.50 USD`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cost {
    /// Millionths of the currency.
    pub millionths: u64,
    /// The currency, as three capital letters.
    pub currency: String,
}

impl Cost {
    pub(in crate::plan) fn read(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        let end =
            text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
        let (number, currency) = (&text[..end], text[end..].trim_start());
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(UnitError::NoNumber);
        }
        match currency {
            "" => Err(UnitError::NoUnit),
            _ if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Ok(Self { millionths: scaled(number, 1_000_000)?, currency: currency.to_owned() })
            }
            _ => Err(UnitError::UnknownUnit(currency.to_owned())),
        }
    }
}

impl FromStr for Cost {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        Self::read(text)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.millionths / 1_000_000, self.millionths % 1_000_000);
        let digits = format!("{rest:06}");
        let shown = digits.trim_end_matches('0');
        match rest {
            0 => write!(f, "{whole} {}", self.currency),
            _ => write!(f, "{whole}.{shown} {}", self.currency),
        }
    }
}

/// A part of a whole, in millionths: `20%` or `0.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(pub u32);

impl Share {
    pub(in crate::plan) fn read(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        let (number, factor) = text
            .strip_suffix('%')
            .map_or((text, 1_000_000), |percent| (percent.trim_end(), 10_000));
        if !number.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(UnitError::NoNumber);
        }
        if let Some(unit) = number.find(|c: char| !c.is_ascii_digit() && c != '.') {
            return Err(UnitError::UnknownUnit(number[unit..].to_owned()));
        }
        match scaled(number, factor)? {
            part @ 0..=1_000_000 => Ok(Self(u32::try_from(part).unwrap_or(u32::MAX))),
            _ => Err(UnitError::TooLarge),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        let digits = format!("{rest:04}");
        match rest {
            0 => write!(f, "{whole}%"),
            _ => write!(f, "{whole}.{}%", digits.trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_with_their_units() {
        let durations = ["500ms", "30s", "10m", "2h", "1d", "1h30m", "1.5h", "90 s", "0s"];
        let read: Vec<u64> = durations.iter().map(|text| Millis::read(text).unwrap().0).collect();
        assert_eq!(
            read,
            [500, 30_000, 600_000, 7_200_000, 86_400_000, 5_400_000, 5_400_000, 90_000, 0]
        );
        let sizes = ["64KiB", "1MB", "2GiB", "10B", "1.5KiB"];
        let read: Vec<u64> = sizes.iter().map(|text| Bytes::read(text).unwrap().0).collect();
        assert_eq!(read, [65_536, 1_000_000, 2_147_483_648, 10, 1_536]);
        let counts = ["0", "20", "200k", "1M", "1.5M", "10_000"];
        let read: Vec<u64> = counts.iter().map(|text| Count::read(text).unwrap().0).collect();
        assert_eq!(read, [0, 20, 200_000, 1_000_000, 1_500_000, 10_000]);
        assert_eq!(
            Cost::read("2.50 USD"),
            Ok(Cost { millionths: 2_500_000, currency: "USD".into() })
        );
        assert_eq!(Share::read("20%"), Ok(Share(200_000)));
        assert_eq!(Share::read("0.125"), Ok(Share(125_000)));
    }

    #[test]
    fn what_is_no_quantity_says_why() {
        use UnitError::{NoNumber, NoUnit, TooFine, TooLarge, UnknownUnit};
        assert_eq!(Millis::read("30"), Err(NoUnit));
        assert_eq!(Millis::read("30 sec"), Err(UnknownUnit("sec".into())));
        assert_eq!(Millis::read("soon"), Err(NoNumber));
        assert_eq!(Millis::read("-5s"), Err(NoNumber));
        assert_eq!(Millis::read("0.5ms"), Err(TooFine));
        assert_eq!(Millis::read("99999999999999999999d"), Err(TooLarge));
        assert_eq!(Bytes::read("1GiB2MiB"), Err(UnknownUnit("GiB2MiB".into())));
        assert_eq!(Bytes::read("12gb"), Err(UnknownUnit("gb".into())));
        assert_eq!(Count::read("1.0005k"), Err(TooFine));
        assert_eq!(Count::read("1.2.3"), Err(NoNumber));
        assert_eq!(Cost::read("5"), Err(NoUnit));
        assert_eq!(Cost::read("5 dollars"), Err(UnknownUnit("dollars".into())));
        assert_eq!(Share::read("120%"), Err(TooLarge));
    }
}
