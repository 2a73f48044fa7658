//! What a signal carries.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::id::AgentId;

/// A JSON value as it was written, byte for byte but for line breaks: what is recorded is a line.
#[derive(Clone)]
pub struct SignalData(Arc<RawValue>);

/// The text is no JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the data is not JSON: {message}")]
pub struct NotSignalData {
    /// What is wrong, and where.
    pub message: String,
}

/// The members that a signal's own are read off; whatever else the data is, or holds, is nobody's
/// business here.
#[derive(Default, Deserialize)]
struct Members {
    agent_id: Option<Value>,
    success: Option<Value>,
    error: Option<Value>,
}

impl SignalData {
    /// Reads a JSON value of any kind.
    ///
    /// # Errors
    /// [`NotSignalData`] says what is wrong with the text.
    pub fn new(text: impl Into<String>) -> Result<Self, NotSignalData> {
        // Within a text of JSON they are escaped, so that these are nothing but layout.
        let text = text.into().replace(['\n', '\r'], " ");
        match RawValue::from_string(text) {
            Ok(value) => Ok(Self(value.into())),
            Err(error) => Err(NotSignalData { message: error.to_string() }),
        }
    }

    /// The agent that it names as the one that it is about.
    pub(super) fn agent(&self) -> Option<AgentId> {
        AgentId::new(self.members().agent_id?.as_str()?).ok()
    }

    /// Whether it says that something went wrong.
    pub(super) fn tells_of_failure(&self) -> bool {
        let Members { success, error, .. } = self.members();
        let nothing =
            |error: &Value| matches!(error, Value::Null | Value::Bool(false)) || error == "";
        success == Some(Value::Bool(false)) || error.is_some_and(|error| !nothing(&error))
    }

    fn members(&self) -> Members {
        serde_json::from_str(self.as_str()).unwrap_or_default()
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for SignalData {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SignalData {}

impl fmt::Debug for SignalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SignalData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignalData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_data_is_about_and_whether_it_went_well_is_read_off_its_members() {
        let read = |text: &str| {
            let data = SignalData::new(text).unwrap();
            (data.agent().map(|agent| agent.to_string()), data.tells_of_failure())
        };
        let about = |agent: &str| Some(agent.to_owned());
        assert_eq!(
            [
                read(r#"{"agent_id": "builder", "success": true, "error": null}"#),
                read(r#"{"agent_id": "builder", "success": false}"#),
                read(r#"{"error": "no disk", "more": [1, {"success": false}]}"#),
                read(r#"{"agent_id": 7, "success": "no", "error": ""}"#),
                read(r#"{"agent_id": ""}"#),
                read(r#"["agent_id", "success"]"#),
                read("{\n  \"agent_id\":\r\n\"builder\"\n}"),
                read("3"),
            ],
            [
                (about("builder"), false),
                (about("builder"), true),
                (None, true),
                (None, false),
                (None, false),
                (None, false),
                (about("builder"), false),
                (None, false),
            ]
        );
    }
}
