//! Taking a run up that nobody carries out, and leaving one alone.

use super::carry_out::CarryOut;
use crate::coordination::{Coordination, Effect, MAX_TEXT_BYTES, NotNow, shortened};
use crate::id::CoordinationId;
use crate::live::Stamp;
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Done, Rejection};
use crate::world::step::{Interruption, Step};

/// Carry a run out that was interrupted. One that is carried out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct TakeUp {
    pub coordination: CoordinationId,
}

/// Start nothing new until the run is resumed; its time stands still once nothing of it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Interrupt {
    pub coordination: CoordinationId,
    pub reason: String,
    /// Whether running sessions are ended, without counting as attempts; else they come to their
    /// own end.
    pub ends_sessions: bool,
}

impl CarryOut for TakeUp {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Resumed]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination: id } = self;
        if let Some(done) = world.repeated(&id, &asker, &effects)? {
            return Ok(done);
        }
        refuse_nested(world.unended(&id)?)?;
        let stamp = Stamp { now, actor: &asker.actor, cause: asker.id.as_ref() };
        world.take_up(&id, stamp)?;
        Ok(Done { version: world.known(&id)?.version() })
    }
}

impl CarryOut for Interrupt {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Interrupted]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination: id, reason, ends_sessions } = self;
        if let Some(done) = world.repeated(&id, &asker, &effects)? {
            return Ok(done);
        }
        let run = world.unended(&id)?;
        refuse_nested(run)?;
        let changes = run.is_carried() || (ends_sessions && !run.ends_sessions());
        if changes {
            world.note_who_carries(&id, now)?;
            let reason = shortened(reason, MAX_TEXT_BYTES);
            let why = Interruption::new(asker.actor.clone(), reason, ends_sessions);
            let stamp = Stamp { now, actor: &asker.actor, cause: asker.id.as_ref() };
            world.interrupt_one(&id, &why, 0, stamp)?;
            let nested = world.nested_in(&id).into_iter();
            world.takeover.extend(nested.map(|id| Step::Interrupt(id, why.clone())));
        }
        Ok(Done { version: world.known(&id)?.version() })
    }
}

fn refuse_nested(run: &Coordination) -> Result<(), Rejection> {
    match run.started().parent {
        Some(_) => Err(run.not_now(NotNow::Nested).into()),
        None => Ok(()),
    }
}

impl World {
    /// Takes a run up with all that is nested in it, unless this engine carries it out already.
    pub(super) fn take_up(
        &mut self,
        id: &CoordinationId,
        stamp: Stamp<'_>,
    ) -> Result<(), Rejection> {
        if self.known(id)?.is_carried() {
            return Ok(());
        }
        self.take_up_one(id, 0, stamp)?;
        self.wake(id, stamp.now);
        self.takeover.extend(self.nested_in(id).into_iter().map(Step::TakeUp));
        Ok(())
    }
}
