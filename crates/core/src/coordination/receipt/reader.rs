//! Reads length-prefixed bytes back, one value after the other, and says where they are wrong.

use super::error::ReceiptError;
use crate::digest::Digest;

/// What is left of some bytes, and how far they have been read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    left: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, length: bytes.len() }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.length - self.left.len()
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], ReceiptError> {
        let Some((taken, left)) = self.left.split_at_checked(count) else {
            return Err(ReceiptError::CutOff { at: self.at(), what });
        };
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReceiptError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, ReceiptError> {
        self.array(what).map(u8::from_be_bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, ReceiptError> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, ReceiptError> {
        self.array(what).map(u64::from_be_bytes)
    }

    pub(super) fn digest(&mut self, what: &'static str) -> Result<Digest, ReceiptError> {
        self.array(what).map(Digest)
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str, ReceiptError> {
        let at = self.at();
        let length = self.u32(what)? as usize;
        let text = self.take(length, what)?;
        str::from_utf8(text).map_err(|_| ReceiptError::NotText { at, what })
    }

    /// A byte that is 0 or 1.
    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, ReceiptError> {
        let at = self.at();
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(ReceiptError::UnknownCode { at, what, found }),
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, ReceiptError>,
    ) -> Result<Option<T>, ReceiptError> {
        if self.flag(what)? { read(self).map(Some) } else { Ok(None) }
    }

    /// A list of at most `max` members. A length that the bytes left cannot hold, at one byte a
    /// member, is refused before anything is made room for.
    pub(super) fn list<T>(
        &mut self,
        what: &'static str,
        max: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, ReceiptError>,
    ) -> Result<Vec<T>, ReceiptError> {
        let at = self.at();
        let length = self.u32(what)? as usize;
        if length > max {
            return Err(ReceiptError::TooMany { at, what, actual: length, max });
        }
        if length > self.left.len() {
            return Err(ReceiptError::CutOff { at, what });
        }
        (0..length).map(|_| read(self)).collect()
    }

    /// Whether a section with this tag follows; if so, it has been begun.
    pub(super) fn section(&mut self, tag: &str) -> bool {
        let length = u32::try_from(tag.len()).unwrap_or(u32::MAX).to_be_bytes();
        let left =
            self.left.strip_prefix(&length).and_then(|left| left.strip_prefix(tag.as_bytes()));
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// Refuses whatever is left.
    pub(super) fn end(self) -> Result<(), ReceiptError> {
        match self.left.len() {
            0 => Ok(()),
            count => Err(ReceiptError::Trailing { at: self.at(), count }),
        }
    }
}
