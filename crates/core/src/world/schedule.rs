//! What coordinations do of themselves: starts that continue, sessions that are bound and stopped,
//! ends, and what becomes due.

use super::World;
use super::turn::{Action, Spawn, Turn};
use crate::append::{Erasure, HeadRow};
use crate::coordination::event::CoordinationEvent;
use crate::coordination::{Ending, Proposal, StopCause};
use crate::id::{CoordinationId, SessionId, StreamName, Version};
use crate::live::{Live, Stamp};
use crate::time::Now;

impl World {
    /// Lets what is due happen, as much as one turn holds; a takeover deals with it itself.
    pub fn expire(&mut self, now: &Now) {
        while !self.is_taking_over() && self.draft.has_room() {
            let Some(id) = self.deadlines.first_due(now).cloned() else { return };
            self.forget_deadlines(&id);
            self.wake(&id, now);
            self.runnable.insert(id);
        }
    }

    pub(super) fn wake(&mut self, id: &CoordinationId, now: &Now) {
        let Some(member) = self.members.get_mut(id) else { return };
        for number in member.wake(now) {
            self.stop_session(id, number, StopCause::Timeout, now);
        }
    }

    /// Lets coordinations do what they can, and hands out the turn; `None` if nothing happened.
    pub fn take_turn(&mut self, now: &Now) -> Option<Turn> {
        self.continue_taking_over(now);
        if !self.is_taking_over() {
            self.run(now);
        }
        let heads = self.heads();
        self.draft.take(&mut self.commit, self.epoch, heads)
    }

    /// The head rows of the streams that the turn touches; what has ended leaves memory with it.
    fn heads(&mut self) -> Vec<HeadRow> {
        let mut heads = Vec::new();
        self.ended.clear();
        for stream in self.draft.touched() {
            match stream {
                StreamName::Ledger => heads.extend(self.ledger.live().map(Live::head)),
                StreamName::Coordination(id) => {
                    let Some(member) = self.members.get(id) else { continue };
                    heads.push(member.head());
                    if member.state().status().is_terminal() {
                        self.ended.extend(self.members.remove(id));
                    }
                }
                StreamName::Pool(_) => {}
            }
        }
        heads
    }

    fn run(&mut self, now: &Now) {
        self.continue_starting(now);
        while self.draft.has_room() {
            let Some(id) = self.runnable.pop_first() else { break };
            self.schedule(&id, now);
        }
    }

    /// Records further items of starts that did not fit one turn.
    fn continue_starting(&mut self, now: &Now) {
        while self.draft.has_room() {
            let Some((id, events)) = self.starting.front_mut() else { return };
            let (next, id) = (events.front().cloned(), id.clone());
            match (next, self.members.get_mut(&id)) {
                (Some(event), Some(member)) => {
                    // Time that went back refuses it for now, like everything else.
                    if member.record(&event, Stamp::by_engine(now)).is_err() {
                        return;
                    }
                    member.hand_over(&mut self.draft);
                    events.pop_front();
                }
                _ => {
                    self.starting.pop_front();
                    self.runnable.insert(id);
                }
            }
        }
    }

    /// Lets one coordination do what it can until it waits for something.
    fn schedule(&mut self, id: &CoordinationId, now: &Now) {
        loop {
            self.tell_shared_keys(id);
            if !self.draft.has_room() {
                self.runnable.insert(id.clone());
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
                        CoordinationEvent::SessionBound(bound) => Some(bound.session),
                        _ => None,
                    };
                    // Time that went back refuses it for now, like everything else.
                    let Ok(version) = member.record(&event, Stamp::by_engine(now)) else { break };
                    member.hand_over(&mut self.draft);
                    if let Some(number) = bound {
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
        self.draft.act(Action::Spawn(Box::new(Spawn {
            session: session.session_id(number),
            attempt: binding.attempt,
            fence,
            grant: binding.grant,
            deadline: binding.deadline,
            time_ns: binding.deadline.since(binding.bound_at),
            token: session.token(number, now),
            outputs: session.outputs_for(spec),
            origin: session.started().origin,
            context: session.context_of(spec),
            assigned: binding.assigned.clone(),
            spec: spec.clone().given_to(binding.assigned.as_ref()),
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
            self.cancel_nested(&session, cause, now);
        } else {
            self.draft.act(Action::Stop { session, cause });
        }
    }

    /// Ends a coordination: receipt, terminal event, word to its parent; then it leaves memory with
    /// the turn.
    pub(super) fn end(&mut self, id: &CoordinationId, ending: Ending, now: &Now) {
        if self.note_who_carries(id, now).is_err() {
            return;
        }
        let Some(member) = self.members.get_mut(id) else { return };
        let Ok(end) = member.finish(ending, self.commit, Stamp::by_engine(now)) else {
            return;
        };
        member.hand_over(&mut self.draft);
        self.forget_deadlines(id);
        let parent = self.coordination(id).and_then(|session| session.started().parent.clone());
        let (plan, on_end, archives) = match self.coordination(id) {
            Some(session) => {
                let started = session.started();
                (started.plan, started.on_end, session.archives().to_vec())
            }
            None => return,
        };
        // Nothing names them, so they could never be erased later.
        for archive in archives {
            self.draft.erase(Erasure::Blob(archive));
        }
        self.draft.act(Action::Ended {
            coordination: id.clone(),
            plan,
            verdict: end.receipt.verdict,
            ending: end.receipt.ending.clone(),
            usage: end.receipt.budget_usage.clone(),
            counts: Box::new(end.receipt.totals),
            receipt: end.receipt_hash,
            on_end: on_end.filter(|_| parent.is_none()),
        });
        if let Some(parent) = parent {
            self.child_ended(&parent, &end, now);
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
}
