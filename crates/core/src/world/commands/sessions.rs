//! What sessions report, and what is seen of them.

use super::carry_out::CarryOut;
use crate::coordination::event::{CoordinationEvent, SessionCleared, WriteRefused};
use crate::coordination::{ControllerError, NotNow, SessionEnd, StateError, StopCause};
use crate::envelope::Blob;
use crate::id::{Fence, SessionId};
use crate::live::Stamp;
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Done, Rejection, Written};

/// A session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct EndSession {
    pub session: SessionId,
    pub fence: Fence,
    pub end: Box<SessionEnd>,
    /// Why it had been asked to stop, as its runner remembers; a world that was rebuilt does not.
    pub asked: Option<StopCause>,
    /// Output that it names.
    pub blobs: Vec<Blob>,
}

impl EndSession {
    /// The end of a session that was not asked to stop and names no output.
    #[must_use]
    pub fn new(session: SessionId, fence: Fence, end: SessionEnd) -> Self {
        Self { session, fence, end: Box::new(end), asked: None, blobs: Vec::new() }
    }
}

/// Nothing is left of a session that had left something running.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Cleared {
    pub session: SessionId,
}

impl CarryOut for EndSession {
    type Reply = Written;

    fn carry_out(self, world: &mut World, _asker: Asker, now: &Now) -> Result<Written, Rejection> {
        let Self { session, fence, end, asked, blobs } = self;
        let id = &session.coordination;
        let state = world.unended(id)?;
        if !state.shows_fence(session.number, fence) {
            world.refuse_write(&session, fence, "completion", now)?;
            return Ok(Written::Refused);
        }
        if state.binding(session.number).is_some_and(|(binding, _)| binding.nested) {
            let coordination_id = session.nested_coordination().map_err(ControllerError::from)?;
            let reason = NotNow::CarriesOutSession;
            return Err(StateError::NotInState { coordination_id, reason }.into());
        }
        let member = world.member(id)?;
        member.unbind(session.number, *end, asked, Stamp::by_engine(now))?;
        let version = member.tip().version;
        world.draft.add_blobs(blobs);
        world.collect(id);
        world.runnable.insert(id.clone());
        Ok(Written::Done(Done { version }))
    }
}

impl CarryOut for Cleared {
    type Reply = Done;

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let Self { session } = self;
        world.unended(&session.coordination)?.may_clear(session.number)?;
        let event = CoordinationEvent::SessionCleared(SessionCleared { session: session.number });
        world.record_all(&session.coordination, vec![event], &asker, now)
    }
}

impl World {
    /// Refuses a write behind a stale fence; the first of its kind by a session is recorded.
    pub(super) fn refuse_write(
        &mut self,
        session: &SessionId,
        fence: Fence,
        kind: &str,
        now: &Now,
    ) -> Result<(), Rejection> {
        let (id, number) = (&session.coordination, session.number);
        if self.unended(id)?.is_first_refusal(number, kind) {
            let refused = WriteRefused { session: number, fence, kind: kind.to_owned() };
            let event = CoordinationEvent::WriteRefused(refused);
            self.record_all(id, vec![event], &Asker::engine(), now)?;
        }
        Ok(())
    }
}
