//! Commands for the ends of runs: those that are carried out now, who waits for them, and how the
//! last ones went.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::id::{CoordinationId, Version};
use antiphon_core::world::Action;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Decider;
use crate::incidents::Incident;
use crate::ledger::Cursor;
use crate::mailbox::{AttemptsEnd, Handle, OnEnd, Request};
use crate::on_end::{self, Attempts};
use crate::session::Processes;

/// Failures that are remembered for those who ask.
const REMEMBERED: usize = 1_000;

/// The commands that are carried out. Dropping this gives them up; they are ended with the engine.
pub(super) struct OnEnds {
    /// How long all attempts at a command may take together.
    within: Duration,
    tasks: JoinSet<()>,
    given_up: CancellationToken,
    /// By run, with those who wait for the end.
    running: BTreeMap<CoordinationId, Vec<oneshot::Sender<OnEnd>>>,
    /// The last ones that failed.
    failed: VecDeque<(CoordinationId, String)>,
}

impl OnEnds {
    pub(super) fn within(within: Duration) -> Self {
        Self {
            within,
            tasks: JoinSet::new(),
            given_up: CancellationToken::new(),
            running: BTreeMap::new(),
            failed: VecDeque::new(),
        }
    }

    fn start(&mut self, processes: &Arc<Processes>, handle: &Handle, run: CoordinationId) {
        if self.running.contains_key(&run) {
            return;
        }
        self.running.insert(run.clone(), Vec::new());
        let attempts = Attempts::of(processes, handle, run.clone(), self.within);
        let handle = handle.clone();
        // Those that have ended need not be kept.
        while self.tasks.try_join_next().is_some() {}
        let given_up = self.given_up.clone();
        self.tasks.spawn(async move {
            let end = match attempts.carry_out(&given_up).await {
                Ok(Some(end)) => Ok(end),
                Ok(None) => return,
                Err(error) => Err(error.to_string()),
            };
            // An engine that is gone, or goes, leaves it to the next one.
            tokio::select! {
                _ = handle.send(Request::OnEndDone { run, end }) => {}
                () = given_up.cancelled() => {}
            }
        });
    }

    /// Asks those that run to stop, and waits until nothing is left of them: the next engine carries
    /// them out again.
    pub(super) async fn give_up(&mut self) {
        self.given_up.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    /// The runs whose commands are carried out.
    pub(super) fn runs(&self) -> Vec<CoordinationId> {
        self.running.keys().cloned().collect()
    }

    pub(super) fn none_runs(&self) -> bool {
        self.running.is_empty()
    }

    /// What is known of a run's command here; those that run are waited for.
    pub(super) fn ask(&mut self, run: &CoordinationId, reply: oneshot::Sender<OnEnd>) {
        if let Some(waiting) = self.running.get_mut(run) {
            waiting.push(reply);
            return;
        }
        let failed = self.failed.iter().rev().find(|(failed, _)| failed == run);
        let known = match failed {
            Some((_, why)) => OnEnd::Ended { failure: Some(why.clone()) },
            None => OnEnd::None,
        };
        let _ = reply.send(known);
    }

    fn ended(&mut self, run: &CoordinationId, seen: &OnEnd) {
        if let OnEnd::Ended { failure: Some(why) } = seen {
            self.failed.push_back((run.clone(), why.clone()));
            if self.failed.len() > REMEMBERED {
                self.failed.pop_front();
            }
        }
        for reply in self.running.remove(run).into_iter().flatten() {
            let _ = reply.send(seen.clone());
        }
    }
}

impl Decider {
    /// The cursors that are set with the ends of runs.
    pub(super) fn cursors_of(actions: &[Action]) -> Vec<Cursor> {
        let ended = actions.iter().filter_map(|action| match action {
            Action::Ended { coordination, on_end: Some(_), .. } => Some(coordination),
            _ => None,
        });
        ended.map(|run| on_end::cursor(run, Version(0))).collect()
    }

    /// Carries out the command for the end of a run; without processes that is left to the next
    /// engine that has some.
    pub(super) fn start_on_end(&mut self, run: CoordinationId) {
        if let Some(processes) = self.sessions.processes() {
            self.on_ends.start(processes, &self.handle, run);
        }
    }

    /// Carries out what an earlier engine left of these commands.
    pub(super) fn start_waiting_on_ends(&mut self) {
        if self.sessions.processes().is_none() || !self.opening.carries_on_ends() {
            return;
        }
        match on_end::waiting(self.disk.store().as_ref()) {
            Ok(runs) => runs.into_iter().for_each(|run| self.start_on_end(run)),
            Err(error) => self.incidents.note(Incident::OnEndFailed, &"what is left", &error),
        }
    }

    pub(super) fn on_end_done(&mut self, run: &CoordinationId, end: Result<AttemptsEnd, String>) {
        let seen = match end {
            Ok(end) => {
                let (version, failure) = end.into_parts();
                let (reply, _) = oneshot::channel();
                self.disk.move_cursor(on_end::cursor(run, version), reply);
                if let Some(why) = &failure {
                    self.incidents.note(Incident::OnEndFailed, run, why);
                }
                OnEnd::Ended { failure }
            }
            Err(why) => {
                self.incidents.note(Incident::OnEndFailed, run, &why);
                OnEnd::Waiting
            }
        };
        self.on_ends.ended(run, &seen);
    }
}
