//! What sessions printed is evidence: a blob that was removed or changed is found by every way to
//! verify, and one that was erased is told as erased.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

mod history;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use antiphon::ledger::export::{export, verify_export};
use antiphon::ledger::verify::{Earlier, Scope, verify_directory};
use antiphon::ledger::{SqliteOptions, SqliteStore};
use antiphon_core::digest::Digest;
use history::{History, coordination, printed};
use rusqlite::Connection;
use serde_json::Value;

/// A ledger that was closed, in which `small` and `large` printed, and the exported receipts of
/// both.
struct Ledger {
    dir: tempfile::TempDir,
    small: Vec<u8>,
    large: Vec<u8>,
}

impl Ledger {
    fn new(erased: &[Digest]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::at(dir.path(), SqliteOptions::default());
        let mut history = History::begin(&store);
        history.start("small", &["printed", "ok"]);
        history.start("large", &["flooded", "ok"]);
        history.settle();
        let exported = |id| export(&store, &coordination(id)).unwrap().to_bytes();
        let (small, large) = (exported("small"), exported("large"));
        if !erased.is_empty() {
            history.erase("small", &[], erased);
        }
        history.close();
        Self { dir, small, large }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn edit(&self, sql: &str) {
        let changed =
            Connection::open(self.path().join("ledger.db")).unwrap().execute(sql, []).unwrap();
        assert_eq!(changed, 1, "{sql}");
    }

    fn file(&self, blob: Digest) -> PathBuf {
        let name = blob.to_string();
        self.path().join("blobs").join(&name[..2]).join(name)
    }

    fn verify(&self, scope: &Scope) -> String {
        verify_directory(self.path(), scope).unwrap().to_string()
    }

    /// What every way to verify says, each in its words; the counts at the beginning are left out.
    fn says(&self, id: &str) -> [String; 4] {
        let export = if id == "small" { &self.small } else { &self.large };
        let whole = self.verify(&Scope::Ledger);
        let one = self.verify(&Scope::Coordination(coordination(id)));
        let against = self.verify(&Scope::Against(Earlier::read(export).unwrap()));
        let findings = |report: String| {
            report.lines().skip(2).map(|line| format!("{line}\n")).collect::<String>()
        };
        [findings(whole), findings(one), findings(against), self.second()]
    }

    /// What the verifier in Python says.
    fn second(&self) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_ledger.py");
        let output =
            Command::new("python3").args([script, "--json"]).arg(self.path()).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let Value::Array(findings) = &report["findings"] else { panic!("{report}") };
        let told = findings.iter().map(|finding| {
            let place = finding
                .get("version")
                .map_or_else(|| finding["what"].to_string(), |version| format!("event {version}"));
            format!("{place} {}\n", finding["wrong"])
        });
        told.chain([format!("{} blobs erased\n", report["blobs_erased"])]).collect()
    }
}

fn blob(id: &str, stream: &str) -> Digest {
    Digest::of(&printed(id, stream, id == "large"))
}

/// What is said where a blob that event 5 names is not there and was not erased.
fn missing(id: &str, blob: Digest) -> [String; 4] {
    let first = format!(
        "event 5 of `coordination/{id}`: names blob {blob}, which is missing, and no `ledger.erased` event names it; \
         keep the ledger as it is for evidence, and restore a copy\nNOT SOUND: 1 finding\n"
    );
    [first.clone(), first.clone(), first, "event 5 \"blob_missing\"\n0 blobs erased\n".to_owned()]
}

/// What is said where the bytes of a blob that event 5 names are not its own, or are gone.
fn damaged(id: &str, blob: Digest, how: &str) -> [String; 4] {
    let remedy =
        "keep the ledger as it is for evidence, and restore a copy\nNOT SOUND: 1 finding\n";
    let beside = format!("blob {blob}: {how}; {remedy}");
    let one = format!(
        "event 5 of `coordination/{id}`: cannot be read: blob {blob} is damaged: {how}; {remedy}"
    );
    [beside.clone(), one, beside, format!("\"blob {blob}\" \"damaged\"\n0 blobs erased\n")]
}

#[test]
fn a_ledger_with_all_that_was_printed_is_sound() {
    let ledger = Ledger::new(&[]);
    for id in ["small", "large"] {
        let sound = "sound\n".to_owned();
        assert_eq!(
            ledger.says(id),
            [sound.clone(), sound.clone(), sound, "0 blobs erased\n".to_owned()]
        );
    }
}

#[test]
fn a_printed_blob_that_was_removed_is_missing() {
    for id in ["small", "large"] {
        for stream in ["stdout", "stderr"] {
            let ledger = Ledger::new(&[]);
            let blob = blob(id, stream);
            ledger.edit(&format!("DELETE FROM blobs WHERE digest = x'{blob}'"));
            assert_eq!(ledger.says(id), missing(id, blob), "{stream}");
        }
    }
}

#[test]
fn a_printed_blob_that_was_changed_is_found() {
    let ledger = Ledger::new(&[]);
    let small = blob("small", "stdout");
    ledger.edit(&format!("UPDATE blobs SET bytes = zeroblob(size) WHERE digest = x'{small}'"));
    assert_eq!(ledger.says("small"), damaged("small", small, "its bytes have another digest"));

    let ledger = Ledger::new(&[]);
    let large = blob("large", "stdout");
    fs::write(ledger.file(large), vec![b'!'; 100_000]).unwrap();
    assert_eq!(ledger.says("large"), damaged("large", large, "its bytes have another digest"));
}

#[test]
fn the_file_of_a_printed_blob_that_was_removed_is_found() {
    let ledger = Ledger::new(&[]);
    let large = blob("large", "stderr");
    fs::remove_file(ledger.file(large)).unwrap();
    assert_eq!(ledger.says("large"), damaged("large", large, "its file is missing"));
}

#[test]
fn a_printed_blob_that_was_erased_is_told_as_erased() {
    let erased = [blob("small", "stdout"), blob("large", "stdout"), blob("large", "stderr")];
    let ledger = Ledger::new(&erased);
    assert!(!ledger.file(erased[1]).exists(), "the file is gone");
    let sound = "sound\n".to_owned();
    for id in ["small", "large"] {
        assert_eq!(
            ledger.says(id),
            [sound.clone(), sound.clone(), sound.clone(), "3 blobs erased\n".to_owned()]
        );
    }
    assert!(
        ledger
            .verify(&Scope::Ledger)
            .contains("\n2 receipts rebuilt, 0 payloads erased, 3 blobs erased\n")
    );
    let one = |id| ledger.verify(&Scope::Coordination(coordination(id)));
    assert!(one("small").contains(" 0 payloads erased, 1 blob erased\n"), "{}", one("small"));
    assert!(one("large").contains(" 0 payloads erased, 2 blobs erased\n"), "{}", one("large"));
}

#[test]
fn an_exported_receipt_is_verified_without_what_was_printed() {
    let ledger = Ledger::new(&[]);
    for export in [&ledger.small, &ledger.large] {
        let report = verify_export(export);
        assert!(report.is_sound(), "{report}");
    }
}
