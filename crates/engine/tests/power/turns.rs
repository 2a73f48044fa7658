//! Random turns for a ledger, and what a ledger holds after a number of them.

use std::collections::BTreeMap;

use antiphon::ledger::{Cursor, HeadFilter, HeadQuery, Opened, Store};
use antiphon::random::Random;
use antiphon_core::append::{Append, Erasure, HeadRow};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{
    Blob, Commit, CommitTip, MAX_INLINE_BLOB_BYTES, Payload, Recorded, StreamTip,
};
use antiphon_core::id::{Actor, CommandId, CommitNumber, CoordinationId, Epoch, Seq, StreamName};
use antiphon_core::time::{LedgerTime, WallTime};

const CURSOR: &str = "follower";

/// More than any test writes.
const MANY: usize = 1_000_000;

/// The turns that were taken in so far, and the source of the next one.
pub(crate) struct Turns {
    random: Random,
    epoch: Epoch,
    tip: CommitTip,
    at: LedgerTime,
    streams: BTreeMap<StreamName, HeadRow>,
    accepted: Vec<Turn>,
}

/// One turn as it is given to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) append: Append,
    pub(crate) cursors: Vec<Cursor>,
}

/// All that a ledger can be asked for about its turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    commits: Vec<Commit>,
    events: Vec<Recorded>,
    heads: BTreeMap<StreamName, HeadRow>,
    blobs: Vec<(Digest, Option<Vec<u8>>)>,
    cursor: Option<Cursor>,
}

impl Turns {
    /// Goes on from these turns under the ownership that `opened` tells of.
    pub(crate) fn after(turns: &[Turn], opened: &Opened, seed: u64) -> Self {
        let mut after = Self {
            random: Random::seeded(seed),
            epoch: opened.epoch,
            tip: CommitTip::default(),
            at: opened.at,
            streams: BTreeMap::new(),
            accepted: Vec::new(),
        };
        for turn in turns {
            after.accept(turn.clone());
        }
        assert_eq!(opened.commits, after.tip, "the ledger ends where it should");
        after
    }

    /// A turn that continues what was accepted: one to four events over one to three of six
    /// streams.
    pub(crate) fn draw(&mut self) -> Turn {
        let mut streams: BTreeMap<StreamName, HeadRow> = BTreeMap::new();
        let mut events = Vec::new();
        let mut blobs = Vec::new();
        self.at = self.at.after(1 + self.random.below(1_000_000));
        for _ in 0..=self.random.below(4) {
            let stream = self.stream();
            let before = streams.get(&stream).or_else(|| self.streams.get(&stream));
            let (tip, started) = before
                .map_or((StreamTip::default(), WallTime(self.at.0)), |head| {
                    (head.tip, head.started)
                });
            let blob = self.blob();
            let event = self.event(&stream, tip, blob.as_ref());
            blobs.extend(blob);
            let tip = StreamTip { version: event.version, hash: event.hash };
            let head = HeadRow {
                stream: stream.clone(),
                tip,
                status: "running".into(),
                ended: false,
                started,
                changed: (self.at, WallTime(self.at.0)),
                summary: format!("{{\"events\":{}}}", tip.version),
            };
            streams.insert(stream, head);
            events.push(event);
        }
        let erasures = self.erasure().into_iter().collect();
        let commit = Commit::link(self.tip, self.epoch, events.iter().map(|event| event.hash));
        let last = events.last().expect("a turn has events");
        let cursor =
            Cursor { name: CURSOR.into(), stream: last.stream.clone(), version: last.version };
        Turn {
            append: Append {
                commit,
                events,
                blobs,
                heads: streams.into_values().collect(),
                erasures,
            },
            cursors: vec![cursor],
        }
    }

    pub(crate) fn accept(&mut self, turn: Turn) {
        self.tip = turn.append.commit.tip();
        for head in &turn.append.heads {
            self.streams.insert(head.stream.clone(), head.clone());
        }
        self.accepted.push(turn);
    }

    pub(crate) fn accepted(&self) -> &[Turn] {
        &self.accepted
    }

    fn stream(&mut self) -> StreamName {
        match self.random.below(6) {
            0 => StreamName::Ledger,
            1 => StreamName::Pool("default".into()),
            number => StreamName::Coordination(
                CoordinationId::chosen(format!("build-{number}")).expect("a sound id"),
            ),
        }
    }

    fn blob(&mut self) -> Option<Blob> {
        let percent = self.random.below(100);
        let length = match percent {
            0..3 => 70 * 1024,
            3..25 => 32 + self.random.below(6000),
            _ => return None,
        };
        Some(Blob::new(self.random.bytes(length)))
    }

    /// Now and then one of the blobs in the database, as that makes the store copy its log back and
    /// cut it off.
    fn erasure(&mut self) -> Option<Erasure> {
        let candidates: Vec<Digest> = blobs_of(&self.accepted)
            .filter(|(blob, erased)| !erased && blob.bytes.len() <= MAX_INLINE_BLOB_BYTES)
            .map(|(blob, _)| blob.digest)
            .collect();
        if candidates.is_empty() || !self.random.chance(25) {
            return None;
        }
        let chosen = self.random.below(candidates.len() as u64);
        Some(Erasure::Blob(candidates[usize::try_from(chosen).expect("small")]))
    }

    fn event(&mut self, stream: &StreamName, tip: StreamTip, blob: Option<&Blob>) -> Recorded {
        let named = blob.map_or_else(String::new, |blob| blob.digest.to_string());
        let filler = "x".repeat(usize::try_from(self.random.below(900)).expect("small"));
        let payload = format!("{{\"blob\":\"{named}\",\"filler\":\"{filler}\"}}");
        let cause = self.random.chance(30).then(|| {
            CommandId::new(format!("command-{}", self.random.next())).expect("a sound id")
        });
        let mut event = Recorded {
            stream: stream.clone(),
            version: tip.version.next(),
            kind: "test.happened".into(),
            schema: 1,
            at: self.at,
            wall: WallTime(self.at.0),
            actor: Actor::new("tester").expect("a sound actor"),
            cause,
            payload: Payload::Bytes(payload.into_bytes()),
            prev: tip.hash,
            hash: Digest::GENESIS,
        };
        event.hash = event.computed_hash();
        event
    }
}

impl Content {
    /// What these turns make.
    pub(crate) fn of(turns: &[Turn]) -> Self {
        let appends = || turns.iter().map(|turn| &turn.append);
        let heads = appends().flat_map(|append| &append.heads);
        Self {
            commits: appends().map(|append| append.commit).collect(),
            events: appends().flat_map(|append| append.events.clone()).collect(),
            heads: heads.map(|head| (head.stream.clone(), head.clone())).collect(),
            blobs: blobs_of(turns)
                .map(|(blob, erased)| (blob.digest, (!erased).then(|| blob.bytes.clone())))
                .collect(),
            cursor: turns.last().map(|turn| turn.cursors[0].clone()),
        }
    }

    /// What a store holds, looking for the blobs of `turns`. Checks both chains, which
    /// [`of`](Self::of) has by construction.
    pub(crate) fn read(store: &dyn Store, turns: &[Turn]) -> Self {
        let commits = store.commits(CommitNumber(0), MANY).expect("read the commits");
        let events = store.read_all(Seq(0), MANY).expect("read the events");
        assert_eq!(store.damages().expect("look for damage"), []);
        let mut tip = CommitTip::default();
        for placed in &commits {
            let own = events.iter().filter(|event| event.commit == placed.commit.number);
            let hashes: Vec<Digest> = own.map(|placed| placed.event.hash).collect();
            let linked = Commit::link(tip, placed.commit.epoch, hashes.into_iter());
            assert_eq!(placed.commit, linked, "the commit chain is sound");
            tip = linked.tip();
        }
        let mut streams: BTreeMap<StreamName, StreamTip> = BTreeMap::new();
        for placed in &events {
            let event = &placed.event;
            let tip = streams.entry(event.stream.clone()).or_default();
            assert_eq!(
                (event.version, event.prev, event.is_sound()),
                (tip.version.next(), tip.hash, true),
                "the chain of {} is sound",
                event.stream
            );
            *tip = StreamTip { version: event.version, hash: event.hash };
        }
        let heads = store.heads(&HeadQuery::List(HeadFilter::default()));
        Self {
            commits: commits.iter().map(|placed| placed.commit).collect(),
            events: events.into_iter().map(|placed| placed.event).collect(),
            heads: heads
                .expect("read the heads")
                .into_iter()
                .map(|head| (head.stream.clone(), head))
                .collect(),
            blobs: blobs_of(turns)
                .map(|(blob, _)| (blob.digest, store.blob(&blob.digest).expect("read a blob")))
                .collect(),
            cursor: store.cursor(CURSOR).expect("read the cursor"),
        }
    }
}

/// The blobs of these turns, and whether one of the turns erased them.
fn blobs_of(turns: &[Turn]) -> impl Iterator<Item = (&Blob, bool)> {
    let erasures = turns.iter().flat_map(|turn| &turn.append.erasures);
    let erased: Vec<Digest> = erasures
        .filter_map(|erasure| match erasure {
            Erasure::Blob(digest) => Some(*digest),
            Erasure::Payloads { .. } => None,
        })
        .collect();
    let blobs = turns.iter().flat_map(|turn| &turn.append.blobs);
    blobs.map(move |blob| (blob, erased.contains(&blob.digest)))
}
