//! Takes the values of secrets out of a stream of bytes before anything else sees it, also where a
//! chunk ends inside of one, where it is escaped as JSON strings are, and where lines of one are
//! printed by themselves.
//!
//! The work is bounded by the number of bytes, whatever they are and however many values there are:
//! a program that prints must not keep its warden from its clock.

mod canonical;
mod patterns;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use self::canonical::{Canonical, Piece, Symbol, canonical};
use self::patterns::{Hit, Patterns, Place};

/// Shortest secret that is accepted, in bytes; replacing shorter ones would garble ordinary text.
pub const MIN_SECRET_BYTES: usize = 8;

/// Shortest text that is looked for, in bytes without the backslashes.
const MIN_CANONICAL_BYTES: usize = 4;

/// A value that may appear nowhere, and the name that takes its place.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Secret {
    /// The name under which it is known.
    pub name: String,
    pub value: String,
}

impl Secret {
    /// Whether ordinary text would be garbled if it were replaced in it.
    #[must_use]
    pub fn is_too_short(&self) -> bool {
        self.value.len() < MIN_SECRET_BYTES
            || canonical(Canonical::default(), &self.value).len() < MIN_CANONICAL_BYTES
    }

    /// What is looked for: the value, also without carriage returns, which are lost first, and its
    /// lines, which programs print with something before each.
    fn texts(&self) -> Vec<Vec<u8>> {
        let value = self.value.replace('\r', "");
        let is_long = |text: &&str| text.len() >= MIN_SECRET_BYTES;
        let lines = value.lines().map(str::trim).filter(is_long);
        let texts = [self.value.as_str(), value.trim_end()].into_iter().chain(lines);
        let written = texts.flat_map(|text| {
            [Canonical::default(), Canonical::with_digits()].map(|reading| canonical(reading, text))
        });
        written.filter(|text| text.len() >= MIN_CANONICAL_BYTES).collect()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// Replaces secrets in one stream.
#[derive(Debug)]
pub(super) struct Redactor<'a> {
    secrets: &'a [Secret],
    /// Bytes that begin nothing.
    plain: [bool; 256],
    patterns: Patterns,
    /// Text that ends in the beginning of an escape makes one with the value after it, so the stream
    /// is read with and without such escapes.
    readings: [Reading; 2],
    marks: Marks,
    /// What may belong to a secret and waits for more, and where it begins in the stream.
    held: Vec<u8>,
    held_from: u64,
}

/// One way of reading the stream.
#[derive(Debug)]
struct Reading {
    canonical: Canonical,
    search: Search,
}

/// How far the patterns were found in it.
#[derive(Debug)]
struct Search {
    place: Place,
    /// The symbols of what has begun.
    begun: VecDeque<Symbol>,
}

/// What was found and is not given yet, in order and apart from each other.
#[derive(Debug, Default)]
struct Marks(VecDeque<Mark>);

/// A piece of the stream that a secret's name takes the place of.
#[derive(Debug, Clone, Copy)]
struct Mark {
    begin: u64,
    end: u64,
    hit: Hit,
}

impl<'a> Redactor<'a> {
    pub(super) fn new(secrets: &'a [Secret]) -> Self {
        let texts = (0..).zip(secrets).flat_map(|(number, secret)| {
            secret.texts().into_iter().map(move |text| (number, text))
        });
        let patterns = Patterns::new(texts);
        let mut plain = [false; 256];
        for byte in 0..=u8::MAX {
            let alone = canonical(Canonical::default(), &char::from(byte.min(0x7f)).to_string());
            let symbol = if byte < 0x80 { alone.first().copied() } else { Some(byte) };
            plain[usize::from(byte)] = symbol.is_some_and(|symbol| !patterns.begin_with(symbol));
        }
        let readings = [Canonical::default(), Canonical::with_digits()].map(|canonical| Reading {
            canonical,
            search: Search { place: Place::START, begun: VecDeque::new() },
        });
        let marks = Marks::default();
        Self { secrets, plain, patterns, readings, marks, held: Vec::new(), held_from: 0 }
    }

    /// Takes a chunk in and gives what is certain by now.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.patterns.is_empty() {
            return chunk.to_vec();
        }
        self.held.extend_from_slice(chunk);
        let Self { patterns, readings, marks, plain, .. } = self;
        let mut rest = chunk;
        while let Some(&byte) = rest.first() {
            let taken = match byte {
                b'\\' => rest.iter().take_while(|byte| **byte == b'\\').count(),
                _ if readings.iter().all(Reading::is_idle) => {
                    rest.iter().take_while(|byte| plain[usize::from(**byte)]).count()
                }
                _ => 0,
            };
            for Reading { canonical, search } in readings.iter_mut() {
                let mut found = |piece| search.take(piece, patterns, marks);
                match taken {
                    0 => canonical.push(byte, &mut found),
                    count if byte == b'\\' => canonical.push_backslashes(count, &mut found),
                    count => canonical.skip(count),
                }
            }
            rest = &rest[taken.max(1)..];
        }
        let certain = self.readings.iter().map(Reading::certain).min();
        self.give(certain.unwrap_or(self.held_from))
    }

    /// Gives the rest. The beginning of a secret that was cut off is replaced too if it is long
    /// enough to tell something.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let Self { patterns, readings, marks, .. } = self;
        for Reading { canonical, search } in readings {
            canonical.finish(&mut |piece| search.take(piece, patterns, marks));
            search.end(patterns, marks);
        }
        self.give(self.held_from + self.held.len() as u64)
    }

    /// Gives what is held up to some place, or to the beginning of a mark that goes beyond it.
    fn give(&mut self, certain: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut from = self.held_from;
        let mut to = certain;
        let held = |from: u64, to: u64| {
            let at = |place: u64| usize::try_from(place - self.held_from).unwrap_or(usize::MAX);
            self.held.get(at(from)..at(to)).unwrap_or_default()
        };
        while let Some(mark) = self.marks.0.front() {
            if mark.end > certain {
                to = to.min(mark.begin);
                break;
            }
            out.extend_from_slice(held(from, mark.begin));
            let name = self.secrets.get(mark.hit.pattern as usize).map_or("", |it| &it.name);
            out.extend_from_slice(format!("[secret {name}]").as_bytes());
            from = mark.end;
            self.marks.0.pop_front();
        }
        out.extend_from_slice(held(from, to));
        self.held.drain(..usize::try_from(to - self.held_from).unwrap_or(0));
        self.held_from = to;
        out
    }
}

impl Reading {
    /// Whether nothing has begun.
    fn is_idle(&self) -> bool {
        self.search.place == Place::START && self.canonical.is_idle()
    }

    /// Up to where it is certain what the stream holds.
    fn certain(&self) -> u64 {
        let begun = self.search.begun.front().map(|symbol| symbol.begin);
        begun.unwrap_or_else(|| self.canonical.begin_of_rest())
    }
}

impl Search {
    fn take(&mut self, piece: Piece, patterns: &Patterns, marks: &mut Marks) {
        let Piece::Symbol(symbol) = piece else {
            self.place = Place::START;
            self.begun.clear();
            return;
        };
        self.place = patterns.next(self.place, symbol.byte);
        let Some(begun) = patterns.begun(self.place) else {
            self.begun.clear();
            return;
        };
        self.begun.push_back(symbol);
        let length = begun.length as usize;
        if self.begun.len() > length {
            self.begun.drain(..self.begun.len() - length);
        }
        if let Some(hit) = patterns.found(self.place)
            && let Some(first) = self.begun.get(length - hit.length as usize)
        {
            marks.add(Mark { begin: first.begin, end: symbol.end, hit });
        }
    }

    /// There is nothing more: a beginning stays one.
    fn end(&self, patterns: &Patterns, marks: &mut Marks) {
        if let (Some(hit), Some(first), Some(last)) =
            (patterns.begun(self.place), self.begun.front(), self.begun.back())
            && hit.length as usize >= MIN_SECRET_BYTES
        {
            marks.add(Mark { begin: first.begin, end: last.end, hit });
        }
    }
}

impl Marks {
    /// What overlaps is replaced as one, by the name of the longest.
    fn add(&mut self, mut mark: Mark) {
        while let Some(&last) = self.0.back().filter(|last| mark.begin < last.end) {
            self.0.pop_back();
            mark.begin = mark.begin.min(last.begin);
            mark.end = mark.end.max(last.end);
            if last.hit.length >= mark.hit.length {
                mark.hit = last.hit;
            }
        }
        self.0.push_back(mark);
    }
}

/// The whole of some bytes, redacted.
pub(crate) fn redacted(secrets: &[Secret], bytes: &[u8]) -> Vec<u8> {
    let mut redactor = Redactor::new(secrets);
    let mut out = redactor.push(bytes);
    out.extend(redactor.finish());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(name: &str, value: &str) -> Secret {
        Secret { name: name.to_owned(), value: value.to_owned() }
    }

    fn text_of(secrets: &[Secret], text: &str) -> String {
        String::from_utf8(redacted(secrets, text.as_bytes())).unwrap()
    }

    #[test]
    fn a_value_is_replaced_by_its_name_and_the_rest_stays() {
        let secrets =
            [secret("KEY", "hunter2hunter2"), secret("LONGER", "hunter2hunter2-and-more")];
        assert_eq!(
            text_of(&secrets, "a hunter2hunter2 b hunter2hunter2-and-more c hunter2hunt"),
            "a [secret KEY] b [secret LONGER] c [secret KEY]"
        );
        assert_eq!(text_of(&secrets, "hunter2 hunt"), "hunter2 hunt");
        assert_eq!(text_of(&[], "anything"), "anything");
    }

    #[test]
    fn a_value_is_found_in_every_way_in_which_json_may_write_it() {
        let value = "p\"a\\ss/wörd\n😀";
        let secrets = [secret("KEY", value)];
        for written in [
            value.to_owned(),
            serde_json::to_string(value).unwrap(),
            r#""p\"a\\ss\/w\u00f6rd\n\ud83d\ude00""#.to_owned(),
            r#""p\u0022a\u005Css/w\u00F6rd\u000a😀""#.to_owned(),
        ] {
            assert_eq!(text_of(&secrets, &written).trim_matches('"'), "[secret KEY]", "{written}");
            // Agents print what their tools printed within JSON of their own.
            let mut within = written;
            for _ in 0..2 {
                within = serde_json::to_string(&within).unwrap();
                assert_eq!(
                    text_of(&secrets, &within).trim_matches(['"', '\\']),
                    "[secret KEY]",
                    "{within}"
                );
            }
        }
    }

    #[test]
    fn lines_of_a_value_are_replaced_by_themselves_and_without_carriage_returns() {
        let key = "-----BEGIN-----\r\nAAAABBBBCCCC\r\n  DDDDEEEE\r\nshort\r\n";
        let secrets = [secret("KEY", key), secret("TOKEN", "token_0123456789\r")];
        assert_eq!(
            text_of(&secrets, "log: AAAABBBBCCCC\nlog: DDDDEEEE\n token_0123456789 short"),
            "log: [secret KEY]\nlog: [secret KEY]\n [secret TOKEN] short"
        );
        assert_eq!(text_of(&secrets, &key.replace('\r', "")), "[secret KEY]\n");
        assert_eq!(text_of(&secrets, &serde_json::to_string(key).unwrap()), "\"[secret KEY]\"");
    }

    #[test]
    fn what_overlaps_is_replaced_as_one() {
        let secrets = [secret("A", "abcabcabc"), secret("B", "cabcabcd")];
        assert_eq!(text_of(&secrets, "abcabcabcabc."), "[secret A].");
        assert_eq!(text_of(&secrets, "-abcabcabcd."), "-[secret A].");
        assert_eq!(text_of(&secrets, "abcabcabcabcabcabc abcabcabd"), "[secret A] abcabcabd");
    }

    #[test]
    fn a_value_that_completes_an_escape_before_it_is_found() {
        let secrets = [secret("A", "deadbeef-0123"), secret("B", "a\u{e9}\\\\\\/\"abc")];
        for before in ["\\", "\\u", "\\u0", "\\u00", "\\u000", "\\ud83d\\u0a"] {
            for secret in &secrets {
                let out = text_of(&secrets, &format!("{before}{}", secret.value));
                assert!(out.ends_with(&format!("[secret {}]", secret.name)), "{out}");
            }
        }
    }

    #[test]
    fn little_is_held_back_however_much_comes() {
        let secrets = [secret("A", "aaaaaaaaab"), secret("B", "xaaaaaaa\\")];
        let mut redactor = Redactor::new(&secrets);
        for byte in [b'\\', b'a', b'x', b'u'] {
            for _ in 0..20 {
                redactor.push(&vec![byte; 10_000]);
                assert!(redactor.held.len() < 2_000, "{} of {byte}", redactor.held.len());
            }
        }
    }

    proptest! {
        #[test]
        fn no_way_of_cutting_lets_a_value_through(
            before in "[ab\\\\\"u0-9]{0,20}",
            value in "[ab\\\\\"\n/é]{8,16}",
            after in "[ab\\\\\"]{0,20}",
            escaped in 0..4,
            cuts in prop::collection::vec(1usize..7, 0..40),
        ) {
            let secrets = [secret("X", &value)];
            prop_assume!(!secrets[0].is_too_short());
            let inner = (0..escaped).fold(value.clone(), |inner, _| serde_json::to_string(&inner).unwrap());
            let text = format!("{before}{inner}{after}");
            let mut redactor = Redactor::new(&secrets);
            let mut out = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (chunk, left) = rest.split_at(cut.min(rest.len()));
                out.extend(redactor.push(chunk));
                rest = left;
            }
            out.extend(redactor.push(rest));
            out.extend(redactor.finish());
            let out = String::from_utf8(out).unwrap();
            prop_assert!(!out.contains(&value), "{out}");
            prop_assert!(out.contains("[secret X]"), "{out}");
            prop_assert_eq!(out.into_bytes(), redacted(&secrets, text.as_bytes()));
        }
    }
}
