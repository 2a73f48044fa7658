//! A signal as those who listen get it.

use antiphon_core::coordination::SignalType;
use antiphon_core::id::{AgentId, Version};
use antiphon_core::json_text::JsonText;
use antiphon_core::time::{LedgerTime, WallTime};

/// A signal of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct HeardSignal {
    /// Where in the run's stream it is.
    pub version: Version,
    pub at: LedgerTime,
    pub wall: WallTime,
    pub kind: SignalType,
    pub from: AgentId,
    /// Whom it is for; everybody if it names nobody.
    pub to: Vec<AgentId>,
    /// Whom it is about: its sender, if it names nobody else.
    pub about: AgentId,
    /// Whether it tells of a failure.
    pub failed: bool,
    /// What it carries; nothing also where that was erased.
    pub data: Option<JsonText>,
}

impl HeardSignal {
    /// Its data as a value; null if there is none.
    ///
    /// # Errors
    /// If the data is nested more deeply than can be read.
    pub fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        self.data
            .as_ref()
            .map_or(Ok(serde_json::Value::Null), |data| serde_json::from_str(data.as_str()))
    }
}
