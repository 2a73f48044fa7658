//! Takes the values of secrets out of a stream of bytes before anything else sees it, also where a
//! chunk ends inside of one and where it is escaped as JSON strings are.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Shortest secret that is accepted, in bytes; replacing shorter ones would garble ordinary text.
pub const MIN_SECRET_BYTES: usize = 8;

/// Backslashes in a row that are looked through: so many stand before a quote in JSON in JSON in
/// JSON, and one more in a backslash.
const MAX_BACKSLASHES: usize = 8;

/// A value that may appear nowhere, and the name that takes its place.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Secret {
    /// The name under which it is known.
    pub name: String,
    pub value: String,
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
    /// What may be the beginning of a secret, and waits for more.
    held: Vec<u8>,
    /// Which bytes a secret can begin with.
    begins: [bool; 256],
}

/// How the beginning of some bytes compares with a secret. Both can be: a longer way of writing it
/// may still be going on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Match {
    /// It is complete, in this many bytes.
    full: Option<usize>,
    /// The bytes end before the secret does; this many of the secret's are there.
    partial: Option<usize>,
}

impl<'a> Redactor<'a> {
    pub(super) fn new(secrets: &'a [Secret]) -> Self {
        let mut begins = [false; 256];
        for secret in secrets {
            if let Some(&first) = secret.value.as_bytes().first() {
                begins[usize::from(first)] = true;
                begins[usize::from(b'\\')] = true;
            }
        }
        Self { secrets, held: Vec::new(), begins }
    }

    /// Takes a chunk in and gives what is certain by now.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.secrets.is_empty() {
            return chunk.to_vec();
        }
        self.held.extend_from_slice(chunk);
        self.take(false)
    }

    /// Gives the rest. The beginning of a secret that was cut off is replaced too if it is long
    /// enough to tell something.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.take(true)
    }

    fn take(&mut self, at_end: bool) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.held);
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if !self.begins[usize::from(rest[0])] {
                out.push(rest[0]);
                at += 1;
                continue;
            }
            let mut longest: Option<(usize, &Secret)> = None;
            let mut partial: Option<(usize, &Secret)> = None;
            for secret in self.secrets {
                let found = matches(secret.value.as_bytes(), rest);
                longest =
                    found.full.map_or(longest, |length| longest.max_by_length(length, secret));
                partial =
                    found.partial.map_or(partial, |there| partial.max_by_length(there, secret));
            }
            match (longest, partial) {
                (_, Some(_)) if !at_end => {
                    self.held = rest.to_vec();
                    return out;
                }
                // Cut off, but long enough to tell something, and more of it than what is complete.
                (full, Some((there, secret)))
                    if there >= MIN_SECRET_BYTES
                        && full.is_none_or(|(_, full)| there > full.value.len()) =>
                {
                    out.extend_from_slice(format!("[secret {}]", secret.name).as_bytes());
                    at = bytes.len();
                }
                (Some((length, secret)), _) => {
                    out.extend_from_slice(format!("[secret {}]", secret.name).as_bytes());
                    at += length;
                }
                (None, _) => {
                    out.push(rest[0]);
                    at += 1;
                }
            }
        }
        out
    }
}

trait Longest<'a> {
    fn max_by_length(self, length: usize, secret: &'a Secret) -> Self;
}

impl<'a> Longest<'a> for Option<(usize, &'a Secret)> {
    fn max_by_length(self, length: usize, secret: &'a Secret) -> Self {
        if self.is_some_and(|(had, _)| had >= length) { self } else { Some((length, secret)) }
    }
}

/// The whole of some bytes, redacted.
pub(super) fn redacted(secrets: &[Secret], bytes: &[u8]) -> Vec<u8> {
    let mut redactor = Redactor::new(secrets);
    let mut out = redactor.push(bytes);
    out.extend(redactor.finish());
    out
}

/// Compares a secret with the beginning of some bytes. At each place the bytes may have the
/// secret's own bytes or, for a character, the JSON escape of it.
fn matches(secret: &[u8], bytes: &[u8]) -> Match {
    // Positions in both that can be reached. A backslash in the secret gives two ways at once, so
    // there may be more than one; taken in order and each once, or a secret of backslashes would
    // take for ever.
    let mut ways = BTreeSet::from([(0, 0)]);
    let Match { mut full, mut partial } = Match::default();
    while let Some((in_secret, in_bytes)) = ways.pop_first() {
        if in_secret == secret.len() {
            full = full.max(Some(in_bytes));
            continue;
        }
        let rest = &bytes[in_bytes..];
        let Some(&byte) = rest.first() else {
            partial = partial.max(Some(in_secret));
            continue;
        };
        if byte == secret[in_secret] {
            ways.insert((in_secret + 1, in_bytes + 1));
        }
        // JSON within JSON escapes the backslashes of the escapes in it; all of a row but the last
        // are skipped then.
        for skipped in 0..backslashes(rest) {
            match unescape(&rest[skipped..]) {
                Escape::Cut => partial = partial.max(Some(in_secret)),
                Escape::None => {}
                Escape::Char(character, length) => {
                    let mut utf8 = [0; 4];
                    let utf8 = character.encode_utf8(&mut utf8).as_bytes();
                    if secret[in_secret..].starts_with(utf8) {
                        ways.insert((in_secret + utf8.len(), in_bytes + skipped + length));
                    }
                }
            }
        }
    }
    Match { full, partial }
}

/// Backslashes at the beginning, as far as they are looked through.
fn backslashes(bytes: &[u8]) -> usize {
    bytes.iter().take(MAX_BACKSLASHES).take_while(|byte| **byte == b'\\').count()
}

enum Escape {
    None,
    /// It may become one when more arrives.
    Cut,
    Char(char, usize),
}

/// Reads the JSON escape at the beginning.
fn unescape(bytes: &[u8]) -> Escape {
    let simple = match bytes.get(1) {
        None => return Escape::Cut,
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(bytes),
        Some(_) => return Escape::None,
    };
    Escape::Char(simple, 2)
}

fn unescape_unicode(bytes: &[u8]) -> Escape {
    let unit = |at: usize| -> Option<Option<u16>> {
        let there = &bytes[at.min(bytes.len())..(at + 6).min(bytes.len())];
        let prefix_fits = b"\\u".iter().zip(there).all(|(wanted, had)| wanted == had);
        if !prefix_fits || !there.iter().skip(2).all(u8::is_ascii_hexdigit) {
            return None;
        }
        if there.len() < 6 {
            return Some(None);
        }
        Some(u16::from_str_radix(std::str::from_utf8(&there[2..]).ok()?, 16).ok())
    };
    let first = match unit(0) {
        None => return Escape::None,
        Some(None) => return Escape::Cut,
        Some(Some(first)) => first,
    };
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Escape::Char(character, 6);
    }
    let skipped = backslashes(&bytes[6..]).saturating_sub(1);
    match unit(6 + skipped) {
        None => Escape::None,
        Some(None) => Escape::Cut,
        Some(Some(second)) => match char::decode_utf16([first, second]).next() {
            Some(Ok(character)) => Escape::Char(character, 12 + skipped),
            _ => Escape::None,
        },
    }
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
