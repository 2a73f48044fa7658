//! Adding and skipping work.

use super::carry_out::CarryOut;
use crate::coordination::event::CoordinationEvent;
use crate::coordination::{ArchivedWork, Effect, MAX_ARCHIVES_READ, SkipReason, WorkSpec};
use crate::envelope::Blob;
use crate::id::{CoordinationId, Fence, SessionId};
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Done, Rejection, Written};

/// Add work, from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct AddWork {
    pub coordination: CoordinationId,
    pub items: Vec<WorkSpec>,
    /// What was found in the blobs that [`Rejection::ArchivesNeeded`] asked for.
    pub archived: Vec<ArchivedWork>,
    /// Inputs that the items name.
    pub blobs: Vec<Blob>,
}

/// Add work, from a session, which must be live and show its fence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct AddSessionWork {
    pub session: SessionId,
    /// None where it is known otherwise that this session asks.
    pub fence: Option<Fence>,
    pub items: Vec<WorkSpec>,
    /// What was found in the blobs that [`Rejection::ArchivesNeeded`] asked for.
    pub archived: Vec<ArchivedWork>,
    /// Inputs that the items name.
    pub blobs: Vec<Blob>,
}

/// Skip an item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Skip {
    pub coordination: CoordinationId,
    pub work: String,
    pub because: SkipReason,
}

impl CarryOut for AddWork {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        added(&self.items)
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        if let Some(done) = world.repeated(&self.coordination, &asker, &self.effects())? {
            return Ok(done);
        }
        add(world, self, None, &asker, now)
    }
}

impl CarryOut for AddSessionWork {
    type Reply = Written;

    fn effects(&self) -> Vec<Effect> {
        added(&self.items)
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Written, Rejection> {
        let effects = self.effects();
        let Self { session, fence, items, archived, blobs } = self;
        if let Some(done) = world.repeated(&session.coordination, &asker, &effects)? {
            return Ok(Written::Done(done));
        }
        if !world.member(&session.coordination)?.state().is_bound(session.number, fence) {
            world.refuse_write(&session, fence.unwrap_or_default(), "work", now)?;
            return Ok(Written::Refused);
        }
        let work = AddWork { coordination: session.coordination, items, archived, blobs };
        add(world, work, Some(session.number), &asker, now).map(Written::Done)
    }
}

/// What is recorded first may be any of the items, or that finished ones are needed again.
fn added(items: &[WorkSpec]) -> Vec<Effect> {
    let first = items.iter().map(|item| Some(item.id.clone()));
    first.chain([None]).map(Effect::AddedWork).collect()
}

/// Adds work, for a session of this number or for a caller outside.
fn add(
    world: &mut World,
    work: AddWork,
    adder: Option<u64>,
    asker: &Asker,
    now: &Now,
) -> Result<Done, Rejection> {
    let AddWork { coordination, items, archived, blobs } = work;
    let state = world.member(&coordination)?.state();
    let missing = state.archives_needed(&items, &archived);
    if !missing.is_empty() {
        let actual = missing.len() + archived.len();
        if actual > MAX_ARCHIVES_READ {
            return Err(Rejection::TooManyArchives { actual, max: MAX_ARCHIVES_READ });
        }
        return Err(Rejection::ArchivesNeeded { archives: missing });
    }
    let events = state.decide_work(items, adder, &archived)?;
    let done = world.record_all(&coordination, events, asker, now)?;
    world.draft.add_blobs(blobs);
    Ok(done)
}

impl CarryOut for Skip {
    type Reply = Done;

    fn effects(&self) -> Vec<Effect> {
        vec![Effect::Skipped]
    }

    fn carry_out(self, world: &mut World, asker: Asker, now: &Now) -> Result<Done, Rejection> {
        let effects = self.effects();
        let Self { coordination, work, because } = self;
        world.decide_once(&coordination, &asker, &effects, now, |world, _| {
            let skip = world.known(&coordination)?.decide_skip(&work, because)?;
            Ok(vec![CoordinationEvent::WorkSkipped(skip)])
        })
    }
}
