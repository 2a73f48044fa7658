//! What is read off a signal's data, for the members of the signal that stand beside it.

use serde::Deserialize;
use serde_json::Value;

use crate::id::AgentId;
use crate::json_text::JsonText;

/// The members that a signal's own are read off; whatever else the data is, or holds, is nobody's
/// business here.
#[derive(Default, Deserialize)]
struct Members {
    agent_id: Option<Value>,
    success: Option<Value>,
    error: Option<Value>,
}

/// The agent that data names as the one that it is about.
pub(super) fn agent_in(data: &JsonText) -> Option<AgentId> {
    AgentId::new(members(data).agent_id?.as_str()?).ok()
}

/// Whether data says that something went wrong.
pub(super) fn tells_of_failure(data: &JsonText) -> bool {
    let Members { success, error, .. } = members(data);
    let nothing = |error: &Value| matches!(error, Value::Null | Value::Bool(false)) || error == "";
    success == Some(Value::Bool(false)) || error.is_some_and(|error| !nothing(&error))
}

fn members(data: &JsonText) -> Members {
    serde_json::from_str(data.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_data_is_about_and_whether_it_went_well_is_read_off_its_members() {
        let read = |text: &str| {
            let data = JsonText::new(text).unwrap();
            (agent_in(&data).map(|agent| agent.to_string()), tells_of_failure(&data))
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
