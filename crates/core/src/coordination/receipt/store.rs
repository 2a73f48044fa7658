//! Where receipts are kept, by the digest of their bytes.

use crate::digest::Digest;
use crate::envelope::Blob;

/// Where a receipt can be stored by the digest of its bytes.
pub trait ContentStore {
    /// What can go wrong.
    type Error;

    /// Stores a blob under its digest; storing it again changes nothing.
    ///
    /// # Errors
    /// Whatever the store says.
    fn put(&mut self, blob: Blob) -> Result<(), Self::Error>;
}

impl ContentStore for std::collections::BTreeMap<Digest, Vec<u8>> {
    type Error = std::convert::Infallible;
    fn put(&mut self, blob: Blob) -> Result<(), Self::Error> {
        self.insert(blob.digest, blob.bytes);
        Ok(())
    }
}
