//! What an earlier engine left: every coordination that has not ended, from its snapshot and the events after it.

use antiphon_core::coordination::{CoordinationSession, Meta};
use antiphon_core::envelope::StreamTip;
use antiphon_core::event::{DecodeError, Event};
use antiphon_core::id::{CoordinationId, StreamName, Version};
use antiphon_core::world::{LedgerFacts, World};

use super::StartError;
use crate::clock::Clock;
use crate::ledger::{HeadFilter, HeadQuery, Opened, Owner, Store};

/// Events read at a time.
const PAGE: usize = 2_000;

/// A world as the ledger gives it.
pub(super) struct Recovered {
    pub(super) world: World,
    pub(super) clock: Clock,
    pub(super) facts: LedgerFacts,
    pub(super) owner: Owner,
    pub(super) accepted_shorter: bool,
}

/// Builds the world of a ledger that was just taken over.
pub(super) fn recover(store: &dyn Store, owner: &Owner, opened: Opened, accepted_shorter: bool) -> Result<Recovered, StartError> {
    let started = store.heads(&HeadQuery::Stream(StreamName::Ledger))?.first().map(|head| head.started);
    let facts = LedgerFacts {
        format: opened.format,
        ledger: antiphon_core::digest::Digest(opened.ledger.0),
        epoch: opened.epoch,
        commit: opened.commits,
        tip: opened.ledger_stream,
        started,
        engine: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let world = rebuild(store, &facts)?;
    Ok(Recovered { world, clock: Clock::continuing(opened.at), facts, owner: owner.clone(), accepted_shorter })
}

/// Builds the world anew from what is durable; the facts name the ends of both chains.
pub(super) fn rebuild(store: &dyn Store, facts: &LedgerFacts) -> Result<World, StartError> {
    let mut world = World::new(facts.clone());
    let filter = HeadFilter { prefix: "coordination/".to_owned(), ended: Some(false), ..HeadFilter::default() };
    let live: Vec<CoordinationId> =
        store.heads(&HeadQuery::List(filter))?.into_iter().filter_map(|head| of(head.stream)).collect();
    for (session, tip) in replay_all(store, &live)? {
        world.adopt(session, tip);
    }
    Ok(world)
}

fn of(stream: StreamName) -> Option<CoordinationId> {
    match stream {
        StreamName::Coordination(id) => Some(id),
        StreamName::Ledger | StreamName::Pool(_) => None,
    }
}

type Replayed = Result<Vec<(CoordinationSession, StreamTip)>, StartError>;

/// Replays coordinations on all cores: they do not depend on each other. The answer has their order.
fn replay_all(store: &dyn Store, live: &[CoordinationId]) -> Replayed {
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let share = live.len().div_ceil(cores).max(1);
    let each = |ids: &[CoordinationId]| ids.iter().map(|id| replay(store, id)).collect::<Replayed>();
    let Some((first, others)) = live.split_at_checked(share) else { return each(live) };
    std::thread::scope(|scope| {
        let others: Vec<_> = others.chunks(share).map(|ids| scope.spawn(move || each(ids))).collect();
        let mut replayed = each(first)?;
        for other in others {
            replayed.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(replayed)
    })
}

/// One coordination from its snapshot, if there is one, and the events after it; hashes are checked on the way.
fn replay(store: &dyn Store, id: &CoordinationId) -> Result<(CoordinationSession, StreamTip), StartError> {
    let stream = StreamName::Coordination(id.clone());
    let snapshot = store.load_snapshot(&stream, CoordinationSession::SNAPSHOT_FORMAT)?;
    let mut session = snapshot.and_then(|snapshot| CoordinationSession::restore(&snapshot.bytes).ok());
    let mut tip = StreamTip::default();
    if let Some(session) = &session {
        // The event that the snapshot ends with links it to the chain.
        let before = Version(session.version().0 - 1);
        if let Some(last) = store.read_stream(&stream, before, 1)?.first().filter(|last| last.is_sound()) {
            tip = StreamTip { version: last.version, hash: last.hash };
        }
    }
    if session.as_ref().is_some_and(|session| session.version() != tip.version) {
        session = None;
        tip = StreamTip::default();
    }
    loop {
        let page = store.read_stream(&stream, tip.version, PAGE)?;
        if page.is_empty() {
            break;
        }
        for recorded in page {
            if !recorded.is_sound() || recorded.prev != tip.hash {
                return Err(StartError::Damaged { coordination: id.clone(), version: recorded.version });
            }
            let broken = |source| StartError::Replay { coordination: id.clone(), source };
            let event = match recorded.payload.bytes() {
                Some(bytes) => Event::decode(&recorded.kind, recorded.schema, bytes),
                None => Err(DecodeError::Erased { kind: recorded.kind.to_string() }),
            };
            let (version, at, wall) = (recorded.version, recorded.at, recorded.wall);
            let event = event.map_err(|source| {
                broken(antiphon_core::coordination::ApplyError::Decode { stream: stream.to_string(), version, source })
            })?;
            let meta = Meta { version, at, wall, cause: recorded.cause };
            match &mut session {
                Some(session) => session.apply(&event, &meta).map_err(broken)?,
                None => session = Some(CoordinationSession::begin(id.clone(), &event, &meta).map_err(broken)?),
            }
            tip = StreamTip { version, hash: recorded.hash };
        }
    }
    match session {
        Some(session) => Ok((session, tip)),
        None => Err(StartError::Damaged { coordination: id.clone(), version: Version(1) }),
    }
}

/// What a rebuilt world goes on from: the ends of both chains as the store has them now.
pub(super) fn refreshed(store: &dyn Store, facts: &LedgerFacts) -> Result<LedgerFacts, StartError> {
    let mut facts = facts.clone();
    loop {
        let page = store.commits(facts.commit.number, PAGE)?;
        let Some(last) = page.last() else { break };
        facts.commit = last.commit.tip();
    }
    if let Some(head) = store.heads(&HeadQuery::Stream(StreamName::Ledger))?.first() {
        facts.tip = head.tip;
    }
    Ok(facts)
}
