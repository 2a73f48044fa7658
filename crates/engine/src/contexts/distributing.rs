//! Contexts of the agents of a run.

use std::time::Instant;

use antiphon_core::coordination::{Expected, KeyWrite};
use antiphon_core::id::{AgentId, CommandId, CoordinationId, KeyName, Version};
use serde_json::{Map, Value};

use super::error::ContextError;
use super::package::{AgentContext, shared_fields};
use crate::keys::FoundKey;
use crate::mailbox::Handle;
use crate::stats::Metric;

/// What begins the key of each context.
const PREFIX: &str = "context/";

/// Keys that are read at a time.
const PAGE: usize = 1_000;

/// How often an update is tried again that somebody else was faster than.
const TRIES: usize = 16;

/// The contexts of the agents of a run: one key each, which the sessions of an item find in their
/// context file from their binding on.
#[derive(Debug, Clone)]
pub struct Contexts {
    handle: Handle,
    run: CoordinationId,
    command: Option<CommandId>,
}

/// What is added to what agents share.
#[derive(Debug, Clone, PartialEq)]
pub struct IntelligenceUpdate {
    /// Which part: `type_registry`, `pattern_library`, `validation_rules`, `naming_conventions` or
    /// `dependency_graph`.
    pub field: String,
    /// Its members take the place of those with their names.
    pub data: Map<String, Value>,
    /// Whose; those of all who have a context if it names nobody.
    pub agents: Option<Vec<AgentId>>,
    /// Whether `context_version` grows.
    pub counts: bool,
}

impl Contexts {
    pub(crate) fn new(handle: Handle, run: CoordinationId, command: Option<CommandId>) -> Self {
        Self { handle, run, command }
    }

    /// Gives agents their contexts, each its own copy, all with one event. What a context does not say is
    /// filled in.
    ///
    /// # Errors
    /// [`ContextError`] if one is no context, or cannot be recorded.
    pub async fn distribute(
        &self,
        contexts: impl IntoIterator<Item = (AgentId, Value)>,
    ) -> Result<Version, ContextError> {
        let (began, stats) = (Instant::now(), self.handle.stats());
        let (mut writes, mut sizes) = (Vec::new(), Vec::new());
        for (agent, given) in contexts {
            let context = self.read(agent.clone(), given)?.json();
            sizes.push(context.as_str().len() as u64);
            writes.push(KeyWrite::set(key(&agent)?, context)?);
        }
        let version = self.set(writes).await?;
        let (took, agents) = (began.elapsed(), u32::try_from(sizes.len()).unwrap_or(u32::MAX));
        stats.record_time(Metric::ContextDistribution, took);
        for size in sizes {
            stats.record(Metric::ContextSize, size);
            stats.record_time(Metric::ContextDistributionPerAgent, took / agents);
        }
        Ok(version)
    }

    /// The context of an agent, if it has one.
    ///
    /// # Errors
    /// [`ContextError`] if the ledger cannot be read, or somebody has set the key to something else.
    pub async fn get(&self, agent: &AgentId) -> Result<Option<AgentContext>, ContextError> {
        let found = self.handle.key(&self.run, key(agent)?.as_str()).await?;
        let context = found.map(|found| self.found(agent.clone(), &found));
        context.transpose()
    }

    /// The agents that have a context.
    ///
    /// # Errors
    /// [`ContextError`] if the ledger cannot be read.
    pub async fn agents(&self) -> Result<Vec<AgentId>, ContextError> {
        let all = self.all().await?;
        Ok(all.into_iter().map(|(agent, _)| agent).collect())
    }

    /// Adds to a part of what agents share, for some or for all of them, with one event. It rests on what
    /// the contexts are, and is tried again where somebody else changes one meanwhile.
    ///
    /// # Errors
    /// [`ContextError`] if there is no such part, an agent has no context, or one would be none with it.
    pub async fn update(&self, update: &IntelligenceUpdate) -> Result<Version, ContextError> {
        if !shared_fields().any(|field| field == update.field) {
            let known = shared_fields().collect::<Vec<_>>().join(", ");
            return Err(ContextError::UnknownField { field: update.field.clone(), known });
        }
        let mut tries = 1..TRIES;
        loop {
            let written = self.update_once(update).await;
            match written {
                Err(error) if error.is_stale() && tries.next().is_some() => {}
                written => return written,
            }
        }
    }

    async fn update_once(&self, update: &IntelligenceUpdate) -> Result<Version, ContextError> {
        let mut all = self.all().await?;
        if let Some(agents) = &update.agents {
            let has_none = |agent: &&AgentId| all.iter().all(|(found, _)| found != *agent);
            if let Some(agent) = agents.iter().find(has_none) {
                return Err(ContextError::UnknownAgent { agent: agent.clone() });
            }
            all.retain(|(agent, _)| agents.contains(agent));
        }
        let mut writes = Vec::new();
        for (agent, found) in all {
            let context = self.found(agent.clone(), &found)?;
            let members = context.updated(&update.field, &update.data, update.counts);
            let context = self.read(agent, Value::Object(members))?;
            let write = KeyWrite::set(found.key, context.json())?;
            writes.push(write.expecting(Expected::At(found.version)));
        }
        self.set(writes).await
    }

    /// Takes their contexts from agents, or from all; one that has none is no error.
    ///
    /// # Errors
    /// [`ContextError`] if it cannot be recorded.
    pub async fn delete(&self, agents: Option<&[AgentId]>) -> Result<Version, ContextError> {
        let agents = match agents {
            Some(agents) => agents.to_vec(),
            None => self.agents().await?,
        };
        let keys = agents.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        self.set(keys.into_iter().map(KeyWrite::delete).collect()).await
    }

    async fn set(&self, writes: Vec<KeyWrite>) -> Result<Version, ContextError> {
        Ok(self.handle.set_keys(&self.run, writes, self.command.clone()).await?)
    }

    async fn all(&self) -> Result<Vec<(AgentId, FoundKey)>, ContextError> {
        let mut all: Vec<(AgentId, FoundKey)> = Vec::new();
        loop {
            let after = all.last().map(|(_, last)| last.key.as_str());
            let page = self.handle.keys(&self.run, PREFIX, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            all.extend(page.into_iter().filter_map(|found| {
                Some((AgentId::new(&found.key.as_str()[PREFIX.len()..]).ok()?, found))
            }));
            if is_last {
                return Ok(all);
            }
        }
    }

    fn found(&self, agent: AgentId, found: &FoundKey) -> Result<AgentContext, ContextError> {
        self.read(agent, serde_json::from_str(found.value.as_str()).unwrap_or_default())
    }

    fn read(&self, agent: AgentId, given: Value) -> Result<AgentContext, ContextError> {
        AgentContext::read(&self.run, &agent, given)
            .map_err(|faults| ContextError::NotAContext { agent, faults })
    }
}

fn key(agent: &AgentId) -> Result<KeyName, ContextError> {
    let key = KeyName::new(format!("{PREFIX}{agent}"));
    key.map_err(|error| {
        let faults =
            vec![super::fault::ContextFault { pointer: String::new(), detail: error.to_string() }];
        ContextError::NotAContext { agent: agent.clone(), faults }
    })
}
