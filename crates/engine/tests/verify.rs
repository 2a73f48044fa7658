//! What `verify` says of sound ledgers, of receipts without their ledger, and of ledgers that are
//! not what an earlier receipt saw.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

mod history;

use std::sync::atomic::{AtomicBool, Ordering};

use antiphon::ledger::export::{Export, ExportError, export, verify_export};
use antiphon::ledger::verify::{
    Earlier, Place, Scope, VerifyReport, Wrong, verify, verify_directory,
};
use antiphon::ledger::{MemoryStore, SqliteOptions, SqliteStore, Store};
use antiphon_core::digest::Digest;
use history::{History, coordination, story};
use serde_json::{Value, json};

fn memory() -> MemoryStore {
    let store = MemoryStore::default();
    story(&store);
    store
}

fn one(store: &dyn Store, id: &str) -> String {
    verify(store, &Scope::Coordination(coordination(id))).unwrap().to_string()
}

fn against(store: &dyn Store, earlier: &[u8]) -> VerifyReport {
    verify(store, &Scope::Against(Earlier::read(earlier).unwrap())).unwrap()
}

const STORY: &str = "\
52 events in 7 streams, 23 commits
4 receipts rebuilt, 2 payloads erased, 1 blob erased
`coordination/private`: not rebuildable: 2 erased
sound
";

#[test]
fn a_sound_ledger_is_verified_with_every_receipt_rebuilt() {
    assert_eq!(verify(&memory(), &Scope::Ledger).unwrap().to_string(), STORY);

    let dir = tempfile::tempdir().unwrap();
    story(&SqliteStore::at(dir.path(), SqliteOptions::default()));
    assert_eq!(verify_directory(dir.path(), &Scope::Ledger).unwrap().to_string(), STORY);
}

#[test]
fn an_empty_ledger_is_sound() {
    let empty = "0 events in 0 streams, 0 commits\n0 receipts rebuilt, 0 payloads erased\nsound\n";
    assert_eq!(verify(&MemoryStore::default(), &Scope::Ledger).unwrap().to_string(), empty);
}

#[test]
fn a_report_is_json_too() {
    let report = serde_json::to_value(verify(&memory(), &Scope::Ledger).unwrap()).unwrap();
    let expected = json!({
        "events": 52, "streams": 7, "commits": 23, "receipts_rebuilt": 4, "erased": 2, "blobs_erased": 1,
        "not_rebuildable": [{"stream": "coordination/private", "erased": 2}], "findings": [], "omitted": 0,
    });
    assert_eq!(report, expected);
}

#[test]
fn one_coordination_is_verified_by_itself() {
    let store = memory();
    assert_eq!(
        one(&store, "last"),
        "5 events in 1 stream, 1 commit\n1 receipt rebuilt, 0 payloads erased\nsound\n"
    );
    let running = "5 events in 1 stream, 0 commits\n0 receipts rebuilt, 0 payloads erased\nsound\n";
    assert_eq!(one(&store, "endless"), running);
    let private = one(&store, "private");
    assert!(
        private.ends_with("`coordination/private`: not rebuildable: 2 erased\nsound\n"),
        "{private}"
    );
    let unknown = verify(&store, &Scope::Coordination(coordination("unknown"))).unwrap();
    assert_eq!(unknown.findings[0].wrong, Wrong::HeadMissing);
}

#[test]
fn an_exported_receipt_is_verified_without_its_ledger() {
    let store = memory();
    for (id, rebuilt) in
        [("build", 1), ("nightly", 1), ("unwanted", 1), ("last", 1), ("private", 0)]
    {
        let bytes = export(&store, &coordination(id)).unwrap().to_bytes();
        let report = verify_export(&bytes);
        assert!(report.is_sound(), "{id}: {report}");
        assert_eq!(report.receipts_rebuilt, rebuilt, "{id}");
        assert_eq!(Export::read(&bytes).unwrap().to_bytes(), bytes, "{id}");
    }
}

#[test]
fn what_has_no_receipt_is_not_exported() {
    let store = memory();
    assert!(matches!(export(&store, &coordination("endless")), Err(ExportError::NotEnded { .. })));
    assert!(matches!(export(&store, &coordination("unknown")), Err(ExportError::Absent { .. })));
}

/// Every place of a JSON value, as a path of keys and indices.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                places(member, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(members) => {
            for (index, member) in members.iter().enumerate() {
                places(member, &format!("{path}/{index}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn every_change_to_an_exported_receipt_is_found() {
    let export: Value =
        serde_json::from_slice(&export(&memory(), &coordination("build")).unwrap().to_bytes())
            .unwrap();
    let mut all = Vec::new();
    places(&export, "", &mut all);
    for path in all {
        let mut changed = export.clone();
        let value = changed.pointer_mut(&path).unwrap();
        *value = match value.take() {
            Value::Number(number) => json!(number.as_u64().map_or(0, |number| number + 1)),
            Value::Bool(flag) => json!(!flag),
            Value::Null => json!(0),
            Value::String(text) => match text.parse::<Digest>() {
                Ok(_) => json!(Digest::of(text.as_bytes())),
                Err(_) => json!(format!("{text}0")),
            },
            other => panic!("{other}"),
        };
        let report = verify_export(&serde_json::to_vec(&changed).unwrap());
        // The epoch of a commit is not covered by its hash.
        assert_eq!(report.is_sound(), path == "/commit/epoch", "{path}");
    }
    for broken in [b"".as_slice(), b"{}", b"[]", b"{\"format\":\"antiphon.receipt-export.2\"}"] {
        let report = verify_export(broken);
        assert!(matches!(report.findings[0].wrong, Wrong::NotAnExport { .. }), "{report}");
    }
}

#[test]
fn a_ledger_extends_the_receipts_that_it_issued() {
    let store = MemoryStore::default();
    let mut history = History::begin(&store);
    history.start("first", &["ok", "ok"]);
    history.settle();
    let exported = export(&store, &coordination("first")).unwrap();
    history.start("second", &["ok"]);
    history.settle();
    history.close();
    let whole = against(&store, &exported.to_bytes());
    assert!(whole.is_sound(), "{whole}");
    assert_eq!(whole.receipts_rebuilt, 2);
    assert!(against(&store, format!("{}\n", exported.receipt).as_bytes()).is_sound());
    assert!(Earlier::read(b"neither").is_err());
}

#[test]
fn another_history_does_not_extend_a_receipt() {
    let (one, other) = (MemoryStore::default(), MemoryStore::default());
    let mut history = History::begin(&one);
    history.start("first", &["ok", "ok"]);
    history.settle();
    let exported = export(&one, &coordination("first")).unwrap();
    let mut history = History::begin(&other);
    history.start("before", &["ok"]);
    history.start("first", &["ok", "ok"]);
    history.settle();

    assert!(
        verify(&other, &Scope::Ledger).unwrap().is_sound(),
        "by itself nothing is wrong with it"
    );
    let report = against(&other, &exported.to_bytes());
    assert!(!report.findings.is_empty());
    for finding in &report.findings {
        assert_eq!(finding.place, Place::Beside { what: "the ledger".to_owned() }, "{finding}");
        assert!(matches!(finding.wrong, Wrong::NotExtended { .. }), "{finding}");
    }
    let report = against(&other, exported.receipt.to_string().as_bytes());
    assert_eq!(report.findings.len(), 1, "{report}");
    let report = against(&MemoryStore::default(), &exported.to_bytes());
    assert_eq!(report.findings.len(), 1, "{report}");
}

#[test]
fn a_ledger_that_an_engine_goes_on_with_is_sound_at_every_moment() {
    let dir = tempfile::tempdir().unwrap();
    let engine = SqliteStore::at(dir.path(), SqliteOptions::default());
    let mut history = History::begin(&engine);
    let done = AtomicBool::new(false);
    let (mut verified, mut events) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..60 {
                let id = format!("work-{number}");
                history.start(&id, &["ok", "output", "hang"]);
                history.settle();
                history.cancel(&id);
                history.erase(&id, &[2, 3], &[Digest::of(&history::output(&id))]);
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) || verified == 0 {
            let report = verify_directory(dir.path(), &Scope::Ledger).unwrap();
            assert!(report.is_sound(), "{report}");
            assert!(report.events >= events, "a ledger only grows");
            events = report.events;
            verified += 1;
        }
    });
}
