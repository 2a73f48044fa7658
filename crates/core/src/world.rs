//! All live coordinations of one ledger, changed by one owner in one order.
//!
//! [`World::handle`] takes a command, [`World::expire`] lets time pass, [`World::take_turn`] hands
//! out what to append and what to release once that is durable. State moves at once; if the append
//! fails, the world is thrown away and rebuilt from the ledger.

mod command;
mod deadlines;
mod ledger;
mod member;
mod nesting;
mod takeover;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use command::{Adder, Command, Origin, Rejection, Reply};
pub use ledger::{EraseRequest, LedgerFacts};
pub use takeover::Found;
pub use turn::{Action, Spawn, Turn};

use crate::append::Erasure;
use deadlines::Deadlines;
use member::Member;

use crate::coordination::event::CoordinationEvent;
use crate::coordination::{Blocked, Coordination, Ending, Proposal, Runners, StopCause, WorkSpec};
use crate::envelope::{CommitTip, MAX_APPEND_BYTES, StreamTip};
use crate::id::{Actor, CoordinationId, Epoch, SessionId, Version};
use crate::live::{Live, Stamp};
use crate::time::{LedgerTime, Now, WallTime};

/// All live coordinations of one ledger.
#[derive(Debug)]
pub struct World {
    members: BTreeMap<CoordinationId, Member>,
    runners: Runners,
    deadlines: Deadlines,
    /// What is left to do of a takeover, ahead of everything else.
    takeover: VecDeque<takeover::Step>,
    /// How swept sessions ended, until their ends are recorded.
    found: BTreeMap<SessionId, Found>,
    /// Starts that go on in the next turns, ahead of what is not being taken over.
    starting: VecDeque<(CoordinationId, VecDeque<CoordinationEvent>)>,
    /// Coordinations that may have something to do.
    restless: BTreeSet<CoordinationId>,
    ledger: ledger::OwnStream,
    commit: CommitTip,
    epoch: Epoch,
    engine: String,
    draft: turn::Draft,
}

impl World {
    /// A world without coordinations, on a ledger that was just taken over.
    #[must_use]
    pub fn new(facts: LedgerFacts) -> Self {
        Self {
            members: BTreeMap::new(),
            runners: Runners::default(),
            deadlines: Deadlines::default(),
            takeover: VecDeque::new(),
            found: BTreeMap::new(),
            starting: VecDeque::new(),
            restless: BTreeSet::new(),
            ledger: ledger::OwnStream::new(&facts),
            commit: facts.commit,
            epoch: facts.epoch,
            engine: facts.engine,
            draft: turn::Draft::default(),
        }
    }

    /// Takes in a coordination that replay or a snapshot gave. Ended ones are let go at once.
    pub fn adopt(&mut self, session: Coordination, tip: StreamTip) {
        if session.status().is_terminal() {
            return;
        }
        let id = session.coordination_id().clone();
        self.members.insert(id.clone(), Member::new(Live::restore(session, tip)));
        self.restless.insert(id);
    }

    /// Says what there is to carry sessions out. Work that waited for one of them may start.
    pub fn set_runners(&mut self, runners: Runners) {
        self.runners = runners;
        self.restless.extend(self.members.keys().cloned());
    }

    /// Says that a coordination's secrets are here. Work of it and of what is nested in it that
    /// waited for them may start.
    pub fn hold_secrets(&mut self, id: &CoordinationId) {
        // What is nested carries the id of its parent's session, which begins with the parent's.
        let nested = format!("{id}.");
        for (member_id, member) in &mut self.members {
            if member_id == id || member_id.as_str().starts_with(&nested) {
                member.hold_secrets();
                self.restless.insert(member_id.clone());
            }
        }
    }

    /// Carries out a command, or refuses it and changes nothing.
    ///
    /// # Errors
    /// A [`Rejection`] says what is wrong and what to do.
    pub fn handle(
        &mut self,
        command: Command,
        origin: Origin,
        now: &Now,
    ) -> Result<Reply, Rejection> {
        if self.is_taking_over() {
            return Err(Rejection::TakingOver);
        }
        command::handle(self, command, origin, now)
    }

    /// Lets what is due happen, as much as one turn holds; a takeover deals with it itself.
    pub fn expire(&mut self, now: &Now) {
        while !self.is_taking_over() && self.draft.bytes() < MAX_APPEND_BYTES / 2 {
            let Some(id) = self.deadlines.first_due(now).cloned() else { return };
            self.forget_deadlines(&id);
            self.wake(&id, now);
            self.restless.insert(id);
        }
    }

    fn wake(&mut self, id: &CoordinationId, now: &Now) {
        let Some(member) = self.members.get_mut(id) else { return };
        for number in member.wake(now) {
            self.stop_session(id, number, StopCause::Timeout, now);
        }
    }

    /// The earliest moments on the two clocks at which [`World::expire`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> (Option<LedgerTime>, Option<WallTime>) {
        self.deadlines.next()
    }

    /// Everything that keeps an item from running now.
    ///
    /// # Errors
    /// If there is no such live coordination or item.
    pub fn why(
        &self,
        coordination: &CoordinationId,
        work: &str,
        now: &Now,
    ) -> Result<Vec<Blocked>, Rejection> {
        let member =
            self.members.get(coordination).ok_or_else(|| Rejection::unknown(coordination))?;
        let mut reasons = member.state().why(work, now, &self.runners)?;
        if let Some(Blocked::Running { session, .. }) = reasons.last()
            && let Ok(coordination) = session.nested_coordination()
            && let Some(reason) =
                self.coordination(&coordination).and_then(Coordination::pause_reason)
        {
            let reason = reason.to_owned();
            reasons.push(Blocked::NestedPaused { coordination, reason });
        }
        if reasons.is_empty() && member.is_expanding(work) {
            reasons.push(Blocked::Expanding);
        }
        Ok(reasons)
    }

    /// One live coordination.
    #[must_use]
    pub fn coordination(&self, id: &CoordinationId) -> Option<&Coordination> {
        Some(self.members.get(id)?.state())
    }

    /// The coordinations, without nested ones, in which something runs or will without a command:
    /// what an engine that stops would interrupt. Those that wait for somebody, as for a raised
    /// budget or a secret, are not among them.
    #[must_use]
    pub fn at_work(&self, now: &Now) -> BTreeSet<CoordinationId> {
        let mut outermost = BTreeSet::new();
        for (id, member) in &self.members {
            let starting = self.starting.iter().any(|(starting, _)| starting == id);
            let busy = member.state().is_at_work(now, &self.runners);
            if busy || starting || member.is_expanding_any() {
                outermost.insert(self.outermost(id));
            }
        }
        outermost
    }

    /// The coordination that a nested one is in, however deep; any other is its own.
    fn outermost(&self, id: &CoordinationId) -> CoordinationId {
        let mut id = id;
        while let Some(parent) =
            self.coordination(id).and_then(|session| session.started().parent.as_ref())
        {
            id = &parent.coordination;
        }
        id.clone()
    }

    /// All live coordinations, by id.
    pub fn coordinations(&self) -> impl Iterator<Item = &Coordination> {
        self.members.values().map(Member::state)
    }

    /// Whether another turn has something to do at once.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.is_taking_over() || !self.starting.is_empty() || !self.restless.is_empty()
    }

    /// Whether a coordination's start goes on in the next turns, so that nobody may be told yet
    /// that it was accepted.
    #[must_use]
    pub fn is_starting(&self, id: &CoordinationId) -> bool {
        self.starting.iter().any(|(starting, _)| starting == id)
    }

    /// Bytes of payload that the turn holds so far; callers stop handing in commands well before
    /// [`MAX_APPEND_BYTES`].
    #[must_use]
    pub fn turn_bytes(&self) -> usize {
        self.draft.bytes()
    }

    /// Lets coordinations do what they can, and hands out the turn; `None` if nothing happened.
    pub fn take_turn(&mut self, now: &Now) -> Option<Turn> {
        self.go_on_taking_over(now);
        if !self.is_taking_over() {
            self.go_on(now);
        }
        self.draft.take(&mut self.commit, self.epoch, &self.ledger, &mut self.members)
    }

    fn go_on(&mut self, now: &Now) {
        self.go_on_starting(now);
        while self.draft.bytes() < MAX_APPEND_BYTES / 2 {
            let Some(id) = self.restless.pop_first() else { break };
            self.settle(&id, now);
        }
    }

    /// Records further items of starts that did not fit one turn.
    fn go_on_starting(&mut self, now: &Now) {
        while self.draft.bytes() < MAX_APPEND_BYTES / 2 {
            let Some((id, events)) = self.starting.front_mut() else { return };
            let (next, id) = (events.front().cloned(), id.clone());
            match (next, self.members.get_mut(&id)) {
                (Some(event), Some(member)) => {
                    // Time that went back refuses it for now, like everything else.
                    if member.live.record(&event, stamp(now, &engine())).is_err() {
                        return;
                    }
                    self.draft.collect(&mut member.live);
                    events.pop_front();
                }
                _ => {
                    self.starting.pop_front();
                    self.restless.insert(id);
                }
            }
        }
    }

    /// Lets one coordination do what it can until it waits for something.
    fn settle(&mut self, id: &CoordinationId, now: &Now) {
        let actor = engine();
        loop {
            if self.draft.bytes() >= MAX_APPEND_BYTES / 2 {
                self.restless.insert(id.clone());
                return;
            }
            let Some(member) = self.members.get_mut(id) else { return };
            let stopping = member.stop_sessions();
            if !stopping.is_empty() {
                for number in stopping {
                    self.stop_session(id, number, StopCause::Ending, now);
                }
                continue;
            }
            match member.propose(now, &self.runners) {
                None => break,
                Some(Proposal::Event(event)) => {
                    let bound = match &event {
                        CoordinationEvent::SessionBound(bound) => {
                            Some((bound.session, bound.grant))
                        }
                        _ => None,
                    };
                    let Ok(version) = member
                        .live
                        .record(&event, stamp(now, &actor))
                        .map(|recorded| recorded.version)
                    else {
                        break;
                    };
                    self.draft.collect(&mut member.live);
                    if let Some((number, _)) = bound {
                        self.release(id, number, version, now);
                    }
                }
                Some(Proposal::Expand(work)) => {
                    let runner = member
                        .state()
                        .work_tracking(work.as_str())
                        .map(|item| item.spec.runner.clone());
                    member.expand(work.clone());
                    if let Some(runner) = runner {
                        self.draft.act(Action::Expand { coordination: id.clone(), work, runner });
                    }
                }
                Some(Proposal::End(ending)) => {
                    self.end(id, ending, now);
                    return;
                }
            }
        }
        self.note_deadlines(id, now);
    }

    /// Releases a bound session once the turn is durable.
    fn release(&mut self, id: &CoordinationId, number: u64, fence: Version, now: &Now) {
        let Some(session) = self.coordination(id) else { return };
        let Some((binding, spec)) = session.binding(number) else { return };
        let outputs = spec.needs.iter().filter_map(|need| match need {
            crate::coordination::Need::Work(work) => {
                let output = session.work_tracking(work.as_str())?.output?;
                Some((work.clone(), output))
            }
            crate::coordination::Need::Group(_) => None,
        });
        self.draft.act(Action::Spawn(Box::new(Spawn {
            session: session.session_id(number),
            attempt: binding.attempt,
            fence,
            grant: binding.grant,
            deadline: binding.deadline,
            time_ns: binding.deadline.since(binding.bound_at),
            token: session.token(number, now),
            outputs: outputs.collect(),
            spec: spec.clone(),
        })));
    }

    /// Asks a session to stop: a nested coordination is cancelled here, anything else by whoever
    /// runs it.
    fn stop_session(&mut self, id: &CoordinationId, number: u64, cause: StopCause, now: &Now) {
        let session = SessionId { coordination: id.clone(), number };
        let nested = self
            .coordination(id)
            .and_then(|s| s.binding(number))
            .is_some_and(|(binding, _)| binding.nested);
        if nested {
            nesting::cancel(self, &session, cause, now);
        } else {
            self.draft.act(Action::Stop { session, cause });
        }
    }

    /// Ends a coordination: receipt, terminal event, word to its parent; then it leaves memory with
    /// the turn.
    fn end(&mut self, id: &CoordinationId, ending: Ending, now: &Now) {
        let Some(member) = self.members.get_mut(id) else { return };
        let Ok(end) = member.live.finish(ending, self.commit, stamp(now, &engine())) else {
            return;
        };
        self.draft.collect(&mut member.live);
        self.forget_deadlines(id);
        let parent = self.coordination(id).and_then(|session| session.started().parent.clone());
        let (plan, archives) = match self.coordination(id) {
            Some(session) => (session.started().plan, session.archives().to_vec()),
            None => return,
        };
        // Nothing names them, so nobody could have them erased later.
        for archive in archives {
            self.draft.erase(Erasure::Blob(archive));
        }
        self.draft.act(Action::Ended {
            coordination: id.clone(),
            plan,
            verdict: end.receipt.verdict,
            ending: end.receipt.ending.clone(),
            usage: end.receipt.budget_usage.clone(),
            counts: end.receipt.totals,
            receipt: end.receipt_hash,
        });
        if let Some(parent) = parent {
            nesting::child_ended(self, &parent, &end, now);
        }
    }

    fn note_deadlines(&mut self, id: &CoordinationId, now: &Now) {
        let Some(member) = self.members.get_mut(id) else { return };
        let due = member.state().next_deadlines(now.at);
        if due != member.due() {
            self.deadlines.forget(id, member.due());
            self.deadlines.list(id, due);
            member.set_due(due);
        }
    }

    fn forget_deadlines(&mut self, id: &CoordinationId) {
        let Some(member) = self.members.get_mut(id) else { return };
        self.deadlines.forget(id, member.due());
        member.set_due((None, None));
    }

    fn member(&mut self, id: &CoordinationId) -> Result<&mut Member, Rejection> {
        self.members.get_mut(id).ok_or_else(|| Rejection::unknown(id))
    }
}

/// The actor of what the engine does of itself.
fn engine() -> Actor {
    Actor::new("engine").expect("BUG: a constant name")
}

/// What the engine does of itself, now.
fn stamp<'a>(now: &'a Now, actor: &'a Actor) -> Stamp<'a> {
    Stamp { now, actor, cause: None }
}
