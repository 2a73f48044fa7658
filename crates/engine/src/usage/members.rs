//! The members of a JSON object, each as it is written: one that is odd loses itself alone.

use serde_json::Value;

/// Largest array or object that is made a value, in bytes as text: as a value it takes many times
/// as much. A text may be as long as what it stands in.
const MAX_NESTED: usize = 4 << 20;

/// An object of which no member has been read yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Members<'a>(Vec<(String, &'a str)>);

/// A member that is there and is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Odd;

impl<'a> Members<'a> {
    /// The members of an object; `None` if it is none.
    pub(super) fn of(object: &'a str) -> Option<Self> {
        let inside = object.trim().strip_prefix('{')?.strip_suffix('}')?;
        let mut members = Vec::new();
        let mut rest = inside.trim();
        while !rest.is_empty() {
            let (name, after) = rest.split_at(end_of_text(rest)?);
            let value = after.trim_start().strip_prefix(':')?;
            let (value, after) = value.split_at(end_of_value(value));
            members.push((text(name)?, value.trim()));
            rest = match after.strip_prefix(',') {
                Some(next) if next.trim().is_empty() => return None,
                Some(next) => next.trim_start(),
                None => "",
            };
        }
        Some(Self(members))
    }

    /// Members with their names, in the order in which they stand.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// A member as it is written; of several with the same name the last. One that is `null` is as
    /// good as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let last = self.0.iter().rev().find(|(own, _)| own == name);
        last.map(|(_, value)| *value).filter(|value| *value != "null")
    }

    /// All members of a name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Odd> {
        self.get(name).map(|value| text(value).ok_or(Odd)).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Odd> {
        self.get(name).map(|value| serde_json::from_str(value).map_err(|_| Odd)).transpose()
    }

    /// A whole number that is not negative, also where it is written as a text.
    pub(super) fn count(&self, name: &str) -> Result<Option<Count>, Odd> {
        self.get(name).map(|value| count(value).ok_or(Odd)).transpose()
    }

    /// An amount in millionths.
    pub(super) fn amount(&self, name: &str) -> Result<Option<Count>, Odd> {
        self.get(name).map(|value| amount(value).ok_or(Odd)).transpose()
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, Odd> {
        self.get(name).map(|value| Members::of(value).ok_or(Odd)).transpose()
    }

    /// Any value; an object or array only up to a limit, because as a value it takes many times as
    /// much memory as its text.
    pub(super) fn value(&self, name: &str) -> Result<Option<Value>, Odd> {
        self.get(name).map(|written| value(written).ok_or(Odd)).transpose()
    }
}

/// A figure of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Exactly(u64),
    /// More than can be counted.
    Beyond,
}

impl Count {
    /// The figure, as high as there is one.
    pub(super) fn saturated(self) -> u64 {
        match self {
            Self::Exactly(count) => count,
            Self::Beyond => u64::MAX,
        }
    }
}

fn count(written: &str) -> Option<Count> {
    if let Ok(count) = serde_json::from_str::<u64>(written) {
        return Some(Count::Exactly(count));
    }
    if let Some(digits) = text(written) {
        return digits.trim().parse().ok().map(Count::Exactly);
    }
    // Some programs write whole numbers with a point, and some write more than fits.
    match number(written)? {
        number if number >= 2_f64.powi(63) => Some(Count::Beyond),
        number if number >= 0.0 && number.fract() == 0.0 => Some(Count::Exactly(number as u64)),
        _ => None,
    }
}

/// Rounded up: what is spent is never understated.
fn amount(written: &str) -> Option<Count> {
    let number = number(written).or_else(|| text(written)?.trim().parse().ok())?;
    let scaled = (number * 1e6).ceil();
    match scaled {
        _ if number.is_nan() || number < 0.0 => None,
        // Above 2^53 the figure is not exact, and no bill is that high.
        _ if scaled >= 9e15 => Some(Count::Beyond),
        _ => Some(Count::Exactly(scaled as u64)),
    }
}

/// A number, infinite where it has more digits than a float has room for.
fn number(written: &str) -> Option<f64> {
    let looks_right =
        written.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    looks_right.then(|| written.parse().ok()).flatten()
}

fn value(written: &str) -> Option<Value> {
    match text(written) {
        Some(text) => Some(Value::String(text)),
        None if written.len() > MAX_NESTED => None,
        None => serde_json::from_str(written).ok(),
    }
}

/// A text; what is no Unicode in it is replaced. Programs cut texts within a character, and what
/// is left of it is half of a pair of surrogates.
fn text(written: &str) -> Option<String> {
    if !written.starts_with('"') {
        return None;
    }
    serde_json::from_str(written)
        .ok()
        .or_else(|| serde_json::from_str(&without_halves(written)).ok())
}

/// The same text with a replacement for each half of a pair of surrogates.
fn without_halves(written: &str) -> String {
    let mut repaired = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let unit = surrogate(escape);
        let pairs = unit.is_some_and(|unit| unit < 0xdc00)
            && escape.get(6..).and_then(surrogate).is_some_and(|unit| unit >= 0xdc00);
        let length = match unit {
            Some(_) if pairs => 12,
            Some(_) => 6,
            None => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (escape, after) = escape.split_at(length);
        repaired.push_str(if unit.is_some() && !pairs { "\\ufffd" } else { escape });
        rest = after;
    }
    repaired.push_str(rest);
    repaired
}

/// The surrogate that an escape at the beginning of a text stands for.
fn surrogate(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    let unit = u16::from_str_radix(digits, 16).ok()?;
    (0xd800..0xe000).contains(&unit).then_some(unit)
}

/// Where a text ends that begins with a quote.
fn end_of_text(written: &str) -> Option<usize> {
    let mut is_escaped = false;
    let quote = written.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })?;
    written.starts_with('"').then_some(quote + 2)
}

/// Where a value ends: at the comma after it, or with the object that it is in.
fn end_of_value(written: &str) -> usize {
    let (mut depth, mut is_in_text, mut is_escaped) = (0_usize, false, false);
    let comma = written.bytes().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_text => is_escaped = true,
            b'"' => is_in_text = !is_in_text,
            _ if is_in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => return depth == 0,
            _ => {}
        }
        false
    });
    comma.unwrap_or(written.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_is_read_by_itself() {
        let members = Members::of(
            r#"{ "a": NaN, "b": "x\ud83d", "c": [1, {"d": "}"}], "n": null, "e": 7, "e": "429", "f": tru }"#,
        )
        .unwrap();
        assert_eq!(members.amount("a"), Err(Odd));
        assert_eq!(members.text("b"), Ok(Some("x\u{fffd}".to_owned())));
        assert_eq!(members.value("c"), Ok(Some(serde_json::json!([1, {"d": "}"}]))));
        assert_eq!((members.text("n"), members.text("absent")), (Ok(None), Ok(None)));
        assert_eq!(members.count("e"), Ok(Some(Count::Exactly(429))));
        assert_eq!(members.all("e").collect::<Vec<_>>(), ["7", "\"429\""]);
        assert_eq!(members.flag("f"), Err(Odd));
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", "[]", "{", "{a:1}", r#"{"a"}"#, r#"{"a":1,}"#, r#"{"a" 1}"#, r#"{"a:1}"#] {
            assert!(Members::of(text).is_none(), "{text}");
        }
        assert!(Members::of("{}").unwrap().iter().next().is_none());
    }

    #[test]
    fn figures_are_counted_rounded_up_or_beyond_counting() {
        use Count::{Beyond, Exactly};
        let counts = [
            "0",
            "18446744073709551615",
            "18446744073709551616",
            "1e300",
            "3.0",
            "-1",
            "1.5",
            "\"12\"",
            "true",
        ];
        assert_eq!(
            counts.map(count),
            [
                Some(Exactly(0)),
                Some(Exactly(u64::MAX)),
                Some(Beyond),
                Some(Beyond),
                Some(Exactly(3)),
                None,
                None,
                Some(Exactly(12)),
                None
            ]
        );
        let amounts = ["0", "0.024", "0.0000001", "1.5", "-1", "1e308", "1e999", "NaN", "\"0.5\""];
        assert_eq!(
            amounts.map(amount),
            [
                Some(Exactly(0)),
                Some(Exactly(24_000)),
                Some(Exactly(1)),
                Some(Exactly(1_500_000)),
                None,
                Some(Beyond),
                Some(Beyond),
                None,
                Some(Exactly(500_000))
            ]
        );
    }

    #[test]
    fn pairs_of_surrogates_stay_and_halves_are_replaced() {
        assert_eq!(
            text(r#""\ud83d\ude00 \ude00 \\ud83d \ud83d\ud83d\ude00""#).unwrap(),
            "\u{1f600} \u{fffd} \\ud83d \u{fffd}\u{1f600}"
        );
    }
}
