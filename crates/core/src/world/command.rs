//! What may be asked of the world, and how it answers.

use super::member::Member;
use super::{EraseRequest, WorkSpec, World, engine, nesting, stamp};
use crate::coordination::event::{
    BudgetRaised, Continued, CoordinationEvent, Paused, SessionCleared, StopKind, StopRequested,
    WriteRefused,
};
use crate::coordination::{
    Change, ControllerError, CoordinationConfig, MAX_RECALLED_ARCHIVES, MAX_TEXT_BYTES, Raise,
    Recalled, SessionEnd, SkipReason, StartFacts, StopCause, shortened,
};
use crate::digest::Digest;
use crate::envelope::Blob;
use crate::id::{Actor, CommandId, CoordinationId, Fence, SessionId, Version, WorkId};
use crate::live::{EmitError, Live, Stamp};
use crate::time::Now;

/// Something that is asked of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start a coordination under an id. The caller has seen that no ended one has it.
    Start {
        /// Its id.
        id: CoordinationId,
        /// What it is started with.
        config: Box<CoordinationConfig>,
        /// Inputs that its items name.
        blobs: Vec<Blob>,
    },
    /// Add work.
    AddWork {
        /// The coordination.
        coordination: CoordinationId,
        /// The items.
        items: Vec<WorkSpec>,
        /// Who adds it.
        by: Adder,
        /// What was found in the blobs that [`Rejection::Recall`] asked for.
        recalled: Vec<Recalled>,
        /// Inputs that the items name.
        blobs: Vec<Blob>,
    },
    /// A session ended.
    EndSession {
        /// The session.
        session: SessionId,
        /// What it shows.
        fence: Fence,
        /// How it ended.
        end: Box<SessionEnd>,
        /// Why it had been asked to stop, as whoever runs it remembers; a world that was built anew
        /// does not.
        asked: Option<StopCause>,
        /// Output that it names.
        blobs: Vec<Blob>,
    },
    /// Nothing is left of a session that had left something running.
    Cleared {
        /// The session.
        session: SessionId,
    },
    /// Answer to [`Action::Expand`](super::Action::Expand).
    Expanded {
        /// The coordination.
        coordination: CoordinationId,
        /// The item.
        work: WorkId,
        /// The configuration, or why there is none.
        config: Result<Box<CoordinationConfig>, String>,
    },
    /// End a coordination in some way.
    Stop {
        /// The coordination.
        coordination: CoordinationId,
        /// How.
        kind: StopKind,
        /// Why.
        reason: String,
    },
    /// Start nothing new for a while.
    Pause {
        /// The coordination.
        coordination: CoordinationId,
        /// Why.
        reason: String,
    },
    /// Go on, with higher ceilings if given.
    Continue {
        /// The coordination.
        coordination: CoordinationId,
        /// What is raised; it may be nothing.
        raise: Raise,
    },
    /// Raise ceilings.
    RaiseBudget {
        /// The coordination.
        coordination: CoordinationId,
        /// What is raised.
        raise: Raise,
    },
    /// Skip an item.
    Skip {
        /// The coordination.
        coordination: CoordinationId,
        /// The item.
        work: String,
        /// Why.
        because: SkipReason,
    },
    /// Erase payloads or blobs.
    Erase(EraseRequest),
}

/// Who adds work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adder {
    /// Somebody outside.
    Operator,
    /// The session of this number, which must be live and show its fence.
    Session(u64, Fence),
}

/// Who asks, and under which id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// An id that makes the command idempotent.
    pub id: Option<CommandId>,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It was carried out, first recorded at this version of its stream.
    Done {
        /// The version.
        version: Version,
    },
    /// The coordination was there before, started with the same configuration.
    Existing {
        /// Its id.
        coordination: CoordinationId,
    },
    /// The session's fence was stale: nothing was changed but the count of such writes.
    WriteRefused,
}

/// Why a command was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The coordination's own rules forbid it.
    #[error(transparent)]
    Refused(#[from] ControllerError),
    /// It could not be recorded at this moment.
    #[error(transparent)]
    NotRecorded(#[from] EmitError),
    /// What an earlier engine left is not taken over yet.
    #[error(
        "the engine is still taking over what it found in the ledger; repeat the command in a moment"
    )]
    TakingOver,
    /// There is no such live coordination.
    #[error("coordination {coordination} is not running; list shows what there is")]
    UnknownCoordination {
        /// The id.
        coordination: CoordinationId,
    },
    /// The id is taken by a coordination that was started with something else.
    #[error(
        "coordination {coordination} exists already and was started with a different configuration; choose another id"
    )]
    Conflict {
        /// The id.
        coordination: CoordinationId,
    },
    /// It depends on finished items that left memory: repeat the command with these blobs.
    #[error("this depends on finished items that left memory; they must be read first")]
    Recall {
        /// The blobs that may hold them.
        archives: Vec<Digest>,
    },
    /// Only what has ended can be erased.
    #[error("coordination {coordination} has not ended; payloads can be erased once it has")]
    StillRunning {
        /// The id.
        coordination: CoordinationId,
    },
}

impl Rejection {
    /// Whether it says no more than that the coordination does not run.
    #[must_use]
    pub fn is_not_running(&self) -> bool {
        matches!(
            self,
            Self::UnknownCoordination { .. }
                | Self::Refused(ControllerError::CoordinationTerminal { .. })
        )
    }

    pub(super) fn unknown(coordination: &CoordinationId) -> Self {
        Self::UnknownCoordination { coordination: coordination.clone() }
    }
}

pub(super) fn handle(
    world: &mut World,
    command: Command,
    origin: Origin,
    now: &Now,
) -> Result<Reply, Rejection> {
    if let (Some(id), Some(coordination)) = (&origin.id, command.coordination())
        && let Some(version) =
            world.coordination(coordination).and_then(|session| session.remembered(id))
    {
        return Ok(Reply::Done { version });
    }
    match command {
        Command::Start { id, config, blobs } => start(world, id, *config, blobs, origin, now),
        Command::AddWork { coordination, items, by, recalled, blobs } => {
            let member = world.member(&coordination)?;
            let adder = match by {
                Adder::Operator => None,
                Adder::Session(number, fence) if member.state().shows_fence(number, fence) => {
                    Some(number)
                }
                Adder::Session(number, fence) => {
                    return refuse_write(world, &coordination, number, fence, "work", now);
                }
            };
            let missing = member.state().to_recall(&items, &recalled);
            if !missing.is_empty() {
                let actual = (missing.len() + recalled.len()) as u64;
                let max = MAX_RECALLED_ARCHIVES as u64;
                if actual > max {
                    let field = "archives of finished items needed at once";
                    return Err(ControllerError::OutOfRange { field, actual, min: 0, max }.into());
                }
                return Err(Rejection::Recall { archives: missing });
            }
            let events = member.state().decide_work(items, adder, &recalled)?;
            let reply = world.emit_all(&coordination, events, &origin, now)?;
            for blob in blobs {
                world.draft.add_blob(blob);
            }
            Ok(reply)
        }
        Command::EndSession { session, fence, end, asked, blobs } => {
            end_session(world, &session, fence, *end, asked, blobs, now)
        }
        Command::Expanded { coordination, work, config } => {
            nesting::expanded(world, &coordination, &work, config.map(|config| *config), now)?;
            Ok(Reply::Done { version: Version(0) })
        }
        Command::Cleared { session } => {
            let state = world.live(&session.coordination)?;
            if state.held_by(session.number).is_none() {
                return Err(ControllerError::HoldsNothing { session_id: session }.into());
            }
            let event =
                CoordinationEvent::SessionCleared(SessionCleared { session: session.number });
            world.emit_all(&session.coordination, vec![event], &origin, now)
        }
        Command::Stop { coordination, kind, reason } => {
            stop(world, &coordination, kind, reason, &origin, now)
        }
        Command::Pause { coordination, reason } => {
            let session = world.live(&coordination)?;
            session.allow(Change::Pause)?;
            let paused =
                Paused { by: origin.actor.clone(), reason: shortened(reason, MAX_TEXT_BYTES) };
            world.emit_all(&coordination, vec![CoordinationEvent::Paused(paused)], &origin, now)
        }
        Command::Continue { coordination, raise } => {
            let session = world.live(&coordination)?;
            session.allow(Change::Continue)?;
            let mut events = Vec::new();
            if !raise.is_empty() {
                let budget = session.budget().raised(&raise)?;
                nesting::refuse_above_grant(world, session, &budget)?;
                events.push(CoordinationEvent::BudgetRaised(BudgetRaised {
                    by: origin.actor.clone(),
                    budget,
                }));
            } else if session.is_exhausted() {
                return Err(session
                    .not_in_state("has used up its budget; raise a ceiling to continue")
                    .into());
            }
            events.push(CoordinationEvent::Continued(Continued { by: origin.actor.clone() }));
            world.emit_all(&coordination, events, &origin, now)
        }
        Command::RaiseBudget { coordination, raise } => {
            let session = world.live(&coordination)?;
            session.allow(Change::Raise)?;
            let budget = session.budget().raised(&raise)?;
            nesting::refuse_above_grant(world, session, &budget)?;
            let raised = BudgetRaised { by: origin.actor.clone(), budget };
            world.emit_all(
                &coordination,
                vec![CoordinationEvent::BudgetRaised(raised)],
                &origin,
                now,
            )
        }
        Command::Skip { coordination, work, because } => {
            let skip = world.member(&coordination)?.state().decide_skip(&work, because)?;
            world.emit_all(&coordination, vec![CoordinationEvent::WorkSkipped(skip)], &origin, now)
        }
        Command::Erase(request) => Ok(Reply::Done { version: world.erase(request, now)? }),
    }
}

impl Command {
    /// The coordination that it goes to, if there is one already.
    #[must_use]
    pub fn coordination(&self) -> Option<&CoordinationId> {
        match self {
            Self::AddWork { coordination, .. }
            | Self::Stop { coordination, .. }
            | Self::Pause { coordination, .. }
            | Self::Continue { coordination, .. }
            | Self::RaiseBudget { coordination, .. }
            | Self::Skip { coordination, .. } => Some(coordination),
            Self::Start { .. }
            | Self::EndSession { .. }
            | Self::Cleared { .. }
            | Self::Expanded { .. }
            | Self::Erase(_) => None,
        }
    }
}

/// Starts a coordination; the same start again finds the first, and goes on with one that was cut
/// off.
fn start(
    world: &mut World,
    id: CoordinationId,
    config: CoordinationConfig,
    blobs: Vec<Blob>,
    origin: Origin,
    now: &Now,
) -> Result<Reply, Rejection> {
    if let Some(session) = world.coordination(&id) {
        if session.started().plan != config.digest() {
            return Err(Rejection::Conflict { coordination: id });
        }
        let cut_off =
            session.is_starting() && session.stop_request().is_none() && !world.is_starting(&id);
        if cut_off {
            let rest: Vec<WorkSpec> =
                config.work().iter().skip(session.work_queue().count()).cloned().collect();
            let events = crate::coordination::work_events(rest)?;
            world.starting.push_back((id.clone(), events.into()));
        }
        return Ok(Reply::Existing { coordination: id });
    }
    // Ids of the form <coordination>.<number> belong to sessions and to the coordinations that
    // carry them out.
    let id = CoordinationId::chosen(id.as_str()).map_err(ControllerError::from)?;
    world.begin(id, config, None, &origin.actor, origin.id.clone(), now)?;
    for blob in blobs {
        world.draft.add_blob(blob);
    }
    Ok(Reply::Done { version: Version(1) })
}

fn stop(
    world: &mut World,
    id: &CoordinationId,
    kind: StopKind,
    reason: String,
    origin: &Origin,
    now: &Now,
) -> Result<Reply, Rejection> {
    let session = world.live(id)?;
    session.allow(Change::Stop(kind))?;
    let request = StopRequested {
        kind,
        by: origin.actor.clone(),
        reason: shortened(reason, MAX_TEXT_BYTES),
        parent: None,
    };
    world.emit_all(id, vec![CoordinationEvent::StopRequested(request)], origin, now)
}

fn end_session(
    world: &mut World,
    session: &SessionId,
    fence: Fence,
    end: SessionEnd,
    asked: Option<StopCause>,
    blobs: Vec<Blob>,
    now: &Now,
) -> Result<Reply, Rejection> {
    let id = &session.coordination;
    let state = world.live(id)?;
    if !state.shows_fence(session.number, fence) {
        return refuse_write(world, id, session.number, fence, "completion", now);
    }
    if state.binding(session.number).is_some_and(|(binding, _)| binding.nested) {
        let coordination_id = session.nested_coordination().map_err(ControllerError::from)?;
        let state = "carries this session out, which ends when it ends; stop it instead";
        return Err(ControllerError::NotInState { coordination_id, state }.into());
    }
    let member = world.member(id)?;
    member.unbind(session.number, end, asked, stamp(now, &engine()))?;
    let version = member.live.tip().version;
    for blob in blobs {
        world.draft.add_blob(blob);
    }
    world.collect(id);
    world.restless.insert(id.clone());
    Ok(Reply::Done { version })
}

/// Refuses a write behind a stale fence; the first of its kind by a session goes on the record.
fn refuse_write(
    world: &mut World,
    id: &CoordinationId,
    session: u64,
    fence: Fence,
    kind: &str,
    now: &Now,
) -> Result<Reply, Rejection> {
    let state = world.live(id)?;
    if !state.has_refused(session, kind) && session <= state.last_session() {
        let refused = WriteRefused { session, fence, kind: kind.to_owned() };
        let origin = Origin { actor: engine(), id: None };
        world.emit_all(id, vec![CoordinationEvent::WriteRefused(refused)], &origin, now)?;
    }
    Ok(Reply::WriteRefused)
}

impl World {
    pub(super) fn live(&self, id: &CoordinationId) -> Result<&super::Coordination, Rejection> {
        let session = self.coordination(id).ok_or_else(|| Rejection::unknown(id))?;
        if session.status().is_terminal() {
            return Err(
                ControllerError::CoordinationTerminal { coordination_id: id.clone() }.into()
            );
        }
        Ok(session)
    }

    /// Begins a coordination; items that do not fit this turn follow in the next ones.
    pub(super) fn begin(
        &mut self,
        id: CoordinationId,
        config: CoordinationConfig,
        parent: Option<(SessionId, u8)>,
        actor: &Actor,
        cause: Option<CommandId>,
        now: &Now,
    ) -> Result<(), ControllerError> {
        let (parent, depth) = parent.map_or((None, 0), |(session, depth)| (Some(session), depth));
        let minted = parent.is_none() && config.id().is_none();
        let facts =
            StartFacts { parent, depth, minted, engine: self.engine.clone(), epoch: self.epoch };
        let stamp = Stamp { now, actor, cause: cause.as_ref() };
        let (live, rest) = Live::start(id.clone(), config, facts, stamp)?;
        self.members.insert(id.clone(), Member::new(live));
        self.collect(&id);
        if rest.is_empty() {
            self.restless.insert(id);
        } else {
            self.starting.push_back((id, rest.into()));
        }
        Ok(())
    }

    /// Records decided events of one command; the first carries its id.
    fn emit_all(
        &mut self,
        id: &CoordinationId,
        events: Vec<CoordinationEvent>,
        origin: &Origin,
        now: &Now,
    ) -> Result<Reply, Rejection> {
        let member = self.member(id)?;
        let version = member.live.tip().version.next();
        let mut cause = origin.id.as_ref();
        for event in events {
            let stamp = Stamp { now, actor: &origin.actor, cause: cause.take() };
            member.live.record(&event, stamp)?;
        }
        self.collect(id);
        self.restless.insert(id.clone());
        Ok(Reply::Done { version })
    }

    /// Moves what a coordination emitted into the turn.
    pub(super) fn collect(&mut self, id: &CoordinationId) {
        if let Some(member) = self.members.get_mut(id) {
            self.draft.collect(&mut member.live);
        }
    }
}
