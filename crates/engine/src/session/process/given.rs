//! What a session finds in its context file.

use std::collections::BTreeMap;

use antiphon_core::id::{CoordinationId, SessionId, WorkId};
use antiphon_core::json_text::JsonText;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::contexts::ContextLimits;
use crate::plan::Rendered;
use crate::session::SessionContext;

/// What a session is given that is not in the description of its command.
pub(super) struct Given<'a> {
    outputs: &'a BTreeMap<WorkId, Vec<u8>>,
    context: Option<&'a JsonText>,
}

/// What a session finds in its context file.
#[derive(serde::Serialize)]
struct ContextFile<'a> {
    attempt: u32,
    /// What its agent is given to go by, as it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a RawValue>,
    inputs: &'a BTreeMap<String, String>,
    outputs: Map<String, Value>,
    run: &'a CoordinationId,
    session: &'a SessionId,
    work: &'a WorkId,
}

impl<'a> Given<'a> {
    pub(super) fn new(
        outputs: &'a BTreeMap<WorkId, Vec<u8>>,
        context: Option<&'a JsonText>,
    ) -> Self {
        Self { outputs, context }
    }

    /// What it is given to go by sets these limits to it.
    pub(super) fn limits(&self) -> ContextLimits {
        self.context.map(ContextLimits::of).unwrap_or_default()
    }

    pub(super) fn file(&self, session: &SessionContext, filled: &Rendered) -> Vec<u8> {
        let shown = |bytes: &Vec<u8>| {
            serde_json::from_slice(bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
        };
        let outputs = self.outputs.iter().map(|(work, bytes)| (work.to_string(), shown(bytes)));
        let context = self.context.and_then(|context| serde_json::from_str(context.as_str()).ok());
        let file = ContextFile {
            attempt: session.attempt(),
            context,
            inputs: &filled.inputs,
            outputs: outputs.collect(),
            run: session.coordination(),
            session: session.session(),
            work: session.work(),
        };
        serde_json::to_vec(&file).expect("BUG: all of it is JSON")
    }
}
