//! Sending signals.

use super::carry_out::CarryOut;
use crate::coordination::event::{CoordinationEvent, Signalled};
use crate::coordination::{
    Change, ControllerError, CoordinationConfig, Effect, SESSION_WRITE_BURST,
    SESSION_WRITES_PER_SECOND, Signal, SignalError,
};
use crate::envelope::Blob;
use crate::id::{AgentId, CoordinationId, Fence, SessionId};
use crate::live::Stamp;
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Done, Rejection, Written};

/// Send a signal, from outside. One that does not say who sends it is sent in the name of the asker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendSignal {
    /// Where it is sent.
    pub coordination: CoordinationId,
    /// What is sent.
    pub signal: Box<Signal>,
    /// What the coordination begins with if it is not there, where that is allowed. The caller has
    /// seen that no ended one has its id.
    pub undeclared: Option<Box<CoordinationConfig>>,
}

/// Send a signal, from a session, which must be live and show its fence. It speaks in the name of
/// its item and in its own coordination, and no faster than sessions may.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct SendSessionSignal {
    pub session: SessionId,
    /// None where it is known otherwise that this session asks.
    pub fence: Option<Fence>,
    /// What is sent.
    pub signal: Box<Signal>,
}

impl CarryOut for SendSignal {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Signalled(self.signal.kind().clone())]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination: id, signal, undeclared } = self;
        if let Some(done) = world.repeated(&id, &asker, &effects)? {
            return Ok(done);
        }
        let asking = AgentId::new(asker.actor.as_str()).map_err(ControllerError::from)?;
        let sent = signal.sent_by(asking)?;
        if let Some(config) = undeclared
            && world.coordination(&id).is_none()
        {
            let id = CoordinationId::chosen(id.as_str()).map_err(ControllerError::from)?;
            world.begin(id, *config, None, Stamp { now, actor: &asker.actor, cause: None })?;
        }
        send(world, &id, sent, &asker, now)
    }
}

impl CarryOut for SendSessionSignal {
    type Reply = Written;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Signalled(self.signal.kind().clone())]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Written, Rejection> {
        let effects = self.effects();
        let Self { session, fence, signal } = self;
        let id = &session.coordination;
        if let Some(done) = world.repeated(id, &asker, &effects)? {
            return Ok(Written::Done(done));
        }
        let state = world.member(id)?.state();
        let live = state.binding(session.number);
        let live = live.filter(|(live, _)| fence.is_none_or(|shown| shown == live.fence));
        let Some((_, item)) = live else {
            world.refuse_write(&session, fence.unwrap_or_default(), "signal", now)?;
            return Ok(Written::Refused);
        };
        let agent = item.speaks_as();
        if let Some(claimed) = signal.sender().filter(|claimed| **claimed != agent) {
            let claimed = claimed.clone();
            return Err(SignalError::Forged { session, agent, claimed }.into());
        }
        let sent = signal.sent_by(agent)?;
        world.member(id)?.may_write(session.number, now.at).map_err(|retry_after| {
            let (session, burst) = (session.clone(), SESSION_WRITE_BURST);
            SignalError::TooFast {
                session,
                per_second: SESSION_WRITES_PER_SECOND,
                burst,
                retry_after,
            }
        })?;
        send(world, id, sent, &asker, now).map(Written::Done)
    }
}

/// Records a signal, unless its sender has sent the same before.
fn send(
    world: &mut World,
    id: &CoordinationId,
    (sent, blob): (Signalled, Option<Blob>),
    asker: &Asker,
    now: &Now,
) -> Result<Done, Rejection> {
    let state = world.unended(id)?;
    state.allow(Change::Signal)?;
    if let Some(version) = state.sent_before(&sent, now.at) {
        return Ok(Done { version });
    }
    let event = CoordinationEvent::Signalled(Box::new(sent));
    let done = world.record_all(id, vec![event], asker, now)?;
    world.draft.add_blobs(blob);
    Ok(done)
}
