//! A context: what an agent is given to go by.

use antiphon_core::id::{AgentId, CoordinationId};
use antiphon_core::json_text::JsonText;
use serde_json::{Map, Value};

use super::fault::ContextFault;

/// What agents share, and what may be updated for several at once.
pub(super) const SHARED: &str = "shared_intelligence";

const VERSION: &str = "context_version";

/// What a member of a context may be, and what it is where it is not given.
#[derive(Clone, Copy)]
enum Member {
    Text(&'static str),
    /// The run's id, the agent's, or what this agent is.
    Run,
    Agent,
    Role,
    TextOrNull,
    Texts,
    Object,
    ObjectOfTexts,
    ObjectOfLists,
    /// A whole number of at least the first.
    AtLeast(u64, u64),
    /// The same, which is not filled in: what nobody asked for limits nothing.
    Limit(u64),
    /// A number from 0 to 1.
    Share(f64),
}

use Member::{
    Agent, AtLeast, Limit, Object, ObjectOfLists, ObjectOfTexts, Role, Run, Share, Text,
    TextOrNull, Texts,
};

const PARTS: [(&str, &[(&str, Member)]); 5] = [
    (
        "coordination_metadata",
        &[
            ("session_id", Run),
            ("coordination_id", Run),
            ("agent_id", Agent),
            ("agent_role", Role),
            ("parent_workflow_id", TextOrNull),
        ],
    ),
    (
        SHARED,
        &[
            ("type_registry", Object),
            ("pattern_library", ObjectOfLists),
            ("validation_rules", Object),
            ("naming_conventions", ObjectOfTexts),
            ("dependency_graph", ObjectOfLists),
        ],
    ),
    (
        "agent_assignment",
        &[
            ("objective", Text("")),
            ("tasks", Texts),
            ("input_data", Object),
            ("dependencies", Texts),
            ("output_requirements", Object),
            ("success_criteria", Object),
        ],
    ),
    (
        "coordination_protocols",
        &[
            ("update_interval_ms", AtLeast(100, 5_000)),
            ("heartbeat_interval_ms", AtLeast(100, 10_000)),
            ("status_update_channel", Text("state")),
            ("result_delivery_channel", Text("state")),
            ("error_reporting_channel", Text("state")),
            ("coordination_endpoint", TextOrNull),
        ],
    ),
    (
        "resource_allocation",
        &[
            ("max_execution_time_ms", Limit(1_000)),
            ("max_retry_attempts", Limit(0)),
            ("max_memory_mb", Limit(1)),
            ("quality_threshold", Share(0.8)),
            ("timeout_ms", AtLeast(100, 30_000)),
            ("concurrency_limit", AtLeast(1, 10)),
        ],
    ),
];

/// The parts of what agents share.
pub(super) fn shared_fields() -> impl Iterator<Item = &'static str> {
    let shared = PARTS.iter().find(|(part, _)| *part == SHARED);
    shared.into_iter().flat_map(|(_, members)| members.iter().map(|(name, _)| *name))
}

/// A context that is whole: every member that contexts have is there and within its bounds. Members
/// that are not known are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentContext {
    members: Map<String, Value>,
}

impl AgentContext {
    /// Reads a context, and fills in what it does not say.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(
        run: &CoordinationId,
        agent: &AgentId,
        given: Value,
    ) -> Result<Self, Vec<ContextFault>> {
        let Value::Object(mut members) = given else {
            return Err(vec![fault(String::new(), "must be an object")]);
        };
        let mut faults = Vec::new();
        for (part, expected) in PARTS {
            let given = members.entry(part).or_insert_with(|| Value::Object(Map::new()));
            let Some(given) = given.as_object_mut() else {
                faults.push(fault(format!("/{part}"), "must be an object"));
                continue;
            };
            for (name, member) in expected {
                if !given.contains_key(*name) {
                    given.extend(
                        member.default(run, agent).map(|value| ((*name).to_owned(), value)),
                    );
                }
                let checked = given.get(*name).map_or(Ok(()), |value| member.check(value, agent));
                if let Err(detail) = checked {
                    faults.push(fault(format!("/{part}/{name}"), detail));
                }
            }
        }
        let version = members.entry(VERSION).or_insert_with(|| 1.into());
        if let Err(detail) = AtLeast(1, 1).check(version, agent) {
            faults.push(fault(format!("/{VERSION}"), detail));
        }
        match faults.is_empty() {
            true => Ok(Self { members }),
            false => Err(faults),
        }
    }

    /// A context with what it does not say filled in; what is none stays as it is.
    pub(crate) fn completed(run: &CoordinationId, agent: &AgentId, given: JsonText) -> JsonText {
        let read = serde_json::from_str(given.as_str()).ok();
        let context = read.and_then(|value| Self::read(run, agent, value).ok());
        context.map_or(given, |context| context.json())
    }

    /// Its members.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// How often it was changed, as it says itself.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.members[VERSION].as_u64().unwrap_or(1)
    }

    /// Members with what was added to a part of what agents share.
    pub(super) fn updated(
        mut self,
        field: &str,
        data: &Map<String, Value>,
        counts: bool,
    ) -> Map<String, Value> {
        let version = self.version() + u64::from(counts);
        if let Some(shared) = self.members[SHARED][field].as_object_mut() {
            shared.extend(data.clone());
        }
        self.members.insert(VERSION.to_owned(), version.into());
        self.members
    }

    pub(super) fn json(&self) -> JsonText {
        let text = serde_json::to_string(&self.members).expect("BUG: its keys are texts");
        JsonText::new(text).expect("BUG: it was just written as JSON")
    }
}

fn fault(pointer: String, detail: impl Into<String>) -> ContextFault {
    ContextFault { pointer, detail: detail.into() }
}

impl Member {
    fn default(self, run: &CoordinationId, agent: &AgentId) -> Option<Value> {
        Some(match self {
            Limit(_) => return None,
            Text(text) => text.into(),
            Run => run.as_str().into(),
            Agent | Role => agent.as_str().into(),
            TextOrNull => Value::Null,
            Texts => Value::Array(Vec::new()),
            Object | ObjectOfTexts | ObjectOfLists => Value::Object(Map::new()),
            AtLeast(_, value) => value.into(),
            Share(value) => value.into(),
        })
    }

    fn check(self, value: &Value, agent: &AgentId) -> Result<(), String> {
        let texts =
            |value: &Value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
        let all = |value: &Value, is: &dyn Fn(&Value) -> bool| {
            value.as_object().is_some_and(|members| members.values().all(is))
        };
        let (holds, must_be) = match self {
            Text(_) | Run | Role => (value.is_string(), "must be a text".to_owned()),
            Agent => (value == agent.as_str(), format!("must be {agent}, whose context it is")),
            TextOrNull => (value.is_string() || value.is_null(), "must be a text".to_owned()),
            Texts => (texts(value), "must be a list of texts".to_owned()),
            Object => (value.is_object(), "must be an object".to_owned()),
            ObjectOfTexts => {
                (all(value, &Value::is_string), "must be an object of texts".to_owned())
            }
            ObjectOfLists => (all(value, &texts), "must be an object of lists of texts".to_owned()),
            AtLeast(least, _) | Limit(least) => (
                value.as_u64().is_some_and(|value| value >= least),
                format!("must be a whole number of at least {least}"),
            ),
            Share(_) => (
                value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)),
                "must be a number from 0 to 1".to_owned(),
            ),
        };
        if holds { Ok(()) } else { Err(must_be) }
    }
}
