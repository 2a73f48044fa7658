//! Who is there to carry out sessions, and what each can do.

use std::collections::BTreeMap;

use super::work::Runner;
use crate::id::RunnerName;

/// What a registered runner can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capability {
    /// Whether it reports the tokens that it uses; only then is it granted some.
    pub reports_tokens: bool,
    /// Whether it reports its cost.
    pub reports_cost: bool,
    /// Ceiling of sessions, for a nested coordination.
    pub sessions: Option<u32>,
}

/// The runners that are there to carry out sessions.
#[derive(Debug, Clone, Default)]
pub struct Runners {
    known: BTreeMap<Runner, Capability>,
    processes: bool,
}

impl Runners {
    /// Only the driver of the coordination, who reports tokens and cost.
    #[must_use]
    pub fn caller() -> Self {
        let capability = Capability { reports_tokens: true, reports_cost: true, sessions: None };
        Self { known: [(Runner::Caller, capability)].into(), processes: false }
    }

    /// Adds a function, or replaces what was known of it.
    pub fn add_function(&mut self, name: RunnerName, capability: Capability) {
        self.known.insert(Runner::Function(name), capability);
    }

    /// Adds a configuration for nested coordinations, with its ceiling of sessions.
    pub fn add_plan(&mut self, name: RunnerName, sessions: u32) {
        let capability =
            Capability { reports_tokens: true, reports_cost: true, sessions: Some(sessions) };
        self.known.insert(Runner::Plan(name), capability);
    }

    /// Says that processes can be started here.
    pub fn allow_processes(&mut self) {
        self.processes = true;
    }

    /// What a runner can do, if it is there.
    #[must_use]
    pub fn get(&self, runner: &Runner) -> Option<Capability> {
        match *runner {
            Runner::Nested { sessions } => Some(Capability {
                reports_tokens: true,
                reports_cost: true,
                sessions: Some(sessions),
            }),
            Runner::Process { reports_tokens, reports_cost, .. } => self
                .processes
                .then_some(Capability { reports_tokens, reports_cost, sessions: None }),
            Runner::Function(_) | Runner::Plan(_) | Runner::Caller => {
                self.known.get(runner).copied()
            }
        }
    }
}
