//! How sessions are guarded: which program is their warden, and how long it may be silent.

use std::path::PathBuf;
use std::time::Duration;

use super::launch::Guard;

/// Which program is the warden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WardenProgram {
    /// This program itself, which must have called [`enter`](super::enter).
    #[default]
    Itself,
    /// An executable that calls [`enter`](super::enter), of this very version: the `antiphon`
    /// binary.
    At(PathBuf),
}

/// How sessions are guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WardenSetup {
    /// Which program is the warden.
    pub program: WardenProgram,
    /// What keeps a session from signalling its warden.
    pub guard: Guard,
    /// How often a warden says that it lives.
    pub beat: Duration,
    /// After which silence a warden is taken for lost.
    pub silence: Duration,
    /// How long ending a tree may take before its rest is reported as left over.
    pub end_within: Duration,
}

impl Default for WardenSetup {
    fn default() -> Self {
        Self {
            program: WardenProgram::default(),
            guard: Guard::default(),
            beat: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            end_within: Duration::from_secs(10),
        }
    }
}
