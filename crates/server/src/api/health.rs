//! That an engine takes commands.

use serde::{Deserialize, Serialize};

/// The answer of an engine that takes commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`; in every other case the answer is a problem.
    pub status: String,
    /// The engine's version.
    pub engine: String,
    /// The process id of the engine.
    pub pid: u32,
}
