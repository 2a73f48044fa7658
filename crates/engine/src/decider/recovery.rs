//! What an earlier engine left: every stream that has not ended, from its snapshot and the
//! events after it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use antiphon_core::coordination::{ApplyError, Coordination};
use antiphon_core::envelope::{Recorded, StreamTip};
use antiphon_core::event::Unreadable;
use antiphon_core::id::{StreamName, Version};
use antiphon_core::replay::Replay;
use antiphon_core::time::{LedgerTime, WallTime};
use antiphon_core::world::{LedgerFacts, World};

use crate::clock::Clock;
use crate::ledger::{Events, HeadFilter, HeadQuery, Opened, Owner, Store};
use crate::mailbox::StartError;

/// Events, or commits, read at a time.
const PAGE: usize = 2_000;

/// Events of all coordinations that are replayed side by side before the first of them is read on:
/// no more than a connection keeps at hand.
const WINDOW: usize = 4_096;

/// Fewer at a time would cost more than they save.
const SHORTEST_PAGE: usize = 32;

/// A world as the ledger gives it.
pub(crate) struct Recovered {
    pub(super) world: World,
    /// The version of the snapshot that each stream was read from.
    pub(super) saved: HashMap<StreamName, Version>,
    pub(super) clock: Clock,
    pub(super) facts: LedgerFacts,
    pub(super) owner: Owner,
    pub(super) accepted_shorter: bool,
    /// What this version cannot read, if there is such an event: then the world is empty, and
    /// nothing may be written.
    pub(super) newer: Option<Unreadable>,
}

impl Recovered {
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Whether the ledger may only be read.
    pub(crate) fn is_newer(&self) -> bool {
        self.newer.is_some()
    }
}

/// Builds the world of a ledger that was just taken over.
pub(crate) fn recover(
    store: &dyn Store,
    owner: &Owner,
    opened: Opened,
    accepted_shorter: bool,
) -> Result<Recovered, StartError> {
    let facts = opened.facts(began(store)?, env!("CARGO_PKG_VERSION"));
    let recovered = read_others(store).and_then(|()| rebuild(store, &facts));
    let ((world, saved), newer) = match recovered {
        Err(StartError::Replay { error: ApplyError::Unreadable(unreadable), .. })
            if unreadable.error.is_newer() =>
        {
            ((World::new(facts.clone()), HashMap::new()), Some(unreadable))
        }
        recovered => (recovered?, None),
    };
    Ok(Recovered {
        world,
        saved,
        clock: Clock::continuing(opened.at),
        facts,
        owner: owner.clone(),
        accepted_shorter,
        newer,
    })
}

/// Reads the streams that no world is built from: the ledger's own, and those of kinds that this
/// version does not know. Events of streams that have ended are not looked at: nothing follows from
/// them any more, and a reader of one meets the error then.
fn read_others(store: &dyn Store) -> Result<(), StartError> {
    let live = HeadFilter { ended: Some(false), ..HeadFilter::default() };
    let streams = store.heads(&HeadQuery::List(live))?.into_iter().map(|head| head.stream);
    for stream in streams.filter(|stream| !matches!(stream, StreamName::Coordination(_))) {
        for event in Events::after(store, stream.clone(), Version(0)) {
            // What is damaged is found by verifying, and concerns nothing that is decided.
            if let Err(source) = event?.event()
                && source.error.is_newer()
            {
                return Err(StartError::Replay { stream, error: source.into() });
            }
        }
    }
    Ok(())
}

/// Builds the world anew from what is durable; the facts name the ends of both chains. Also says
/// from which snapshot each stream was read.
pub(super) fn rebuild(
    store: &dyn Store,
    facts: &LedgerFacts,
) -> Result<(World, HashMap<StreamName, Version>), StartError> {
    let mut world = World::new(facts.clone());
    let filter = HeadFilter {
        prefix: StreamName::COORDINATIONS.to_owned(),
        ended: Some(false),
        ..HeadFilter::default()
    };
    let heads = store.heads(&HeadQuery::List(filter))?;
    let live: Vec<StreamName> = heads.into_iter().map(|head| head.stream).collect();
    let mut saved = HashMap::new();
    for Replayed { state, tip, from } in replay_all(store, &live)? {
        saved.insert(StreamName::Coordination(state.coordination_id().clone()), from);
        world.restore(state, tip);
    }
    Ok((world, saved))
}

/// The state of one stream as it is durable now; `None` if nothing of it is.
pub(super) fn replayed(
    store: &dyn Store,
    stream: &StreamName,
) -> Result<Option<Coordination>, StartError> {
    let mut replay = StreamReplay::begin(store, stream)?;
    while replay.go_on(store, PAGE)? {}
    Ok(replay.replay.into_state().map(|(state, _)| state))
}

/// One stream, read whole.
struct Replayed {
    state: Coordination,
    tip: StreamTip,
    /// The version of the snapshot that it was read from.
    from: Version,
}

/// Replays streams on all cores: they do not depend on each other. The answer has their
/// order.
fn replay_all(store: &dyn Store, live: &[StreamName]) -> Result<Vec<Replayed>, StartError> {
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let share = live.len().div_ceil(cores).max(1);
    let page = (WINDOW / live.len().max(1)).clamp(SHORTEST_PAGE, PAGE);
    let each = |streams: &[StreamName]| replay_abreast(store, streams, page);
    let Some((first, others)) = live.split_at_checked(share) else { return each(live) };
    std::thread::scope(|scope| {
        let spawned = others.chunks(share).map(|streams| {
            let thread = std::thread::Builder::new();
            (streams, thread.spawn_scoped(scope, move || each(streams)))
        });
        let others: Vec<_> = spawned.collect();
        let mut replayed = each(first)?;
        for (streams, other) in others {
            replayed.extend(match other {
                Ok(other) => other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // There is no room for another thread.
                Err(_) => each(streams),
            }?);
        }
        Ok(replayed)
    })
}

/// Replays streams side by side in the order of time: those that ran at the same time lie
/// interleaved on the disk, and what is read for one of them is still at hand for the next.
fn replay_abreast(
    store: &dyn Store,
    streams: &[StreamName],
    page: usize,
) -> Result<Vec<Replayed>, StartError> {
    let mut replays = streams
        .iter()
        .map(|stream| StreamReplay::begin(store, stream))
        .collect::<Result<Vec<_>, _>>()?;
    let mut behind: BinaryHeap<_> =
        replays.iter().enumerate().map(|(n, replay)| Reverse((replay.at, n))).collect();
    while let Some(Reverse((_, n))) = behind.pop() {
        if replays[n].go_on(store, page)? {
            behind.push(Reverse((replays[n].at, n)));
        }
    }
    replays.into_iter().map(StreamReplay::end).collect()
}

/// One stream while it is read and replayed.
struct StreamReplay<'a> {
    stream: &'a StreamName,
    replay: Replay<Coordination>,
    /// The version of the snapshot that it began with.
    from: Version,
    /// When the last event that was read happened.
    at: LedgerTime,
}

impl<'a> StreamReplay<'a> {
    /// From the snapshot, if there is one.
    fn begin(store: &dyn Store, stream: &'a StreamName) -> Result<Self, StartError> {
        let snapshot = store.load_snapshot(stream, Coordination::SNAPSHOT_FORMAT)?;
        // A cache: without one that can be read, the stream is read from its beginning.
        let restored = snapshot.and_then(|snapshot| Coordination::restore(&snapshot.bytes).ok());
        if let Some(state) = restored {
            // The event that the snapshot ends with links it to the chain.
            let before = Version(state.version().0 - 1);
            let last = store.read_stream(stream, before, 1)?;
            if let Some(last) =
                last.first().filter(|last| last.is_sound() && last.version == state.version())
            {
                let tip = StreamTip { version: last.version, hash: last.hash };
                let (from, at) = (last.version, last.at);
                return Ok(Self { stream, replay: Replay::behind(state, tip), from, at });
            }
        }
        let (from, at) = (Version(0), LedgerTime(0));
        Ok(Self { stream, replay: Replay::of(stream.clone()), from, at })
    }

    /// Applies the next events; their hashes are checked on the way. Returns whether there may be
    /// more.
    fn go_on(&mut self, store: &dyn Store, page: usize) -> Result<bool, StartError> {
        let read = store.read_stream(self.stream, self.replay.tip().version, page)?;
        let more = read.len() == page;
        for recorded in read {
            self.apply(&recorded)?;
        }
        Ok(more)
    }

    fn apply(&mut self, recorded: &Recorded) -> Result<(), StartError> {
        if !recorded.is_sound() || recorded.prev != self.replay.tip().hash {
            return Err(self.damaged(recorded.version));
        }
        let broken = |error| StartError::Replay { stream: self.stream.clone(), error };
        self.replay.take(recorded).map_err(broken)?;
        self.at = recorded.at;
        Ok(())
    }

    fn damaged(&self, version: Version) -> StartError {
        StartError::Damaged { stream: self.stream.clone(), version }
    }

    fn end(self) -> Result<Replayed, StartError> {
        let damaged = self.damaged(Version(1));
        let (state, tip) = self.replay.into_state().ok_or(damaged)?;
        Ok(Replayed { state, tip, from: self.from })
    }
}

/// What a rebuilt world continues from: the ends of both chains as the store has them now.
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
    // The first engine of a ledger began without it.
    facts.started = began(store)?;
    Ok(facts)
}

/// When the ledger's own stream began, by its first event: its head row is written again with each
/// event of that stream, so that one which says otherwise is mended by the next owner.
fn began(store: &dyn Store) -> Result<Option<WallTime>, StartError> {
    let first = store.read_stream(&StreamName::Ledger, Version(0), 1)?;
    Ok(first.first().map(|event| event.wall))
}
