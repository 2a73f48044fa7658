//! Receipts as others have them: read from their bytes, and put together from the events by a
//! verifier that shares no code with the engine.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

mod history;

use std::path::Path;
use std::process::Command;

use antiphon::ledger::verify::{Scope, Wrong, verify_directory};
use antiphon::ledger::{SqliteOptions, SqliteStore, Store};
use antiphon_core::append::Append;
use antiphon_core::coordination::CoordinationReceipt;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Blob, Commit, CommitTip, Payload};
use antiphon_core::event::{AggregateEvent, CoordinationEvent};
use antiphon_core::id::{CommitNumber, Version};
use history::{History, story};
use serde_json::Value;

/// What the verifier in Python says.
fn second(dir: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_ledger.py");
    let output = Command::new("python3").args([script, "--json"]).arg(dir).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The receipt that a coordination ended with, as it is stored.
fn stored(store: &dyn Store, id: &str) -> Vec<u8> {
    let stream = format!("coordination/{id}").parse().unwrap();
    let events = store.read_stream(&stream, Version(0), usize::MAX).unwrap();
    let receipt = match CoordinationEvent::of(events.last().unwrap()).unwrap() {
        CoordinationEvent::Completed(end) => end.receipt,
        CoordinationEvent::Aborted(end) => end.receipt,
        other => panic!("{other:?}"),
    };
    store.blob(&receipt).unwrap().unwrap()
}

#[test]
fn both_verifiers_put_the_same_receipts_together() {
    let dir = tempfile::tempdir().unwrap();
    story(&SqliteStore::at(dir.path(), SqliteOptions::default()));
    let first = verify_directory(dir.path(), &Scope::Ledger).unwrap();
    let second = second(dir.path());
    assert_eq!((&second["sound"], &second["findings"]), (&true.into(), &Value::Array(Vec::new())));
    assert_eq!(second["receipts_rebuilt"], first.receipts_rebuilt);
}

#[test]
fn the_receipt_of_more_than_a_thousand_items_is_read_and_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(dir.path(), SqliteOptions::default());
    let mut history = History::begin(&store);
    history.start("large", &["ok"; 1_100]);
    history.settle();
    let bytes = stored(&store, "large");
    history.close();
    let receipt = CoordinationReceipt::from_bytes(&bytes).unwrap();
    assert_eq!((receipt.outcome_chunks.len(), receipt.work_outcomes.len()), (1, 100));
    assert_eq!(receipt.canonical_bytes(), bytes);
    let second = second(dir.path());
    assert_eq!(
        (&second["sound"], &second["receipts_rebuilt"]),
        (&true.into(), &1.into()),
        "{second}"
    );
}

/// Gives a coordination that ends another receipt, and makes everything that names it fit.
fn forge(append: &mut Append) {
    let Some(last) =
        append.events.last_mut().filter(|event| event.kind == "coordination.completed")
    else {
        return;
    };
    let receipt = append.blobs.last_mut().unwrap();
    let mut forged = CoordinationReceipt::from_bytes(&receipt.bytes).unwrap();
    forged.totals.failed = 0;
    let (before, after) = (receipt.digest, Blob::new(forged.canonical_bytes()));
    let payload = String::from_utf8(last.payload.bytes().unwrap().to_vec()).unwrap();
    let payload = payload.replace(&before.to_string(), &after.digest.to_string());
    last.payload = Payload::Bytes(payload.into_bytes());
    last.hash = last.computed_hash();
    *receipt = after;
    for head in &mut append.heads {
        if head.stream == last.stream {
            head.tip.hash = last.hash;
        }
    }
    let tip =
        CommitTip { number: CommitNumber(append.commit.number.0 - 1), hash: append.commit.prev };
    let hashes: Vec<Digest> = append.events.iter().map(|event| event.hash).collect();
    append.commit = Commit::link(tip, append.commit.epoch, hashes.into_iter());
}

#[test]
fn a_forged_receipt_that_every_hash_agrees_with_is_found_by_both_verifiers() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(dir.path(), SqliteOptions::default());
    let mut history = History::begin(&store);
    history.forge = forge;
    history.start("forged", &["ok", "fail"]);
    history.settle();
    store.mark_head().unwrap();
    store.close().unwrap();

    let first = verify_directory(dir.path(), &Scope::Ledger).unwrap();
    let [finding] = first.findings.as_slice() else { panic!("{first}") };
    let Wrong::ReceiptDiffers { recorded, rebuilt } = &finding.wrong else { panic!("{first}") };
    let second = second(dir.path());
    assert_eq!(
        second["findings"],
        serde_json::json!([{
            "place": "event", "stream": "coordination/forged", "version": 9,
            "wrong": "receipt_differs",
            "message": format!("names receipt {recorded}, but its events give {rebuilt}"),
        }])
    );
}
