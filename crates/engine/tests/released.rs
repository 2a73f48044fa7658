//! What earlier versions wrote stays readable: a small ledger of each, kept as it was when its
//! engine was killed, is verified by the library and by the second verifier.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use antiphon::ledger::export::{Export, export, verify_export};
use antiphon::ledger::verify::{Earlier, Scope, verify, verify_directory};
use antiphon::ledger::{SqliteOptions, SqliteStore, Store};
use antiphon_core::coordination::CoordinationReceipt;
use antiphon_core::id::CoordinationId;

const VERSIONS: [&str; 1] = ["b045367"];

fn kept(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released").join(version)
}

/// A copy of the ledger that a version wrote.
fn ledger(version: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in ["ledger.db", "ledger.db-wal", "head"] {
        fs::copy(kept(version).join(file), dir.path().join(file)).unwrap();
    }
    dir
}

/// The receipts that a version exported: the coordination and the bytes of the file.
fn exported(version: &str) -> Vec<(CoordinationId, Vec<u8>)> {
    let mut receipts: Vec<(CoordinationId, Vec<u8>)> = fs::read_dir(kept(version).join("receipts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| {
            let id = file.file_stem().unwrap().to_str().unwrap();
            (CoordinationId::new(id).unwrap(), fs::read(&file).unwrap())
        })
        .collect();
    receipts.sort();
    receipts
}

#[test]
fn ledgers_of_earlier_versions_verify() {
    for version in VERSIONS {
        let dir = ledger(version);
        assert_eq!(
            verify_directory(dir.path(), &Scope::Ledger).unwrap().to_string(),
            "93 events in 11 streams, 49 commits\n8 receipts rebuilt, 0 payloads erased\nsound\n",
            "{version}"
        );
    }
}

#[test]
fn the_second_verifier_agrees() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_ledger.py");
    for version in VERSIONS {
        let dir = ledger(version);
        let output = Command::new("python3").arg(script).arg(dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{version}: {said}");
        assert_eq!(
            said,
            "93 events in 11 streams, 49 commits, 8 receipts rebuilt, 0 payloads and 0 blobs erased\nsound\n",
            "{version}"
        );
    }
}

#[test]
fn receipts_of_earlier_versions_verify_and_are_exported_again_as_they_were() {
    for version in VERSIONS {
        let dir = ledger(version);
        let store = SqliteStore::at(dir.path(), SqliteOptions::default());
        for (id, bytes) in exported(version) {
            let report = verify_export(&bytes);
            assert!(report.is_sound(), "{version}, {id}: {report}");
            assert_eq!(report.receipts_rebuilt, 1, "{version}, {id}");
            assert_eq!(Export::read(&bytes).unwrap().to_bytes(), bytes, "{version}, {id}");
            let again = export(&store, &id).unwrap();
            assert_eq!(again.to_bytes(), bytes, "{version}, {id}");
            let canonical = store.blob(&again.receipt).unwrap().unwrap();
            let receipt = CoordinationReceipt::from_bytes(&canonical).unwrap();
            assert_eq!(receipt.canonical_bytes(), canonical, "{version}, {id}");
            assert_eq!(serde_json::to_value(receipt).ok(), again.rendering, "{version}, {id}");
            let earlier = Earlier::read(&bytes).unwrap();
            let report = verify(&store, &Scope::Against(earlier)).unwrap();
            assert!(report.is_sound(), "{version}, {id}: {report}");
        }
    }
}
