//! All live coordinations of one ledger, changed by one owner in one order.
//!
//! [`World::handle`] takes a command, [`World::expire`] lets time pass, [`World::take_turn`] hands
//! out what to append and what to release once that is durable. State moves at once; if the append
//! fails, the world is thrown away and rebuilt from the ledger.
//!
//! A rebuild keeps what the ledger has and nothing else. Sessions run on, and their ends are handed
//! in again. Who was asked to stop, which configurations were asked for and which secrets are here
//! is forgotten: overdue sessions are asked again, items are expanded again, and the engine says
//! again which secrets it holds. Of starts that were under way only the recorded part is left; the
//! next turns give them up, or the caller who chose the id repeats the start.

mod answer;
mod carrying;
pub mod commands;
mod deadlines;
mod member;
mod nesting;
mod own_stream;
mod schedule;
mod sharing;
mod step;
mod takeover;
mod turn;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use answer::{AskedQuestion, Asker, Done, Rejection, SessionQuestion, Started, Written};
pub use commands::{Ask, Command, EraseRequest, Reply};
pub use own_stream::LedgerFacts;
pub use takeover::{SweptEnd, TakenUp};
pub use turn::{Action, Spawn, Turn};

use deadlines::Deadlines;
use member::Member;

use crate::coordination::event::CoordinationEvent;
use crate::coordination::{Blocked, Coordination, Effect, Runners, StateError};
use crate::envelope::{CommitTip, StreamTip};
use crate::id::{Actor, CoordinationId, Epoch, SessionId};
use crate::live::{Live, Stamp};
use crate::time::{LedgerTime, Now, WallTime};

/// All live coordinations of one ledger.
#[derive(Debug)]
pub struct World {
    members: BTreeMap<CoordinationId, Member>,
    runners: Runners,
    deadlines: Deadlines,
    /// What is left to do of a takeover, ahead of everything else.
    takeover: VecDeque<step::Step>,
    /// How swept sessions ended, until their ends are recorded.
    swept: BTreeMap<SessionId, SweptEnd>,
    /// Starts that continue in the next turns, ahead of what is not being taken over.
    starting: VecDeque<(CoordinationId, VecDeque<CoordinationEvent>)>,
    /// Coordinations that may have something to do.
    runnable: BTreeSet<CoordinationId>,
    /// Coordinations whose items may need keys that all share.
    sharing: BTreeSet<CoordinationId>,
    ledger: own_stream::OwnStream,
    commit: CommitTip,
    epoch: Epoch,
    engine: String,
    draft: turn::Draft,
    /// What ended with the last turn.
    ended: Vec<Member>,
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
            swept: BTreeMap::new(),
            starting: VecDeque::new(),
            runnable: BTreeSet::new(),
            sharing: BTreeSet::new(),
            ledger: own_stream::OwnStream::new(&facts),
            commit: facts.commit,
            epoch: facts.epoch,
            engine: facts.engine,
            draft: turn::Draft::default(),
            ended: Vec::new(),
        }
    }

    /// Takes in a coordination that replay or a snapshot gave. Ended ones are let go at once.
    pub fn restore(&mut self, run: Coordination, tip: StreamTip) {
        if run.status().is_terminal() {
            return;
        }
        let id = run.coordination_id().clone();
        let is_left = run.epoch() != self.epoch;
        let mut member = Member::new(Live::restore(run, tip));
        if is_left {
            member.leave();
        }
        self.members.insert(id.clone(), member);
        self.runnable.insert(id);
    }

    /// Says what there is to carry sessions out. Work that waited for one of them may start.
    pub fn set_runners(&mut self, runners: Runners) {
        self.runners = runners;
        self.runnable.extend(self.members.keys().cloned());
    }

    /// Says that a coordination's secrets are here. Work of it and of what is nested in it that
    /// waited for them may start.
    pub fn hold_secrets(&mut self, id: &CoordinationId) {
        // What is nested carries the id of its parent's session, which begins with the parent's.
        let nested = format!("{id}.");
        for (member_id, member) in &mut self.members {
            if member_id == id || member_id.as_str().starts_with(&nested) {
                member.hold_secrets();
                self.runnable.insert(member_id.clone());
            }
        }
    }

    /// Carries out a command, or refuses it and changes nothing.
    ///
    /// # Errors
    /// A [`Rejection`] says what is wrong and what to do.
    pub fn handle<C: Ask>(
        &mut self,
        command: C,
        asker: Asker,
        now: &Now,
    ) -> Result<C::Reply, Rejection> {
        if self.is_taking_over() {
            return Err(Rejection::TakingOver);
        }
        command.carry_out(self, asker, now)
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
        if let Some(Blocked::Running { session, .. }) = reasons.first()
            && let Ok(coordination) = session.nested_coordination()
            && let Some(pause) = self.coordination(&coordination).and_then(Coordination::pause)
        {
            let reason = pause.why().to_owned();
            reasons.push(Blocked::NestedPaused { coordination, reason });
        }
        let waits = |reason: &Blocked| !matches!(reason, Blocked::Retried { .. });
        if !reasons.iter().any(waits) && member.is_expanding(work) {
            reasons.push(Blocked::Expanding);
        }
        Ok(reasons)
    }

    /// One live coordination.
    #[must_use]
    pub fn coordination(&self, id: &CoordinationId) -> Option<&Coordination> {
        Some(self.members.get(id)?.state())
    }

    /// The coordinations that ended with the last turn, as they ended. They are let go with this.
    pub fn take_ended(&mut self) -> impl Iterator<Item = Coordination> {
        std::mem::take(&mut self.ended).into_iter().map(Member::into_state)
    }

    /// The coordinations, without nested ones, in which something runs or will without a command:
    /// what an engine that stops would interrupt. Those that wait for a person, as for a raised
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

    /// The coordinations that only secrets keep from going on, with those that they are in: something
    /// in them lacks secrets, and nothing runs or will without a command.
    #[must_use]
    pub fn waiting_for_secrets(&self, now: &Now) -> BTreeSet<CoordinationId> {
        let at_work = self.at_work(now);
        let idle = self.members.iter().filter(|(id, _)| !at_work.contains(&self.outermost(id)));
        let mut waiting = BTreeSet::new();
        for (id, _) in idle.filter(|(_, member)| member.state().lacks_secrets()) {
            let mut within = Some(id);
            while let Some(id) = within {
                waiting.insert(id.clone());
                let parent = self.coordination(id).and_then(|run| run.started().parent.as_ref());
                within = parent.map(|parent| &parent.coordination);
            }
        }
        waiting
    }

    /// The coordination that a nested one is in, however deep; any other is its own.
    fn outermost(&self, id: &CoordinationId) -> CoordinationId {
        let mut id = id;
        while let Some(parent) = self.coordination(id).and_then(|run| run.started().parent.as_ref())
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
        self.is_taking_over() || !self.starting.is_empty() || !self.runnable.is_empty()
    }

    /// Whether a coordination's start continues in the next turns, so that no caller may hear yet
    /// that it was accepted.
    #[must_use]
    pub fn is_starting(&self, id: &CoordinationId) -> bool {
        self.starting.iter().any(|(starting, _)| starting == id)
    }

    /// Bytes of payload that the turn holds so far; callers stop handing in commands well before
    /// [`MAX_APPEND_BYTES`](crate::envelope::MAX_APPEND_BYTES).
    #[must_use]
    pub fn turn_bytes(&self) -> usize {
        self.draft.bytes()
    }

    fn member(&mut self, id: &CoordinationId) -> Result<&mut Member, Rejection> {
        self.members.get_mut(id).ok_or_else(|| Rejection::unknown(id))
    }

    /// One coordination, for a command.
    fn known(&self, id: &CoordinationId) -> Result<&Coordination, Rejection> {
        self.coordination(id).ok_or_else(|| Rejection::unknown(id))
    }

    /// One coordination that has not ended, for a command.
    fn unended(&self, id: &CoordinationId) -> Result<&Coordination, Rejection> {
        let state = self.known(id)?;
        if state.status().is_terminal() {
            return Err(StateError::CoordinationTerminal { coordination_id: id.clone() }.into());
        }
        Ok(state)
    }

    /// The result of a command that was carried out before under the same id.
    ///
    /// # Errors
    /// [`Rejection::OtherCommand`] if that was another one.
    fn repeated(
        &self,
        id: &CoordinationId,
        asker: &Asker,
        effects: &[Effect],
    ) -> Result<Option<Done>, Rejection> {
        let Some(command) = &asker.id else { return Ok(None) };
        let accepted = self.coordination(id).and_then(|state| state.accepted(command));
        match accepted {
            None => Ok(None),
            Some(accepted) if accepted.has(effects) => Ok(Some(Done { version: accepted.version })),
            Some(_) => Err(Rejection::OtherCommand { command: command.clone() }),
        }
    }

    /// Carries out a command that is nothing but events of one coordination, unless it was carried
    /// out before. What decides gets the name that they are recorded under.
    fn decide_once(
        &mut self,
        id: &CoordinationId,
        asker: &Asker,
        effects: &[Effect],
        now: &Now,
        decide: impl FnOnce(&Self, Actor) -> Result<Vec<CoordinationEvent>, Rejection>,
    ) -> Result<Done, Rejection> {
        if let Some(done) = self.repeated(id, asker, effects)? {
            return Ok(done);
        }
        let events = decide(self, asker.actor.clone())?;
        self.record_all(id, events, asker, now)
    }

    /// Records decided events of one command; the first carries its id.
    fn record_all(
        &mut self,
        id: &CoordinationId,
        events: Vec<CoordinationEvent>,
        asker: &Asker,
        now: &Now,
    ) -> Result<Done, Rejection> {
        self.note_who_carries(id, now)?;
        let member = self.member(id)?;
        let version = member.tip().version.next();
        let mut cause = asker.id.as_ref();
        for event in events {
            let stamp = Stamp { now, actor: &asker.actor, cause: cause.take() };
            member.record(&event, stamp)?;
        }
        self.collect(id);
        self.runnable.insert(id.clone());
        Ok(Done { version })
    }

    /// Moves what a coordination emitted into the turn.
    fn collect(&mut self, id: &CoordinationId) {
        if let Some(member) = self.members.get_mut(id) {
            member.hand_over(&mut self.draft);
        }
    }
}
