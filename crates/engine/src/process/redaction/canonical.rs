//! Text with every way of escaping undone that JSON has, at any depth, so that a value looks the same
//! however it was written.
//!
//! Backslashes go, `\\u0041` becomes its character, and the control characters that have a letter as
//! their escape become that letter. That is done to values and to output alike. Different texts may
//! become the same, which replaces a little more than a value; none of a value is let through.

/// Most backslashes that belong to what they stand before: a quote in JSON seven levels deep has
/// 127.
const MAX_BACKSLASHES: u64 = 128;

/// A byte of canonical text, and where what it was written as begins and ends in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) byte: u8,
    pub(super) begin: u64,
    pub(super) end: u64,
}

/// Something that canonical text consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Symbol(Symbol),
    /// So many backslashes in a row that nothing goes across them.
    Break,
}

/// The first of four hexadecimal digits, as they were written.
#[derive(Debug, Clone, Copy, Default)]
struct Digits {
    bytes: [u8; 4],
    length: usize,
}

impl Digits {
    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The unit of UTF-16 that four digits stand for.
    fn unit(self) -> Option<u16> {
        let text = (self.length == 4).then_some(&self.bytes)?;
        u16::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
    }
}

/// Takes a stream byte by byte.
#[derive(Debug, Default)]
pub(super) struct Canonical {
    /// How much of the stream was taken.
    at: u64,
    /// Backslashes before the next byte.
    backslashes: u64,
    /// A `u` after backslashes, with the hexadecimal digits that have come, and where they began.
    unit: Option<(u64, Digits)>,
    /// The first half of a pair of surrogates, and where it began.
    half: Option<(u64, u16)>,
    /// Whether digits are taken for themselves.
    has_digits: bool,
}

impl Canonical {
    /// The same, but that digits after `\\u` are taken for themselves: the last of them may be the
    /// beginning of a value.
    pub(super) fn with_digits() -> Self {
        Self { has_digits: true, ..Self::default() }
    }

    /// Takes a byte.
    pub(super) fn push(&mut self, byte: u8, found: &mut impl FnMut(Piece)) {
        self.at += 1;
        if let Some((begin, mut digits)) = self.unit {
            if byte.is_ascii_hexdigit() {
                digits.push(byte);
                self.unit = Some((begin, digits));
                if let Some(unit) = digits.unit() {
                    self.unit = None;
                    self.take_unit(begin, unit, found);
                }
                return;
            }
            self.give_up_unit(self.at - 1, found);
        }
        match byte {
            b'\\' => {
                self.backslashes += 1;
                if self.backslashes > MAX_BACKSLASHES {
                    self.give_up_half(found);
                    self.backslashes = 0;
                    found(Piece::Break);
                }
            }
            b'u' if self.backslashes > 0 && !self.has_digits => {
                let begin = self.at - 1 - std::mem::take(&mut self.backslashes);
                self.unit = Some((begin, Digits::default()));
            }
            byte => {
                self.give_up_half(found);
                let begin = self.at - 1 - std::mem::take(&mut self.backslashes);
                self.take_plain(begin, self.at, byte, found);
            }
        }
    }

    /// Whether the next byte stands for itself.
    pub(super) fn is_idle(&self) -> bool {
        self.backslashes == 0 && self.unit.is_none() && self.half.is_none()
    }

    /// Takes so many backslashes, which are as good as taken one by one.
    pub(super) fn push_backslashes(&mut self, count: usize, found: &mut impl FnMut(Piece)) {
        let Some(more) = (count as u64).checked_sub(2 * MAX_BACKSLASHES) else {
            return (0..count).for_each(|_| self.push(b'\\', found));
        };
        // What comes of more than that many is the same, but for where it is.
        (0..MAX_BACKSLASHES + 1).for_each(|_| self.push(b'\\', found));
        self.at += more;
        (0..MAX_BACKSLASHES - 1).for_each(|_| self.push(b'\\', found));
    }

    /// Passes over bytes that nobody has to know, while idle.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes as u64;
    }

    /// Where the bytes begin that are not part of a symbol yet.
    pub(super) fn begin_of_rest(&self) -> u64 {
        let unit = self.unit.as_ref().map(|(begin, _)| *begin);
        let half = self.half.map(|(begin, _)| begin);
        half.or(unit).unwrap_or(self.at - self.backslashes)
    }

    /// There is nothing more.
    pub(super) fn finish(&mut self, found: &mut impl FnMut(Piece)) {
        self.give_up_unit(self.at, found);
        self.backslashes = 0;
    }

    /// No escape after all, up to here: these bytes are what they are.
    fn give_up_unit(&mut self, end: u64, found: &mut impl FnMut(Piece)) {
        self.give_up_half(found);
        let Some((begin, digits)) = self.unit.take() else { return };
        let first = end - digits.length as u64;
        self.take_plain(begin, first, b'u', found);
        for (begin, &digit) in (first..).zip(digits.as_slice()) {
            self.take_plain(begin, begin + 1, digit, found);
        }
    }

    fn take_unit(&mut self, begin: u64, unit: u16, found: &mut impl FnMut(Piece)) {
        let (begin, units) = match self.half.take() {
            Some((first, half)) if (0xdc00..0xe000).contains(&unit) => (first, vec![half, unit]),
            Some((first, half)) => {
                self.half = Some((first, half));
                self.give_up_half(found);
                (begin, vec![unit])
            }
            None => (begin, vec![unit]),
        };
        if (0xd800..0xdc00).contains(&unit) {
            self.half = Some((begin, unit));
            return;
        }
        for char in char::decode_utf16(units) {
            let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
            if char == '\\' {
                continue;
            }
            for &byte in char.encode_utf8(&mut [0; 4]).as_bytes() {
                self.take_plain(begin, self.at, byte, found);
            }
        }
    }

    /// Half of a pair without the other is no character of any value.
    fn give_up_half(&mut self, found: &mut impl FnMut(Piece)) {
        if self.half.take().is_some() {
            found(Piece::Break);
        }
    }

    fn take_plain(&self, begin: u64, end: u64, byte: u8, found: &mut impl FnMut(Piece)) {
        let byte = match byte {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            byte => byte,
        };
        found(Piece::Symbol(Symbol { byte, begin, end }));
    }
}

/// The whole of a text, in a way of reading it.
pub(super) fn canonical(mut reading: Canonical, text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut keep = |piece| {
        if let Piece::Symbol(symbol) = piece {
            bytes.push(symbol.byte);
        }
    };
    text.bytes().for_each(|byte| reading.push(byte, &mut keep));
    reading.finish(&mut keep);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<u8> {
        canonical(Canonical::default(), text)
    }

    #[test]
    fn texts_look_the_same_however_they_are_escaped() {
        let text = "p\"a\\ss/w\u{f6}rd\n\u{1f600}\t\u{8}";
        let expected = read(text);
        let mut written = text.to_owned();
        for depth in 0..5 {
            written = serde_json::to_string(&written).unwrap();
            let inside = read(written.trim_matches(['"', '\\']));
            assert_eq!(inside, expected, "{depth}: {written}");
        }
        let spelled = r#"\u0070\"a\\ss\/w\u00F6rd\u000a\ud83d\ude00\t\b"#;
        assert_eq!(read(spelled), expected);
        assert_eq!(read("\\u00zz\\u12"), b"u00zzu12");
    }

    #[test]
    fn each_symbol_knows_where_it_was_written() {
        let mut found = Vec::new();
        let mut state = Canonical::default();
        for byte in *b"a\\\\n\\u00f6\\u0" {
            state.push(byte, &mut |piece| found.push(piece));
        }
        let symbol = |byte, begin, end| Piece::Symbol(Symbol { byte, begin, end });
        assert_eq!(
            found,
            [symbol(b'a', 0, 1), symbol(b'n', 1, 4), symbol(0xc3, 4, 10), symbol(0xb6, 4, 10)]
        );
        assert_eq!(state.begin_of_rest(), 10);
        state.finish(&mut |piece| found.push(piece));
        assert_eq!(found[4..], [symbol(b'u', 10, 12), symbol(b'0', 12, 13)]);
    }
}
