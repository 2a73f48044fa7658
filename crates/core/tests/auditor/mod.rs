//! A ledger in memory that believes nothing: every turn is checked against all before it and
//! replayed beside the world.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::append::Append;
use antiphon_core::coordination::{
    BudgetUsage, Coordination, CoordinationStatus, Ending, MAX_ITEMS_PER_EVENT, Meta, Runners,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Commit, CommitTip, MAX_PAYLOAD_BYTES, Payload, Recorded, StreamTip};
use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, Epoch, SessionId, StreamName, Version, WorkId};
use antiphon_core::time::Now;
use antiphon_core::world::{
    Action, Asker, Command, LedgerFacts, Rejection, Reply, TakenUp, Turn, World,
};

/// Larger coordinations have their whole state compared only now and then.
const SMALL: usize = 100;

/// A world whose every turn is audited.
pub(crate) struct Audited {
    pub(crate) world: World,
    streams: BTreeMap<StreamName, Vec<Recorded>>,
    replayed: BTreeMap<CoordinationId, Coordination>,
    live: BTreeMap<SessionId, (WorkId, Version)>,
    spawned: BTreeSet<SessionId>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    commit: CommitTip,
    epoch: Epoch,
    runners: Runners,
    drained: bool,
}

/// What a restart reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Restart {
    FromEvents,
    FromSnapshots,
}

impl Audited {
    /// Opens an empty ledger.
    pub(crate) fn open(now: &Now) -> (Self, Vec<Turn>) {
        let nothing = (CommitTip::default(), Epoch(0));
        let mut audited = Self {
            world: World::new(facts(nothing.0, Epoch(1), StreamTip::default())),
            streams: BTreeMap::new(),
            replayed: BTreeMap::new(),
            live: BTreeMap::new(),
            spawned: BTreeSet::new(),
            blobs: BTreeMap::new(),
            commit: nothing.0,
            epoch: Epoch(1),
            runners: Runners::default(),
            drained: true,
        };
        audited.world.open_ledger("host", 1, false, now).unwrap();
        let turns = audited.turns(now, usize::MAX);
        (audited, turns)
    }

    /// Says what there is to carry sessions out.
    pub(crate) fn set_runners(&mut self, runners: Runners) {
        self.world.set_runners(runners.clone());
        self.runners = runners;
    }

    /// Gives a command; one that is refused must leave no trace.
    #[allow(dead_code, reason = "each test binary uses its own part")]
    pub(crate) fn tell(&mut self, command: Command, now: &Now) -> Result<Reply, Rejection> {
        self.tell_as(command, Asker { actor: "alice".parse().unwrap(), id: None }, now)
    }

    /// The same from this asker.
    pub(crate) fn tell_as(
        &mut self,
        command: Command,
        asker: Asker,
        now: &Now,
    ) -> Result<Reply, Rejection> {
        let before = self.drained.then(|| self.snapshots());
        let reply = self.world.handle(command, asker, now);
        if let (Err(rejection), Some(before)) = (&reply, before) {
            assert!(
                self.world.take_turn(now).is_none(),
                "after {rejection:?} there was something to append or do"
            );
            assert!(self.snapshots() == before, "{rejection:?} changed something");
        }
        reply
    }

    /// Lets what is due happen and takes the turns that follow, at most so many.
    pub(crate) fn turns(&mut self, now: &Now, most: usize) -> Vec<Turn> {
        let mut turns = Vec::new();
        self.world.expire(now);
        while turns.len() < most {
            let Some(turn) = self.world.take_turn(now) else {
                assert!(
                    !self.world.has_more(),
                    "the world is not at rest though it has nothing to say"
                );
                let (at, wall) = self.world.next_deadline();
                if at.is_some_and(|at| at <= now.at) || wall.is_some_and(|wall| wall <= now.wall) {
                    assert!(turns.len() < 1000, "something is due at {now:?} for ever");
                    self.world.expire(now);
                    continue;
                }
                self.drained = true;
                return turns;
            };
            self.append(&turn.append);
            self.check_actions(&turn.actions);
            self.compare();
            turns.push(turn);
        }
        self.drained = false;
        turns
    }

    /// Kills the world and builds it again from what was appended; the next engine carries
    /// everything out.
    #[allow(dead_code, reason = "each test binary uses its own part")]
    pub(crate) fn restart(&mut self, how: Restart, now: &Now) -> Vec<Turn> {
        self.restart_carrying(TakenUp::All, how, now)
    }

    /// The same with an engine that carries out what it is asked for.
    pub(crate) fn restart_carrying(
        &mut self,
        taken_up: TakenUp,
        how: Restart,
        now: &Now,
    ) -> Vec<Turn> {
        self.epoch = self.epoch.next();
        self.spawned.clear();
        self.world = World::new(facts(self.commit, self.epoch, self.tip(&StreamName::Ledger)));
        self.world.set_runners(self.runners.clone());
        self.world.open_ledger("host", 1, false, now).unwrap();
        for (stream, events) in &self.streams {
            let StreamName::Coordination(id) = stream else { continue };
            let session = match how {
                Restart::FromEvents => replay(id, events),
                Restart::FromSnapshots => {
                    Coordination::restore(&self.replayed[id].snapshot()).unwrap()
                }
            };
            self.world.restore(session, self.tip(stream));
        }
        self.world.resume_with(BTreeMap::new(), taken_up, now).unwrap();
        self.turns(now, usize::MAX)
    }

    /// What is known of a coordination from its stream, ended or not.
    #[allow(dead_code, reason = "each test binary uses its own part")]
    pub(crate) fn replayed(&self, id: &str) -> Option<&Coordination> {
        self.replayed.get(id)
    }

    /// All coordinations that ever were.
    #[allow(dead_code, reason = "each test binary uses its own part")]
    pub(crate) fn all(&self) -> impl Iterator<Item = &Coordination> {
        self.replayed.values()
    }

    fn tip(&self, stream: &StreamName) -> StreamTip {
        let last = self.streams.get(stream).and_then(|events| events.last());
        last.map_or_else(StreamTip::default, |event| StreamTip {
            version: event.version,
            hash: event.hash,
        })
    }

    fn snapshots(&self) -> Vec<Vec<u8>> {
        let bytes = |session: &Coordination| match session.work_queue().count() {
            0..=SMALL => session.snapshot(),
            _ => session.version().0.to_be_bytes().to_vec(),
        };
        self.world.coordinations().map(bytes).collect()
    }

    /// Takes an append in as a store would, and looks at everything that must hold in it.
    fn append(&mut self, append: &Append) {
        let commit_before = self.commit;
        if !append.events.is_empty() {
            let hashes: Vec<Digest> = append.events.iter().map(|event| event.hash).collect();
            assert_eq!(
                append.commit,
                Commit::link(self.commit, self.epoch, hashes.into_iter()),
                "the commit chain links"
            );
            self.commit = append.commit.tip();
        }
        self.blobs.extend(append.blobs.iter().map(|blob| (blob.digest, blob.bytes.clone())));
        let mut touched = BTreeSet::new();
        for event in &append.events {
            touched.insert(event.stream.clone());
            let tip = self.tip(&event.stream);
            assert_eq!(
                (event.version, event.prev),
                (tip.version.next(), tip.hash),
                "the chain of {} links",
                event.stream
            );
            assert!(
                event.is_sound(),
                "{} {} has the hash of its content",
                event.stream,
                event.version
            );
            if let StreamName::Coordination(id) = &event.stream {
                self.follow(id.clone(), event, tip, commit_before);
            }
            self.streams.entry(event.stream.clone()).or_default().push(event.clone());
        }
        for stream in touched {
            let head = append
                .heads
                .iter()
                .find(|head| head.stream == stream)
                .expect("every touched stream has a head");
            assert_eq!(head.tip, self.tip(&stream), "the head of {stream} is its last event");
            if let StreamName::Coordination(id) = &stream {
                assert_eq!(
                    head.ended,
                    self.replayed[id].status().is_terminal(),
                    "{stream} ends with its terminal event"
                );
            }
        }
    }

    /// Replays one event and watches what must hold over a whole history.
    fn follow(
        &mut self,
        id: CoordinationId,
        recorded: &Recorded,
        tip: StreamTip,
        commit: CommitTip,
    ) {
        let Payload::Bytes(bytes) = &recorded.payload else { panic!("nothing was erased") };
        assert!(
            bytes.len() <= MAX_PAYLOAD_BYTES,
            "{} {} takes {} bytes",
            id,
            recorded.version,
            bytes.len()
        );
        let event = decoded(recorded);
        let before: Option<BudgetUsage> =
            self.replayed.get(&id).map(|session| session.budget_usage().clone());
        if let CoordinationEvent::Completed(_) | CoordinationEvent::Aborted(_) = &event {
            self.check_receipt(&id, &event, recorded, tip, commit);
        }
        match &event {
            CoordinationEvent::WorkAdded(added) => {
                assert!(added.items.len() <= MAX_ITEMS_PER_EVENT);
            }
            CoordinationEvent::WorkSkipped(skipped) => {
                assert!(skipped.works.len() <= MAX_ITEMS_PER_EVENT);
            }
            CoordinationEvent::SessionBound(bound) => {
                let session = &self.replayed[&id];
                assert_eq!(
                    *session.status(),
                    CoordinationStatus::Running,
                    "{id} binds before its start is complete"
                );
                assert!(
                    session.bindings().len() < session.started().concurrency as usize,
                    "{id} binds more than it may"
                );
                let twice = self
                    .live
                    .iter()
                    .any(|(live, (work, _))| live.coordination == id && *work == bound.work);
                assert!(!twice, "{} of {id} is bound twice", bound.work);
                let item = session.work_tracking(bound.work.as_str()).unwrap();
                assert!(item.spec.reused.is_none(), "{} of {id} was taken over", bound.work);
                self.live.insert(
                    session.session_id(bound.session),
                    (bound.work.clone(), recorded.version),
                );
            }
            CoordinationEvent::SessionUnbound(unbound) => {
                let session = SessionId { coordination: id.clone(), number: unbound.session };
                self.live.remove(&session).unwrap_or_else(|| panic!("{session} was not bound"));
            }
            _ => {}
        }
        match self.replayed.get_mut(&id) {
            None => {
                self.replayed.insert(
                    id.clone(),
                    Coordination::begin(id.clone(), &event, &meta(recorded)).unwrap(),
                );
            }
            Some(session) => session.apply(&event, &meta(recorded)).unwrap(),
        }
        let session = &self.replayed[&id];
        let usage = session.budget_usage();
        assert!(
            usage.consumed_episodes() <= session.budget().max_episodes(),
            "{id} went over its sessions"
        );
        if let Some(before) = before {
            let counters = |usage: &BudgetUsage| {
                [
                    usage.consumed_episodes().into(),
                    usage.elapsed_ticks(),
                    usage.consumed_tokens(),
                    usage.consumed_cost(),
                ]
            };
            let fell = counters(&before)
                .iter()
                .zip(counters(usage))
                .any(|(before, after)| *before > after);
            assert!(!fell, "a counter of {id} fell at {}: {before:?}, {usage:?}", recorded.version);
        }
    }

    /// The receipt is what the stream before it and the commit before it give, and names every
    /// item.
    fn check_receipt(
        &self,
        id: &CoordinationId,
        event: &CoordinationEvent,
        recorded: &Recorded,
        tip: StreamTip,
        commit: CommitTip,
    ) {
        let (ending, claimed) = match event {
            CoordinationEvent::Completed(completed) => {
                (Ending::Completed(completed.stop.clone()), completed.receipt)
            }
            CoordinationEvent::Aborted(aborted) => {
                (Ending::Aborted(aborted.reason.clone()), aborted.receipt)
            }
            other => panic!("{} is not terminal", other.kind()),
        };
        let session = &self.replayed[id];
        let receipt = session.receipt(ending, recorded.at, recorded.wall, tip, commit);
        assert_eq!(receipt.compute_hash(), claimed, "the receipt of {id} rebuilds");
        assert_eq!(
            self.blobs.get(&claimed),
            Some(&receipt.canonical_bytes()),
            "the receipt of {id} is stored under its digest"
        );
        let named = receipt.outcome_chunks.len() * 1000 + receipt.work_outcomes.len();
        assert_eq!(named as u64, session.work_count(), "every item of {id} is in its receipt");
        let taken = receipt.reused.as_ref();
        let named = taken.map_or(0, |reused| reused.chunks.len() * 1000 + reused.items.len());
        assert_eq!(named as u64, receipt.totals.work_reused, "so is all that {id} took over");
        let carried_out = receipt.carried_out.as_ref();
        let carried_out = carried_out.map_or(0, |out| out.chunks.len() * 1000 + out.items.len());
        assert_eq!(carried_out, self.sessions_named(id), "{id} names who had carried that out");
        assert_eq!(
            taken.map(|reused| &reused.forerunner),
            session.started().forerunner.as_ref(),
            "{id} names what it retries"
        );
    }

    /// How many items of a coordination were added with the session that had carried them out.
    fn sessions_named(&self, id: &CoordinationId) -> usize {
        let events = &self.streams[&StreamName::Coordination(id.clone())];
        let added = events.iter().filter_map(|event| match decoded(event) {
            CoordinationEvent::WorkAdded(added) => Some(added.items),
            _ => None,
        });
        let reused = added.flatten().filter_map(|item| item.reused);
        reused.filter(|reused| reused.session.is_some()).count()
    }

    fn check_actions(&mut self, actions: &[Action]) {
        for action in actions {
            let Action::Spawn(spawn) = action else { continue };
            let bound = self.live.get(&spawn.session);
            assert_eq!(
                bound,
                Some(&(spawn.spec.id.clone(), spawn.fence)),
                "{} is bound durably when it starts",
                spawn.session
            );
            assert!(self.spawned.insert(spawn.session.clone()), "{} starts twice", spawn.session);
        }
    }

    /// The live state is the replayed one.
    fn compare(&self) {
        for (id, replayed) in &self.replayed {
            let live = self.world.coordination(id);
            assert_eq!(
                live.is_none(),
                replayed.status().is_terminal(),
                "what has ended leaves memory, the rest stays: {id}"
            );
            let Some(live) = live else { continue };
            assert_eq!(live.version(), replayed.version(), "{id} was appended whole");
            if live.work_queue().count() <= SMALL || self.commit.number.0.is_multiple_of(101) {
                assert!(
                    live.snapshot() == replayed.snapshot(),
                    "{id} lives on in another state than its events give"
                );
            }
        }
    }
}

fn facts(commit: CommitTip, epoch: Epoch, tip: StreamTip) -> LedgerFacts {
    LedgerFacts {
        format: 1,
        ledger: Digest::of(b"a ledger"),
        epoch,
        commit,
        tip,
        started: None,
        engine: "0.1.0".to_owned(),
    }
}

fn meta(recorded: &Recorded) -> Meta {
    Meta {
        version: recorded.version,
        at: recorded.at,
        wall: recorded.wall,
        cause: recorded.cause.clone(),
    }
}

/// The event in an envelope.
pub(crate) fn decoded(recorded: &Recorded) -> CoordinationEvent {
    CoordinationEvent::of(recorded).unwrap()
}

fn replay(id: &CoordinationId, events: &[Recorded]) -> Coordination {
    let mut session =
        Coordination::begin(id.clone(), &decoded(&events[0]), &meta(&events[0])).unwrap();
    for event in &events[1..] {
        session.apply(&decoded(event), &meta(event)).unwrap();
    }
    session
}
