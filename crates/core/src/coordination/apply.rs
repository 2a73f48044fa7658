//! The one way in which state changes, live and in replay: an event is checked completely, then
//! applied.

use super::budget::Usage;
use super::check::check_started;
use super::error::ApplyError;
use super::event::{CoordinationEvent, SessionBound, SessionUnbound};
use super::index::{Due, Index};
use super::outcome::{NextStep, SessionOutcome};
use super::receipt::ReceiptBuilder;
use super::session::Coordination;
use super::stop::CoordinationStatus;
use super::work::{Binding, WorkItemOutcome, WorkMove, WorkState};
use super::{MAX_REMEMBERED_COMMANDS, MAX_SESSION_IDS_PER_WORK};
use crate::envelope::Meta;
use crate::id::{CommandId, CoordinationId, Version};
use crate::schema::AggregateEvent as _;
use crate::time::{Deadline, LedgerTime};

impl Coordination {
    /// Begins a coordination from its first event.
    ///
    /// # Errors
    /// [`ApplyError::Illegal`] if the event is not `coordination.started`, or its numbers are out
    /// of range.
    pub fn begin(
        id: CoordinationId,
        event: &CoordinationEvent,
        meta: &Meta,
    ) -> Result<Self, ApplyError> {
        let CoordinationEvent::Started(started) = event else {
            return Err(illegal(event, "a coordination begins with coordination.started"));
        };
        if meta.version != Version(1) {
            return Err(ApplyError::OutOfOrder { last: Version(0), actual: meta.version });
        }
        check_started(started).map_err(|why| illegal(event, why))?;
        let mut receipt = ReceiptBuilder::new(id.clone(), started.budget.clone(), meta.wall.0);
        receipt.record_epoch(started.epoch, &started.engine);
        let mut session = Self {
            coordination_id: id,
            status: if started.items == 0 {
                CoordinationStatus::Running
            } else {
                CoordinationStatus::Initializing
            },
            version: meta.version,
            last_at: meta.at,
            last_wall: meta.wall,
            started_at: meta.at,
            started_wall: meta.wall,
            completed_wall: None,
            paused: None,
            paused_ns: 0,
            stop: None,
            tripped: false,
            fault: None,
            consecutive_failures: 0,
            items: Default::default(),
            unfinished: 0,
            bound: std::collections::BTreeMap::new(),
            sessions: 0,
            held: std::collections::BTreeMap::new(),
            doomed: std::collections::VecDeque::new(),
            receipt,
            receipt_digest: None,
            refused: std::collections::BTreeSet::new(),
            commands: std::collections::VecDeque::new(),
            archive: Default::default(),
            index: Index::default(),
            started: started.clone(),
        };
        session.remember(meta.cause.as_ref());
        Ok(session)
    }

    /// Applies the next event.
    ///
    /// # Errors
    /// An [`ApplyError`] says why the event cannot follow; nothing has changed then.
    pub fn apply(&mut self, event: &CoordinationEvent, meta: &Meta) -> Result<(), ApplyError> {
        if meta.version != self.version.next() {
            return Err(ApplyError::OutOfOrder { last: self.version, actual: meta.version });
        }
        if meta.at < self.last_at {
            return Err(ApplyError::ClockRegression { last: self.last_at.0, current: meta.at.0 });
        }
        self.check(event, meta).map_err(|why| illegal(event, why))?;
        self.forget_archived();
        self.version = meta.version;
        self.last_at = meta.at;
        self.last_wall = meta.wall;
        self.change(event, meta);
        let elapsed = self.elapsed_ticks_at(meta.at);
        self.receipt.usage.elapsed_ticks = self.receipt.usage.elapsed_ticks.max(elapsed);
        self.remember(meta.cause.as_ref());
        // What was just recalled is there for the work that follows it.
        if !matches!(event, CoordinationEvent::WorkAdded(_)) {
            self.archive_oldest();
        }
        Ok(())
    }

    /// Changes the state by an event that was checked.
    fn change(&mut self, event: &CoordinationEvent, meta: &Meta) {
        match event {
            CoordinationEvent::WorkAdded(added) => {
                self.recall(&added.recalled);
                for spec in &added.items {
                    self.add(spec.clone());
                }
                if self.status == CoordinationStatus::Initializing
                    && self.items.len() == self.started.items as usize
                {
                    self.status = CoordinationStatus::Running;
                }
            }
            CoordinationEvent::SessionBound(bound) => self.bind(bound, meta.at),
            CoordinationEvent::SessionUnbound(unbound) => self.unbind(unbound),
            CoordinationEvent::WorkSkipped(skipped) => {
                for work in &skipped.works {
                    let position = self.index.by_id[work];
                    self.finish(position, WorkItemOutcome::Skipped(skipped.because.clone()));
                }
                while let Some((item, _)) = self.doomed.front() {
                    if self.is_undone(*item) {
                        break;
                    }
                    self.doomed.pop_front();
                }
            }
            CoordinationEvent::Paused(paused) => {
                self.paused = Some((meta.at, paused.reason.clone()))
            }
            CoordinationEvent::Continued(_) => {
                if let Some((since, _)) = self.paused.take() {
                    self.paused_ns = self.paused_ns.saturating_add(meta.at.since(since));
                }
            }
            CoordinationEvent::BudgetRaised(raised) => {
                self.receipt.record_budget(raised.budget.clone())
            }
            CoordinationEvent::StopRequested(request) => self.stop = Some(request.clone()),
            CoordinationEvent::Resumed(resumed) => {
                self.receipt.record_epoch(resumed.epoch, &resumed.engine);
                self.receipt.totals.resumes += 1;
            }
            CoordinationEvent::WriteRefused(refused) => {
                self.refused.insert((refused.session, refused.kind.clone()));
                self.receipt.totals.writes_refused += 1;
            }
            CoordinationEvent::SessionCleared(cleared) => {
                if let Some(position) = self.held.remove(&cleared.session) {
                    self.step(position, WorkMove::Release);
                    self.schedule(position);
                }
            }
            CoordinationEvent::Completed(completed) => {
                self.end(
                    CoordinationStatus::Completed(completed.stop.clone()),
                    completed.receipt,
                    meta,
                );
            }
            CoordinationEvent::Aborted(aborted) => {
                self.end(
                    CoordinationStatus::Aborted(aborted.reason.clone()),
                    aborted.receipt,
                    meta,
                );
            }
            // `begin` takes the first; a second is refused before it comes here.
            CoordinationEvent::Started(_) => {}
        }
    }

    fn bind(&mut self, bound: &SessionBound, at: LedgerTime) {
        let position = self.index.by_id[&bound.work];
        self.unschedule(position);
        self.index.reserved_sessions += bound.grant.sessions;
        self.index.reserved_tokens += u128::from(bound.grant.tokens.unwrap_or(0));
        self.index.reserved_cost += u128::from(bound.grant.cost.unwrap_or(0));
        self.index.due_at.insert((bound.deadline, Due::Session(bound.session)));
        self.sessions = bound.session;
        self.bound.insert(
            bound.session,
            Binding {
                session: bound.session,
                item: position,
                attempt: bound.attempt,
                grant: bound.grant,
                bound_at: at,
                deadline: bound.deadline,
                fence: self.version,
                nested: bound.nested,
            },
        );
        self.count_running(position, true);
        self.step(position, WorkMove::Bind(bound.session));
        let item = &mut self.items[position];
        if item.sessions.len() == MAX_SESSION_IDS_PER_WORK {
            item.sessions.remove(0);
        }
        item.sessions.push(bound.session);
    }

    fn unbind(&mut self, unbound: &SessionUnbound) {
        let binding = self.bound.remove(&unbound.session).expect("BUG: check found the binding");
        let position = binding.item;
        self.count_running(position, false);
        self.index.reserved_sessions -= binding.grant.sessions;
        self.index.reserved_tokens -= u128::from(binding.grant.tokens.unwrap_or(0));
        self.index.reserved_cost -= u128::from(binding.grant.cost.unwrap_or(0));
        self.index.due_at.remove(&(binding.deadline, Due::Session(unbound.session)));
        self.charge(position, unbound);
        match &unbound.then {
            NextStep::Done(outcome) => self.finish(position, outcome.clone()),
            NextStep::Retry(at) if *at <= self.last_at => {
                self.step(position, WorkMove::Release);
                self.schedule(position);
            }
            NextStep::Retry(at) => self.wait(position, Deadline::Ledger(*at)),
            NextStep::Wait(until) => self.wait(position, *until),
            NextStep::Hold => {
                self.step(position, WorkMove::Hold(unbound.session));
                self.held.insert(unbound.session, position);
            }
        }
    }

    /// Counts what runs of a group.
    fn count_running(&mut self, position: u32, begins: bool) {
        let Some(group) = &self.items[position].spec.group else { return };
        let group = self.index.groups.get_mut(group).expect("BUG: members have joined their group");
        group.running = if begins { group.running + 1 } else { group.running - 1 };
    }

    fn charge(&mut self, position: u32, unbound: &SessionUnbound) {
        let Usage { tokens, .. } = unbound.used;
        self.receipt.record_session(unbound.outcome, &unbound.used);
        let item = &mut self.items[position];
        item.attempts += u32::from(unbound.outcome.is_attempt());
        item.tokens = item.tokens.saturating_add(tokens);
        item.output = unbound.output.or(item.output);
        if unbound.outcome == SessionOutcome::Success {
            self.consecutive_failures = 0;
        }
    }

    fn wait(&mut self, position: u32, until: Deadline) {
        self.step(position, WorkMove::Wait(until));
        self.schedule(position);
    }

    fn end(&mut self, status: CoordinationStatus, receipt: crate::digest::Digest, meta: &Meta) {
        let unfinished: Vec<_> = self
            .items
            .iter()
            .filter(|(_, item)| !matches!(item.state, WorkState::Done(_)))
            .map(|(_, item)| (item.outcome(), item.spec.critical))
            .collect();
        for (outcome, critical) in unfinished {
            self.receipt.record_work_outcome(outcome, critical);
        }
        self.status = status;
        self.receipt_digest = Some(receipt);
        self.completed_wall = Some(meta.wall);
    }

    fn remember(&mut self, cause: Option<&CommandId>) {
        let Some(cause) = cause else { return };
        if self.index.commands.contains_key(cause) {
            return;
        }
        if self.commands.len() == MAX_REMEMBERED_COMMANDS
            && let Some((oldest, _)) = self.commands.pop_front()
        {
            self.index.commands.remove(&oldest);
        }
        self.commands.push_back((cause.clone(), self.version));
        self.index.commands.insert(cause.clone(), self.version);
    }
}

fn illegal(event: &CoordinationEvent, why: impl Into<String>) -> ApplyError {
    ApplyError::Illegal { event: event.kind(), why: why.into() }
}
