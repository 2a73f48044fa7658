//! JSON documents that say which version of their form they are in.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The member of a document whose versions are numbers.
#[derive(Debug, Deserialize)]
pub(crate) struct Schema {
    pub(crate) schema: u32,
}

/// The member of a document whose versions are names.
#[derive(Debug, Deserialize)]
pub(crate) struct Format {
    pub(crate) format: String,
}

/// Why a document cannot be read.
#[derive(Debug)]
pub(crate) enum TaggedError<V> {
    /// It is in another version.
    Version {
        found: V,
    },
    Malformed(serde_json::Error),
}

/// Reads a document of a known version.
///
/// The version is looked at first: what a later one has in addition would otherwise be reported as
/// malformed.
pub(crate) fn read<Tag, V, T>(
    bytes: &[u8],
    version: impl FnOnce(Tag) -> V,
    known: &V,
) -> Result<T, TaggedError<V>>
where
    Tag: DeserializeOwned,
    V: PartialEq,
    T: DeserializeOwned,
{
    let tag = serde_json::from_slice(bytes).map_err(TaggedError::Malformed)?;
    let found = version(tag);
    if found != *known {
        return Err(TaggedError::Version { found });
    }
    serde_json::from_slice(bytes).map_err(TaggedError::Malformed)
}
