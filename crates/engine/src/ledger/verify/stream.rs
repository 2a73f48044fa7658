//! One stream while it is verified: its chain, and the replay that its receipt is rebuilt by.

use antiphon_core::append::HeadRow;
use antiphon_core::coordination::{Coordination, CoordinationReceipt, Forerunner};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{CommitTip, Payload, Recorded, StreamTip};
use antiphon_core::event::{CoordinationEvent, Event, LedgerEvent, belongs_in};
use antiphon_core::id::{StreamName, Version};
use antiphon_core::replay::Replay;
use antiphon_core::time::{LedgerTime, WallTime};

use super::finding::{Findings, Wrong};

/// One stream so far.
#[derive(Debug)]
pub(in crate::ledger) struct StreamCheck {
    name: StreamName,
    version: Version,
    /// Hash of the last event; `None` if that could not be read.
    hash: Option<Digest>,
    started: WallTime,
    changed: (LedgerTime, WallTime),
    ended: bool,
    erased: u64,
    /// `None`: what came before cannot be relied on, or the stream is none that is replayed.
    replay: Option<Box<Replay<Coordination>>>,
}

/// What a head row says of a stream, computed from the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ledger) struct ComputedHead {
    pub(in crate::ledger) tip: StreamTip,
    pub(in crate::ledger) ended: bool,
    pub(in crate::ledger) started: WallTime,
    pub(in crate::ledger) changed: (LedgerTime, WallTime),
}

impl ComputedHead {
    /// Of the stream that these events begin and end.
    pub(super) fn of_events(first: &Recorded, last: &Recorded) -> Self {
        Self {
            tip: StreamTip { version: last.version, hash: last.hash },
            ended: Event::is_terminal_kind(&last.kind),
            started: first.wall,
            changed: (last.at, last.wall),
        }
    }

    /// What a row that is there says.
    pub(super) fn of_row(row: &HeadRow) -> Self {
        Self { tip: row.tip, ended: row.ended, started: row.started, changed: row.changed }
    }
}

/// What an event gave besides its place in the chain.
#[derive(Debug)]
pub(in crate::ledger) enum Consequence {
    /// Nothing that concerns others.
    Nothing,
    /// The payload is erased.
    Erased,
    /// It is an event of the `ledger` stream.
    Ledger(LedgerEvent),
    /// A coordination began. It may name the end of an earlier one, and a blob that must be there.
    Started { forerunner: Option<Box<Forerunner>>, origin: Option<Digest> },
    /// It names blobs that must be there.
    Names(Vec<Digest>),
    /// The coordination ended; its receipt, if it could be rebuilt.
    Ended { receipt: Option<Digest>, rebuilt: Option<Box<CoordinationReceipt>> },
}

impl StreamCheck {
    pub(in crate::ledger) fn new(name: StreamName) -> Self {
        let replay = match name {
            StreamName::Coordination(_) => Some(Box::new(Replay::of(name.clone()))),
            _ => None,
        };
        Self {
            name,
            version: Version(0),
            hash: Some(Digest::GENESIS),
            started: WallTime(0),
            changed: (LedgerTime(0), WallTime(0)),
            ended: false,
            erased: 0,
            replay,
        }
    }

    /// A stream of which events came before that are not in memory.
    pub(in crate::ledger) fn after(name: StreamName, version: Version, ended: bool) -> Self {
        Self { version, hash: None, ended, replay: None, ..Self::new(name) }
    }

    pub(in crate::ledger) fn version(&self) -> Version {
        self.version
    }

    pub(in crate::ledger) fn erased(&self) -> u64 {
        self.erased
    }

    /// What the head row must say; `None` if the end of the stream is not known.
    pub(in crate::ledger) fn computed_head(&self) -> Option<ComputedHead> {
        let tip = StreamTip { version: self.version, hash: self.hash? };
        Some(ComputedHead { tip, ended: self.ended, started: self.started, changed: self.changed })
    }

    /// Steps over an event that cannot be read.
    pub(in crate::ledger) fn skip(&mut self) {
        self.version = self.version.next();
        self.hash = None;
        self.replay = None;
    }

    /// Checks the next event. `commit` is the end of the commit chain before the append that holds
    /// it, where that is known.
    pub(in crate::ledger) fn check(
        &mut self,
        event: &Recorded,
        commit: Option<CommitTip>,
        findings: &mut Findings,
    ) -> Consequence {
        let before = findings.list.len() as u64 + findings.omitted;
        let mut wrong = |wrong| findings.event(&self.name, event.version, wrong);
        if self.ended {
            wrong(Wrong::AfterEnd);
        }
        if event.version != self.version.next() {
            wrong(Wrong::VersionGap { before: self.version });
        } else if self.hash.is_some_and(|hash| hash != event.prev) {
            wrong(Wrong::PrevDiffers);
        }
        if !event.is_sound() {
            wrong(Wrong::HashDiffers);
        }
        if !belongs_in(&event.kind, &self.name) {
            wrong(Wrong::Misplaced { kind: event.kind.to_string() });
        }
        if before != findings.list.len() as u64 + findings.omitted {
            self.replay = None;
        }
        let tip = StreamTip { version: self.version, hash: event.prev };
        if self.version == Version(0) {
            self.started = event.wall;
        }
        self.version = event.version;
        self.hash = Some(event.hash);
        self.changed = (event.at, event.wall);
        let ends = Event::is_terminal_kind(&event.kind);
        self.ended |= ends;
        let payload = match &event.payload {
            Payload::Bytes(bytes) => bytes,
            Payload::Erased(_) => {
                self.erased += 1;
                self.replay = None;
                if ends || !matches!(self.name, StreamName::Coordination(_)) {
                    findings.event(&self.name, event.version, Wrong::MustNotBeErased);
                }
                return if ends {
                    Consequence::Ended { receipt: None, rebuilt: None }
                } else {
                    Consequence::Erased
                };
            }
        };
        match Event::decode(&event.kind, event.schema, payload) {
            Ok(Event::Coordination(decoded)) => self.replay(event, decoded, tip, commit, findings),
            Ok(Event::Ledger(decoded)) if self.name == StreamName::Ledger => {
                Consequence::Ledger(decoded)
            }
            // It is misplaced, which was found above.
            Ok(_) => Consequence::Nothing,
            Err(error) => {
                findings.event(
                    &self.name,
                    event.version,
                    Wrong::Undecodable { how: error.to_string() },
                );
                self.replay = None;
                if ends {
                    Consequence::Ended { receipt: None, rebuilt: None }
                } else {
                    Consequence::Nothing
                }
            }
        }
    }

    fn replay(
        &mut self,
        recorded: &Recorded,
        event: CoordinationEvent,
        tip: StreamTip,
        commit: Option<CommitTip>,
        findings: &mut Findings,
    ) -> Consequence {
        let end = event.ending().map(|end| (end.ending, end.receipt));
        let mut rebuilt = None;
        let applied = match &mut self.replay {
            None => Ok(()),
            Some(replay) => {
                if let (Some(state), Some((ending, _)), Some(commit)) =
                    (replay.state(), &end, commit)
                {
                    let (at, wall) = (recorded.at, recorded.wall);
                    let receipt = state.receipt(ending.clone(), at, wall, tip, commit);
                    rebuilt = Some(Box::new(receipt));
                }
                replay.apply(recorded, &event)
            }
        };
        if let Err(error) = applied {
            findings.event(
                &self.name,
                recorded.version,
                Wrong::NotReplayable { why: error.to_string() },
            );
            self.replay = None;
        }
        match (end, event) {
            (Some((_, receipt)), _) => Consequence::Ended { receipt: Some(receipt), rebuilt },
            (None, CoordinationEvent::Started(started)) => Consequence::Started {
                forerunner: started.forerunner.map(Box::new),
                origin: started.origin,
            },
            (None, CoordinationEvent::SessionUnbound(unbound)) => {
                Consequence::Names(unbound.blobs().collect())
            }
            (None, CoordinationEvent::WorkAdded(added)) => {
                let reused = added.items.into_iter().filter_map(|item| item.reused);
                Consequence::Names(reused.flat_map(|reused| reused.blobs()).collect())
            }
            _ => Consequence::Nothing,
        }
    }
}
