//! Verification: reads a ledger from its first event and believes nothing that it can compute.
//!
//! Hashes, both chains, order, time, head rows, head mark, blobs and erasures are checked, and
//! every coordination is replayed and its receipt rebuilt. Memory is bounded by the coordinations
//! that are live at the same point of the ledger. Nothing is written, and snapshots are not used.

mod commit_chain;
mod earlier;
mod erasures;
mod finding;
mod forerunner;
mod head_rows;
mod pages;
mod report;
mod single;
mod stream;

use std::collections::HashMap;
use std::path::Path;

use antiphon_core::coordination::CoordinationReceipt;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::CommitTip;
use antiphon_core::event::Event;
use antiphon_core::event::{AggregateEvent as _, LedgerEvent};
use antiphon_core::id::{CommitNumber, CoordinationId, Seq, StreamName, Version};
use antiphon_core::time::LedgerTime;

pub use earlier::{Earlier, NotAnEarlierReceipt};
pub use finding::{Finding, Place, Wrong};
pub use report::{NotRebuildable, PrunedForerunner, VerifyReport};

use self::commit_chain::CommitChain;
use self::earlier::EarlierCheck;
use self::erasures::Erasures;
use self::head_rows::EndedStreams;
use self::pages::Page;
use super::error::ReadError;
use super::events::AllEvents;
use super::head_mark::MarkRefusal;
use super::head_mark::{HeadMark, MarkError};
use super::sqlite::{SqliteOptions, SqliteStore};
use super::store::{Damage, Placed, Store};

pub(super) use self::finding::Findings;
pub(super) use self::single::{locate, read_stream};
pub(super) use self::stream::{Consequence, StreamCheck};

/// What is to be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Scope {
    Ledger,
    /// One coordination: its stream, its receipt, and the commit that ends it; and the same of the
    /// one that it retries, of the one that this retries, and so on.
    Coordination(CoordinationId),
    /// Everything, and that it continues an earlier receipt.
    Against(Earlier),
}

/// Verifies what a store gives away. The head mark is not part of a store; see
/// [`verify_directory`].
///
/// # Errors
/// When the store cannot be read at all. What is damaged is in the report.
pub fn verify(store: &dyn Store, scope: &Scope) -> Result<VerifyReport, ReadError> {
    match scope {
        Scope::Ledger => whole(store, &MarkToReach::None, None),
        Scope::Coordination(id) => single::coordination(store, id),
        Scope::Against(earlier) => whole(store, &MarkToReach::None, Some(earlier)),
    }
}

/// Verifies the ledger in a state directory, and, where that is all of it, that it reaches its head
/// mark.
///
/// # Errors
/// When there is no ledger, or it cannot be read at all.
pub fn verify_directory(dir: &Path, scope: &Scope) -> Result<VerifyReport, ReadError> {
    let store = SqliteStore::at(dir, SqliteOptions::default());
    // Read first: an engine that writes meanwhile only adds to what the mark knows.
    let mark = match HeadMark::read(dir) {
        Ok(Some(mark)) => MarkToReach::Known(mark, &store),
        Ok(None) => MarkToReach::Missing(
            MarkRefusal::Missing { path: HeadMark::path(dir), commits: CommitNumber(0) }
                .to_string(),
        ),
        Err(source @ MarkError::Damaged { .. }) => MarkToReach::Damaged(source.to_string()),
        Err(MarkError::Io { path, error: source }) => {
            return Err(super::fault::Fault::io(format!("read {}", path.display()), source).into());
        }
    };
    let verified = match scope {
        Scope::Ledger => whole(&store, &mark, None),
        Scope::Coordination(id) => single::coordination(&store, id),
        Scope::Against(earlier) => whole(&store, &mark, Some(earlier)),
    };
    let Err(ReadError::Fault(fault)) = verified else { return verified };
    // A table that is not as it was made may be one that no query of ours fits.
    match store.damaged_ground() {
        Ok(damages) if !damages.is_empty() => {
            let mut findings = Findings::default();
            for Damage { what, how } in damages {
                findings.add(Place::Beside { what }, Wrong::Damaged { how });
            }
            let mut report = VerifyReport::default();
            report.take(findings);
            Ok(report)
        }
        _ => Err(fault.into()),
    }
}

/// What the head mark is, if there can be one.
enum MarkToReach<'a> {
    None,
    Known(HeadMark, &'a SqliteStore),
    Missing(String),
    Damaged(String),
}

fn whole(
    store: &dyn Store,
    mark: &MarkToReach<'_>,
    earlier: Option<&Earlier>,
) -> Result<VerifyReport, ReadError> {
    std::thread::scope(|scope| {
        let pages = pages::read_ahead(scope, store);
        let mut pass = LedgerPass::new(store, earlier);
        for page in pages {
            match page {
                Page::Events(events) => {
                    for placed in &events {
                        pass.event(placed)?;
                    }
                }
                Page::Unreadable { seq, how } => pass.unreadable(seq, how)?,
                Page::Damages(damages) => pass.damages = damages,
                Page::Broken(error) => return Err(error),
            }
        }
        pass.finish(mark)
    })
}

/// One pass over the whole ledger.
struct LedgerPass<'a> {
    store: &'a dyn Store,
    report: VerifyReport,
    findings: Findings,
    commits: CommitChain<'a>,
    streams: HashMap<StreamName, StreamCheck>,
    ended: EndedStreams,
    erasures: Erasures,
    watch: Option<EarlierCheck<'a>>,
    damages: Vec<Damage>,
    seq: Seq,
    at: LedgerTime,
}

impl<'a> LedgerPass<'a> {
    fn new(store: &'a dyn Store, earlier: Option<&'a Earlier>) -> Self {
        let mut findings = Findings::default();
        let watch = earlier.map(|earlier| EarlierCheck::new(earlier, &mut findings));
        Self {
            store,
            report: VerifyReport::default(),
            findings,
            commits: CommitChain::new(store),
            streams: HashMap::new(),
            ended: EndedStreams::default(),
            erasures: Erasures::default(),
            watch,
            damages: Vec::new(),
            seq: Seq(0),
            at: LedgerTime(0),
        }
    }

    fn event(&mut self, placed: &Placed) -> Result<(), ReadError> {
        let Placed { seq, commit, event } = placed;
        let (stream, version) = (&event.stream, event.version);
        if *seq != self.seq.next() {
            self.findings.event(
                stream,
                version,
                Wrong::AddressGap { seq: *seq, expected: self.seq.next() },
            );
        }
        self.seq = *seq;
        if event.at < self.at {
            self.findings.event(stream, version, Wrong::TimeBack { before: self.at, at: event.at });
        }
        self.at = self.at.max(event.at);
        let before = self.commits.event(*commit, *seq, event.hash, &mut self.findings)?;

        if !self.streams.contains_key(stream) {
            let check = self.begin(stream, version)?;
            self.streams.insert(stream.clone(), check);
        }
        let Some(check) = self.streams.get_mut(stream) else { return Ok(()) };
        let said = check.check(event, before, &mut self.findings);
        self.report.events += 1;
        if let Some(watch) = &mut self.watch {
            watch.event(event, before, self.commits.tip(), &said);
        }
        match said {
            Consequence::Nothing => {}
            Consequence::Erased => {
                self.report.erased += 1;
                self.erasures.payload(stream, version);
            }
            Consequence::Ledger(LedgerEvent::Erased(erased)) => {
                for (stream, erased) in self.erasures.named(&erased) {
                    self.still_there(&stream, erased, version)?;
                }
            }
            Consequence::Ledger(LedgerEvent::Opened(opened)) => self.commits.opened(opened.epoch),
            Consequence::Ledger(_) => {}
            Consequence::Started { forerunner, origin } => {
                if let Some(named) = forerunner
                    && forerunner::check(self.store, &named, event, &mut self.findings)?
                        == forerunner::Left::End
                {
                    self.report.name_pruned(stream, *named);
                }
                if let Some(origin) = origin {
                    self.blob(origin, stream, version)?;
                }
            }
            Consequence::Names(blobs) => {
                for blob in blobs {
                    self.blob(blob, stream, version)?;
                }
            }
            Consequence::Ended { receipt, rebuilt } => {
                if let Some(receipt) = receipt {
                    self.receipt(receipt, rebuilt.as_deref(), stream, version)?;
                }
                self.let_go(stream);
            }
        }
        Ok(())
    }

    /// A stream that is not in memory: new, or it has ended and been let go.
    fn begin(&mut self, stream: &StreamName, version: Version) -> Result<StreamCheck, ReadError> {
        if version <= Version(1) {
            self.report.streams += 1;
            return Ok(StreamCheck::new(stream.clone()));
        }
        let before = Version(version.0 - 1);
        let ended = match self.store.read_stream(stream, Version(before.0 - 1), 1) {
            Ok(events) => events.first().is_some_and(|event| {
                event.version == before && Event::is_terminal_kind(&event.kind)
            }),
            Err(ReadError::Damaged { .. }) => false,
            Err(fault) => return Err(fault),
        };
        if ended {
            Ok(StreamCheck::after(stream.clone(), before, true))
        } else {
            self.report.streams += 1;
            Ok(StreamCheck::new(stream.clone()))
        }
    }

    fn receipt(
        &mut self,
        recorded: Digest,
        rebuilt: Option<&CoordinationReceipt>,
        stream: &StreamName,
        version: Version,
    ) -> Result<(), ReadError> {
        if let Some(rebuilt) = rebuilt {
            let rebuilt = rebuilt.compute_hash();
            if rebuilt == recorded {
                self.report.receipts_rebuilt += 1;
            } else {
                self.findings.event(stream, version, Wrong::ReceiptDiffers { recorded, rebuilt });
            }
        }
        self.blob(recorded, stream, version)
    }

    /// Sees that a blob is there. Bytes that are not those of its name are among the damages.
    fn blob(
        &mut self,
        blob: Digest,
        stream: &StreamName,
        version: Version,
    ) -> Result<(), ReadError> {
        match self.store.blob(&blob) {
            Ok(Some(_)) | Err(ReadError::Damaged { .. }) => Ok(()),
            Ok(None) => {
                self.erasures.missing_blob(blob, stream, version);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    /// Looks again at an event that a later one names as erased: an engine may have erased it after
    /// it was read here.
    fn still_there(
        &mut self,
        stream: &StreamName,
        version: Version,
        by: Version,
    ) -> Result<(), ReadError> {
        let before = Version(version.0.saturating_sub(1));
        match self.store.read_stream(stream, before, 1) {
            Ok(events)
                if events.first().is_some_and(|event| {
                    event.version == version && event.payload.bytes().is_none()
                }) =>
            {
                self.report.erased += 1;
                Ok(())
            }
            // Damage is found where the event is.
            Ok(_) | Err(ReadError::Damaged { .. }) => {
                self.findings.event(stream, version, Wrong::NotErased { by });
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    /// Looks for erasures by an engine that has gone on since the last event was read: what they
    /// took may have been missed here.
    fn look_beyond(&mut self) -> Result<(), ReadError> {
        for placed in AllEvents::after(self.store, self.seq) {
            let event = match placed {
                Ok(placed) => placed.event,
                Err(ReadError::Damaged { .. }) => return Ok(()),
                Err(fault) => return Err(fault),
            };
            let decoded = event
                .payload
                .bytes()
                .map(|payload| LedgerEvent::decode(&event.kind, event.schema, payload));
            if let Some(Ok(LedgerEvent::Erased(erased))) = decoded {
                // What is there is no concern of events that were not checked.
                let _there = self.erasures.named(&erased);
            }
        }
        Ok(())
    }

    fn let_go(&mut self, stream: &StreamName) {
        let Some(check) = self.streams.remove(stream) else { return };
        if check.erased() > 0 {
            self.report
                .not_rebuildable
                .push(NotRebuildable { stream: stream.clone(), erased: check.erased() });
        }
        if let Some(head) = check.computed_head() {
            self.ended.add(stream, &head);
        }
    }

    /// Finds out which event cannot be read: the stream that cannot go on.
    fn unreadable(&mut self, seq: Seq, how: String) -> Result<(), ReadError> {
        self.commits.unreadable(seq, &mut self.findings)?;
        let torn = self
            .streams
            .iter()
            .find(|(name, check)| {
                matches!(
                    self.store.read_stream(name, check.version(), 1),
                    Err(ReadError::Damaged { .. })
                )
            })
            .map(|(name, _)| name.clone());
        match torn.and_then(|name| self.streams.get_mut(&name).map(|check| (name, check))) {
            Some((name, check)) => {
                check.skip();
                self.findings.event(&name, check.version(), Wrong::Unreadable { how });
            }
            None => self.findings.add(Place::Address { seq }, Wrong::Unreadable { how }),
        }
        self.seq = seq;
        Ok(())
    }

    fn finish(mut self, mark: &MarkToReach<'_>) -> Result<VerifyReport, ReadError> {
        let tip = self.commits.finish(self.seq, &mut self.findings)?;
        if !self.erasures.is_settled() {
            self.look_beyond()?;
        }
        self.report.blobs_erased = self.erasures.blobs();
        self.erasures.finish(&mut self.findings);
        for Damage { what, how } in self.damages {
            self.findings.add(Place::Beside { what }, Wrong::Damaged { how });
        }
        head_rows::check(self.store, &self.ended, self.streams, &mut self.findings)?;
        check_mark(self.store, mark, tip, &mut self.findings)?;
        if let Some(watch) = self.watch {
            watch.finish(&mut self.findings);
        }
        self.report.commits = self.commits.count;
        self.report.take(self.findings);
        Ok(self.report)
    }
}

fn check_mark(
    store: &dyn Store,
    mark: &MarkToReach<'_>,
    tip: CommitTip,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let how = match mark {
        MarkToReach::None => return Ok(()),
        MarkToReach::Missing(_) if tip.number == CommitNumber(0) => return Ok(()),
        MarkToReach::Missing(how) | MarkToReach::Damaged(how) => how.clone(),
        MarkToReach::Known(mark, ledger) => {
            let at_mark = match mark.commit.number.0.checked_sub(1) {
                None => None,
                Some(before) => match store.commits(CommitNumber(before), 1) {
                    Ok(commits) => {
                        let found = commits.first().map(|placed| placed.commit.tip());
                        found.filter(|found| found.number == mark.commit.number)
                    }
                    // Found with the commits.
                    Err(ReadError::Damaged { .. }) => return Ok(()),
                    Err(fault) => return Err(fault),
                },
            };
            let (id, epoch) = match ledger.position() {
                Ok(position) => (Some(position.ledger), position.epoch),
                // Found outside of the chains.
                Err(ReadError::Damaged { .. }) => (None, mark.epoch),
                Err(fault) => return Err(fault),
            };
            match mark.check(id, epoch, tip, at_mark) {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal.to_string(),
            }
        }
    };
    findings.add(Place::HeadMark, Wrong::Mark { how });
    Ok(())
}
