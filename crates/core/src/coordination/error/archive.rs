//! What can be wrong with an archive of finished items.

use crate::digest::Digest;

/// What is kept of finished items that left memory is not what its name says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "blob {archive}, which holds finished items, is damaged; run verify, and restore it \
     from a copy"
)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct ArchiveDamaged {
    pub archive: Digest,
}
