//! What is expected of a key that is to be changed.

use crate::id::Version;

/// What a change rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// Nothing: it is made whatever the key is.
    #[default]
    Anything,
    /// That there is no such key.
    Nothing,
    /// That the key was last set at this version.
    At(Version),
}
