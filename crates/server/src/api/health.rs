//! That an engine takes commands.

use serde::{Deserialize, Serialize};

/// The answer of an engine that takes commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Health {
    /// `ok`; in every other case the answer is a problem.
    pub status: String,
    pub engine: String,
    /// The process id of the engine.
    pub pid: u32,
    /// What keeps sessions from starting on the engine's machine, if anything does: open files,
    /// processes, memory or room on a disk that ran out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortage: Option<String>,
}
