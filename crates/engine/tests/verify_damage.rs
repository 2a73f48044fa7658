//! Damage to a ledger is found, or has changed nothing; and two verifiers that share no code agree
//! on it.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

mod history;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use antiphon::ledger::verify::{Scope, VerifyReport, verify_directory};
use antiphon::ledger::{
    HeadFilter, HeadMark, HeadQuery, OpenError, Owner, Placed, PlacedCommit, ReadError,
    SqliteOptions, SqliteStore, Store,
};
use antiphon_core::append::HeadRow;
use antiphon_core::digest::Digest;
use antiphon_core::id::{CommitNumber, Epoch, Seq};
use antiphon_core::time::WallTime;
use history::{story, tell};
use rusqlite::Connection;
use serde_json::Value;

fn store(dir: &Path) -> SqliteStore {
    SqliteStore::at(dir, SqliteOptions::default())
}

/// A ledger that was closed: all of it is in `ledger.db`.
fn closed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    story(&store(dir.path()));
    dir
}

/// A ledger whose engine was killed right after it marked the head: all of it is in the log.
fn killed() -> tempfile::TempDir {
    let (live, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = store(live.path());
    let _history = tell(&store);
    store.mark_head().unwrap();
    copy(live.path(), dir.path());
    dir
}

/// Copies what belongs to a ledger: not the lock, and not the index of the log.
fn copy(from: &Path, to: &Path) {
    for name in ["ledger.db", "ledger.db-wal", "head"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    for blob in blobs(from) {
        let target = to.join(blob.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&blob, target).unwrap();
    }
}

fn copied(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(from, dir.path());
    dir
}

fn blobs(dir: &Path) -> Vec<PathBuf> {
    let Ok(folders) = fs::read_dir(dir.join("blobs")) else { return Vec::new() };
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

/// All that a ledger says.
#[derive(Debug, PartialEq)]
struct Content {
    events: Vec<Placed>,
    commits: Vec<PlacedCommit>,
    heads: Vec<HeadRow>,
    blobs: Vec<(Digest, Option<Vec<u8>>)>,
}

fn content(dir: &Path) -> Result<Content, ReadError> {
    let store = store(dir);
    let names: BTreeSet<Digest> = ["build", "private"]
        .into_iter()
        .flat_map(|id| {
            let mut large = history::output(id);
            large.resize(100_000, b'.');
            [Digest::of(&history::output(id)), Digest::of(&large)]
        })
        .collect();
    let blobs = names.into_iter().map(|name| Ok((name, store.blob(&name)?)));
    Ok(Content {
        blobs: blobs.collect::<Result<_, ReadError>>()?,
        events: store.read_all(Seq(0), usize::MAX)?,
        commits: store.commits(CommitNumber(0), usize::MAX)?,
        heads: store.heads(&HeadQuery::List(HeadFilter::default()))?,
    })
}

/// What the verifier in Python says: whether the ledger is sound, and its findings.
fn second(dir: &Path) -> (bool, Vec<Value>) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_ledger.py");
    let output = Command::new("python3").args([script, "--json"]).arg(dir).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(2) => {
            assert!(errors.starts_with("error: "), "{errors}");
            (false, Vec::new())
        }
        Some(code @ (0 | 1)) => {
            let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["sound"], code == 0);
            let Value::Array(findings) = report["findings"].take() else { panic!("{report}") };
            (code == 0, findings)
        }
        other => panic!("{other:?}: {errors}"),
    }
}

fn first(dir: &Path) -> Result<VerifyReport, ReadError> {
    verify_directory(dir, &Scope::Ledger)
}

/// Where the findings are, without those that come from replay, which only one verifier does.
fn places(findings: &Value) -> BTreeSet<String> {
    let Value::Array(findings) = findings else { panic!("{findings}") };
    let chained = |finding: &&Value| {
        let wrong = finding["wrong"].as_str().unwrap();
        !["not_replayable", "receipt_differs", "undecodable"].contains(&wrong)
    };
    let place = |finding: &Value| {
        let part =
            |name: &str| finding.get(name).map(|value| format!(" {value}")).unwrap_or_default();
        format!(
            "{}{}{}{} {}",
            finding["place"],
            part("stream"),
            part("version"),
            part("commit"),
            finding["wrong"]
        )
    };
    findings.iter().filter(chained).map(place).collect()
}

/// Asserts that damage was found or has changed nothing. Returns whether it was found.
#[track_caller]
fn found_or_harmless(dir: &Path, sound: &Content, what: &str) -> bool {
    let mark = HeadMark::read(dir).ok().flatten();
    let found = match first(dir) {
        Err(_) => true,
        Ok(report) if !report.is_sound() => true,
        Ok(_) => {
            assert_eq!(&content(dir).unwrap(), sound, "{what}: silently changed");
            false
        }
    };
    // Whatever the damage: an engine goes on with no less than the mark knows.
    let owner = Owner {
        host: "next".to_owned(),
        pid: 1,
        engine: "0.0.0-test".to_owned(),
        since: WallTime(1),
    };
    match store(dir).open(&owner) {
        Ok(opened) => {
            let mark = mark.unwrap_or_else(|| panic!("{what}: opened without a mark"));
            assert!(
                opened.commits.number >= mark.commit.number,
                "{what}: less than the mark knows"
            );
        }
        Err(OpenError::InUse { .. } | OpenError::AlreadyOpen) => {
            panic!("{what}: nobody else has it open")
        }
        Err(_) => {}
    }
    found
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn flip(file: &Path, bit: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(file, bytes).unwrap();
}

/// Flips single bits of a file of the ledger, each in a copy of its own; returns how many were
/// found.
fn flip_some(origin: &Path, name: &str, count: usize) -> usize {
    let sound = content(copied(origin).path()).unwrap();
    let size = fs::metadata(origin.join(name)).unwrap().len();
    let mut numbers = Numbers(4711);
    let mut found = 0;
    for round in 0..count {
        let bit = numbers.below(usize::try_from(size).unwrap() * 8);
        let what = format!("bit {bit} of {name}");
        let dir = copied(origin);
        flip(&dir.path().join(name), bit);
        let agrees = (round % 8 == 0).then(|| second(dir.path()).0);
        let is_found = found_or_harmless(dir.path(), &sound, &what);
        if let Some(is_sound) = agrees {
            assert_eq!(
                is_sound,
                !is_found,
                "{what}: the second verifier says otherwise: {:?}",
                first(dir.path()).map(|report| report.to_string())
            );
        }
        found += usize::from(is_found);
    }
    found
}

#[test]
fn both_verifiers_find_a_sound_ledger_sound() {
    for dir in [closed(), killed()] {
        assert_eq!(second(dir.path()), (true, Vec::new()));
        let report = first(dir.path()).unwrap();
        assert!(report.is_sound(), "{report}");
    }
}

#[test]
fn the_second_verifier_reads_beside_an_engine() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let _history = tell(&store);
    store.mark_head().unwrap();
    assert_eq!(second(dir.path()), (true, Vec::new()));
}

#[test]
fn the_second_verifier_writes_nothing() {
    for dir in [closed(), killed()] {
        let files = || {
            let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
            let mut files: Vec<_> = names
                .filter(|path| path.is_file())
                .map(|path| (fs::read(&path).unwrap(), path))
                .collect();
            files.sort();
            files
        };
        let before = files();
        assert!(second(dir.path()).0);
        assert_eq!(files(), before);
    }
}

#[test]
fn where_no_ledger_is_the_second_verifier_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_ledger.py");
    let output = Command::new("python3").arg(script).arg(dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!("error: there is no ledger in {}\n", dir.path().display())
    );
}

#[test]
fn a_flipped_bit_in_the_database_is_found_or_harmless() {
    let found = flip_some(closed().path(), "ledger.db", 90);
    // A small database is mostly unused space: a page for every table and index.
    assert!(found > 15, "{found} of 90 found");
}

#[test]
fn a_flipped_bit_in_the_log_is_found_or_harmless() {
    let found = flip_some(killed().path(), "ledger.db-wal", 60);
    assert!(found > 40, "{found} of 60 found");
}

#[test]
fn a_flipped_bit_in_the_head_mark_is_found() {
    assert_eq!(flip_some(closed().path(), "head", 40), 40);
}

#[test]
fn a_flipped_bit_in_a_blob_is_found() {
    let origin = closed();
    let blob = blobs(origin.path()).remove(0);
    let name = blob.strip_prefix(origin.path()).unwrap().to_str().unwrap();
    assert_eq!(flip_some(origin.path(), name, 16), 16);
}

#[test]
fn a_database_cut_off_at_any_page_is_found() {
    let origin = closed();
    let sound = content(copied(origin.path()).path()).unwrap();
    let whole = fs::read(origin.path().join("ledger.db")).unwrap();
    for end in (0..whole.len()).step_by(4096) {
        let dir = copied(origin.path());
        fs::write(dir.path().join("ledger.db"), &whole[..end]).unwrap();
        let is_sound = second(dir.path()).0;
        assert!(
            found_or_harmless(dir.path(), &sound, &format!("cut off at {end}")),
            "cut off at {end}"
        );
        assert!(!is_sound, "cut off at {end}");
    }
}

#[test]
fn a_log_cut_off_at_any_page_is_found() {
    let origin = killed();
    let sound = content(copied(origin.path()).path()).unwrap();
    let whole = fs::read(origin.path().join("ledger.db-wal")).unwrap();
    let frames: Vec<usize> = (32..whole.len()).step_by(24 + 4096).collect();
    for end in frames.into_iter().step_by(3).chain([0]) {
        let dir = copied(origin.path());
        fs::write(dir.path().join("ledger.db-wal"), &whole[..end]).unwrap();
        assert!(
            found_or_harmless(dir.path(), &sound, &format!("cut off at {end}")),
            "cut off at {end}"
        );
    }
}

const BUILD: &str = "stream = (SELECT stream FROM streams WHERE name = 'coordination/build')";

/// Changes that somebody with a database tool can make.
fn edits() -> Vec<(&'static str, String)> {
    let set = |what: &str| format!("UPDATE events SET {what} WHERE {BUILD} AND version = 3");
    let swap = |a: &str, b: &str, what: &str| {
        format!(
            "CREATE TEMP TABLE pair AS SELECT seq, {what} AS value FROM events WHERE seq IN ({a}, {b});
             UPDATE events SET {what} = (SELECT value FROM pair WHERE pair.seq != events.seq) WHERE seq IN ({a}, {b})"
        )
    };
    let receipt = "(SELECT unhex(json_extract(payload, '$.receipt')) FROM events WHERE type = 'coordination.completed' LIMIT 1)";
    let private = "stream = (SELECT stream FROM streams WHERE name = 'coordination/private')";
    let last = "(SELECT max(number) FROM commits)";
    vec![
        ("type", set("type = 'coordination.paused'")),
        ("type of another stream", set("type = 'pool.granted'")),
        ("schema", set("schema = 2")),
        ("actor", set("actor = 'operator'")),
        ("wall-clock time", set("wall = wall + 1")),
        ("ledger time", set("at = 1")),
        ("cause", set("cause = 'x'")),
        ("payload", set("payload = CAST(replace(CAST(payload AS TEXT), 'item', 'work') AS BLOB)")),
        ("hash", set("hash = zeroblob(32)")),
        ("link", set("prev = zeroblob(32)")),
        ("actor without a name", set("actor = ''")),
        ("version", set("version = 1000")),
        ("order of two events", "UPDATE events SET seq = -seq WHERE seq IN (5, 6); UPDATE events SET seq = 11 + seq WHERE seq < 0".to_owned()),
        ("two payloads", swap("5", "9", "payload")),
        (
            "two identities",
            "CREATE TEMP TABLE pair AS SELECT seq, stream, version FROM events WHERE seq IN (5, 9);
             UPDATE events SET stream = 1000 + seq WHERE seq IN (5, 9);
             UPDATE events SET (stream, version) = (SELECT stream, version FROM pair WHERE pair.seq != events.seq) WHERE seq IN (5, 9)"
                .to_owned(),
        ),
        ("an event removed", format!("DELETE FROM events WHERE {BUILD} AND version = 3")),
        ("a stream's events removed", format!("DELETE FROM events WHERE {BUILD}")),
        ("a stream removed", format!("DELETE FROM events WHERE {BUILD}; DELETE FROM streams WHERE {BUILD}")),
        ("a head row removed", format!("DELETE FROM streams WHERE {BUILD}")),
        ("a stream renamed", format!("UPDATE streams SET name = 'coordination/other' WHERE {BUILD}")),
        ("a head row set back", format!("UPDATE streams SET ended = 0 WHERE {BUILD}")),
        ("a receipt changed", format!("UPDATE blobs SET bytes = zeroblob(size) WHERE digest = {receipt}")),
        ("a receipt removed", format!("DELETE FROM blobs WHERE digest = {receipt}")),
        ("an erased payload put back", format!("UPDATE events SET payload = '{{}}', erased = NULL WHERE {private} AND version = 2").replace("'{}'", "CAST('{}' AS BLOB)")),
        ("a payload erased", set("erased = unhex(sha) , payload = NULL").replace("unhex(sha)", "zeroblob(32)")),
        ("the end of a coordination erased", format!("UPDATE events SET payload = NULL, erased = zeroblob(32) WHERE {private} AND type = 'coordination.completed'")),
        ("a commit removed", "DELETE FROM commits WHERE number = 5".to_owned()),
        ("a commit's hash", "UPDATE commits SET hash = zeroblob(32) WHERE number = 5".to_owned()),
        ("a commit's count", "UPDATE commits SET events = events + 1 WHERE number = 5".to_owned()),
        ("a commit's epoch", "UPDATE commits SET epoch = 2 WHERE number = 5".to_owned()),
        ("the last commit's epoch", format!("UPDATE commits SET epoch = 2 WHERE number = {last}")),
        ("the ledger's id", "UPDATE ledger SET id = zeroblob(32)".to_owned()),
        ("the ledger's epoch set back", "UPDATE ledger SET epoch = 0".to_owned()),
        ("the ledger's epoch raised", "UPDATE ledger SET epoch = 1000".to_owned()),
        ("the end cut off", format!(
            "DELETE FROM events WHERE seq >= (SELECT first FROM commits WHERE number = {last});
             UPDATE streams SET version = version - 1 WHERE name = 'ledger'; DELETE FROM commits WHERE number = {last}"
        )),
    ]
}

#[test]
fn edited_rows_are_found_by_both_verifiers_at_the_same_places() {
    let origin = closed();
    let mut transcript = String::new();
    for (what, sql) in edits() {
        let dir = copied(origin.path());
        edit(dir.path(), &sql);
        let report = first(dir.path()).unwrap();
        let ours = places(&serde_json::to_value(&report.findings).unwrap());
        let theirs = places(&Value::Array(second(dir.path()).1));
        transcript += &format!("{what}\n");
        for place in ours.union(&theirs) {
            let whose = match (ours.contains(place), theirs.contains(place)) {
                (true, true) => "",
                (true, false) => " (first verifier)",
                _ => " (second verifier)",
            };
            transcript += &format!("  {place}{whose}\n");
        }
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify_damage.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &transcript).unwrap();
    }
    assert_eq!(transcript, fs::read_to_string(golden).unwrap_or_default());
}

#[test]
fn a_ledger_whose_identity_was_changed_is_not_opened_and_says_why() {
    let origin = closed();
    let id = store(origin.path()).position().unwrap().ledger;
    let none = "0".repeat(64);
    for (sql, says) in [
        (
            "UPDATE ledger SET id = zeroblob(32)",
            format!("it names ledger {none}, but event 1 of `ledger` was recorded in ledger {id}"),
        ),
        (
            "UPDATE ledger SET epoch = 0",
            "it says epoch 0, but event 1 of `ledger` began epoch 1; epochs do not fall".to_owned(),
        ),
        (
            "UPDATE ledger SET epoch = 3",
            "it says epoch 3, but the last that an owner took is 1".to_owned(),
        ),
    ] {
        let dir = copied(origin.path());
        edit(dir.path(), sql);
        let owner = Owner {
            host: "next".to_owned(),
            pid: 1,
            engine: "0.0.0-test".to_owned(),
            since: WallTime(1),
        };
        let refused = store(dir.path()).open(&owner).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!(
                "the row of the table `ledger` was changed: {says}; restore the ledger from a copy"
            )
        );
        let report = first(dir.path()).unwrap().to_string();
        assert!(report.contains(&format!("the row of the table `ledger`: {says}; ")), "{report}");
    }
}

#[test]
fn an_owner_that_died_before_it_marked_its_epoch_leaves_a_sound_ledger() {
    let origin = closed();
    edit(origin.path(), "UPDATE ledger SET epoch = 2");
    assert!(first(origin.path()).unwrap().is_sound());
    assert_eq!(second(origin.path()), (true, Vec::new()));
    let owner = Owner {
        host: "next".to_owned(),
        pid: 1,
        engine: "0.0.0-test".to_owned(),
        since: WallTime(1),
    };
    assert_eq!(
        store(origin.path()).open(&owner).unwrap().epoch,
        Epoch(2),
        "nothing was written under it"
    );
}

fn edit(dir: &Path, sql: &str) {
    let database = Connection::open(dir.join("ledger.db")).unwrap();
    let named = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let triggers: Vec<(String, String)> = {
        let mut statement = database.prepare(named).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for (trigger, _) in &triggers {
        database.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    let before = database.total_changes();
    database.execute_batch(sql).unwrap();
    assert!(database.total_changes() > before, "{sql}");
    // Without them, that they are gone would be found too.
    for (_, made) in triggers {
        database.execute_batch(&made).unwrap();
    }
}

/// Changes to what is neither in a chain nor in a row that has a digest, with what is found.
const GROUND: [(&str, &str); 9] = [
    ("DROP TRIGGER events_stay", "the trigger `events_stay` of `events`"),
    ("DROP INDEX events_by_stream", "the index `events_by_stream` of `events`"),
    (
        "DROP TRIGGER commits_stay; CREATE TRIGGER commits_stay BEFORE DELETE ON commits BEGIN SELECT 1; END",
        "the trigger `commits_stay` of `commits`",
    ),
    (
        "DROP INDEX streams_running; CREATE INDEX streams_running ON streams (stream)",
        "the index `streams_running` of `streams`",
    ),
    ("CREATE INDEX more ON events (type)", "the index `more` of `events`"),
    (
        "CREATE TRIGGER more AFTER INSERT ON events BEGIN DELETE FROM cursors; END",
        "the trigger `more` of `events`",
    ),
    ("PRAGMA application_id = 7", "the application id of the database"),
    ("UPDATE blobs SET size = size + 4 WHERE bytes IS NULL", "blob "),
    ("DROP TABLE snapshots", "the table `snapshots` of `snapshots`"),
];

#[test]
fn what_the_next_engine_needs_of_the_database_is_held_against_the_format_by_both_verifiers() {
    let origin = closed();
    assert!(!blobs(origin.path()).is_empty());
    for (sql, what) in GROUND {
        let dir = copied(origin.path());
        Connection::open(dir.path().join("ledger.db")).unwrap().execute_batch(sql).unwrap();
        let report = first(dir.path()).unwrap();
        assert!(report.to_string().contains(what), "{sql}: {report}");
        let (is_sound, findings) = second(dir.path());
        let named = findings
            .iter()
            .any(|finding| finding["what"].as_str().is_some_and(|found| found.starts_with(what)));
        assert!(!is_sound && named, "{sql}: {findings:?}");
    }
}

#[test]
fn a_file_that_names_another_way_of_writing_is_found_by_both_verifiers() {
    let origin = closed();
    for (byte, bit) in [(18, 0), (18, 3), (19, 1), (19, 0), (68, 2)] {
        let dir = copied(origin.path());
        flip(&dir.path().join("ledger.db"), byte * 8 + bit);
        let ours = first(dir.path()).is_ok_and(|report| report.is_sound());
        assert_eq!((ours, second(dir.path()).0), (false, false), "bit {bit} of byte {byte}");
    }
}

#[test]
fn any_flipped_bit_of_the_schema_is_found_by_both_verifiers_and_ends_neither() {
    let origin = closed();
    let bytes = fs::read(origin.path().join("ledger.db")).unwrap();
    let words = b"CREATE TABLE events";
    let start = bytes.windows(words.len()).position(|found| found == words).unwrap();
    // Letters, spaces, brackets; and the high bit, which makes it no UTF-8.
    for (offset, bit) in [(0, 7), (7, 5), (14, 0), (19, 3), (30, 7), (41, 1), (60, 5), (200, 7)] {
        let dir = copied(origin.path());
        flip(&dir.path().join("ledger.db"), (start + offset) * 8 + bit);
        let ours = first(dir.path()).is_ok_and(|report| report.is_sound());
        assert_eq!((ours, second(dir.path()).0), (false, false), "bit {bit} at {offset}");
    }
}

#[test]
fn the_second_verifier_says_what_the_first_says_while_an_engine_writes_and_erases() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut history = tell(&store);
    store.mark_head().unwrap();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let path = dir.path();
        scope.spawn(move || {
            for _ in 0..12 {
                assert_eq!(second(path), (true, Vec::new()));
                let report = first(path).unwrap();
                assert!(report.is_sound(), "{report}");
            }
            drop(done);
        });
        let mut runs = (0..).map(|number| format!("more-{number}"));
        while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let run = runs.next().unwrap();
            history.start(&run, &["large", "ok"]);
            history.settle();
            let mut large = history::output(&run);
            large.resize(100_000, b'.');
            history.erase(&run, &[2], &[Digest::of(&large)]);
            store.mark_head().unwrap();
        }
    });
}
