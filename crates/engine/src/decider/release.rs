//! What a turn lets out once it is durable.

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_core::coordination::Runner;
use antiphon_core::id::{CoordinationId, SessionId, WorkId};
use antiphon_core::world::{Action, Asker, commands};

use super::Decider;
use super::disk::TurnOutcome;
use super::log::log;
use super::turns::{TurnDraft, TurnInFlight};
use super::writer::Ack;
use crate::crash;
use crate::incidents::Incident;
use crate::mailbox::Ended;
use crate::orphans::{self, Orphans};
use crate::session::ReportedEnd;

impl Decider {
    /// Lets out what needs no append: now if all that it rests on is durable, else with the turn
    /// before.
    pub(super) fn let_out(&mut self, draft: TurnDraft, actions: Vec<Action>) {
        if let Some(turn) = self.disk.rest_on_the_last(draft.without_append(actions)) {
            self.release(turn);
        }
    }

    pub(super) fn on_ack(&mut self, ack: Ack) {
        match self.disk.written(ack) {
            TurnOutcome::Durable(turn) => {
                if turn.takes_over
                    && let Some(orphans) = self.opening.record()
                {
                    self.look_after(orphans);
                    self.start_waiting_on_ends();
                }
                self.release(turn);
            }
            TurnOutcome::Failed(turn, error) => self.on_failed_append(turn, &error),
            TurnOutcome::Void => {}
        }
    }

    /// Lets out what has become durable. Sessions start and stop before callers are answered, so
    /// that what a caller hears of has been started, stopped or announced by then; events go to
    /// those who follow after that, as nobody waits for these.
    fn release(&mut self, turn: TurnInFlight) {
        let is_empty = turn.actions.is_empty() && turn.releases.is_empty() && turn.waits.is_empty();
        if !is_empty {
            crash::point("release.before");
        }
        for coordination in &turn.ended {
            self.audience.finish_end(coordination);
        }
        // Until now the next start would have read the end from the session's folder.
        for end in &turn.ends {
            self.let_process_go(end);
        }
        for action in turn.actions {
            self.act(action);
        }
        // A command for the end of a run has taken them by now.
        for coordination in &turn.ended {
            self.sessions.forget_secrets(coordination);
        }
        for release in turn.releases {
            release(Ok(()));
        }
        self.answer_waits(turn.waits);
        for event in turn.deliveries {
            self.audience.deliver(event);
        }
        // A feed ends behind its last event.
        for coordination in turn.ended {
            self.audience.end_feeds(coordination);
        }
        log(&turn.logged);
        if !is_empty {
            crash::point("release.after");
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn(spawn) => self.sessions.start(*spawn, &self.handle),
            Action::Stop { session, cause } => self.sessions.stop(&session, cause),
            Action::Expand { coordination, work, runner } => {
                self.expand(coordination, work, &runner);
            }
            Action::Ended {
                coordination: run,
                verdict,
                ending,
                usage,
                counts,
                receipt,
                on_end,
                plan: _,
            } => {
                if on_end.is_some() {
                    self.start_on_end(run.clone());
                }
                let ended = Ended { run, verdict, ending, usage, counts: *counts, receipt };
                self.audience.announce(&ended);
            }
        }
    }

    /// What was kept of a process session goes once its end is recorded, unless something of it is
    /// left.
    fn let_process_go(&self, end: &ReportedEnd) {
        let (Some(processes), Some(tree)) = (self.sessions.processes(), &end.end.tree) else {
            return;
        };
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

    /// Once what an earlier engine left is recorded: what was kept of it goes, also where no
    /// processes are run, and items that wait for leftovers are looked after.
    fn look_after(&mut self, orphans: Orphans) {
        let held = self
            .world
            .coordinations()
            .flat_map(|above| above.holding().map(|number| above.session_id(number)));
        let watched: BTreeSet<SessionId> = held.chain(orphans.left.iter().cloned()).collect();
        if let Some(processes) = self.sessions.processes() {
            for session in watched.iter().cloned() {
                orphans::watch(
                    Arc::clone(processes),
                    self.handle.clone(),
                    Arc::clone(&self.leftovers),
                    session,
                );
            }
        }
        tokio::task::spawn_blocking(move || {
            orphans.forget_gone(|session| !watched.contains(session));
        });
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
            Runner::Plan(name) => self.sessions.plan(name).cloned().map(Box::new),
            _ => None,
        };
        let config = config.ok_or_else(|| "its plan is not registered any more".to_owned());
        let (now, subject) = (self.now(), format!("{work} of {coordination}"));
        if let Err(error) = self.world.handle(
            commands::Expanded { coordination, work, config },
            Asker::engine(),
            &now,
        ) {
            self.incidents.note(Incident::LateExpansion, &subject, &error);
        }
    }
}
