//! Contexts of the agents of a run, as they are changed and read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Contexts that agents are given, with one event.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ContextsRequest {
    /// By agent. What a context does not say is filled in.
    pub contexts: BTreeMap<String, Value>,
}

/// What is added to what agents share, with one event.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ContextUpdate {
    /// Which part of `shared_intelligence`.
    pub field: String,
    /// Its members take the place of those with their names.
    pub data: Map<String, Value>,
    /// Whose; those of all who have a context if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
    /// Whether `context_version` stays as it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub same_version: bool,
}

/// Agents whose contexts are taken from them; all if it is absent.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ContextDeletion {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
}

/// The context of an agent.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Context {
    pub run: String,
    pub agent: String,
    pub context: Map<String, Value>,
}

/// The agents of a run that have a context, by name.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ContextList {
    pub run: String,
    pub agents: Vec<String>,
}
