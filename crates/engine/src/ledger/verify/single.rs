//! One coordination: its stream from the first event, its receipt, and the commit that ends it; then
//! the same of what it retries.

use std::collections::HashSet;

use antiphon_core::coordination::CoordinationReceipt;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Commit, CommitTip, Recorded};
use antiphon_core::event::{AggregateEvent as _, Event, LedgerEvent};
use antiphon_core::id::{CommitNumber, CoordinationId, Seq, StreamName, Version};
use antiphon_core::time::LedgerTime;

use super::finding::{Findings, Place, Wrong};
use super::forerunner::{self, Left};
use super::head_rows;
use super::report::{NotRebuildable, VerifyReport};
use super::stream::{Consequence, StreamCheck};
use crate::ledger::error::ReadError;
use crate::ledger::events::AllEvents;
use crate::ledger::store::{HeadQuery, PlacedCommit, Store};

/// Events that are read at once.
const PAGE: usize = 1_024;

pub(super) fn coordination(
    store: &dyn Store,
    id: &CoordinationId,
) -> Result<VerifyReport, ReadError> {
    let (mut report, mut findings) = (VerifyReport::default(), Findings::default());
    let mut retried = run(store, id, &mut report, &mut findings)?;
    // No run comes twice in what an engine writes.
    while let Some(next) = retried.filter(|run| run != id && !report.forerunners.contains(run)) {
        retried = run(store, &next, &mut report, &mut findings)?;
        report.forerunners.push(next);
    }
    report.take(findings);
    Ok(report)
}

/// Verifies one run, and gives the one that it retries, unless that is not the one that it names.
fn run(
    store: &dyn Store,
    id: &CoordinationId,
    report: &mut VerifyReport,
    findings: &mut Findings,
) -> Result<Option<CoordinationId>, ReadError> {
    let stream = StreamName::Coordination(id.clone());
    let mut check = StreamCheck::new(stream.clone());
    let (mut missing, mut retried) = (Vec::new(), None);
    let torn = read_stream(store, &stream, |event| {
        report.events += 1;
        let before = if Event::is_terminal_kind(&event.kind) {
            Some(ending_commit(store, event, findings)?)
        } else {
            None
        };
        let commit = before.flatten();
        report.commits += u64::from(commit.is_some());
        match check.check(event, commit, findings) {
            Consequence::Erased => report.erased += 1,
            Consequence::Started { forerunner, origin } => {
                if let Some(named) = forerunner {
                    let left = forerunner::check(store, &named, event, findings)?;
                    retried = (left != Left::Nothing).then(|| named.coordination.clone());
                    if left == Left::End {
                        report.name_pruned(&event.stream, *named);
                    }
                }
                if let Some(origin) = origin {
                    blob_is_there(store, origin, event, &mut missing, findings)?;
                }
            }
            Consequence::Names(blobs) => {
                for blob in blobs {
                    blob_is_there(store, blob, event, &mut missing, findings)?;
                }
            }
            Consequence::Ended { receipt: Some(receipt), rebuilt } => {
                report.receipts_rebuilt +=
                    u64::from(same_receipt(receipt, rebuilt.as_deref(), event, findings));
                blob_is_there(store, receipt, event, &mut missing, findings)?;
            }
            Consequence::Nothing
            | Consequence::Ledger(_)
            | Consequence::Ended { receipt: None, .. } => {}
        }
        Ok(())
    });
    match torn {
        Ok(()) => {}
        Err(ReadError::Damaged { what, how }) => {
            let how = format!("{what} is damaged: {how}");
            findings.event(&stream, check.version().next(), Wrong::Unreadable { how });
        }
        Err(fault) => return Err(fault),
    }
    report.streams += 1;
    report.blobs_erased += erased_or_missing(store, &stream, missing, findings)?;
    if check.erased() > 0 {
        report
            .not_rebuildable
            .push(NotRebuildable { stream: stream.clone(), erased: check.erased() });
    }
    head_row(store, stream, &check, findings)?;
    Ok(retried)
}

/// Compares the head row of a stream with its events.
fn head_row(
    store: &dyn Store,
    stream: StreamName,
    check: &StreamCheck,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let rows = store.heads(&HeadQuery::Stream(stream.clone()));
    let place = Place::Stream { stream };
    match rows {
        Ok(rows) => match rows.first() {
            Some(row) if check.version() > Version(0) => {
                head_rows::live_row(store, row, check, findings)?;
            }
            Some(_) => findings.add(place, Wrong::EventsMissing),
            None => findings.add(place, Wrong::HeadMissing),
        },
        Err(ReadError::Damaged { how, .. }) => findings.add(place, Wrong::Damaged { how }),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

/// Hands out all events of a stream in order.
pub(in crate::ledger) fn read_stream(
    store: &dyn Store,
    stream: &StreamName,
    mut take: impl FnMut(&Recorded) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut after = Version(0);
    loop {
        let mut limit = PAGE;
        let page = loop {
            match store.read_stream(stream, after, limit) {
                // Up to the event that is damaged.
                Err(ReadError::Damaged { .. }) if limit > 1 => limit /= 2,
                other => break other?,
            }
        };
        let Some(last) = page.last() else { return Ok(()) };
        after = last.version;
        for event in &page {
            take(event)?;
        }
    }
}

pub(super) fn same_receipt(
    recorded: Digest,
    rebuilt: Option<&CoordinationReceipt>,
    event: &Recorded,
    findings: &mut Findings,
) -> bool {
    let Some(rebuilt) = rebuilt.map(CoordinationReceipt::compute_hash) else { return false };
    if rebuilt != recorded {
        findings.event(&event.stream, event.version, Wrong::ReceiptDiffers { recorded, rebuilt });
    }
    rebuilt == recorded
}

/// A blob that is not there, the event that names it, and when that was recorded.
struct Missing {
    blob: Digest,
    version: Version,
    at: LedgerTime,
}

fn blob_is_there(
    store: &dyn Store,
    blob: Digest,
    event: &Recorded,
    missing: &mut Vec<Missing>,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    match store.blob(&blob) {
        Ok(Some(_)) => {}
        Ok(None) => missing.push(Missing { blob, version: event.version, at: event.at }),
        Err(ReadError::Damaged { what, how }) => {
            let how = format!("{what} is damaged: {how}");
            findings.event(&event.stream, event.version, Wrong::Unreadable { how });
        }
        Err(fault) => return Err(fault),
    }
    Ok(())
}

/// Looks in the `ledger` stream which of the missing blobs were erased after they were named;
/// returns how many, the rest are findings.
fn erased_or_missing(
    store: &dyn Store,
    stream: &StreamName,
    mut missing: Vec<Missing>,
    findings: &mut Findings,
) -> Result<u64, ReadError> {
    if missing.is_empty() {
        return Ok(0);
    }
    let mut erased = HashSet::new();
    let read = read_stream(store, &StreamName::Ledger, |event| {
        let decoded = event
            .payload
            .bytes()
            .map(|payload| LedgerEvent::decode(&event.kind, event.schema, payload));
        if let Some(Ok(LedgerEvent::Erased(said))) = decoded {
            missing.retain(|Missing { blob, at, .. }| {
                let is_erased = *at <= event.at && said.blobs.contains(blob);
                if is_erased {
                    erased.insert(*blob);
                }
                !is_erased
            });
        }
        Ok(())
    });
    match read {
        Ok(()) => {}
        Err(ReadError::Damaged { what, how }) => {
            let how = format!("{what} is damaged: {how}");
            findings.add(Place::Stream { stream: StreamName::Ledger }, Wrong::Unreadable { how });
        }
        Err(fault) => return Err(fault),
    }
    for Missing { blob, version, .. } in missing {
        findings.event(stream, version, Wrong::BlobMissing { blob });
    }
    Ok(erased.len() as u64)
}

/// Checks the commit that holds an event; returns the end of the chain before it.
fn ending_commit(
    store: &dyn Store,
    event: &Recorded,
    findings: &mut Findings,
) -> Result<Option<CommitTip>, ReadError> {
    let held = match locate(store, event) {
        Ok(Some(held)) => held,
        Ok(None) => {
            findings.event(
                &event.stream,
                event.version,
                Wrong::Unreadable { how: "no commit holds it".to_owned() },
            );
            return Ok(None);
        }
        Err(ReadError::Damaged { what, how }) => {
            findings.event(
                &event.stream,
                event.version,
                Wrong::Unreadable { how: format!("{what} is damaged: {how}") },
            );
            return Ok(None);
        }
        Err(fault) => return Err(fault),
    };
    let commit = held.commit.commit;
    if held.before.number.next() != commit.number || held.before.hash != commit.prev {
        findings.add(Place::Commit { commit: commit.number }, Wrong::CommitPrevDiffers);
    }
    if Commit::link(held.before, commit.epoch, held.events.iter().copied()).hash != commit.hash {
        findings.add(Place::Commit { commit: commit.number }, Wrong::CommitHashDiffers);
    }
    Ok(Some(held.before))
}

/// The commit that holds an event, with the hashes of its events, and the end of the chain before
/// it.
#[derive(Debug)]
pub(in crate::ledger) struct HoldingCommit {
    pub(in crate::ledger) before: CommitTip,
    pub(in crate::ledger) commit: PlacedCommit,
    pub(in crate::ledger) events: Vec<Digest>,
}

/// Finds the commit that holds an event, by halving: ledger time never goes back.
pub(in crate::ledger) fn locate(
    store: &dyn Store,
    event: &Recorded,
) -> Result<Option<HoldingCommit>, ReadError> {
    let earlier = |after: u64| -> Result<bool, ReadError> {
        Ok(store.read_all(Seq(after), 1)?.first().is_some_and(|placed| placed.event.at < event.at))
    };
    let (mut low, mut high) = (0_u64, 1_u64);
    while earlier(high)? {
        (low, high) = (high, high.saturating_mul(2));
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if earlier(middle)? { low = middle + 1 } else { high = middle }
    }
    let mut found = None;
    for placed in AllEvents::after(store, Seq(low)) {
        let placed = placed?;
        if placed.event.stream == event.stream && placed.event.version == event.version {
            found = Some(placed.commit);
            break;
        }
        if placed.event.at > event.at {
            break;
        }
    }
    let Some(found) = found else { return Ok(None) };
    let before = match found.0.checked_sub(2) {
        None => CommitTip::default(),
        Some(number) => store
            .commits(CommitNumber(number), 1)?
            .first()
            .map(|placed| placed.commit.tip())
            .unwrap_or_default(),
    };
    let commits = store.commits(CommitNumber(found.0.saturating_sub(1)), 1)?;
    let Some(&commit) = commits.first() else { return Ok(None) };
    let size = usize::try_from(commit.commit.events).unwrap_or(usize::MAX);
    let events = store.read_all(Seq(commit.first.0.saturating_sub(1)), size)?;
    Ok(Some(HoldingCommit {
        before,
        commit,
        events: events.iter().map(|placed| placed.event.hash).collect(),
    }))
}
