//! Printed bytes as text without control codes, in whichever of UTF-8 and UTF-16 they come.
//!
//! A wrapper, a terminal or a shell of another system may have put colours, titles, byte order
//! marks or carriage returns around what a program printed. None of them can be part of a JSON
//! document, so they are left out before one is looked for.

use std::borrow::Cow;

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// Takes bytes in pieces of any size and gives text, which may hold invalid UTF-8.
#[derive(Debug, Default)]
pub(super) struct PlainText {
    encoding: Encoding,
    /// The bytes of a code unit that is not complete.
    pending: Vec<u8>,
    /// The first half of a pair of surrogates.
    surrogate: Option<u16>,
    code: ControlCode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Encoding {
    /// The first two bytes tell.
    #[default]
    Unknown,
    /// UTF-8, or anything else that is passed on as it is.
    Bytes,
    Utf16 {
        is_big_endian: bool,
    },
}

/// How far a control code has been read. A line break and the beginning of an object end each of
/// them: a code that was cut off must not hide what comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum ControlCode {
    #[default]
    None,
    /// After ESC.
    Escape,
    /// After `ESC [`, until a letter.
    Sequence,
    /// After `ESC ]` and its like, until a bell or another ESC.
    Text,
}

impl PlainText {
    /// Text of the next bytes, as far as it is certain.
    pub(super) fn push<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let is_plain = self.encoding == Encoding::Bytes
            && self.code == ControlCode::None
            && !bytes.iter().any(|&byte| is_control(byte));
        if is_plain {
            return Cow::Borrowed(bytes);
        }
        let mut text = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.decode(byte, &mut text);
        }
        Cow::Owned(text)
    }

    /// What is left when nothing follows.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        if self.encoding == Encoding::Unknown {
            for byte in std::mem::take(&mut self.pending) {
                self.strip(byte, &mut text);
            }
        }
        text
    }

    fn decode(&mut self, byte: u8, text: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Bytes => self.strip(byte, text),
            Encoding::Unknown => {
                self.pending.push(byte);
                let &[first, second] = self.pending.as_slice() else { return };
                self.pending.clear();
                self.encoding = match [first, second] {
                    [0xff, 0xfe] => Encoding::Utf16 { is_big_endian: false },
                    [0xfe, 0xff] => Encoding::Utf16 { is_big_endian: true },
                    _ => Encoding::Bytes,
                };
                if self.encoding == Encoding::Bytes {
                    self.strip(first, text);
                    self.strip(second, text);
                }
            }
            Encoding::Utf16 { is_big_endian } => {
                self.pending.push(byte);
                let &[first, second] = self.pending.as_slice() else { return };
                self.pending.clear();
                self.take_unit(
                    match is_big_endian {
                        true => u16::from_be_bytes([first, second]),
                        false => u16::from_le_bytes([first, second]),
                    },
                    text,
                );
            }
        }
    }

    fn take_unit(&mut self, unit: u16, text: &mut Vec<u8>) {
        let units = self.surrogate.take().into_iter().chain([unit]);
        let is_first_half = (0xd800..0xdc00).contains(&unit);
        if is_first_half {
            self.surrogate = Some(unit);
        }
        let whole: Vec<u16> = units.take(if is_first_half { 0 } else { 2 }).collect();
        for char in char::decode_utf16(whole) {
            let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
            for &byte in char.encode_utf8(&mut [0; 4]).as_bytes() {
                self.strip(byte, text);
            }
        }
    }

    fn strip(&mut self, byte: u8, text: &mut Vec<u8>) {
        self.code = match (self.code, byte) {
            (_, b'\n' | b'{') => {
                text.push(byte);
                ControlCode::None
            }
            (_, ESCAPE) => ControlCode::Escape,
            (ControlCode::Escape, b'[') => ControlCode::Sequence,
            (ControlCode::Escape, b']' | b'P' | b'X' | b'^' | b'_') => ControlCode::Text,
            (ControlCode::Escape, _) | (ControlCode::Text, BELL) => ControlCode::None,
            (ControlCode::Sequence, 0x40..=0x7e) => ControlCode::None,
            (code @ (ControlCode::Sequence | ControlCode::Text), _) => code,
            (ControlCode::None, byte) => {
                if !is_control(byte) {
                    text.push(byte);
                }
                ControlCode::None
            }
        };
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8]) -> String {
        let mut text = PlainText::default();
        let mut all: Vec<u8> =
            bytes.iter().flat_map(|byte| text.push(&[*byte]).into_owned()).collect();
        all.extend(text.finish());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn control_codes_and_marks_go_and_text_stays() {
        let cases: [(&[u8], &str); 8] = [
            (b"\x1b[1;31mred\x1b[0m\r\n", "red\r\n"),
            (b"\x1b]0;a title\x07{}", "{}"),
            (b"\x1b]0;a title\x1b\\{}", "{}"),
            (b"a\0b\x08c\x7f", "abc"),
            (b"\x1b[\nnext", "\nnext"),
            (b"\x1b{\"a\"", "{\"a\""),
            (b"x", "x"),
            (b"", ""),
        ];
        for (bytes, expected) in cases {
            assert_eq!(plain(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn utf_16_with_a_mark_is_decoded_in_both_orders() {
        let text = "{\"a\":\"\u{e4}\u{1f600}\"}\n";
        let units: Vec<u16> = [0xfeff].into_iter().chain(text.encode_utf16()).collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!((plain(&little), plain(&big)), (text.to_owned(), text.to_owned()));
    }
}
