//! `usage:`: how tokens and cost of a session are read.

use serde::{Deserialize, Serialize};

use crate::plan::mapping::ValueKind;
use crate::plan::text::{Diagnostics, Node};

pub(super) const USAGE: ValueKind = ValueKind::Word(&["none", "result", "claude", "claude-stream"]);

/// The readers, by the word that names them.
const READERS: [(&str, UsageReader); 4] = [
    ("none", UsageReader::None),
    ("result", UsageReader::Result),
    ("claude", UsageReader::Claude),
    ("claude-stream", UsageReader::ClaudeStream),
];

/// How tokens and cost are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum UsageReader {
    #[default]
    None,
    /// From the result file.
    Result,
    /// From what `claude -p --output-format json` prints.
    Claude,
    /// From what `claude -p --output-format stream-json` prints.
    ClaudeStream,
}

impl UsageReader {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        diagnostics.choice(node, &READERS)
    }

    /// Whether tokens and cost are measured, so that limits on them can be enforced.
    #[must_use]
    pub fn reports(self) -> bool {
        self != Self::None
    }
}
