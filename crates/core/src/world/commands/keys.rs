//! Changing keys.

use super::carry_out::CarryOut;
use crate::coordination::event::CoordinationEvent;
use crate::coordination::{
    Change, Effect, KeyError, KeyWrite, SESSION_WRITE_BURST, SESSION_WRITES_PER_SECOND,
};
use crate::envelope::MAX_PAYLOAD_BYTES;
use crate::id::{CoordinationId, Fence, KeyName, SessionId};
use crate::schema::AggregateEvent as _;
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Done, Rejection, Written};

/// Change keys, from outside: all of them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SetKeys {
    pub coordination: CoordinationId,
    pub writes: Vec<KeyWrite>,
}

/// Change keys, from a session, which must be live and show its fence: those of its own coordination
/// alone, none that are set for sessions but the gates that its item scores, and no faster than sessions may.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SetSessionKeys {
    pub session: SessionId,
    /// None where it is known otherwise that this session asks.
    pub fence: Option<Fence>,
    pub writes: Vec<KeyWrite>,
}

/// Change keys that all share, from a session, which must be live and show its fence: those alone that
/// its item was lent, and no faster than sessions may.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SetSharedKeys {
    pub session: SessionId,
    /// None where it is known otherwise that this session asks.
    pub fence: Option<Fence>,
    pub writes: Vec<KeyWrite>,
}

impl CarryOut for SetKeys {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::KeysSet]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination: id, writes } = self;
        match world.repeated(&id, &asker, &effects)? {
            Some(done) => Ok(done),
            None => set(world, &id, writes, None, &asker, now),
        }
    }
}

impl CarryOut for SetSessionKeys {
    type Reply = Written;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::KeysSet]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Written, Rejection> {
        let effects = self.effects();
        let Self { session, fence, writes } = self;
        let id = &session.coordination;
        if let Some(done) = world.repeated(id, &asker, &effects)? {
            return Ok(Written::Done(done));
        }
        if !world.may_set_keys(&session, fence, now)? {
            return Ok(Written::Refused);
        }
        let item = world.member(id)?.state().binding(session.number).map(|(_, item)| item);
        let scored = item.map_or_else(Vec::new, |item| item.scores.to_vec());
        set(world, id, writes, Some(&scored), &asker, now).map(Written::Done)
    }
}

impl CarryOut for SetSharedKeys {
    type Reply = Written;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::KeysSet]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Written, Rejection> {
        let effects = self.effects();
        let Self { session, fence, writes } = self;
        let id = CoordinationId::shared();
        if let Some(done) = world.repeated(id, &asker, &effects)? {
            return Ok(Written::Done(done));
        }
        if let Some((_, item)) = world.known(&session.coordination)?.binding(session.number)
            && let Some(foreign) = writes.iter().find(|write| !item.shared.contains(write.key()))
        {
            let (key, work) = (foreign.key().clone(), item.id.clone());
            return Err(KeyError::NotLent { key, work }.into());
        }
        world.unended(id)?;
        if !world.may_set_keys(&session, fence, now)? {
            return Ok(Written::Refused);
        }
        set(world, id, writes, None, &asker, now).map(Written::Done)
    }
}

impl World {
    /// Whether a session may change keys now: not where it is stale, which is recorded.
    ///
    /// # Errors
    /// [`KeyError::TooFast`].
    fn may_set_keys(
        &mut self,
        session: &SessionId,
        fence: Option<Fence>,
        now: &Now,
    ) -> Result<bool, Rejection> {
        let member = self.member(&session.coordination)?;
        if !member.state().is_bound(session.number, fence) {
            self.refuse_write(session, fence.unwrap_or_default(), "key", now)?;
            return Ok(false);
        }
        member.may_write(session.number, now.at).map_err(|retry_after| {
            let (session, burst) = (session.clone(), SESSION_WRITE_BURST);
            KeyError::TooFast { session, per_second: SESSION_WRITES_PER_SECOND, burst, retry_after }
        })?;
        Ok(true)
    }
}

/// Records a change of keys, unless it changes nothing.
fn set(
    world: &mut World,
    id: &CoordinationId,
    writes: Vec<KeyWrite>,
    scored: Option<&[KeyName]>,
    asker: &Asker,
    now: &Now,
) -> Result<Done, Rejection> {
    let state = world.unended(id)?;
    state.allow(Change::SetKeys)?;
    let Some((set, blobs)) = state.decide_keys(writes, asker.actor.clone(), scored)? else {
        return Ok(Done { version: state.version() });
    };
    let event = CoordinationEvent::KeySet(set.clone());
    let (actual, max) = (event.encode().len(), MAX_PAYLOAD_BYTES);
    if actual > max {
        return Err(KeyError::TooManyBytes { actual, max }.into());
    }
    let done = world.record_all(id, vec![event], asker, now)?;
    world.draft.add_blobs(blobs);
    if id.is_shared() {
        world.share(&set);
    }
    Ok(done)
}
