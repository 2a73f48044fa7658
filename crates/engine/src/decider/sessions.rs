//! The sessions of this engine: what carries them out, those that run, and ends that wait for the
//! ledger to take something in again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::{Capability, CoordinationConfig, Runner, Runners, StopCause};
use antiphon_core::id::{CoordinationId, Fence, RunnerName, SessionId};
use antiphon_core::world::Spawn;
use tokio::sync::mpsc;

use crate::mailbox::Handle;
use crate::secrets::Secrets;
use crate::session::{Patience, Processes, ReportedEnd, RunnerFn, RunningSessions};

/// What carries sessions out, and those that run.
pub(super) struct Sessions {
    functions: HashMap<RunnerName, RunnerFn>,
    plans: HashMap<RunnerName, CoordinationConfig>,
    processes: Option<Arc<Processes>>,
    process_runner: Option<RunnerFn>,
    secrets: Arc<Secrets>,
    /// What the world may bind now.
    runners: Runners,
    running: RunningSessions,
    grace: Duration,
    /// How long they run on while the ledger takes nothing in.
    patience: Duration,
    /// Ends that wait for the ledger to take something in again.
    kept: VecDeque<ReportedEnd>,
}

impl Sessions {
    pub(super) fn new(
        functions: Vec<(RunnerName, Capability, RunnerFn)>,
        plans: Vec<(RunnerName, CoordinationConfig)>,
        processes: Option<Arc<Processes>>,
        secrets: Arc<Secrets>,
        ends: mpsc::UnboundedSender<ReportedEnd>,
        (grace, patience): (Duration, Duration),
    ) -> Self {
        let mut runners = Runners::default();
        for (name, capability, _) in &functions {
            runners.add_function(name.clone(), *capability);
        }
        for (name, config) in &plans {
            runners.add_plan(name.clone(), config.budget().max_episodes());
        }
        if processes.is_some() {
            runners.allow_processes();
        }
        Self {
            functions: functions.into_iter().map(|(name, _, function)| (name, function)).collect(),
            plans: plans.into_iter().collect(),
            process_runner: processes.as_ref().map(Processes::runner),
            processes,
            secrets,
            runners,
            running: RunningSessions::new(ends, grace),
            grace,
            patience,
            kept: VecDeque::new(),
        }
    }

    pub(super) fn runners(&self) -> &Runners {
        &self.runners
    }

    /// Withdraws every runner: without them nothing new is bound.
    pub(super) fn withdraw_runners(&mut self) -> &Runners {
        self.runners = Runners::default();
        &self.runners
    }

    pub(super) fn grace(&self) -> Duration {
        self.grace
    }

    /// Whether sessions are to stop, as the ledger has taken nothing in for so long.
    pub(super) fn have_run_on_for(&self, full_for: Duration) -> bool {
        full_for > self.patience
    }

    pub(super) fn processes(&self) -> Option<&Arc<Processes>> {
        self.processes.as_ref()
    }

    /// The configuration registered under a name.
    pub(super) fn plan(&self, name: &RunnerName) -> Option<&CoordinationConfig> {
        self.plans.get(name)
    }

    pub(super) fn start(&mut self, spawn: Spawn, handle: &Handle) {
        let (function, patience) = match &spawn.spec.runner {
            Runner::Function(name) => (self.functions.get(name), Patience::Grace),
            Runner::Process { .. } => (self.process_runner.as_ref(), Patience::UntilGone),
            // Nothing here carries the others out.
            _ => (None, Patience::Grace),
        };
        self.running.start(spawn, function, patience, handle);
    }

    pub(super) fn stop(&mut self, session: &SessionId, cause: StopCause) {
        self.running.stop(session, cause);
    }

    pub(super) fn stop_all(&mut self, cause: StopCause) {
        self.running.stop_all(cause);
    }

    /// Takes a session off the list of those that run, and completes its end.
    pub(super) fn ended(&mut self, end: &mut ReportedEnd) {
        self.running.ended(end);
    }

    /// Keeps an end outside of the world until a write may succeed again.
    pub(super) fn keep(&mut self, ends: impl IntoIterator<Item = ReportedEnd>) {
        self.kept.extend(ends);
    }

    pub(super) fn next_kept(&mut self) -> Option<ReportedEnd> {
        self.kept.pop_front()
    }

    pub(super) fn has_kept(&self) -> bool {
        !self.kept.is_empty()
    }

    pub(super) fn none_runs(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn has_processes(&self) -> bool {
        self.running.has_processes()
    }

    pub(super) fn cut_off_processes(&mut self) {
        self.running.cut_off_processes();
    }

    /// The functions that can be given up behind their fences.
    pub(super) fn to_abandon(&self) -> Vec<(SessionId, Fence)> {
        self.running.to_abandon()
    }

    pub(super) fn abandon(&mut self) {
        self.running.abandon();
    }

    /// Waits until nothing runs that was abandoned, but not for ever for what keeps its thread.
    pub(super) async fn gone(&mut self) {
        self.running.gone().await;
    }

    pub(super) async fn processes_gone(&self) {
        self.running.processes_gone().await;
    }

    /// Holds the values of secrets that came with a start. Returns whether there is a use for them.
    pub(super) fn hold_secrets(
        &self,
        coordination: &CoordinationId,
        secrets: BTreeMap<String, String>,
    ) -> bool {
        if secrets.is_empty() {
            return false;
        }
        self.secrets.hold(coordination.clone(), secrets);
        self.processes.is_some()
    }

    /// Holds more values of secrets for a coordination. Returns whether there is a use for them and
    /// all that it needs are there now.
    pub(super) fn add_secrets(
        &self,
        coordination: &CoordinationId,
        secrets: BTreeMap<String, String>,
        needed: &[String],
    ) -> bool {
        self.secrets.add(coordination.clone(), secrets, needed) && self.processes.is_some()
    }

    /// The coordinations that all their secrets are held for.
    pub(super) fn holders_of_secrets(&self) -> Vec<CoordinationId> {
        match self.processes {
            Some(_) => self.secrets.holders(),
            None => Vec::new(),
        }
    }

    pub(super) fn forget_secrets(&self, coordination: &CoordinationId) {
        self.secrets.let_go(coordination);
    }
}
