//! Systems on which it cannot be proved that a session left nothing running: sessions as processes
//! are refused there.

use std::os::fd::AsFd;
use std::path::Path;

use super::launch::WardensError;
use crate::folder::Folder;

/// How sessions are guarded; nothing to choose here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WardenSetup {}

/// Does nothing on this system.
pub fn enter() {}

/// No session has processes on this system.
#[must_use]
pub fn session_of(_state_directory: impl AsFd, _pid: u32) -> Option<antiphon_core::id::SessionId> {
    None
}

/// The way to start sessions, of which there is none on this system.
#[derive(Debug, Clone)]
pub enum Wardens {}

impl Wardens {
    /// Refuses.
    ///
    /// # Errors
    /// Always [`WardensError::Unsupported`].
    pub fn open(_state_directory: &Path, _setup: WardenSetup) -> Result<Self, WardensError> {
        Err(WardensError::Unsupported)
    }

    pub(crate) fn in_folder(_state: Folder, _setup: WardenSetup) -> Result<Self, WardensError> {
        Err(WardensError::Unsupported)
    }
}
