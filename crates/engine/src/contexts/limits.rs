//! The limits that a context sets to the sessions which it is given to.

use std::time::Duration;

use antiphon_core::json_text::JsonText;
use serde_json::Value;

/// What a session may take at most, as far as its context says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ContextLimits {
    pub time: Option<Duration>,
    /// In bytes.
    pub memory: Option<u64>,
}

impl ContextLimits {
    /// Those in `resource_allocation`: `max_execution_time_ms` and `max_memory_mb`. What is not a number
    /// there limits nothing, as anybody outside of a session may set the key to anything.
    #[must_use]
    pub fn of(context: &JsonText) -> Self {
        let context: Value = serde_json::from_str(context.as_str()).unwrap_or_default();
        let number = |name: &str| context["resource_allocation"][name].as_u64();
        Self {
            time: number("max_execution_time_ms").map(Duration::from_millis),
            memory: number("max_memory_mb").map(|mib| mib.saturating_mul(1 << 20)),
        }
    }
}
