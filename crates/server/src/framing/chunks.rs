//! A body in chunks: where it ends.

/// Most digits in the size of a chunk: more than any limit on bodies.
const MAX_DIGITS: u8 = 12;

/// How far a body in chunks has come.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// The size of the chunk, as far as it was read.
    size: u64,
    digits: u8,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    /// Blanks after the size, before an extension or the end of the line.
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a line after the last chunk: of a trailer, or of the empty one.
    LineStart,
    Trailer,
    TrailerLf,
    LastLf,
    Whole,
    /// What came is no chunk.
    Broken,
}

impl Chunks {
    pub(super) fn is_whole(&self) -> bool {
        self.at == At::Whole
    }

    pub(super) fn is_broken(&self) -> bool {
        self.at == At::Broken
    }

    /// How many of the next bytes belong to the body: all, unless it is whole or broken then.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_whole() {
            if self.at == At::Data {
                let left = bytes.len() - taken;
                let here = usize::try_from(self.size).map_or(left, |size| size.min(left));
                taken += here;
                self.size -= here as u64;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
            } else {
                self.at = self.after(bytes[taken]).unwrap_or(At::Broken);
                if self.is_broken() {
                    break;
                }
                taken += 1;
            }
        }
        taken
    }

    /// What comes after a byte, if it may be there.
    fn after(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Size, digit) if digit.is_ascii_hexdigit() && self.digits < MAX_DIGITS => {
                self.digits += 1;
                self.size = self.size * 16 + u64::from(char::from(digit).to_digit(16)?);
                At::Size
            }
            (At::Size | At::Blank, b' ' | b'\t') if self.digits > 0 => At::Blank,
            (At::Size | At::Blank, b';') if self.digits > 0 => At::Extension,
            (At::Size | At::Blank, b'\r') if self.digits > 0 => At::SizeLf,
            (At::Extension, b'\r') => At::SizeLf,
            (At::Extension, byte) if byte != b'\n' => At::Extension,
            (At::SizeLf, b'\n') => {
                self.digits = 0;
                if self.size == 0 { At::LineStart } else { At::Data }
            }
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size,
            (At::LineStart, b'\r') => At::LastLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::LineStart | At::Trailer, byte) if byte != b'\n' => At::Trailer,
            (At::TrailerLf, b'\n') => At::LineStart,
            (At::LastLf, b'\n') => At::Whole,
            _ => return None,
        })
    }
}
