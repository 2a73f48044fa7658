//! The JSON objects in a text that holds other things as well: banners, notices of wrappers, lines
//! that were cut.
//!
//! An object is found by its structure, wherever it begins in a line and in whichever order its
//! members stand. What is nested in an object that was damaged is not taken for one that stands for
//! itself.

use std::mem;

/// Longest object that is kept, in bytes.
const MAX_OBJECT: usize = 16 << 20;

/// How much of a line is looked at apart from objects, in bytes.
const MAX_OTHER: usize = 64 << 10;

/// How often each byte may be looked at again, when it may belong to an object that begins within a
/// text of a damaged one.
const MAX_LOOKS: usize = 4;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Braces and quotes match; what is between them need not be JSON.
    Object {
        text: String,
        /// Whether something in its line before it was damaged, of which it may be a part.
        follows_damage: bool,
    },
    /// One that began and did not end, or was too long.
    Damaged(String),
    /// What stands in a line apart from objects.
    Other(String),
}

/// Takes text in pieces of any size and gives the objects in it.
#[derive(Debug, Default)]
pub(super) struct Objects {
    open: Option<Open>,
    /// Whether the text begins as an array, whose members may share a line.
    is_array: Option<bool>,
    /// Whether the next byte is the first of its line.
    is_line_start: bool,
    /// Whether this line began before something that was left out, and may be the inside of an
    /// object.
    may_be_inside: bool,
    /// Whether an object was damaged of which the rest of this line may be a part.
    has_damage: bool,
    /// Whether a text was still open where this line ends, so that the next may go on with it.
    is_text_cut: bool,
    /// An object, until what follows tells whether it stands for itself.
    held: Option<(String, Follows)>,
    /// This line apart from objects.
    other: Vec<u8>,
    taken: usize,
    looked_again: usize,
}

/// What has followed on an object in a line that may be the inside of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Nothing,
    Comma,
    EndOfArray,
}

/// An object that has begun.
#[derive(Debug, Default)]
struct Open {
    bytes: Vec<u8>,
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
    /// Right after a brace, where only a name or another brace may stand.
    is_at_name: bool,
    is_too_long: bool,
}

enum Step {
    Goes,
    Ended,
    Damaged,
}

impl Open {
    /// Takes a byte, unless it shows that this is no object.
    fn take(&mut self, byte: u8) -> Step {
        if self.is_in_text && byte == b'\n' {
            return Step::Damaged;
        }
        if self.is_at_name && !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'}') {
            return Step::Damaged;
        }
        if self.depth == 1 && !self.is_in_text && byte == b']' {
            return Step::Damaged;
        }
        if self.bytes.len() < MAX_OBJECT {
            self.bytes.push(byte);
        } else {
            self.is_too_long = true;
        }
        if self.is_in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_text = false,
                _ => {}
            }
            return Step::Goes;
        }
        self.is_at_name &= byte.is_ascii_whitespace();
        match byte {
            b'"' => self.is_in_text = true,
            b'{' => {
                self.depth += 1;
                self.is_at_name = true;
            }
            b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Step::Ended;
                }
            }
            _ => {}
        }
        Step::Goes
    }

    /// Takes what cannot end a text, all at once, and gives the rest.
    fn take_plain_text<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !self.is_in_text || self.is_escaped {
            return bytes;
        }
        let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'));
        let (plain, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let room = MAX_OBJECT.saturating_sub(self.bytes.len());
        self.bytes.extend(&plain[..plain.len().min(room)]);
        self.is_too_long |= plain.len() > room;
        rest
    }

    /// Where another object may begin that this one took for text.
    fn within_text(&self) -> Option<usize> {
        let mut again = Self::default();
        self.bytes.iter().position(|&byte| {
            let was_in_text = again.is_in_text;
            again.bytes.clear();
            let _ = again.take(byte);
            was_in_text && byte == b'{'
        })
    }
}

impl Objects {
    /// Takes more text.
    pub(super) fn push(&mut self, text: &[u8], found: &mut impl FnMut(Found)) {
        self.taken += text.len();
        self.take_all(text, found);
    }

    fn take_all(&mut self, text: &[u8], found: &mut impl FnMut(Found)) {
        // What is looked at again comes before what follows it. This is a stack and no recursion,
        // because what a session prints decides how deep it is.
        let mut again: Vec<std::vec::IntoIter<u8>> = Vec::new();
        let mut rest = text;
        loop {
            if again.is_empty()
                && let Some(open) = &mut self.open
            {
                rest = open.take_plain_text(rest);
            }
            let next = match again.last_mut() {
                Some(bytes) => bytes.next(),
                None => rest.split_off_first().copied(),
            };
            match next {
                Some(byte) => {
                    let bytes = self.take(byte, found);
                    if !bytes.is_empty() {
                        again.push(bytes.into_iter());
                    }
                }
                None if again.pop().is_some() => {}
                None => return,
            }
        }
    }

    /// Something was left out here.
    pub(super) fn skip(&mut self, found: &mut impl FnMut(Found)) {
        self.open = None;
        if let Some((object, _)) = self.held.take()
            && !self.may_be_inside
        {
            found(self.object(object, false));
        }
        self.other.clear();
        self.may_be_inside = true;
        self.is_line_start = false;
    }

    /// There is no more text.
    pub(super) fn finish(&mut self, found: &mut impl FnMut(Found)) {
        while let Some(open) = self.open.take() {
            self.has_damage = true;
            let again = self.give_up(open, found);
            self.take_all(&again, found);
        }
        if let Some((object, _)) = self.held.take() {
            found(self.object(object, false));
        }
        self.end_line(found);
    }

    /// Takes a byte and gives those that are to be taken again before any other.
    fn take(&mut self, byte: u8, found: &mut impl FnMut(Found)) -> Vec<u8> {
        let is_line_start = mem::replace(&mut self.is_line_start, byte == b'\n');
        if !byte.is_ascii_whitespace() {
            self.is_array.get_or_insert(byte == b'[');
        }
        if let Some(mut open) = self.open.take() {
            // Whoever spreads an object over lines indents what is nested in it.
            let is_cut_off = is_line_start && byte == b'{';
            match if is_cut_off { Step::Damaged } else { open.take(byte) } {
                Step::Goes => self.open = Some(open),
                Step::Ended if open.is_too_long => found(Found::Damaged(text(open.bytes))),
                Step::Ended => self.end(open),
                Step::Damaged => {
                    let mut again = self.give_up(open, found);
                    again.push(byte);
                    self.is_line_start = is_line_start;
                    self.has_damage = !is_line_start;
                    self.is_text_cut = byte == b'\n';
                    return again;
                }
            }
        } else {
            self.settle(byte, found);
            match byte {
                b'{' => {
                    self.has_damage &= !is_line_start;
                    let mut open = Open::default();
                    let _ = open.take(byte);
                    self.open = Some(open);
                }
                b'\n' => self.end_line(found),
                _ if self.other.len() < MAX_OTHER => self.other.push(byte),
                _ => {}
            }
        }
        self.may_be_inside &= byte != b'\n';
        if byte == b'\n' {
            self.has_damage = mem::take(&mut self.is_text_cut);
        }
        Vec::new()
    }

    fn end_line(&mut self, found: &mut impl FnMut(Found)) {
        let other = mem::take(&mut self.other);
        // Where the line began somewhere else, what it is cannot be told.
        if !self.may_be_inside && other.contains(&b'"') {
            found(Found::Other(text(other)));
        }
    }

    fn end(&mut self, open: Open) {
        // Behind what was left out, only a line of its own or an array shows that it is not a part.
        if !self.may_be_inside || self.is_array == Some(true) {
            self.held = Some((text(open.bytes), Follows::Nothing));
        }
    }

    fn object(&self, text: String, is_nested: bool) -> Found {
        // Quotes that belong to no object are left of one that lost its braces.
        let has_quotes = !self.may_be_inside && self.other.contains(&b'"');
        let follows_damage = self.has_damage || has_quotes || is_nested;
        Found::Object { text, follows_damage }
    }

    /// Decides by what follows whether an object stood for itself.
    fn settle(&mut self, byte: u8, found: &mut impl FnMut(Found)) {
        let Some((object, follows)) = self.held.take() else { return };
        if !self.may_be_inside && !matches!(byte, b' ' | b'\t' | b'\r') {
            // It was nested in what this closes, and that did not begin as it should.
            let is_nested = byte == b'}' || (byte == b']' && self.is_array != Some(true));
            return found(self.object(object, is_nested));
        }
        let follows = match (follows, byte) {
            (follows, b' ' | b'\t' | b'\r') => follows,
            (Follows::Nothing, b',') => Follows::Comma,
            (Follows::Nothing, b']') => Follows::EndOfArray,
            (Follows::Nothing | Follows::EndOfArray, b'}' | b']')
            | (Follows::EndOfArray, b',')
            // It is part of one whose beginning was left out.
            | (Follows::Comma, b'"') => return,
            _ => return found(self.object(object, false)),
        };
        self.held = Some((object, follows));
    }

    /// Tells of a damaged object, and gives what it took for text from the next brace on.
    fn give_up(&mut self, open: Open, found: &mut impl FnMut(Found)) -> Vec<u8> {
        let begin = open.within_text();
        let mut damaged = open.bytes;
        let mut again = begin.map(|begin| damaged.split_off(begin)).unwrap_or_default();
        if damaged.len() > 1 {
            found(Found::Damaged(text(damaged)));
        }
        self.looked_again += again.len();
        if self.looked_again > self.taken.saturating_mul(MAX_LOOKS) {
            again.clear();
        }
        again
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in pieces of a text between which something was left out.
    fn found_in(pieces: &[&str]) -> Vec<String> {
        let (mut objects, mut all) = (Objects::default(), Vec::new());
        let mut found = |found| {
            all.push(match found {
                Found::Object { text, .. } => text,
                Found::Damaged(damaged) => format!("damaged {damaged}"),
                Found::Other(other) => format!("other {other}"),
            });
        };
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                objects.skip(&mut found);
            }
            let length = piece.len().div_ceil(1_000).max(1);
            piece.as_bytes().chunks(length).for_each(|part| objects.push(part, &mut found));
        }
        objects.finish(&mut found);
        all
    }

    #[test]
    fn objects_are_found_among_other_text() {
        let cases: [(&str, &[&str]); 13] = [
            ("", &[]),
            ("{}", &["{}"]),
            ("Now using {node}\n{\"a\":1}\r\nbye\n", &["{\"a\":1}"]),
            ("[{\"a\":1}, {\"b\":\"}\"}]", &["{\"a\":1}", "{\"b\":\"}\"}"]),
            ("{\n  \"a\": {\n    \"b\": []\n  }\n}\n", &["{\n  \"a\": {\n    \"b\": []\n  }\n}"]),
            ("{\"a\":\"\\\"{\\\"\"}{\"b\":1}", &["{\"a\":\"\\\"{\\\"\"}", "{\"b\":1}"]),
            ("{ {\"a\":1}", &["damaged { ", "{\"a\":1}"]),
            ("{\"{\"a\":1}\n", &["damaged {\"", "{\"a\":1}"]),
            // What is nested in an object that was cut off does not stand for itself.
            ("{\"a\":{\"b\":1}\n{\"c\":1}", &["damaged {\"a\":{\"b\":1}\n", "{\"c\":1}"]),
            (
                "{\"a\":\"cut {\\\"b\\\":1}\n{\"c\":1}",
                &["damaged {\"a\":\"cut ", "other \\\"b\\\":1}", "{\"c\":1}"],
            ),
            ("{\"a\":]}{\"c\":1}", &["damaged {\"a\":", "{\"c\":1}"]),
            ("{\"a\":{\"b\":1}", &["damaged {\"a\":{\"b\":1}"]),
            ("\"a\":{\"b\":1}, 7\nnothing", &["{\"b\":1}", "other \"a\":, 7"]),
        ];
        for (text, expected) in cases {
            assert_eq!(found_in(&[text]), expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_nested_in_something_damaged_is_told_from_what_stands_for_itself() {
        let cases = [
            ("{\"a\":[{\"b\n:{\"c\":1}}]}", true),
            ("{\"a\":[{\"b\n:{\"c\":1}", true),
            ("\"a\":[{\"b\"\n{\"c\":1}}]}", true),
            ("{\"a\":\"cut\n{\"c\":1}", false),
            ("{\"a\":\"cut\nnoise\nINFO {\"c\":1}", false),
            ("[{\"a\":1},\n {\"c\":1} ]", false),
            ("INFO: {\"c\":1} in 2 s", false),
        ];
        for (printed, expected) in cases {
            let (mut objects, mut last) = (Objects::default(), None);
            let mut found = |found| {
                if let Found::Object { text, follows_damage } = found {
                    last = Some((text, follows_damage));
                }
            };
            objects.push(printed.as_bytes(), &mut found);
            objects.finish(&mut found);
            assert_eq!(last, Some(("{\"c\":1}".to_owned(), expected)), "{printed}");
        }
    }

    #[test]
    fn behind_a_gap_only_what_stands_for_itself_is_an_object() {
        let cases: [(&str, &[&str]); 6] = [
            ("x\"},{\"a\":1}]", &["{\"a\":1}"]),
            ("x\n{\"a\":1},\"b\"", &["{\"a\":1}", "other ,\"b\""]),
            ("{\"a\":1}, \"b\":1}\n{\"c\":1}", &["{\"c\":1}"]),
            ("{\"a\":1}}]", &[]),
            ("{\"a\":1}],\"b\":2}", &[]),
            ("{\"a\":1},{\"b\":2}]\n", &["{\"a\":1}", "{\"b\":2}"]),
        ];
        for (tail, expected) in cases {
            assert_eq!(found_in(&["[{\"cut", tail]), expected, "{tail}");
        }
        // Where each has a line of its own, none begins in a line that was cut.
        assert_eq!(found_in(&["{\"cut", "{\"a\":1}\n{\"b\":1}"]), ["{\"b\":1}"]);
    }

    #[test]
    fn an_object_that_is_too_long_is_damaged_and_the_next_one_is_found() {
        let long = format!("{{\"a\":\"{}\"}}\n{{\"b\":1}}", "x".repeat(MAX_OBJECT));
        let found = found_in(&[&long]);
        assert!(found[0].starts_with("damaged {\"a\":\"xx"), "{}", &found[0][..20]);
        assert_eq!(found[1..], ["{\"b\":1}"]);
    }

    #[test]
    fn the_work_is_bounded_by_the_length() {
        for text in ["{\"", "{\"{\"", "{\"a\":", "{", "\"{"] {
            let mut objects = Objects::default();
            let long = text.repeat(200_000);
            objects.push(long.as_bytes(), &mut |_| ());
            objects.push(b"\n", &mut |_| ());
            objects.finish(&mut |_| ());
            assert!(objects.looked_again <= 5 * objects.taken, "{text}");
        }
    }
}
