//! What a ledger in a state directory does beyond the conformance suite: files, damage, and what is
//! left when things go wrong.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use antiphon::ledger::conformance::{Chain, owner, stream};
use antiphon::ledger::{
    Cursor, HeadFilter, HeadMark, HeadQuery, Location, LockHolder, MarkError, MarkFinding,
    MarkRefusal, OpenError, ReadError, Refusal, Snapshot, SqliteOptions, SqliteStore,
    StateDirectory, Store, UnknownFormat, WriteError,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::id::{CommitNumber, Epoch, Seq, StreamName, Version};
use rusqlite::Connection;

fn store(dir: &Path) -> SqliteStore {
    SqliteStore::at(dir, SqliteOptions::default())
}

/// A closed ledger of a few coordinations.
fn ledger(dir: &Path) -> Chain {
    let store = store(dir);
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    for number in 0..8 {
        let name = format!("coordination/{number}");
        let turn = chain
            .turn()
            .event(&name, "coordination.started", "{}")
            .blob(Blob::new(vec![number; 100_000]));
        store
            .append(
                &turn.build(),
                &[Cursor { name: "mail".to_owned(), stream: stream(&name), version: Version(1) }],
            )
            .unwrap();
    }
    let snapshot = Snapshot {
        stream: stream("coordination/0"),
        version: Version(1),
        format: "1".to_owned(),
        bytes: vec![1, 2, 3],
    };
    store.save_snapshots(std::slice::from_ref(&snapshot)).unwrap();
    store.close().unwrap();
    chain
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_state_directory_is_private_and_ignored_by_git() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("deep/.antiphon");
    let store = store(&dir);
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    store
        .append(
            &chain.turn().event("ledger", "x.y", "{}").blob(Blob::new(vec![1; 100_000])).build(),
            &[],
        )
        .unwrap();
    store.mark_head().unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let mut names = Vec::new();
    for path in files(&dir) {
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
        names.push(path.strip_prefix(&dir).unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    let blob = Digest::of(&vec![1; 100_000]).to_string();
    let blob = format!("blobs/{}/{blob}", &blob[..2]);
    assert_eq!(
        names,
        [".gitignore", &blob, "head", "ledger.db", "ledger.db-shm", "ledger.db-wal", "lock"]
    );
    assert_eq!(fs::read_to_string(dir.join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn standing_and_holder_are_read_without_ownership() {
    let dir = tempfile::tempdir().unwrap();
    let directory = StateDirectory::new(dir.path());
    assert!(directory.holder().unwrap().is_none());
    assert!(matches!(store(dir.path()).position(), Err(ReadError::Absent { .. })));

    let chain = ledger(dir.path());
    let reader = store(dir.path());
    let position = reader.position().unwrap();
    assert_eq!(
        (position.format, position.epoch, position.commits, position.events),
        (1, Epoch(1), chain.commits, Seq(8))
    );
    assert_eq!((directory.holder().unwrap(), directory.last_holder()), (None, Some(owner("one"))));

    let mark = HeadMark::read(dir.path()).unwrap().unwrap();
    assert!(reader.check_against(&mark).unwrap().is_ok());
    let ahead = HeadMark { epoch: Epoch(2), ..mark };
    assert!(matches!(reader.check_against(&ahead).unwrap(), Err(MarkRefusal::Shorter { .. })));

    let second = store(dir.path());
    let opened = second.open(&owner("two")).unwrap();
    assert_eq!(directory.holder().unwrap(), Some(LockHolder::Named(owner("two"))));
    assert_eq!(reader.position().unwrap().epoch, opened.epoch);
    second.close().unwrap();
    assert_eq!(directory.holder().unwrap(), None);
}

/// A folder in the place of the log's index, which nothing can be written to then: as root, too.
fn without_an_index(dir: &Path) {
    let index = dir.join("ledger.db-shm");
    let _ = fs::remove_file(&index);
    fs::create_dir(index).unwrap();
}

#[test]
fn a_ledger_is_read_where_nothing_can_be_written_beside_it() {
    let (live, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Its name is none that a URI takes as it is.
    let copy = parent.path().join("a copy?100%#1");
    ledger(live.path());
    let position = store(live.path()).position().unwrap();
    let copy_to = |dir: &Path| {
        fs::create_dir_all(dir).unwrap();
        for name in ["ledger.db", "ledger.db-wal", "head"] {
            if live.path().join(name).exists() {
                fs::copy(live.path().join(name), dir.join(name)).unwrap();
            }
        }
        without_an_index(dir);
    };

    // Closed: the file is all there is.
    copy_to(&copy);
    assert_eq!(store(&copy).position().unwrap(), position);
    assert_eq!(Location::directory(&copy).may_be_short().unwrap(), None);

    // What a killed engine leaves: the newest part is in the log.
    let owned = store(live.path());
    let mut chain = Chain::after(&owned.open(&owner("two")).unwrap(), []);
    for kind in ["ledger.opened", "ledger.erased"] {
        owned.append(&chain.event("ledger", kind, "{}"), &[]).unwrap();
    }
    owned.mark_head().unwrap();
    let killed = parent.path().join("killed");
    copy_to(&killed);
    assert_eq!(store(&killed).position().unwrap().events, Seq(10));
    assert_eq!(Location::directory(&killed).may_be_short().unwrap(), None);
    let before = fs::read(killed.join("ledger.db-wal")).unwrap();
    assert!(!before.is_empty());
    assert_eq!(store(&killed).read_all(Seq(0), 99).unwrap().len(), 10);
    assert_eq!(fs::read(killed.join("ledger.db-wal")).unwrap(), before);

    // A copy that has lost it says so.
    fs::remove_file(killed.join("ledger.db-wal")).unwrap();
    let short = Location::directory(&killed).may_be_short().unwrap().unwrap();
    assert!(short.contains("and its head mark knows commit"), "{short}");
}

#[test]
fn what_is_read_of_a_ledger_that_an_engine_comes_to_meanwhile_is_not_given_out() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path());
    without_an_index(dir.path());
    let reader = store(dir.path());
    assert_eq!(reader.position().unwrap().events, Seq(8));
    let file = fs::OpenOptions::new().write(true).open(dir.path().join("ledger.db")).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(reader.position().unwrap().events, Seq(8), "it is opened again");
}

#[test]
fn the_lock_of_an_owner_that_died_is_waited_for_while_a_child_of_it_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path());
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let mut died = owner("here");
    died.pid = dead.id();
    let lock = fs::OpenOptions::new().read(true).write(true).open(dir.path().join("lock")).unwrap();
    fs::write(dir.path().join("lock"), serde_json::to_vec(&died).unwrap()).unwrap();
    lock.try_lock().unwrap();
    // The child has the lock as its standard input, until it ends.
    let child = std::process::Command::new("sh").args(["-c", "sleep 0.2"]).stdin(lock).spawn();
    assert_eq!(store(dir.path()).open(&owner("here")).unwrap().epoch, Epoch(2));
    child.unwrap().wait().unwrap();
}

#[test]
fn a_directory_of_other_things_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "x").unwrap();
    match store(dir.path()).open(&owner("one")) {
        Err(OpenError::NotAStateDirectory { found, .. }) => assert_eq!(found, "thesis.tex"),
        other => panic!("{other:?}"),
    }
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn reading_where_no_ledger_is_says_so_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let found = store(dir.path()).read_all(Seq(0), 1);
    assert!(matches!(found, Err(ReadError::Absent { .. })), "{found:?}");
    assert_eq!(files(dir.path()).len(), 0);
}

#[test]
fn events_and_commits_cannot_be_changed_in_place() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path());
    let database = Connection::open(dir.path().join("ledger.db")).unwrap();
    database.execute_batch("PRAGMA recursive_triggers = ON").unwrap();
    for sql in [
        "DELETE FROM events WHERE seq = 3",
        "UPDATE events SET type = 'x' WHERE seq = 3",
        "UPDATE events SET payload = x'00' WHERE seq = 3",
        "UPDATE events SET payload = NULL, erased = zeroblob(31) WHERE seq = 3",
        "UPDATE events SET payload = NULL, erased = zeroblob(32), at = 1 WHERE seq = 3",
        "UPDATE events SET payload = NULL WHERE seq = 3",
        "INSERT OR REPLACE INTO events SELECT seq, stream, version, 'x', schema, at, wall, actor, cause, payload, erased, prev, hash FROM events WHERE seq = 3",
        "DELETE FROM commits",
        "UPDATE commits SET events = 2",
        "DELETE FROM ledger",
        "UPDATE ledger SET epoch = epoch - 1",
        "UPDATE ledger SET id = zeroblob(32)",
        "INSERT INTO ledger (one, format, id, epoch) VALUES (2, 1, zeroblob(32), 1)",
    ] {
        assert!(database.execute(sql, []).is_err(), "{sql}");
    }
    assert_eq!(
        database
            .execute("UPDATE events SET payload = NULL, erased = zeroblob(32) WHERE seq = 3", [])
            .unwrap(),
        1,
    );
    assert!(
        database.execute("UPDATE events SET erased = randomblob(32) WHERE seq = 3", []).is_err(),
        "erased once and for all"
    );
}

#[test]
fn a_ledger_that_lost_its_end_is_refused_until_that_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = ledger(dir.path());
    let copy = fs::read(dir.path().join("ledger.db")).unwrap();
    let store = store(dir.path());
    chain.epoch = store.open(&owner("one")).unwrap().epoch;
    store.append(&chain.event("ledger", "ledger.opened", "{}"), &[]).unwrap();
    store.close().unwrap();
    fs::write(dir.path().join("ledger.db"), &copy).unwrap();

    match store.open(&owner("one")) {
        Err(OpenError::Mark(MarkRefusal::Shorter { ledger, mark, .. })) => {
            assert_eq!(
                (ledger.number, mark.commit.number, mark.epoch),
                (CommitNumber(8), CommitNumber(9), Epoch(2))
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(fs::read(dir.path().join("ledger.db")).unwrap() == copy, "a refusal changes nothing");
    let accepting = SqliteStore::at(
        dir.path(),
        SqliteOptions { accept_shorter: true, ..SqliteOptions::default() },
    );
    let found = accepting.open(&owner("one")).unwrap();
    assert_eq!(found.mark, MarkFinding::Shorter { marked: chain.commits });
    assert_eq!(found.epoch, Epoch(3), "the lost epoch is not given out again");
    accepting.close().unwrap();
    assert_eq!(store.open(&owner("one")).unwrap().mark, MarkFinding::Agrees);
}

#[test]
fn another_history_under_the_mark_is_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ledger(one.path());
    ledger(two.path());
    let other = store(two.path());
    let mut chain = Chain::after(&other.open(&owner("one")).unwrap(), []);
    other.append(&chain.event("ledger", "ledger.opened", "{}"), &[]).unwrap();
    other.close().unwrap();
    let store = store(one.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    store.append(&chain.event("pool/gpu", "pool.declared", "{}"), &[]).unwrap();
    store.close().unwrap();
    fs::copy(two.path().join("head"), one.path().join("head")).unwrap();
    let found = store.open(&owner("one"));
    assert!(matches!(found, Err(OpenError::Mark(MarkRefusal::OtherLedger { .. }))), "{found:?}");
    let mark = HeadMark::read(two.path()).unwrap().unwrap();
    HeadMark { ledger: None, ..mark }.write(one.path()).unwrap();
    let found = store.open(&owner("one"));
    assert!(matches!(found, Err(OpenError::Mark(MarkRefusal::Differs { .. }))), "{found:?}");
}

#[test]
fn a_ledger_without_a_readable_mark_is_refused_until_that_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path());
    let store = store(dir.path());
    fs::write(dir.path().join("head"), "antiphon.head.1 1 2 3 4\n").unwrap();
    let found = store.open(&owner("one"));
    assert!(
        matches!(
            found,
            Err(OpenError::Mark(MarkRefusal::Unreadable { error: MarkError::Damaged { .. } }))
        ),
        "{found:?}"
    );
    fs::remove_file(dir.path().join("head")).unwrap();
    let found = store.open(&owner("one"));
    assert!(
        matches!(
            found,
            Err(OpenError::Mark(MarkRefusal::Missing { commits: CommitNumber(8), .. }))
        ),
        "{found:?}"
    );
    let accepting = SqliteStore::at(
        dir.path(),
        SqliteOptions { accept_missing_mark: true, ..SqliteOptions::default() },
    );
    let opened = accepting.open(&owner("one")).unwrap();
    assert_eq!(opened.mark, MarkFinding::Missing);
    assert!(
        HeadMark::read(dir.path()).unwrap().is_none(),
        "it is asked again until the owner has recorded it"
    );
    accepting
        .append(&Chain::after(&opened, []).event("pool/gpu", "pool.resized", "{}"), &[])
        .unwrap();
    accepting.mark_head().unwrap();
    assert!(HeadMark::read(dir.path()).unwrap().is_some(), "the ledger has a mark again");
}

#[test]
fn a_removed_database_is_not_taken_for_a_new_ledger() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path());
    fs::remove_file(dir.path().join("ledger.db")).unwrap();
    let found = store(dir.path()).open(&owner("one"));
    assert!(matches!(found, Err(OpenError::Mark(MarkRefusal::Shorter { .. }))), "{found:?}");
    assert!(!dir.path().join("ledger.db").exists(), "none is made in its place");
}

#[test]
fn a_flipped_bit_in_the_log_that_hides_marked_commits_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    for _ in 0..20 {
        store.append(&chain.event("coordination/a", "coordination.signalled", "{}"), &[]).unwrap();
    }
    store.mark_head().unwrap();
    // What a crash leaves: the files as they are while the ledger is open.
    for name in ["ledger.db", "ledger.db-wal", "head"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let wal = copy.path().join("ledger.db-wal");
    let mut bytes = fs::read(&wal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&wal, &bytes).unwrap();
    let found = self::store(copy.path()).open(&owner("one"));
    assert!(matches!(found, Err(OpenError::Mark(MarkRefusal::Shorter { .. }))), "{found:?}");
    assert!(
        fs::read(&wal).unwrap() == bytes,
        "what is left of the log stays for whoever wants to restore it"
    );
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path());
    let database = Connection::open(dir.path().join("ledger.db")).unwrap();
    database.execute("UPDATE ledger SET format = 2", []).unwrap();
    drop(database);
    let found = store(dir.path()).open(&owner("one"));
    assert!(matches!(found, Err(OpenError::Format(UnknownFormat { found: 2 }))), "{found:?}");
}

#[test]
fn damage_outside_the_chains_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path());
    let small = Blob::new(b"small".to_vec());
    let store = store(dir.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    store
        .append(&chain.turn().event("ledger", "x.y", "{}").blob(small.clone()).build(), &[])
        .unwrap();
    store.close().unwrap();
    assert_eq!(store.damages().unwrap(), []);

    let blob = |number: u8| Digest::of(&vec![number; 100_000]).to_string();
    let file = |number: u8| dir.path().join("blobs").join(&blob(number)[..2]).join(blob(number));
    fs::remove_file(file(1)).unwrap();
    fs::write(file(2), "other").unwrap();
    let database = Connection::open(dir.path().join("ledger.db")).unwrap();
    database
        .execute("UPDATE streams SET status = 'failed' WHERE name = 'coordination/3'", [])
        .unwrap();
    database.execute("UPDATE cursors SET version = 9", []).unwrap();
    database.execute("UPDATE snapshots SET bytes = x'00'", []).unwrap();
    database
        .execute("UPDATE blobs SET bytes = CAST('SMALL' AS BLOB) WHERE bytes IS NOT NULL", [])
        .unwrap();
    drop(database);

    let found: Vec<String> = store.damages().unwrap().iter().map(ToString::to_string).collect();
    let expected = [
        "the head row of `coordination/3`: it does not match its digest".to_owned(),
        "the cursor \"mail\": it does not match its digest".to_owned(),
        "the snapshot of `coordination/0`: it does not match its digest".to_owned(),
        format!("blob {}: its file is missing", blob(1)),
        format!("blob {}: its bytes have another digest", blob(2)),
        format!("blob {}: its bytes have another digest", small.digest),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        store.load_snapshot(&stream("coordination/0"), "1").unwrap(),
        None,
        "as good as absent"
    );
    assert!(matches!(store.cursor("mail"), Err(ReadError::Damaged { .. })));
    assert!(matches!(store.blob(&small.digest), Err(ReadError::Damaged { .. })));
    let heads = store.heads(&HeadQuery::List(HeadFilter::default()));
    assert!(
        matches!(heads, Err(ReadError::Damaged { what, .. }) if what == "the head row of `coordination/3`")
    );
}

#[test]
fn files_that_no_row_names_are_swept_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    ledger(dir.path());
    let orphan = Digest::of(b"orphan").to_string();
    let folder = dir.path().join("blobs").join(&orphan[..2]);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(&orphan), "orphan").unwrap();
    fs::write(folder.join("half.tmp"), "half").unwrap();
    let store = store(dir.path());
    let _ = store.open(&owner("one")).unwrap();
    assert_eq!(files(&folder), [] as [PathBuf; 0]);
    assert_eq!(store.damages().unwrap(), [], "what is named stays");
}

#[test]
fn erased_bytes_are_nowhere_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    let secret = "correct horse battery staple";
    let long = format!("\"{}{secret}\"", "x".repeat(20_000));
    let small = Blob::new(format!("small {secret}").into_bytes());
    let large = Blob::new(format!("{}{secret}", "large ".repeat(20_000)).into_bytes());
    let run = chain
        .turn()
        .event("coordination/a", "coordination.started", &format!("\"{secret}\""))
        .event("coordination/a", "coordination.signalled", &long)
        .blob(small.clone())
        .blob(large.clone());
    store.append(&run.build(), &[]).unwrap();
    let a = stream("coordination/a");
    let snapshot = Snapshot {
        stream: a,
        version: Version(2),
        format: "1".to_owned(),
        bytes: secret.as_bytes().to_vec(),
    };
    store.save_snapshots(std::slice::from_ref(&snapshot)).unwrap();
    let end = chain.turn().event("coordination/a", "coordination.completed", "{}").head(
        "coordination/a",
        "succeeded",
        true,
        &format!("{{\"output\":\"{secret}\"}}"),
    );
    store.append(&end.build(), &[]).unwrap();
    let holding = || {
        let holds = |path: &PathBuf| {
            fs::read(path).unwrap().windows(secret.len()).any(|window| window == secret.as_bytes())
        };
        files(dir.path()).iter().filter(|path| holds(path)).count()
    };
    assert!(holding() > 0);
    let erase = chain
        .turn()
        .event("ledger", "ledger.erased", "{}")
        .head("coordination/a", "succeeded", true, "{}")
        .erase("coordination/a", &[1, 2])
        .erase_blob(small.digest)
        .erase_blob(large.digest);
    store.append(&erase.build(), &[]).unwrap();
    assert_eq!(holding(), 0);
}

#[test]
fn an_erasure_is_finished_without_another_append() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    let large = Blob::new(vec![7; 100_000]);
    let digest = large.digest;
    store.append(&chain.turn().event("ledger", "x.y", "{}").blob(large).build(), &[]).unwrap();
    let reader = Connection::open(dir.path().join("ledger.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM events;").unwrap();
    let erase = chain.turn().event("ledger", "ledger.erased", "{}").erase_blob(digest);
    store.append(&erase.build(), &[]).unwrap();
    assert!(!store.finish_erasures().unwrap());
    reader.execute_batch("COMMIT").unwrap();
    assert!(store.finish_erasures().unwrap());
    assert_eq!(fs::metadata(dir.path().join("ledger.db-wal")).unwrap().len(), 0);
    assert_eq!(store.blob(&digest).unwrap(), None);
}

#[test]
fn erased_bytes_leave_the_log_once_a_reader_that_held_them_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    let run = chain
        .turn()
        .event("coordination/a", "coordination.started", "\"secret\"")
        .event("coordination/a", "coordination.completed", "{}")
        .head("coordination/a", "succeeded", true, "{}");
    store.append(&run.build(), &[]).unwrap();

    let reader = Connection::open(dir.path().join("ledger.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM events;").unwrap();
    let erase = chain.turn().event("ledger", "ledger.erased", "{}").erase("coordination/a", &[1]);
    store.append(&erase.build(), &[]).unwrap();
    let wal = || fs::metadata(dir.path().join("ledger.db-wal")).unwrap().len();
    assert!(wal() > 0, "the reader still sees what was");
    reader.execute_batch("COMMIT").unwrap();
    store.append(&chain.event("ledger", "ledger.closed", "{}"), &[]).unwrap();
    assert_eq!(wal(), 0);
}

#[test]
fn what_an_owner_left_erased_in_the_log_leaves_it_with_the_next_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    let blob = Blob::new(vec![7; 100]);
    let digest = blob.digest;
    store.append(&chain.turn().event("ledger", "x.y", "{}").blob(blob).build(), &[]).unwrap();
    let reader = Connection::open(dir.path().join("ledger.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM events;").unwrap();
    let erase = chain.turn().event("ledger", "ledger.erased", "{}").erase_blob(digest);
    store.append(&erase.build(), &[]).unwrap();
    // It stays as long as somebody has the database open.
    store.close().unwrap();
    reader.execute_batch("COMMIT").unwrap();
    let wal = || fs::metadata(dir.path().join("ledger.db-wal")).unwrap().len();
    assert!(wal() > 0);

    for (next, is_emptied) in [("two", true), ("three", false), ("four", false)] {
        let opened = store.open(&owner(next)).unwrap();
        let heads = store.heads(&HeadQuery::List(HeadFilter::default())).unwrap();
        let mut chain = Chain::after(&opened, heads);
        store.append(&chain.event("ledger", "ledger.opened", "{}"), &[]).unwrap();
        assert_eq!(wal() == 0, is_emptied, "{next}");
        store.append(&chain.event("ledger", "ledger.closed", "{}"), &[]).unwrap();
        store.close().unwrap();
    }
}

#[test]
fn the_log_does_not_grow_without_end_and_checkpoints_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions { checkpoint_pages: Some(256), ..SqliteOptions::default() };
    let store = SqliteStore::at(dir.path(), options);
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    let payload = format!("\"{}\"", "x".repeat(60_000));
    for _ in 0..60 {
        let mut turn = chain.turn();
        for _ in 0..16 {
            turn = turn.event("coordination/a", "coordination.signalled", &payload);
        }
        store.append(&turn.build(), &[]).unwrap();
    }
    let wal = fs::metadata(dir.path().join("ledger.db-wal")).unwrap().len();
    // A round, three more that may come while it is copied, and the turns that are met at the ends.
    assert!(wal < 7 << 20, "{wal} bytes of log after 58 MB of events");
    let events = store.read_stream(&StreamName::Ledger, Version(0), 1).unwrap().len()
        + store.read_stream(&stream("coordination/a"), Version(0), usize::MAX).unwrap().len();
    assert_eq!(events, 960);
}

#[test]
fn a_session_event_takes_at_most_450_bytes_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    let events = 4_000;
    for turn in 0..events / 40 {
        let mut turn_events = chain.turn();
        for number in 0..20 {
            let name =
                format!("coordination/018f3c2e-7b1a-7c3d-9e4f-{:012x}", (turn * 20 + number) % 64);
            let bound = r#"{"session":17,"work":"item-17","attempt":1,"looked_at":33,"grant":{"time":60000000000},"deadline":{"at":61000000000}}"#;
            let unbound = r#"{"session":17,"work":"item-17","outcome":"success","used":{"sessions":1,"time":1200300},"then":"done"}"#;
            turn_events = turn_events.event(&name, "coordination.session_bound", bound).event(
                &name,
                "coordination.session_unbound",
                unbound,
            );
        }
        store.append(&turn_events.build(), &[]).unwrap();
    }
    store.close().unwrap();
    let size = fs::metadata(dir.path().join("ledger.db")).unwrap().len();
    assert!(size / events <= 450, "{} bytes an event", size / events);
}

#[test]
fn the_mark_of_another_ledger_is_not_written_over() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ledger(two.path());
    let store = store(one.path());
    let mut chain = Chain::after(&store.open(&owner("one")).unwrap(), []);
    store.append(&chain.event("ledger", "ledger.opened", "{}"), &[]).unwrap();
    fs::copy(two.path().join("head"), one.path().join("head")).unwrap();
    let marked = store.mark_head();
    assert!(matches!(marked, Err(WriteError::Refused(Refusal::OtherMark { .. }))), "{marked:?}");
    assert!(store.close().is_err());
    assert_eq!(HeadMark::read(one.path()).unwrap(), HeadMark::read(two.path()).unwrap());

    let accepting = SqliteStore::at(
        one.path(),
        SqliteOptions { accept_shorter: true, ..SqliteOptions::default() },
    );
    let opened = accepting.open(&owner("one")).unwrap();
    accepting
        .append(&Chain::after(&opened, []).event("pool/gpu", "pool.resized", "{}"), &[])
        .unwrap();
    accepting.close().unwrap();
    assert_eq!(HeadMark::read(one.path()).unwrap().unwrap().ledger, Some(opened.ledger));
}
