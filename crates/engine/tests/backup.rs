//! Backups: of a ledger that is written to all the time, of one that erases what is being copied,
//! and what goes on from them.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

mod history;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

use antiphon::coordination::{CoordinationBudget, CoordinationConfig, Verdict, WorkSpec};
use antiphon::ledger::verify::{Scope, verify_directory};
use antiphon::ledger::{
    BackupError, BackupStep, HeadMark, MarkRefusal, SqliteOptions, SqliteStore, Store,
};
use antiphon::{Engine, Output, SessionContext};
use antiphon_core::digest::Digest;
use antiphon_core::id::CommitNumber;
use history::{History, output, story};
use tokio::sync::Notify;

fn at(dir: &Path) -> SqliteStore {
    SqliteStore::at(dir, SqliteOptions::default())
}

/// The paths of all files below a directory, with their permissions.
fn files(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        found.push((path.clone(), path.metadata().unwrap().permissions().mode() & 0o777));
        if path.is_dir() {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}

/// The blob that the function `large` puts out.
fn large(id: &str) -> Digest {
    let mut bytes = output(id);
    bytes.resize(100_000, b'.');
    Digest::of(&bytes)
}

fn blob_file(dir: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    dir.join("blobs").join(&name[..2]).join(name)
}

#[test]
fn backups_of_a_ledger_that_is_written_to_all_the_time_are_its_beginning_and_sound() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let (begun, has_begun) = channel();
    let writer = {
        let state = state.clone();
        std::thread::spawn(move || {
            let store = at(&state);
            let mut history = History::begin(&store);
            begun.send(()).unwrap();
            for number in 0..120 {
                history.start(
                    &format!("story-{number}"),
                    &["ok", "large", "output", "fail", "ok", "ok", "ok", "ok", "ok", "ok"],
                );
                history.settle();
            }
            history.close();
        })
    };
    has_begun.recv().unwrap();
    let mut backups = Vec::new();
    while !writer.is_finished() {
        let place = dir.path().join(format!("backup-{}", backups.len()));
        backups.push((at(&state).backup(&place).unwrap(), place));
    }
    writer.join().unwrap();

    let whole = at(&state).commits(CommitNumber(0), usize::MAX).unwrap();
    assert!(at(&state).position().unwrap().events.0 > 3_000);
    let in_between = backups
        .iter()
        .filter(|(backup, _)| (2..whole.len() as u64).contains(&backup.commits.number.0))
        .count();
    assert!(
        in_between >= 2,
        "{in_between} of {} backups were made while it was written to",
        backups.len()
    );
    for (backup, place) in &backups {
        let report = verify_directory(place, &Scope::Ledger).unwrap();
        assert!(report.is_sound(), "{report}");
        let commits = at(place).commits(CommitNumber(0), usize::MAX).unwrap();
        assert_eq!(commits, whole[..commits.len()]);
        assert_eq!(commits.last().unwrap().commit.tip(), backup.commits);
        let position = at(place).position().unwrap();
        assert_eq!(
            (position.ledger, position.epoch, position.events),
            (backup.ledger, backup.epoch, backup.events)
        );
        assert_eq!(
            HeadMark::read(place).unwrap(),
            Some(HeadMark {
                ledger: Some(backup.ledger),
                epoch: backup.epoch,
                commit: backup.commits
            })
        );
    }
}

#[test]
fn a_backup_holds_the_record_and_nothing_else_and_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let (state, place) = (dir.path().join("state"), dir.path().join("copy"));
    story(&at(&state));
    for name in ["sessions", "other"] {
        std::fs::create_dir(state.join(name)).unwrap();
    }
    std::fs::write(state.join("socket"), "").unwrap();
    std::fs::create_dir(&place).unwrap();
    let backup = at(&state).backup(&place).unwrap();

    let blob = blob_file(&place, &large("build"));
    let mut expected = vec![
        (place.join(".gitignore"), 0o600),
        (place.join("blobs"), 0o700),
        (blob.parent().unwrap().to_owned(), 0o700),
        (blob, 0o600),
        (place.join("head"), 0o600),
        (place.join("ledger.db"), 0o600),
    ];
    expected.sort();
    assert_eq!(files(&place), expected);
    assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let bytes = |name: &str| place.join(name).metadata().unwrap().len();
    assert_eq!(
        (backup.events.0, backup.commits.number, backup.blob_files),
        (52, CommitNumber(23), 1)
    );
    assert_eq!(backup.bytes, bytes("ledger.db") + bytes("head") + 100_000);
    assert_eq!(
        verify_directory(&place, &Scope::Ledger).unwrap().to_string(),
        verify_directory(&state, &Scope::Ledger).unwrap().to_string()
    );
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_blob_that_is_erased_while_the_backup_copies_is_missing_in_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (state, place) = (dir.path().join("state"), dir.path().join("copy"));
    let store = at(&state);
    let mut history = History::begin(&store);
    history.start("slow", &["large"]);
    history.settle();

    let mut steps = Vec::new();
    let backup = at(&state).backup_in_steps(&place, |step| {
        steps.push(step);
        match steps.len() {
            1 => {
                history.start("short-lived", &["large"]);
                history.settle();
            }
            // It has copied a database that names both blobs, and one of them goes.
            2 => history.erase("short-lived", &[2], &[large("short-lived")]),
            _ => {}
        }
    });

    let attempt = [BackupStep::BlobsCopied, BackupStep::DatabaseCopied];
    assert_eq!(steps, [attempt, attempt].concat(), "it has copied the database again");
    assert_eq!(backup.unwrap().blob_files, 1);
    let report = verify_directory(&place, &Scope::Ledger).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.erased, 1, "what was copied is the ledger after the erasure");
    history.close();
}

#[test]
fn a_pipe_in_the_place_of_a_blob_is_damage_that_nobody_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let (state, place) = (dir.path().join("state"), dir.path().join("copy"));
    story(&at(&state));
    let digest = large("build");
    let file = blob_file(&state, &digest);
    std::fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .unwrap();
    let how = format!("at {}, it is a pipe, not a regular file", file.display());
    let told = format!("blob {digest} is damaged: {how}; run `antiphon verify`");
    assert_eq!(at(&state).blob(&digest).unwrap_err().to_string(), told);
    assert_eq!(at(&state).backup(&place).unwrap_err().to_string(), told);
    let report = verify_directory(&state, &Scope::Ledger).unwrap();
    let found: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|finding| finding.contains(&how)), "{found:?}");
}

#[test]
fn a_blob_that_is_gone_or_changed_is_told_and_leaves_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (state, place) = (dir.path().join("state"), dir.path().join("copy"));
    story(&at(&state));
    let digest = large("build");
    let file = blob_file(&state, &digest);
    std::fs::write(&file, "changed").unwrap();
    let told = |store: &SqliteStore| store.backup(&place).unwrap_err().to_string();
    assert_eq!(
        told(&at(&state)),
        format!("blob {digest} is damaged: its bytes have another digest; run `antiphon verify`")
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        told(&at(&state)),
        format!("blob {digest} is damaged: its file is missing; run `antiphon verify`")
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_place_that_is_taken_or_inside_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    story(&at(&state));
    let refused = |place: &Path| at(&state).backup(place).unwrap_err();
    assert!(matches!(refused(&state.join("copy")), BackupError::Inside { .. }));
    assert!(matches!(refused(&state), BackupError::Taken { .. }));
    assert!(matches!(refused(Path::new("/")), BackupError::Taken { .. }));
    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    assert!(matches!(refused(&file), BackupError::Taken { .. }));
    assert!(matches!(refused(&dir.path().join("absent/copy")), BackupError::Write(_)));

    let beside = dir.path().join("copy.unfinished");
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("notes.txt"), "mine").unwrap();
    assert!(matches!(refused(&dir.path().join("copy")), BackupError::InTheWay { .. }));
    std::fs::remove_file(beside.join("notes.txt")).unwrap();
    std::fs::write(beside.join("ledger.db"), "left by a killed one").unwrap();
    let lock = std::fs::File::create(beside.join("lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(refused(&dir.path().join("copy")), BackupError::Underway { .. }));
    drop(lock);
    at(&state).backup(&dir.path().join("copy")).unwrap();
    assert!(!beside.exists());
    assert!(verify_directory(&dir.path().join("copy"), &Scope::Ledger).unwrap().is_sound());
}

#[test]
fn a_loss_is_not_hidden_by_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (state, place) = (dir.path().join("state"), dir.path().join("copy"));
    story(&at(&state));
    std::fs::write(state.join("poisoned"), "an error of a sync").unwrap();
    at(&state).backup(&place).unwrap();
    assert_eq!(std::fs::read_to_string(place.join("poisoned")).unwrap(), "an error of a sync");

    let mark = HeadMark::read(&state).unwrap().unwrap();
    let ahead = antiphon_core::envelope::CommitTip {
        number: CommitNumber(mark.commit.number.0 + 1),
        ..mark.commit
    };
    HeadMark { commit: ahead, ..mark }.write(&state).unwrap();
    let refused = |name: &str| at(&state).backup(&dir.path().join(name)).unwrap_err();
    assert!(matches!(refused("shorter"), BackupError::Mark(MarkRefusal::Shorter { .. })));
    std::fs::remove_file(state.join("head")).unwrap();
    assert!(matches!(refused("unmarked"), BackupError::Mark(MarkRefusal::Missing { .. })));
    std::fs::remove_file(state.join("ledger.db")).unwrap();
    assert!(matches!(refused("nothing"), BackupError::Read(_)));
}

#[tokio::test]
async fn an_engine_goes_on_from_a_backup_while_the_original_goes_on_too() {
    let dir = tempfile::tempdir().unwrap();
    let (state, place) = (dir.path().join("state"), dir.path().join("copy"));
    let (second_runs, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut setup = Engine::builder(&state).unwrap();
    let (runs, released) = (Arc::clone(&second_runs), Arc::clone(&go));
    setup
        .register("work", move |session: SessionContext| {
            let (runs, released) = (Arc::clone(&runs), Arc::clone(&released));
            async move {
                if session.work().as_str() == "second" {
                    runs.notify_one();
                    released.notified().await;
                }
                Ok(Output::text("from the original"))
            }
        })
        .unwrap();
    let original = setup.start().await.unwrap();
    let budget = CoordinationBudget::new(10, 600_000, 1_000, None).unwrap();
    let items = vec![
        WorkSpec::function("first", "work").unwrap(),
        WorkSpec::function("second", "work").unwrap().needs_work("first").unwrap(),
    ];
    let run = original.submit(CoordinationConfig::of_work(items, budget).unwrap()).await.unwrap();
    second_runs.notified().await;
    at(&state).backup(&place).unwrap();

    let mut setup = Engine::builder(&place).unwrap();
    setup
        .register("work", |_: SessionContext| async move { Ok(Output::text("from the copy")) })
        .unwrap();
    let copy = setup.start().await.unwrap();
    assert_eq!(copy.run(run.id()).unwrap().wait().await.unwrap().verdict, Verdict::Succeeded);
    assert_eq!(
        copy.run(run.id()).unwrap().output("first").await.unwrap().unwrap(),
        Output::text("from the original")
    );
    assert_eq!(
        copy.run(run.id()).unwrap().output("second").await.unwrap().unwrap(),
        Output::text("from the copy")
    );
    copy.close().await.unwrap();

    go.notify_one();
    assert_eq!(original.run(run.id()).unwrap().wait().await.unwrap().verdict, Verdict::Succeeded);
    assert_eq!(
        original.run(run.id()).unwrap().output("second").await.unwrap().unwrap(),
        Output::text("from the original")
    );
    original.close().await.unwrap();
    for dir in [&state, &place] {
        let report = verify_directory(dir, &Scope::Ledger).unwrap();
        assert!(report.is_sound(), "{report}");
    }
}
