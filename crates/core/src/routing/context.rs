//! What routers know besides the state.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::name::{Name, NameError};

/// What routers know besides the state: the task that was attempted, and how that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingContext {
    /// The task that was attempted.
    pub current_task: Name,
    /// How long it took.
    #[serde(default, with = "super::milliseconds")]
    pub execution_time: Duration,
    /// How often it was tried again.
    #[serde(default)]
    pub retry_count: u32,
    /// What else the caller wants routers to know; `priority` is read by [`PriorityRouter`].
    ///
    /// [`PriorityRouter`]: super::PriorityRouter
    #[serde(default)]
    pub custom_data: Map<String, Value>,
    /// Whatever the caller finds this routing by.
    #[serde(default)]
    pub correlation_id: Option<String>,
}

impl RoutingContext {
    /// The first attempt at a task, of which nothing else is known.
    ///
    /// # Errors
    /// [`NameError`] if the name of the task is empty or has more than 256 characters.
    pub fn new(current_task: impl AsRef<str>) -> Result<Self, NameError> {
        Ok(Self {
            current_task: Name::new(current_task)?,
            execution_time: Duration::ZERO,
            retry_count: 0,
            custom_data: Map::new(),
            correlation_id: None,
        })
    }

    /// The same, with how long the task took.
    #[must_use]
    pub fn after(self, execution_time: Duration) -> Self {
        Self { execution_time, ..self }
    }

    /// The same, with how often the task was tried again.
    #[must_use]
    pub fn with_retries(self, retry_count: u32) -> Self {
        Self { retry_count, ..self }
    }

    /// The same, with one more thing for routers to know.
    #[must_use]
    pub fn with_custom(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.custom_data.insert(name.into(), value.into());
        self
    }

    /// The same, with what the caller finds this routing by.
    #[must_use]
    pub fn with_correlation_id(self, id: impl Into<String>) -> Self {
        Self { correlation_id: Some(id.into()), ..self }
    }
}
