//! Starting a coordination.

use super::carry_out::CarryOut;
use crate::coordination::{
    ConfigError, ControllerError, CoordinationConfig, StartFacts, WorkSpec, work_events,
};
use crate::envelope::Blob;
use crate::id::{CoordinationId, SessionId};
use crate::live::{Live, Stamp};
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Rejection, Started};
use crate::world::member::Member;

/// Start a coordination under an id. The caller has seen that no ended one has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Start {
    pub id: CoordinationId,
    /// What it is started with.
    pub config: Box<CoordinationConfig>,
    /// Inputs that its items name.
    pub blobs: Vec<Blob>,
}

impl CarryOut for Start {
    type Reply = Started;

    /// The same start again finds the first, and continues one that was cut off.
    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Started, Rejection> {
        let Self { id, config, blobs } = self;
        if let Some(state) = world.coordination(&id) {
            if state.started().plan != config.digest() {
                return Err(Rejection::Conflict { coordination: id });
            }
            let cut_off =
                state.is_starting() && state.stop_request().is_none() && !world.is_starting(&id);
            if cut_off {
                let rest: Vec<WorkSpec> =
                    config.work().iter().skip(state.work_queue().count()).cloned().collect();
                let events = work_events(rest)?;
                world.starting.push_back((id.clone(), events.into()));
            }
            world.take_up(&id, Stamp { now, actor: &asker.actor, cause: None })?;
            return Ok(Started::Existing { coordination: id });
        }
        // Ids of the form <coordination>.<number> belong to sessions and to the coordinations that
        // carry them out. Nobody chooses that of what all share, which no configuration has.
        let id = match id.is_shared() && config.id().is_none() {
            true => id,
            false => CoordinationId::chosen(id.as_str()).map_err(ControllerError::from)?,
        };
        config.work().iter().try_for_each(WorkSpec::check_new).map_err(ControllerError::from)?;
        let stamp = Stamp { now, actor: &asker.actor, cause: asker.id.as_ref() };
        world.begin(id, *config, None, stamp)?;
        world.draft.add_blobs(blobs);
        Ok(Started::New)
    }
}

impl World {
    /// Begins a coordination; items that do not fit this turn follow in the next ones.
    pub(in crate::world) fn begin(
        &mut self,
        id: CoordinationId,
        config: CoordinationConfig,
        parent: Option<(SessionId, u8)>,
        stamp: Stamp<'_>,
    ) -> Result<(), ConfigError> {
        let facts = StartFacts::new(self.engine.clone(), self.epoch);
        let facts = match parent {
            Some((session, depth)) => facts.below(session, depth),
            None if config.id().is_none() => facts.minted(),
            None => facts,
        };
        let (live, rest) = Live::start(id.clone(), config, facts, stamp)?;
        self.members.insert(id.clone(), Member::new(live));
        self.collect(&id);
        if rest.is_empty() {
            self.runnable.insert(id);
        } else {
            self.starting.push_back((id, rest.into()));
        }
        Ok(())
    }
}
