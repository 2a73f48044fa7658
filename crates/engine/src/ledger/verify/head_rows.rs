//! The head rows against the ends of their streams, without keeping every stream in memory.
//!
//! Streams that have ended are folded into one sum, and so are their head rows: equal sums mean
//! equal rows. Only if they differ is every row held against its stream. The sum finds damage; it
//! is no protection against a forger, who can write rows and digests alike.

use std::collections::HashMap;

use antiphon_core::append::HeadRow;
use antiphon_core::digest::Canonical;
use antiphon_core::id::{StreamName, Version};

use super::finding::{Findings, Place, Wrong};
use super::stream::{ComputedHead, StreamCheck};
use crate::ledger::error::ReadError;
use crate::ledger::store::{HeadFilter, HeadQuery, Store};

/// Head rows that are read at once.
const PAGE: usize = 1_000;

/// Streams that have ended, as one number for all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EndedStreams {
    count: u64,
    sum: [u64; 4],
}

impl EndedStreams {
    pub(super) fn add(&mut self, stream: &StreamName, computed_head: &ComputedHead) {
        let mut bytes = Canonical::new("head row");
        bytes
            .text(&stream.to_string())
            .u64(computed_head.tip.version.0)
            .digest(&computed_head.tip.hash)
            .u8(computed_head.ended.into())
            .u64(computed_head.started.0)
            .u64(computed_head.changed.0.0)
            .u64(computed_head.changed.1.0);
        let digest = bytes.hash();
        for (sum, part) in self.sum.iter_mut().zip(digest.0.chunks_exact(8)) {
            *sum = sum
                .wrapping_add(part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        }
        self.count += 1;
    }
}

/// Holds all head rows against the streams: `ended` and those still in memory.
pub(super) fn check(
    store: &dyn Store,
    ended: &EndedStreams,
    mut live: HashMap<StreamName, StreamCheck>,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let mut rows = EndedStreams::default();
    let whole = each(store, |row| {
        match live.remove(&row.stream) {
            Some(stream) => live_row(store, &row, &stream, findings)?,
            None => {
                rows.add(&row.stream, &ComputedHead::of_row(&row));
            }
        }
        Ok(())
    })?;
    if !whole {
        // The rows that cannot be read are among the damages; without them there is nothing to hold
        // against the rest.
        return Ok(());
    }
    let mut missing: Vec<StreamName> = live.into_keys().collect();
    missing.sort();
    for stream in missing {
        findings.add(Place::Stream { stream }, Wrong::HeadMissing);
    }
    if rows != *ended {
        each(store, |row| ended_row(store, &row, findings))?;
        if rows.count < ended.count {
            let what = format!(
                "the table of head rows, which lacks {} streams that have ended",
                ended.count - rows.count
            );
            findings.add(Place::Beside { what }, Wrong::HeadMissing);
        }
    }
    Ok(())
}

/// Goes through all head rows; false if not all can be read.
fn each(
    store: &dyn Store,
    mut take: impl FnMut(HeadRow) -> Result<(), ReadError>,
) -> Result<bool, ReadError> {
    let mut filter = HeadFilter { limit: PAGE, ..HeadFilter::default() };
    loop {
        let page = match store.heads(&HeadQuery::List(filter.clone())) {
            Ok(page) => page,
            Err(ReadError::Damaged { .. }) => return Ok(false),
            Err(fault) => return Err(fault),
        };
        let Some(last) = page.last() else { return Ok(true) };
        filter.older_than = Some(last.stream.clone());
        for row in page {
            take(row)?;
        }
    }
}

/// Checks one head row against its stream as read.
pub(super) fn live_row(
    store: &dyn Store,
    row: &HeadRow,
    stream: &StreamCheck,
    findings: &mut Findings,
) -> Result<(), ReadError> {
    let Some(expected) = stream.computed_head() else { return Ok(()) };
    let goes_on = row.tip.version > stream.version();
    if goes_on
        && matches!(store.read_stream(&row.stream, stream.version(), 1), Ok(events) if !events.is_empty())
    {
        // An engine has gone on meanwhile.
        return Ok(());
    }
    compare(row, &expected, findings);
    Ok(())
}

fn ended_row(store: &dyn Store, row: &HeadRow, findings: &mut Findings) -> Result<(), ReadError> {
    let read = |after: u64| match store.read_stream(&row.stream, Version(after), 2) {
        Ok(events) => Ok(Some(events)),
        // Found with the events.
        Err(ReadError::Damaged { .. }) => Ok(None),
        Err(fault) => Err(fault),
    };
    let (Some(first), Some(last)) = (read(0)?, read(row.tip.version.0.saturating_sub(1))?) else {
        return Ok(());
    };
    let (Some(first), Some(end)) = (first.first(), last.last()) else {
        findings.add(Place::Stream { stream: row.stream.clone() }, Wrong::EventsMissing);
        return Ok(());
    };
    let moved = || -> Result<bool, ReadError> {
        let now = store.heads(&HeadQuery::Stream(row.stream.clone()))?;
        Ok(now.first().is_some_and(|now| now.tip != row.tip))
    };
    let expected = ComputedHead::of_events(first, end);
    if ComputedHead::of_row(row) != expected && !moved()? {
        compare(row, &expected, findings);
    }
    Ok(())
}

fn compare(row: &HeadRow, expected: &ComputedHead, findings: &mut Findings) {
    let found = ComputedHead::of_row(row);
    let fields = [
        ("version", found.tip.version != expected.tip.version),
        ("hash", found.tip.hash != expected.tip.hash),
        ("ended", found.ended != expected.ended),
        ("started", found.started != expected.started),
        ("at", found.changed.0 != expected.changed.0),
        ("wall", found.changed.1 != expected.changed.1),
    ];
    for (field, _) in fields.into_iter().filter(|(_, differs)| *differs) {
        findings.add(Place::Stream { stream: row.stream.clone() }, Wrong::HeadDiffers { field });
    }
}
