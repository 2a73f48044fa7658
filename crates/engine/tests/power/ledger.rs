//! Power loss, full disks and failing syncs under the SQLite store of the ledger.

use std::fs;
use std::path::Path;

use antiphon::ledger::{AppendError, Opened, Owner, Refusal, SqliteOptions, SqliteStore, Store};
use antiphon::random::Random;
use antiphon_core::time::WallTime;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::disk::{Fault, FileKind, new_directory};
use super::image::{Image, Survival};
use super::journal::Op;
use super::turns::{Content, Turn, Turns};
use super::vfs::PowerDisk;

const DATABASE: &str = "ledger.db";
const MARK: &str = "head";

/// Where the log is copied back: by the writer after erasures and what may hold some, and with
/// `Some` also beside it by a second connection, as soon as there are so many pages.
type Beside = Option<u32>;

/// Few enough that almost every append of these tests starts a pass.
const SOON: Beside = Some(3);

fn store_in(directory: &Path, disk: &PowerDisk, checkpoint_pages: Beside) -> SqliteStore {
    let options = SqliteOptions {
        vfs: Some(disk.name().to_owned()),
        checkpoint_pages,
        ..SqliteOptions::default()
    };
    SqliteStore::at(directory, options)
}

fn open(store: &SqliteStore) -> Opened {
    store.open(&Owner::this_process(WallTime(1))).expect("open the ledger")
}

fn append(store: &SqliteStore, turn: &Turn) -> Result<(), AppendError> {
    store.append(&turn.append, &turn.cursors).map(|_| ())
}

/// Moves what the log holds into the database, at a moment that the store has not chosen. Whether
/// that works is all the same: it may meet the armed fault.
fn checkpoint(directory: &Path, disk: &PowerDisk, random: &mut Random) {
    let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][random.below(4) as usize];
    let path = directory.join(DATABASE);
    let done = Connection::open_with_flags_and_vfs(path, OpenFlags::default(), disk.name())
        .and_then(|db| {
            db.execute_batch(&format!("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint({mode});"))
        });
    drop(done);
}

/// Writes what a cut left of the database into a new state directory, and beside it the files that
/// are not SQLite's.
fn restore(image: &Image, mark: Option<&[u8]>, from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a state directory");
    copy_beside(from, to);
    image.write_into(to);
    if let Some(mark) = mark {
        fs::write(to.join(MARK), mark).expect("write the mark");
    }
}

fn copy_beside(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("read a directory") {
        let path = entry.expect("read a directory").path();
        let name = path.file_name().expect("an entry has a name");
        let text = name.to_string_lossy();
        if path.is_dir() {
            fs::create_dir_all(to.join(name)).expect("make a directory");
            copy_beside(&path, &to.join(name));
        } else if !text.starts_with(DATABASE) && text != MARK {
            fs::copy(&path, to.join(name)).expect("copy a file");
        }
    }
}

/// Opens what a cut left, and checks that it holds all of the `promised` turns and perhaps the one
/// after, whole and sound, and takes in another. Gives how many it held.
fn recover(directory: &Path, turns: &[Turn], promised: usize, what: &str) -> usize {
    // The second life, too, is on a disk of ours, only because that does not really sync.
    let disk = PowerDisk::register();
    let store = store_in(directory, &disk, None);
    let opened = store
        .open(&Owner::this_process(WallTime(2)))
        .unwrap_or_else(|error| panic!("{what}: {promised} promised, {error:?}"));
    let held = usize::try_from(opened.commits.number.0).expect("few commits");
    assert!(
        (promised..=promised + 1).contains(&held) && held <= turns.len(),
        "{what}: {promised} promised, {held} held"
    );
    let turns = &turns[..held];
    assert_eq!(Content::read(&store, turns), Content::of(turns), "{what}");
    if opened.needs_verification {
        store.declare_verified().expect("declare it verified");
    }
    let mut after = Turns::after(turns, &opened, 99);
    let next = after.draw();
    append(&store, &next).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    after.accept(next);
    let turns = after.accepted();
    assert_eq!(Content::read(&store, turns), Content::of(turns), "{what}");
    store.close().expect("close");
    held
}

/// A ledger that lived under random turns, checkpoints, marks and restarts.
struct History {
    directory: TempDir,
    journal: Vec<Op>,
    turns: Vec<Turn>,
    /// When each turn was acknowledged.
    acknowledged: Vec<usize>,
    /// What the head mark said, from when on.
    marks: Vec<(usize, Vec<u8>)>,
}

fn history(seed: u64, beside: Beside) -> History {
    let mut random = Random::seeded(seed);
    let directory = new_directory();
    let home = directory.path();
    let disk = PowerDisk::register();
    let mut store = store_in(home, &disk, beside);
    let mut turns = Turns::after(&[], &open(&store), seed);
    let mut acknowledged = Vec::new();
    let mark = |disk: &PowerDisk| (disk.position(), fs::read(home.join(MARK)).expect("a mark"));
    let mut marks = vec![mark(&disk)];
    for _ in 0..20 {
        let turn = turns.draw();
        append(&store, &turn).expect("append");
        turns.accept(turn);
        acknowledged.push(disk.position());
        match random.below(100) {
            0..30 => {
                store.mark_head().expect("mark the head");
                marks.push(mark(&disk));
            }
            30..45 => checkpoint(home, &disk, &mut random),
            45..55 => {
                store.close().expect("close");
                drop(store);
                marks.push(mark(&disk));
                store = store_in(home, &disk, beside);
                turns = Turns::after(turns.accepted(), &open(&store), random.next());
                marks.push(mark(&disk));
            }
            _ => {}
        }
    }
    let journal = disk.journal();
    drop(store);
    History { journal, turns: turns.accepted().to_vec(), acknowledged, marks, directory }
}

#[test]
fn a_power_cut_at_any_moment_loses_no_acknowledged_turn() {
    cut_often(None);
}

#[test]
fn a_power_cut_while_the_log_is_copied_back_beside_the_appends_loses_no_acknowledged_turn() {
    cut_often(SOON);
}

fn cut_often(beside: Beside) {
    let (mut cuts, mut in_flight) = (0, 0);
    for seed in 0..25 {
        let history = history(seed, beside);
        let mut random = Random::seeded(seed ^ 0xC07);
        for cut in 0..12 {
            let last = history.journal.len() as u64;
            let position = usize::try_from(random.below(last + 1)).expect("small");
            let survival = match cut {
                0 => Survival::Everything,
                1 => Survival::SyncedOnly,
                _ => Survival::Subset(Random::seeded(random.next())),
            };
            let before = |moment: &&usize| **moment <= position;
            let promised = history.acknowledged.iter().filter(before).count();
            let mark = history.marks.iter().rev().find(|mark| mark.0 <= position);
            let image = Image::after(&history.journal[..position], survival);
            let after = new_directory();
            let mark = mark.map(|mark| mark.1.as_slice());
            restore(&image, mark, history.directory.path(), after.path());
            let what = format!("seed {seed}, cut {cut} at {position} of {last}");
            let held = recover(after.path(), &history.turns, promised, &what);
            cuts += 1;
            in_flight += usize::from(held > promised);
        }
    }
    assert!(in_flight > 0, "{cuts} cuts never met a turn that was written but not acknowledged");
}

/// What became of a run into a fault.
struct Run {
    directory: TempDir,
    disk: PowerDisk,
    store: SqliteStore,
    turns: Turns,
    refused: Option<(Turn, AppendError)>,
}

fn run_into(fault: Fault, seed: u64, beside: Beside) -> Run {
    let mut random = Random::seeded(seed);
    let directory = new_directory();
    let disk = PowerDisk::register();
    let store = store_in(directory.path(), &disk, beside);
    let mut turns = Turns::after(&[], &open(&store), seed);
    disk.arm(fault);
    let mut refused = None;
    for number in 0..8 {
        let turn = turns.draw();
        match append(&store, &turn) {
            Ok(()) => turns.accept(turn),
            Err(error) => {
                refused = Some((turn, error));
                break;
            }
        }
        if number % 3 == 2 {
            checkpoint(directory.path(), &disk, &mut random);
        }
    }
    Run { directory, disk, store, turns, refused }
}

/// A killed process, a disk that lost its cache, and one that lost parts of it.
fn survivals(seed: u64) -> [Survival; 3] {
    [Survival::Everything, Survival::SyncedOnly, Survival::Subset(Random::seeded(seed))]
}

impl Run {
    /// Kills the process, or cuts the power, and recovers with the turns that `possible` names
    /// beyond the acknowledged.
    fn die(&self, possible: &[Turn], what: &str) {
        let journal = self.disk.journal();
        let mark = fs::read(self.directory.path().join(MARK)).expect("a mark");
        let mut known = self.turns.accepted().to_vec();
        known.extend_from_slice(possible);
        for survival in survivals(journal.len() as u64) {
            let after = new_directory();
            let image = Image::after(&journal, survival);
            restore(&image, Some(&mark), self.directory.path(), after.path());
            recover(after.path(), &known, self.turns.accepted().len(), what);
        }
    }
}

/// Arms the fault at 0, 1, 2 and so on until a run no longer meets it; gives how many appends
/// failed.
fn every_index(
    seeds: &[u64],
    beside: Beside,
    fault: impl Fn(u64) -> Fault,
    check: impl Fn(&str, Run, (Turn, AppendError)),
) -> u64 {
    let mut failed = 0;
    for &seed in seeds {
        for index in 0.. {
            let mut run = run_into(fault(index), seed, beside);
            let what = format!("seed {seed}, {:?}", fault(index));
            if let Some(refused) = run.refused.take() {
                failed += 1;
                check(&what, run, refused);
                continue;
            }
            let met = !run.disk.heal().is_empty();
            let turns = run.turns.accepted();
            assert_eq!(Content::read(&run.store, turns), Content::of(turns), "{what}");
            run.die(&[], &what);
            if !met {
                break;
            }
        }
    }
    failed
}

fn nothing_is_written_and_the_turn_can_be_repeated(
    what: &str,
    mut run: Run,
    (turn, error): (Turn, AppendError),
) {
    assert!(matches!(error, AppendError::NotWritten { .. }), "{what}: {error:?}");
    let turns = run.turns.accepted();
    assert_eq!(Content::read(&run.store, turns), Content::of(turns), "{what}");
    run.die(&[], what);
    run.disk.heal();
    append(&run.store, &turn).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    run.turns.accept(turn);
    let turns = run.turns.accepted();
    assert_eq!(Content::read(&run.store, turns), Content::of(turns), "{what}");
    run.die(&[], what);
}

#[test]
fn a_full_disk_at_any_write_changes_nothing_and_the_turn_can_be_repeated() {
    let failed = every_index(
        &[3],
        None,
        |write| Fault::DiskFull { write },
        |what, run, refused| {
            match &refused.1 {
                AppendError::NotWritten { source } => assert!(source.disk_full, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
            nothing_is_written_and_the_turn_can_be_repeated(what, run, refused);
        },
    );
    assert!(failed > 20, "only {failed} appends failed");
}

/// What follows an error after which nobody knows what the disk holds.
fn nothing_more_is_taken_in_and_a_restart_goes_on(
    what: &str,
    mut run: Run,
    (turn, error): (Turn, AppendError),
) {
    let possible = match error {
        AppendError::Unknown { .. } => std::slice::from_ref(&turn),
        // The store met the error after the turn before this one was acknowledged, when it copied
        // its log back.
        AppendError::Refused(Refusal::Poisoned) => &[],
        other => panic!("{what}: {other:?}"),
    };
    run.disk.heal();
    let before = run.disk.position();
    for again in [turn.clone(), run.turns.draw()] {
        let refused = append(&run.store, &again);
        assert!(
            matches!(refused, Err(AppendError::Refused(Refusal::Poisoned))),
            "{what}: {refused:?}"
        );
    }
    assert_eq!(run.disk.position(), before, "{what}: nothing reaches the disk");
    run.die(possible, what);
}

#[test]
fn a_write_error_at_any_write_changes_nothing_and_the_turn_can_be_repeated() {
    for (seeds, beside) in [(&[3][..], None), (&[3, 4], SOON)] {
        let failed = every_index(
            seeds,
            beside,
            |write| Fault::WriteError { write },
            |what, run, refused| {
                match &refused.1 {
                    AppendError::NotWritten { source } => assert!(source.passing, "{what}"),
                    other => panic!("{what}: {other:?}"),
                }
                assert!(!run.directory.path().join("poisoned").exists(), "{what}");
                nothing_is_written_and_the_turn_can_be_repeated(what, run, refused);
            },
        );
        assert!(failed > 20, "only {failed} appends failed");
    }
}

#[test]
fn a_sync_error_at_any_sync_stops_the_ledger_and_loses_no_acknowledged_turn() {
    let failed = every_index(
        &[3, 4, 5],
        None,
        |sync| Fault::SyncError { sync },
        |what, run, refused| {
            if let AppendError::Unknown { source } = &refused.1 {
                assert!(source.sync_failed, "{what}");
            }
            nothing_more_is_taken_in_and_a_restart_goes_on(what, run, refused);
        },
    );
    assert!(failed >= 8, "only {failed} appends failed");
}

#[test]
fn an_error_of_a_sync_beside_the_appends_is_noted_stops_the_ledger_and_loses_no_acknowledged_turn()
{
    let failed = every_index(
        &[3, 4],
        SOON,
        |sync| Fault::SyncError { sync },
        |what, run, refused| {
            assert!(run.directory.path().join("poisoned").exists(), "{what}");
            nothing_more_is_taken_in_and_a_restart_goes_on(what, run, refused);
        },
    );
    assert!(failed > 5, "only {failed} appends failed");
}

#[test]
fn an_error_of_a_sync_after_the_last_append_is_noted_for_the_next_start() {
    let mut noted = 0;
    for sync in 0..12 {
        let directory = new_directory();
        let disk = PowerDisk::register();
        let store = store_in(directory.path(), &disk, SOON);
        let mut turns = Turns::after(&[], &open(&store), 7);
        disk.arm(Fault::SyncError { sync });
        for _ in 0..3 {
            let turn = turns.draw();
            if append(&store, &turn).is_err() {
                break;
            }
            turns.accept(turn);
        }
        let met = disk.heal();
        // The failure of the very last pass is heard of by nobody but this.
        store.close().expect("the mark is written all the same");
        if met.contains(&FileKind::Database) {
            assert!(directory.path().join("poisoned").exists(), "sync {sync}");
            noted += 1;
        }
    }
    assert!(noted > 0, "no sync of a pass has failed");
}

#[test]
fn a_fault_at_any_request_of_an_open_leaves_a_ledger_that_opens() {
    for make in [
        |number| Fault::DiskFull { write: number },
        |number| Fault::WriteError { write: number },
        |number| Fault::SyncError { sync: number },
    ] {
        for turns_before in [0, 2] {
            for number in 0.. {
                let fault = make(number);
                let what = format!("{fault:?} after {turns_before} turns");
                let directory = new_directory();
                let disk = PowerDisk::register();
                let mut turns = Vec::new();
                if turns_before > 0 {
                    let store = store_in(directory.path(), &disk, None);
                    let mut drawn = Turns::after(&[], &open(&store), number);
                    for _ in 0..turns_before {
                        let turn = drawn.draw();
                        append(&store, &turn).expect("append");
                        drawn.accept(turn);
                    }
                    turns = drawn.accepted().to_vec();
                    store.close().expect("close");
                }
                let store = store_in(directory.path(), &disk, None);
                disk.arm(fault);
                let opened = store.open(&Owner::this_process(WallTime(1)));
                let met = !disk.heal().is_empty();
                let journal = disk.journal();
                drop(store);
                assert_eq!(opened.is_err(), met, "{what}: {opened:?}");
                if !met {
                    break;
                }
                let mark = fs::read(directory.path().join(MARK)).ok();
                for survival in survivals(number) {
                    let after = new_directory();
                    let image = Image::after(&journal, survival);
                    restore(&image, mark.as_deref(), directory.path(), after.path());
                    recover(after.path(), &turns, turns.len(), &what);
                }
                recover(directory.path(), &turns, turns.len(), &what);
            }
        }
    }
}
