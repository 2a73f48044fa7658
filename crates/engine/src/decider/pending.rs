//! Turns on their way to the disk, and what they let out once they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::Runner;
use antiphon_core::envelope::{CommitTip, Recorded};
use antiphon_core::id::{CoordinationId, SessionId, StreamName, WorkId};
use antiphon_core::world::{Action, Command};

use super::writer::Ack;
use super::{Decider, Health, coordination_of};
use crate::crash;
use crate::incidents::CaughtError;
use crate::mailbox::{Ended, Release, engine_origin};
use crate::orphans::{self, Orphans};
use crate::session::{Ending, Patience};

/// A turn on its way to the disk, with what waits for it.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) actions: Vec<Action>,
    pub(super) releases: Vec<Release>,
    pub(super) deliveries: Vec<Recorded>,
    pub(super) ends: Vec<Ending>,
    pub(super) ended: Vec<CoordinationId>,
    /// Bytes of payload.
    pub(super) bytes: usize,
    /// Head rows that lose the texts of erased payloads.
    pub(super) redacted: BTreeMap<StreamName, HeadRow>,
    /// The end of the commit chain with this.
    pub(super) commit: CommitTip,
    /// Whether all that was found in the ledger is taken over with this.
    pub(super) takes_over: bool,
}

impl Decider {
    /// Who started something is answered with the turn that completes the start.
    pub(super) fn answer_starts(&mut self) {
        let (starting, complete) = std::mem::take(&mut self.starts)
            .into_iter()
            .partition(|(id, _)| self.world.is_starting(id));
        self.starts = starting;
        self.draft.releases.extend(complete.into_iter().map(|(_, release)| release));
    }

    /// Answers that rest on what is durable already go out now; others wait for the turn before.
    pub(super) fn rest_on_the_last(&mut self, pending: Pending) {
        match self.flight.back_mut() {
            Some(last) => {
                last.actions.extend(pending.actions);
                last.releases.extend(pending.releases);
                last.ends.extend(pending.ends);
            }
            None => self.release(pending),
        }
    }

    pub(super) fn on_ack(&mut self, ack: Ack) {
        if self.void_acks > 0 {
            self.void_acks -= 1;
            return;
        }
        let Some(pending) = self.flight.pop_front() else { return };
        match ack {
            Ok(()) => {
                self.health = Health::Sound;
                self.full_since = None;
                self.facts.commit = pending.commit;
                if pending.takes_over && !self.opening.recorded {
                    self.opening.recorded = true;
                    self.settle_orphans();
                }
                self.release(pending);
            }
            Err(error) => self.on_failed_append(pending, &error),
        }
    }

    /// Lets out what has become durable.
    fn release(&mut self, pending: Pending) {
        let is_empty = pending.actions.is_empty() && pending.releases.is_empty();
        if !is_empty {
            crash::point("release.before");
        }
        for event in pending.deliveries {
            if let Some(id) = coordination_of(&event.stream) {
                self.followers.deliver(&id, event);
            }
        }
        for id in &pending.ended {
            self.ending.remove(id);
            if let Some(processes) = &self.processes {
                processes.secrets.let_go(id);
            }
        }
        for end in &pending.ends {
            self.let_process_go(end);
        }
        for action in pending.actions {
            self.act(action);
        }
        for release in pending.releases {
            release(Ok(()));
        }
        if !is_empty {
            crash::point("release.after");
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn(spawn) => {
                let (function, patience) = match &spawn.spec.runner {
                    Runner::Function(name) => (self.functions.get(name), Patience::Grace),
                    Runner::Process { .. } => (self.process_runner.as_ref(), Patience::UntilGone),
                    Runner::Plan(_) | Runner::Nested { .. } | Runner::Caller => {
                        (None, Patience::Grace)
                    }
                };
                self.running.start(*spawn, function, patience, &self.handle);
            }
            Action::Stop { session, cause } => self.running.stop(&session, cause),
            Action::Expand { coordination, work, runner } => {
                self.expand(coordination, work, &runner)
            }
            Action::Ended { coordination, verdict, receipt, .. } => {
                self.followers.end(&coordination);
                self.waiting.tell(&Ended { coordination, verdict, receipt });
            }
        }
    }

    /// What was kept of a process session goes once its end is recorded, unless something of it is
    /// left.
    fn let_process_go(&self, end: &Ending) {
        let (Some(processes), Some(tree)) = (&self.processes, &end.end.tree) else { return };
        if tree.clean {
            let (processes, session) = (Arc::clone(processes), end.session.clone());
            tokio::task::spawn_blocking(move || processes.forget(&session));
        } else {
            orphans::watch(
                Arc::clone(processes),
                self.handle.clone(),
                Arc::clone(&self.leftovers),
                end.session.clone(),
            );
        }
    }

    /// Once what an earlier engine left is recorded: what was kept of it goes, and items that wait
    /// for leftovers are looked after.
    fn settle_orphans(&mut self) {
        let Some(processes) = &self.processes else { return };
        let Orphans { gone, left, .. } = std::mem::take(&mut self.opening.orphans);
        let held = self
            .world
            .coordinations()
            .flat_map(|above| above.holding().map(|number| above.session_id(number)));
        let watched: BTreeSet<SessionId> = held.chain(left).collect();
        for session in gone.into_iter().filter(|session| !watched.contains(session)) {
            processes.forget(&session);
        }
        for session in watched {
            orphans::watch(
                Arc::clone(processes),
                self.handle.clone(),
                Arc::clone(&self.leftovers),
                session,
            );
        }
    }

    /// Fetches the configuration of a nested item: a registered one at once, one in a blob off the
    /// decider.
    fn expand(&mut self, coordination: CoordinationId, work: WorkId, runner: &Runner) {
        let input = self
            .world
            .coordination(&coordination)
            .and_then(|session| session.work_tracking(work.as_str())?.spec.input);
        if let (Runner::Nested { .. }, Some(input)) = (runner, input) {
            let handle = self.handle.clone();
            tokio::spawn(async move { handle.expand(coordination, work, input).await });
            return;
        }
        let config = match runner {
            Runner::Plan(name) => self.plans.get(name).cloned().map(Box::new),
            _ => None,
        };
        let config = config.ok_or_else(|| "its plan is not registered any more".to_owned());
        let (now, subject) = (self.now(), format!("{work} of {coordination}"));
        if let Err(error) = self.world.handle(
            Command::Expanded { coordination, work, config },
            engine_origin(),
            &now,
        ) {
            self.caught.note(CaughtError::LateExpansion, &subject, &error);
        }
    }
}
