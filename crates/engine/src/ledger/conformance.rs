//! What every store does, as a suite that a store of another crate can run, too.
//!
//! A crate that keeps ledgers elsewhere implements [`StoreUnderTest`] and writes
//! `antiphon::store_conformance! { mine: Mine }` in a test: each behaviour becomes a test of its own.
//! The suite knows nothing about how a store keeps a ledger.

#![allow(missing_docs, reason = "a behaviour's name says what it is")]
#![allow(clippy::missing_panics_doc, reason = "a behaviour that is not there is a panic")]
#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

mod chain;
mod snapshots;

use std::sync::atomic::{AtomicBool, Ordering};

use antiphon_core::append::{Append, HeadRow};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{
    Blob, Commit, CommitTip, MAX_APPEND_BYTES, MAX_PAYLOAD_BYTES, Payload, Recorded, StreamTip,
};
use antiphon_core::id::{CommitNumber, Epoch, Seq, StreamName, Version};
use antiphon_core::time::LedgerTime;

pub use chain::{AppendBuilder, Chain, WALL, owner, relink, stream};
pub use snapshots::{
    a_snapshot_of_another_format_is_as_good_as_absent, no_snapshot_is_kept_of_what_has_ended,
};

use super::error::{AppendError, OpenError, Refusal, WriteError};
use super::store::{
    Cursor, HeadFilter, HeadQuery, MarkFinding, Opened, Placed, PlacedCommit, Snapshot, Store,
};

/// Somewhere that a ledger is kept.
pub trait StoreUnderTest {
    /// Its stores.
    type Store: Store;

    /// A place without a ledger.
    fn empty() -> Self;

    /// Another engine's access to the ledger.
    fn store(&self) -> Self::Store;

    /// Lets the next engine open the ledger although the one before does not know that it is over.
    fn forget_owner(&self);
}

/// All that a store gives away, to compare whole.
#[derive(Debug, PartialEq)]
struct Everything {
    events: Vec<Placed>,
    commits: Vec<PlacedCommit>,
    heads: Vec<HeadRow>,
}

fn everything(store: &impl Store) -> Everything {
    Everything {
        events: store.read_all(Seq(0), usize::MAX).unwrap(),
        commits: store.commits(CommitNumber(0), usize::MAX).unwrap(),
        heads: store.heads(&HeadQuery::List(HeadFilter::default())).unwrap(),
    }
}

fn opened(place: &impl StoreUnderTest) -> (impl Store, Chain) {
    let store = place.store();
    let opened = store.open(&owner("one")).unwrap();
    let heads = store.heads(&HeadQuery::List(HeadFilter::default())).unwrap();
    (store, Chain::after(&opened, heads))
}

/// Asserts that an append is refused, and that it has changed nothing.
#[track_caller]
fn refused(store: &impl Store, append: &Append) -> Refusal {
    let before = everything(store);
    let refusal = match store.append(append, &[]) {
        Err(AppendError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(everything(store), before);
    refusal
}

fn names(store: &impl Store, filter: HeadFilter) -> Vec<String> {
    store
        .heads(&HeadQuery::List(filter))
        .unwrap()
        .iter()
        .map(|head| head.stream.to_string())
        .collect()
}

pub fn a_new_ledger_is_empty_and_in_its_first_epoch<P: StoreUnderTest>() {
    let place = P::empty();
    let store = place.store();
    let found = store.open(&owner("one")).unwrap();
    let expected = Opened {
        ledger: found.ledger,
        format: 1,
        epoch: Epoch(1),
        commits: CommitTip::default(),
        ledger_stream: StreamTip::default(),
        at: LedgerTime(0),
        seq: Seq(0),
        mark: MarkFinding::Agrees,
        needs_verification: false,
    };
    assert_eq!(found, expected);
    assert_eq!(everything(&store), Everything { events: vec![], commits: vec![], heads: vec![] });
    let other = P::empty().store().open(&owner("one")).unwrap();
    assert_ne!(found.ledger, other.ledger, "ids are random");
}

pub fn what_is_appended_is_read_back_whole<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let first = chain.turn().event("ledger", "ledger.opened", r#"{"epoch":1}"#).build();
    let second = chain
        .turn()
        .caused("coordination/a", "coordination.started", r#"{"name":"a"}"#, Some("start-1"))
        .event("pool/gpu", "pool.declared", "{}")
        .event(
            "coordination/a",
            "coordination.work_added",
            &format!(r#"{{"text":"{}"}}"#, "é".repeat(5_000)),
        )
        .head("coordination/a", "running", false, r#"{"items":1}"#)
        .build();
    let third = chain.event("coordination/a", "coordination.aborted", "{}");
    assert_eq!(store.append(&first, &[]).unwrap(), Seq(1));
    assert_eq!(store.append(&second, &[]).unwrap(), Seq(2));
    assert_eq!(store.append(&third, &[]).unwrap(), Seq(5));

    let appends = [&first, &second, &third];
    let numbered = appends
        .iter()
        .flat_map(|append| append.events.iter().map(|event| (append.commit.number, event)));
    let events: Vec<Placed> = numbered
        .zip(1..)
        .map(|((commit, event), seq)| Placed { seq: Seq(seq), commit, event: event.clone() })
        .collect();
    let commits = vec![
        PlacedCommit { first: Seq(1), commit: first.commit },
        PlacedCommit { first: Seq(2), commit: second.commit },
        PlacedCommit { first: Seq(5), commit: third.commit },
    ];
    let heads = vec![second.heads[1].clone(), third.heads[0].clone(), first.heads[0].clone()];
    assert_eq!(
        everything(&store),
        Everything { events: events.clone(), commits: commits.clone(), heads }
    );

    assert_eq!(store.read_all(Seq(2), 2).unwrap(), events[2..4]);
    assert_eq!(store.read_all(Seq(5), 2).unwrap(), []);
    assert_eq!(store.commits(CommitNumber(1), 1).unwrap(), commits[1..2]);
    let of_a: Vec<Recorded> =
        vec![second.events[0].clone(), second.events[2].clone(), third.events[0].clone()];
    assert_eq!(store.read_stream(&stream("coordination/a"), Version(0), usize::MAX).unwrap(), of_a);
    assert_eq!(store.read_stream(&stream("coordination/a"), Version(1), 1).unwrap(), of_a[1..2]);
    assert_eq!(store.read_stream(&stream("coordination/b"), Version(0), usize::MAX).unwrap(), []);
}

pub fn every_event_is_placed_in_its_commit<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let mut expected = Vec::new();
    for number in 1..=40_u64 {
        let mut turn = chain.turn();
        for _ in 0..=number % 3 {
            turn = turn.event("coordination/a", "coordination.signalled", "{}");
            expected.push(CommitNumber(number));
        }
        store.append(&turn.build(), &[]).unwrap();
    }
    for after in 0..expected.len() {
        let found = store.read_all(Seq(after as u64), 7).unwrap();
        let found: Vec<_> = found.iter().map(|placed| (placed.seq, placed.commit)).collect();
        let wanted: Vec<_> =
            (after as u64 + 1..).map(Seq).zip(expected[after..].iter().copied()).take(7).collect();
        assert_eq!(found, wanted, "after {after}");
    }
}

pub fn an_append_that_does_not_continue_its_stream_is_refused<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    store.append(&chain.event("coordination/a", "coordination.started", "{}"), &[]).unwrap();
    let sound = chain.turn().event("coordination/b", "coordination.started", "{}").event(
        "coordination/a",
        "coordination.paused",
        "{}",
    );
    let sound = sound.build_aside();

    type Change = fn(&mut Recorded);
    let changes: [(Change, Version); 3] = [
        (|event| event.version = Version(1), Version(1)),
        (|event| event.version = Version(3), Version(3)),
        (|event| event.prev = Digest::of(b"another history"), Version(2)),
    ];
    for (change, found) in changes {
        let mut bad = sound.clone();
        change(&mut bad.events[1]);
        bad.events[1].hash = bad.events[1].computed_hash();
        bad.heads[1].tip = StreamTip { version: bad.events[1].version, hash: bad.events[1].hash };
        relink(&mut bad, chain.commits);
        let expected =
            Refusal::StreamConflict { stream: stream("coordination/a"), tip: Version(1), found };
        assert_eq!(refused(&store, &bad), expected);
    }
    store.append(&sound, &[]).unwrap();
}

pub fn an_append_that_does_not_continue_the_commits_is_refused<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    store.append(&chain.event("ledger", "ledger.opened", "{}"), &[]).unwrap();
    let tip = chain.commits;
    let sound = chain.turn().event("coordination/a", "coordination.started", "{}").build_aside();
    let changes: [fn(&mut Commit); 5] = [
        |commit| commit.number = CommitNumber(1),
        |commit| commit.number = CommitNumber(3),
        |commit| commit.prev = Digest::of(b"another history"),
        |commit| commit.events = 2,
        |commit| commit.hash = Digest::of(b"other events"),
    ];
    for change in changes {
        let mut bad = sound.clone();
        change(&mut bad.commit);
        assert_eq!(refused(&store, &bad), Refusal::CommitConflict { tip, found: bad.commit.tip() });
    }
    store.append(&sound, &[]).unwrap();
    assert_eq!(
        refused(&store, &sound),
        Refusal::CommitConflict { tip: sound.commit.tip(), found: sound.commit.tip() }
    );
}

pub fn an_append_without_events_or_fitting_head_rows_is_refused<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let nothing = chain.turn().build_aside();
    assert_eq!(refused(&store, &nothing), Refusal::Empty);

    let sound = chain.turn().event("coordination/a", "coordination.started", "{}").build_aside();
    let changes: [fn(&mut Vec<HeadRow>); 3] = [
        |heads| heads.clear(),
        |heads| heads.push(heads[0].clone()),
        |heads| heads[0].tip.version = Version(2),
    ];
    for change in changes {
        let mut bad = sound.clone();
        change(&mut bad.heads);
        assert_eq!(
            refused(&store, &bad),
            Refusal::HeadConflict { stream: stream("coordination/a") }
        );
    }
    let mut bad = sound.clone();
    let stranger = HeadRow {
        stream: stream("coordination/b"),
        tip: StreamTip::default(),
        ..bad.heads[0].clone()
    };
    bad.heads.push(stranger);
    assert_eq!(refused(&store, &bad), Refusal::HeadConflict { stream: stream("coordination/b") });
}

pub fn an_ended_stream_takes_in_nothing_more<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let end = chain
        .turn()
        .event("coordination/a", "coordination.completed", "{}")
        .head("coordination/a", "succeeded", true, r#"{"verdict":"succeeded"}"#)
        .build();
    store.append(&end, &[]).unwrap();
    let late = chain.turn().event("coordination/a", "coordination.signalled", "{}").build_aside();
    assert_eq!(refused(&store, &late), Refusal::StreamEnded { stream: stream("coordination/a") });
    let reopened = chain
        .turn()
        .event("ledger", "ledger.opened", "{}")
        .head("coordination/a", "running", false, "{}")
        .build_aside();
    assert_eq!(
        refused(&store, &reopened),
        Refusal::HeadConflict { stream: stream("coordination/a") }
    );
}

pub fn sizes_over_the_limits_are_refused<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let text = "x".repeat(MAX_PAYLOAD_BYTES);
    store.append(&chain.event("coordination/a", "coordination.signalled", &text), &[]).unwrap();

    let large = chain
        .turn()
        .event("coordination/a", "coordination.signalled", &format!("{text}x"))
        .build_aside();
    let expected = Refusal::TooLarge {
        what: "payload of event 2 of `coordination/a` in bytes".to_owned(),
        actual: MAX_PAYLOAD_BYTES as u64 + 1,
        max: MAX_PAYLOAD_BYTES as u64,
    };
    assert_eq!(refused(&store, &large), expected);

    let mut turn = chain.turn();
    for _ in 0..=MAX_APPEND_BYTES / MAX_PAYLOAD_BYTES {
        turn = turn.event("coordination/a", "coordination.signalled", &text);
    }
    let expected = Refusal::TooLarge {
        what: "append in bytes of payload".to_owned(),
        actual: (MAX_APPEND_BYTES + MAX_PAYLOAD_BYTES) as u64,
        max: MAX_APPEND_BYTES as u64,
    };
    assert_eq!(refused(&store, &turn.build_aside()), expected);

    let mut late =
        chain.turn().event("coordination/a", "coordination.signalled", "{}").build_aside();
    late.events[0].at = LedgerTime(u64::MAX);
    assert!(matches!(refused(&store, &late), Refusal::TooLarge { actual: u64::MAX, .. }));

    let mut erased =
        chain.turn().event("coordination/a", "coordination.signalled", "{}").build_aside();
    erased.events[0].payload = Payload::Erased(erased.events[0].payload.digest());
    assert_eq!(
        refused(&store, &erased),
        Refusal::NoPayload { stream: stream("coordination/a"), version: Version(2) }
    );
}

pub fn only_the_owner_writes<P: StoreUnderTest>() {
    let place = P::empty();
    let store = place.store();
    let found = store.open(&owner("one")).unwrap();
    let mut chain = Chain::after(&found, []);
    assert!(matches!(store.open(&owner("one")), Err(OpenError::AlreadyOpen)));

    let second = place.store();
    let append = chain.turn().event("ledger", "ledger.opened", "{}").build_aside();
    assert_eq!(
        refused(
            &store,
            &Append { commit: Commit { epoch: Epoch(2), ..append.commit }, ..append.clone() }
        ),
        { Refusal::Superseded { ours: Epoch(2), theirs: Epoch(1) } }
    );
    assert!(matches!(second.append(&append, &[]), Err(AppendError::Refused(Refusal::NotOpen))));
    assert!(matches!(second.mark_head(), Err(WriteError::Refused(Refusal::NotOpen))));
    match second.open(&owner("two")) {
        Err(OpenError::InUse { holder, .. }) => {
            assert_eq!(holder.to_string(), "process 4711 on one (antiphon 0.0.0-test)");
        }
        other => panic!("{other:?}"),
    }
    store.append(&append, &[]).unwrap();
    store.close().unwrap();
    assert!(matches!(store.append(&append, &[]), Err(AppendError::Refused(Refusal::NotOpen))));
    assert_eq!(second.open(&owner("two")).unwrap().epoch, Epoch(2));
}

pub fn a_superseded_owner_is_refused_whatever_it_does<P: StoreUnderTest>() {
    let place = P::empty();
    let (old, mut chain) = opened(&place);
    old.append(&chain.event("ledger", "ledger.opened", "{}"), &[]).unwrap();
    place.forget_owner();
    let new = place.store();
    let found = new.open(&owner("two")).unwrap();
    assert_eq!((found.epoch, found.commits), (Epoch(2), chain.commits));

    let over = Refusal::Superseded { ours: Epoch(1), theirs: Epoch(2) };
    let append = chain.turn().event("ledger", "ledger.closed", "{}").build_aside();
    assert_eq!(refused(&old, &append), over);
    let forged = Append { commit: Commit { epoch: Epoch(2), ..append.commit }, ..append };
    assert_eq!(refused(&old, &forged), over);
    let cursor =
        Cursor { name: "mail".to_owned(), stream: StreamName::Ledger, version: Version(1) };
    assert!(
        matches!(old.move_cursors(&[cursor]), Err(AppendError::Refused(refusal)) if refusal == over)
    );
    let snapshot = Snapshot {
        stream: StreamName::Ledger,
        version: Version(1),
        format: "1".to_owned(),
        bytes: vec![1],
    };
    assert!(
        matches!(old.save_snapshots(std::slice::from_ref(&snapshot)), Err(WriteError::Refused(refusal)) if refusal == over)
    );
    assert_eq!(
        (new.cursor("mail").unwrap(), new.load_snapshot(&StreamName::Ledger, "1").unwrap()),
        (None, None)
    );

    let mut chain = Chain { epoch: Epoch(2), ..chain };
    new.append(&chain.event("ledger", "ledger.opened", "{}"), &[]).unwrap();
    new.mark_head().unwrap();
    assert!(matches!(old.mark_head(), Err(WriteError::Refused(refusal)) if refusal == over));
}

pub fn a_ledger_is_found_again_as_it_was_left<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    store.append(&chain.event("ledger", "ledger.opened", "{}"), &[]).unwrap();
    store.append(&chain.event("coordination/a", "coordination.started", "{}"), &[]).unwrap();
    let left = everything(&store);
    let at = chain.at;
    store.close().unwrap();
    assert_eq!(everything(&store), left, "reading needs no ownership");

    let again = place.store();
    let found = again.open(&owner("two")).unwrap();
    assert_eq!(
        (found.epoch, found.commits, found.at, found.seq),
        (Epoch(2), chain.commits, at, Seq(2))
    );
    assert_eq!(
        (found.ledger_stream, found.mark),
        (chain.heads[&StreamName::Ledger].tip, MarkFinding::Agrees)
    );
    assert_eq!(everything(&again), left);
    let mut chain = Chain { epoch: Epoch(2), ..chain };
    assert_eq!(
        again.append(&chain.event("coordination/a", "coordination.resumed", "{}"), &[]).unwrap(),
        Seq(3)
    );
}

pub fn head_rows_are_listed_newest_first_and_filtered<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    for name in ["ledger", "coordination/a", "pool/gpu", "coordination/b", "coordination/ab"] {
        store.append(&chain.event(name, "x.y", "{}"), &[]).unwrap();
    }
    let end = chain.turn().event("coordination/a", "coordination.completed", "{}").head(
        "coordination/a",
        "failed",
        true,
        r#"{"n":1}"#,
    );
    let end = end.build();
    store.append(&end, &[]).unwrap();

    let all = HeadFilter::default;
    assert_eq!(
        names(&store, all()),
        ["coordination/ab", "coordination/b", "pool/gpu", "coordination/a", "ledger"]
    );
    assert_eq!(
        names(&store, HeadFilter { limit: 2, ..all() }),
        ["coordination/ab", "coordination/b"]
    );
    let older_than = Some(stream("coordination/b"));
    assert_eq!(
        names(&store, HeadFilter { older_than, limit: 2, ..all() }),
        ["pool/gpu", "coordination/a"]
    );
    let prefix = "coordination/a".to_owned();
    assert_eq!(
        names(&store, HeadFilter { prefix, ..all() }),
        ["coordination/ab", "coordination/a"]
    );
    assert_eq!(names(&store, HeadFilter { ended: Some(true), ..all() }), ["coordination/a"]);
    assert_eq!(
        names(&store, HeadFilter { ended: Some(false), limit: 1, ..all() }),
        ["coordination/ab"]
    );
    assert_eq!(
        names(&store, HeadFilter { status: Some("failed".to_owned()), ..all() }),
        ["coordination/a"]
    );
    assert_eq!(names(&store, HeadFilter { status: Some("lost".to_owned()), ..all() }), [""; 0]);

    assert_eq!(store.heads(&HeadQuery::Stream(stream("coordination/a"))).unwrap(), end.heads);
    assert_eq!(store.heads(&HeadQuery::Stream(stream("coordination/c"))).unwrap(), []);
}

pub fn blobs_small_and_large_are_kept_under_their_digest<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let blobs: Vec<Blob> = [0, 1, 64 * 1024, 64 * 1024 + 1, 3 << 20]
        .iter()
        .map(|&size| Blob::new(vec![size as u8; size]))
        .collect();
    let mut turn = chain.turn().event("coordination/a", "coordination.started", "{}");
    for blob in &blobs {
        turn = turn.blob(blob.clone()).blob(blob.clone());
    }
    store.append(&turn.build(), &[]).unwrap();
    let again = chain
        .turn()
        .event("coordination/a", "coordination.paused", "{}")
        .blob(blobs[1].clone())
        .blob(blobs[4].clone());
    store.append(&again.build(), &[]).unwrap();
    for blob in &blobs {
        assert!(
            store.blob(&blob.digest).unwrap().as_ref() == Some(&blob.bytes),
            "{} bytes",
            blob.bytes.len()
        );
    }
    assert_eq!(store.blob(&Digest::of(b"nothing")).unwrap(), None);
    assert_eq!(store.damages().unwrap(), []);

    let refused_with = Blob::new(vec![7; 100_000]);
    let mut bad = chain
        .turn()
        .event("coordination/a", "coordination.paused", "{}")
        .blob(refused_with.clone())
        .build_aside();
    bad.commit.number = CommitNumber(9);
    refused(&store, &bad);
    assert_eq!(store.blob(&refused_with.digest).unwrap(), None);
}

pub fn cursors_move_with_an_append_or_alone<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let at = |version| Cursor {
        name: "mail".to_owned(),
        stream: stream("coordination/a"),
        version: Version(version),
    };
    assert_eq!(store.cursor("mail").unwrap(), None);
    store.append(&chain.event("coordination/a", "coordination.started", "{}"), &[at(1)]).unwrap();
    assert_eq!(store.cursor("mail").unwrap(), Some(at(1)));

    let mut bad = chain.turn().event("coordination/a", "coordination.paused", "{}").build_aside();
    bad.commit.number = CommitNumber(7);
    assert!(store.append(&bad, &[at(2)]).is_err());
    assert_eq!(
        store.cursor("mail").unwrap(),
        Some(at(1)),
        "a cursor moves with its append or not at all"
    );

    let before = everything(&store);
    store.move_cursors(&[at(2), Cursor { name: "news".to_owned(), ..at(0) }]).unwrap();
    assert_eq!(store.cursor("mail").unwrap(), Some(at(2)));
    assert_eq!(store.cursor("news").unwrap(), Some(Cursor { name: "news".to_owned(), ..at(0) }));
    assert_eq!(everything(&store), before);
    let named = |name: &str| Cursor { name: name.to_owned(), ..at(0) };
    store.move_cursors(&[named("news/b"), named("news/a"), named("old/a")]).unwrap();
    assert_eq!(store.unmoved_cursors("news/").unwrap(), [named("news/a"), named("news/b")]);
    store.move_cursors(&[Cursor { version: Version(2), ..named("news/a") }]).unwrap();
    assert_eq!(store.unmoved_cursors("news/").unwrap(), [named("news/b")]);

    let long = Cursor { name: "x".repeat(257), ..at(1) };
    assert!(matches!(
        store.move_cursors(&[long]),
        Err(AppendError::Refused(Refusal::TooLarge { actual: 257, .. }))
    ));
}

pub fn erasing_keeps_the_chains_and_nothing_else<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let secret = Blob::new(b"the secret in a small blob".to_vec());
    let large = Blob::new(vec![9; 100_000]);
    let run = chain
        .turn()
        .event("coordination/a", "coordination.started", r#"{"secret":1}"#)
        .event("coordination/a", "coordination.signalled", r#"{"secret":2}"#)
        .blob(secret.clone())
        .blob(large.clone())
        .build();
    store.append(&run, &[]).unwrap();
    let a = stream("coordination/a");
    let snapshot = Snapshot {
        stream: a.clone(),
        version: Version(2),
        format: "1".to_owned(),
        bytes: b"secret".to_vec(),
    };
    store.save_snapshots(std::slice::from_ref(&snapshot)).unwrap();
    let end = chain
        .turn()
        .event("coordination/a", "coordination.completed", r#"{"verdict":"succeeded"}"#)
        .head("coordination/a", "succeeded", true, r#"{"secret":3}"#)
        .build();
    store.append(&end, &[]).unwrap();

    let erase = chain
        .turn()
        .event(
            "ledger",
            "ledger.erased",
            r#"{"stream":"coordination/a","versions":[1,2],"reason":"asked"}"#,
        )
        .head("coordination/a", "succeeded", true, "{}")
        .erase("coordination/a", &[1, 2])
        .erase_blob(secret.digest)
        .erase_blob(large.digest)
        .build();
    store.append(&erase, &[]).unwrap();

    let mut expected = [run.events, end.events].concat();
    for event in &mut expected[..2] {
        event.payload = Payload::Erased(event.payload.digest());
    }
    let found = store.read_stream(&a, Version(0), usize::MAX).unwrap();
    assert_eq!(found, expected);
    assert!(found.iter().all(Recorded::is_sound));
    assert_eq!(store.heads(&HeadQuery::Stream(a.clone())).unwrap()[0].summary, "{}");
    assert_eq!(store.load_snapshot(&a, "1").unwrap(), None);
    assert_eq!(store.blob(&secret.digest).unwrap(), None);
    assert_eq!(store.blob(&large.digest).unwrap(), None);
    assert_eq!(store.damages().unwrap(), []);

    let again = chain
        .turn()
        .event("ledger", "ledger.erased", "{}")
        .erase("coordination/a", &[1])
        .erase_blob(secret.digest)
        .build();
    store.append(&again, &[]).unwrap();
    assert_eq!(
        store.read_stream(&a, Version(0), usize::MAX).unwrap(),
        expected,
        "erasing again changes nothing"
    );
    let back = chain
        .turn()
        .event("coordination/b", "coordination.started", "{}")
        .blob(large.clone())
        .build();
    store.append(&back, &[]).unwrap();
    assert_eq!(
        store.blob(&large.digest).unwrap(),
        Some(large.bytes),
        "what is erased may come again"
    );
}

pub fn what_must_not_be_erased_is_refused<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let turn = chain
        .turn()
        .event("ledger", "ledger.opened", "{}")
        .event("coordination/running", "coordination.started", "{}")
        .event("coordination/running", "coordination.paused", "{}")
        .event("coordination/ended", "coordination.started", "{}")
        .event("coordination/ended", "coordination.completed", "{}")
        .head("coordination/ended", "succeeded", true, "{}");
    store.append(&turn.build(), &[]).unwrap();
    let cases = [
        ("ledger", 1, "only runs can be erased"),
        ("coordination/running", 1, "the run has not ended"),
        ("coordination/ended", 2, "it is the terminal event"),
        ("coordination/ended", 3, "there is no such event"),
        ("coordination/ended", 0, "there is no such event"),
        ("coordination/none", 1, "there is no such event"),
    ];
    for (name, version, why) in cases {
        let erase = chain
            .turn()
            .event("ledger", "ledger.erased", "{}")
            .erase(name, &[version])
            .build_aside();
        assert_eq!(
            refused(&store, &erase),
            Refusal::NotErasable { stream: stream(name), version: Version(version), why }
        );
    }
}

pub fn readers_see_whole_appends_while_one_writes<P: StoreUnderTest>()
where
    P::Store: Sync,
{
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0;
                    loop {
                        let last = done.load(Ordering::Acquire);
                        let events = store.read_all(Seq(0), usize::MAX).unwrap();
                        assert_eq!(events.len() % 3, 0, "turns of three events are seen whole");
                        assert!(events.len() >= seen, "nothing that was seen goes away");
                        seen = events.len();
                        if last {
                            return seen;
                        }
                    }
                })
            })
            .collect();
        for _ in 0..60 {
            let turn = chain
                .turn()
                .event("coordination/a", "x.y", "{}")
                .event("coordination/b", "x.y", "{}")
                .event("ledger", "x.y", "{}");
            store.append(&turn.build(), &[]).unwrap();
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            assert_eq!(reader.join().unwrap(), 180);
        }
    });
}

pub fn many_streams_and_appends_stay_linked<P: StoreUnderTest>() {
    let place = P::empty();
    let (store, mut chain) = opened(&place);
    for round in 0..30 {
        let mut turn = chain.turn();
        for number in 0..10 {
            turn = turn.event(
                &format!("coordination/{}", number + round % 4),
                "x.y",
                &format!(r#"{{"round":{round}}}"#),
            );
        }
        store.append(&turn.build(), &[]).unwrap();
    }
    let mut tips = std::collections::BTreeMap::<StreamName, StreamTip>::new();
    for placed in store.read_all(Seq(0), usize::MAX).unwrap() {
        let tip = tips.entry(placed.event.stream.clone()).or_default();
        assert!(placed.event.is_sound());
        assert_eq!((placed.event.version, placed.event.prev), (tip.version.next(), tip.hash));
        *tip = StreamTip { version: placed.event.version, hash: placed.event.hash };
    }
    let heads = store.heads(&HeadQuery::List(HeadFilter::default())).unwrap();
    let found: std::collections::BTreeMap<_, _> =
        heads.into_iter().map(|head| (head.stream, head.tip)).collect();
    assert_eq!(found, tips);
}

/// Makes a module of tests for each place, one for each behaviour.
#[macro_export]
macro_rules! store_conformance {
    ($($name:ident: $place:ty),+ $(,)?) => {
        $($crate::store_conformance!(@ $name, $place, {
            a_new_ledger_is_empty_and_in_its_first_epoch
            what_is_appended_is_read_back_whole
            every_event_is_placed_in_its_commit
            an_append_that_does_not_continue_its_stream_is_refused
            an_append_that_does_not_continue_the_commits_is_refused
            an_append_without_events_or_fitting_head_rows_is_refused
            an_ended_stream_takes_in_nothing_more
            sizes_over_the_limits_are_refused
            only_the_owner_writes
            a_superseded_owner_is_refused_whatever_it_does
            a_ledger_is_found_again_as_it_was_left
            head_rows_are_listed_newest_first_and_filtered
            blobs_small_and_large_are_kept_under_their_digest
            a_snapshot_of_another_format_is_as_good_as_absent
            no_snapshot_is_kept_of_what_has_ended
            cursors_move_with_an_append_or_alone
            erasing_keeps_the_chains_and_nothing_else
            what_must_not_be_erased_is_refused
            readers_see_whole_appends_while_one_writes
            many_streams_and_appends_stay_linked
        });)+
    };
    (@ $name:ident, $place:ty, { $($behaviour:ident)+ }) => {
        mod $name {
            $(
                #[test]
                fn $behaviour() {
                    $crate::ledger::conformance::$behaviour::<$place>();
                }
            )+
        }
    };
}
