//! Receipts as others have them: read from their bytes, and put together from the events by a
//! verifier that shares no code with the engine.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

mod history;

use std::path::Path;
use std::process::Command;

use antiphon::ledger::verify::{Scope, Wrong, verify_directory};
use antiphon::ledger::{SqliteOptions, SqliteStore, Store};
use antiphon_core::append::Append;
use antiphon_core::coordination::{
    CoordinationBudget, CoordinationConfig, CoordinationReceipt, Forerunner, Reused, WorkSpec,
};
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

#[test]
fn the_receipt_of_a_retry_is_read_and_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(dir.path(), SqliteOptions::default());
    let mut history = History::begin(&store);
    history.start("earlier", &["output"]);
    history.settle();
    let last = store.read_stream(&"coordination/earlier".parse().unwrap(), Version(0), usize::MAX);
    let last = last.unwrap().pop().unwrap();
    let forerunner = Forerunner {
        coordination: "earlier".parse().unwrap(),
        receipt: Digest::of(&stored(&store, "earlier")),
        version: last.version,
        hash: last.hash,
    };
    let output = Some(Digest::of(&history::output("earlier")));
    let (from, work) = (forerunner.coordination.clone(), Some("item-0".parse().unwrap()));
    let session = Some("some.thing.7".parse().unwrap());
    let reused = Reused { from: from.clone(), work, output, files: None, session };
    let item = |id: &str| WorkSpec::function(id, "ok").unwrap();
    let mut work: Vec<WorkSpec> = (0..1_100)
        .map(|number| item(&format!("w{number}")).reused(reused.clone()))
        .chain([item("rest").needs_work("w7").unwrap()])
        .collect();
    work.push(
        item("last")
            .reused(Reused { from, work: None, output: None, files: None, session: None })
            .critical(),
    );
    let budget = CoordinationBudget::new(1_000, 1_000_000, 1_000, None).unwrap();
    let config = |work| CoordinationConfig::of_work(work, budget.clone()).unwrap();
    history.start_with("again", config(work).retrying(forerunner.clone()));
    history.start_with("anew", config(vec![item("a")]).retrying(forerunner.clone()));
    history.settle();
    let bytes = stored(&store, "again");
    history.close();
    let receipt = CoordinationReceipt::from_bytes(&bytes).unwrap();
    let reused = receipt.reused.as_ref().unwrap();
    assert_eq!((reused.chunks.len(), reused.items.len(), receipt.totals.sessions), (1, 101, 1));
    assert_eq!((&reused.forerunner, receipt.verdict.as_str()), (&forerunner, "succeeded"));
    let carried_out = receipt.carried_out.as_ref().unwrap();
    assert_eq!((carried_out.chunks.len(), carried_out.items.len()), (1, 100));
    assert_eq!(carried_out.items[0].session.to_string(), "some.thing.7");
    assert_eq!(receipt.canonical_bytes(), bytes);
    let first = verify_directory(dir.path(), &Scope::Ledger).unwrap();
    assert!(first.findings.is_empty(), "{first}");
    let second = second(dir.path());
    assert_eq!(
        (&second["sound"], &second["receipts_rebuilt"]),
        (&true.into(), &3.into()),
        "{second}"
    );
}

#[test]
fn an_output_that_is_gone_and_another_end_than_a_retry_names_are_found_by_both_verifiers() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(dir.path(), SqliteOptions::default());
    let mut history = History::begin(&store);
    history.start("earlier", &["output"]);
    history.settle();
    let last = store.read_stream(&"coordination/earlier".parse().unwrap(), Version(0), usize::MAX);
    let last = last.unwrap().pop().unwrap();
    let forerunner = Forerunner {
        coordination: "earlier".parse().unwrap(),
        receipt: Digest::of(&stored(&store, "earlier")),
        version: last.version,
        hash: last.hash,
    };
    let output = Digest::of(b"nowhere");
    let from = forerunner.coordination.clone();
    let item = || WorkSpec::function("a", "ok").unwrap();
    let gone = item().reused(Reused {
        from,
        work: None,
        output: Some(output),
        files: None,
        session: None,
    });
    let budget = CoordinationBudget::new(10, 1_000_000, 1_000, None).unwrap();
    let config = |item| CoordinationConfig::of_work(vec![item], budget.clone()).unwrap();
    history.start_with("gone", config(gone).retrying(forerunner.clone()));
    let others = [
        Forerunner { coordination: "nowhere".parse().unwrap(), ..forerunner.clone() },
        Forerunner { version: Version(2), ..forerunner.clone() },
        Forerunner { hash: Digest::GENESIS, ..forerunner.clone() },
        Forerunner { receipt: Digest::GENESIS, ..forerunner },
    ];
    for (number, other) in others.into_iter().enumerate() {
        history.start_with(&format!("r{number}"), config(item()).retrying(other));
    }
    history.settle();
    history.close();
    let first = verify_directory(dir.path(), &Scope::Ledger).unwrap();
    let second = second(dir.path());
    let first = serde_json::to_value(&first.findings).unwrap();
    let told = |findings: &Value| {
        let told = findings.as_array().unwrap().iter().map(|finding| {
            format!("{} {} {}", finding["stream"], finding["version"], finding["wrong"])
        });
        let mut told: Vec<String> = told.collect();
        told.sort();
        told.join("\n").replace('"', "").replace("coordination/", "")
    };
    let expected = "\
gone 2 blob_missing
r0 1 forerunner_differs
r1 1 forerunner_differs
r2 1 forerunner_differs
r3 1 forerunner_differs";
    assert_eq!(
        (told(&first), told(&second["findings"])),
        (expected.to_owned(), expected.to_owned())
    );
    let run = Scope::Coordination("r1".parse().unwrap());
    let single = verify_directory(dir.path(), &run).unwrap();
    assert_eq!(
        single.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "event 1 of `coordination/r1`: retries run earlier, and does not name its last event and \
             receipt; keep the ledger as it is for evidence, and restore a copy"
        ]
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
