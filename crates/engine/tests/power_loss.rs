//! Power loss under plain SQLite: that the settings of the ledger keep what they acknowledge, and
//! that this harness sees it when other settings do not.

mod power;

use std::path::Path;

use antiphon::random::Random;
use power::{Fault, FileKind, Image, PowerDisk, Survival, new_directory};
use rusqlite::{Connection, OpenFlags, params};
use tempfile::TempDir;

/// A row a turn and as many parts as it says: a turn that is there in part is found.
const SCHEMA: &str = "
    BEGIN;
    CREATE TABLE turns (turn INTEGER PRIMARY KEY, parts INTEGER NOT NULL);
    CREATE TABLE parts (turn INTEGER, part INTEGER, body BLOB NOT NULL, PRIMARY KEY (turn, part)) WITHOUT ROWID;
    CREATE INDEX by_size ON parts (length(body));
    COMMIT;";

const DATABASE: &str = "plain.db";

fn connect(directory: &Path, disk: &PowerDisk, synchronous: &str) -> rusqlite::Result<Connection> {
    let path = directory.join(DATABASE);
    let db = Connection::open_with_flags_and_vfs(path, OpenFlags::default(), disk.name())?;
    // A checkpoint every ten pages, so that few turns meet many of them and the WAL starts over
    // often.
    db.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 10;"))?;
    Ok(db)
}

fn write_turn(db: &mut Connection, turn: u32, random: &mut Random) -> rusqlite::Result<()> {
    let parts = 1 + u32::from(random.chance(50)) + u32::from(random.chance(50));
    let tx = db.transaction()?;
    tx.execute("INSERT INTO turns VALUES (?1, ?2)", params![turn, parts])?;
    for part in 0..parts {
        let length = 20 + random.below(3000);
        let body = random.bytes(length);
        tx.execute("INSERT INTO parts VALUES (?1, ?2, ?3)", params![turn, part, body])?;
    }
    tx.commit()
}

/// What a database holds after a cut: the number of turns, or why it is unsound.
fn read_turns(db: &Connection) -> Result<u32, String> {
    let text = |error: rusqlite::Error| error.to_string();
    let integrity: String =
        db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(text)?;
    if integrity != "ok" {
        return Err(integrity);
    }
    if !db.table_exists(None, "turns").map_err(text)? {
        return Ok(0);
    }
    let turns = "SELECT turn, parts, (SELECT count(*) FROM parts WHERE parts.turn = turns.turn) FROM turns ORDER BY turn";
    let mut statement = db.prepare(turns).map_err(text)?;
    let mut rows = statement.query([]).map_err(text)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(text)? {
        let (turn, parts, found): (u32, u32, u32) =
            (row.get(0).map_err(text)?, row.get(1).map_err(text)?, row.get(2).map_err(text)?);
        if turn != count || parts != found {
            return Err(format!("turn {turn} has {found} of {parts} parts and is number {count}"));
        }
        count += 1;
    }
    Ok(count)
}

fn reopen(image: &Image) -> Result<u32, String> {
    let directory = new_directory();
    image.write_into(directory.path());
    let db =
        Connection::open(directory.path().join(DATABASE)).map_err(|error| error.to_string())?;
    read_turns(&db)
}

/// Turns on a disk, and the moments at which each of them was acknowledged.
struct History {
    disk: PowerDisk,
    acknowledged: Vec<usize>,
    _directory: TempDir,
}

fn history(synchronous: &str, seed: u64) -> History {
    let mut random = Random::seeded(seed);
    let directory = new_directory();
    let disk = PowerDisk::register();
    let mut db = connect(directory.path(), &disk, synchronous).expect("open a new database");
    db.execute_batch(SCHEMA).expect("make the tables");
    let mut acknowledged = Vec::new();
    let mut reader = None;
    for turn in 0..30 {
        // A reader in the middle of a transaction keeps checkpoints from finishing and the WAL from
        // starting over.
        if random.chance(15) {
            let open = connect(directory.path(), &disk, synchronous).expect("open a reader");
            open.execute_batch("BEGIN").expect("begin to read");
            assert_eq!(read_turns(&open), Ok(turn));
            reader = Some(open);
        } else if random.chance(30) {
            reader = None;
        }
        write_turn(&mut db, turn, &mut random).expect("write a turn");
        acknowledged.push(disk.position());
    }
    drop(reader);
    // Some histories end with an orderly close, which checkpoints and deletes the WAL.
    if random.chance(50) {
        drop(db);
    } else {
        std::mem::forget(db);
    }
    History { disk, acknowledged, _directory: directory }
}

/// What cuts at random moments of a history do to it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Toll {
    /// Cuts after which an acknowledged turn was gone.
    lossy: usize,
    /// Cuts after which the database was unsound.
    unsound: usize,
    /// The first of either, in words.
    first: Option<String>,
}

fn cut_often(synchronous: &str, seeds: std::ops::Range<u64>, cuts: u64) -> Toll {
    let mut toll = Toll::default();
    for seed in seeds {
        let history = history(synchronous, seed);
        let journal = history.disk.journal();
        let mut random = Random::seeded(seed ^ 0xC07);
        for cut in 0..cuts {
            let position = usize::try_from(random.below(journal.len() as u64 + 1)).expect("small");
            let survival = match cut {
                0 => Survival::Everything,
                1 => Survival::SyncedOnly,
                _ => Survival::Subset(Random::seeded(random.next())),
            };
            let promised = count_until(&history.acknowledged, position);
            let found = reopen(&Image::after(&journal[..position], survival));
            match &found {
                // One turn may be in flight.
                Ok(turns) if (promised..=promised + 1).contains(turns) => continue,
                Ok(turns) if *turns < promised => toll.lossy += 1,
                Ok(_) | Err(_) => toll.unsound += 1,
            }
            toll.first.get_or_insert_with(|| {
                format!("seed {seed}, cut {cut} at {position}: {promised} promised, {found:?}")
            });
        }
    }
    toll
}

fn count_until(acknowledged: &[usize], position: usize) -> u32 {
    let done = acknowledged.iter().filter(|moment| **moment <= position);
    u32::try_from(done.count()).expect("few turns")
}

#[test]
fn an_image_of_everything_equals_the_files() {
    for seed in 0..10 {
        let history = history("FULL", seed);
        let image = history.disk.cut_now(Survival::Everything);
        let path = history._directory.path().join(DATABASE);
        for path in [path.clone(), path.with_extension("db-wal")] {
            assert_eq!(image.file(&path), std::fs::read(&path).ok().as_deref());
        }
    }
}

#[test]
fn full_synchronous_keeps_every_acknowledged_turn() {
    assert_eq!(cut_often("FULL", 0..40, 30), Toll::default());
}

#[test]
fn normal_synchronous_loses_acknowledged_turns_but_stays_sound() {
    let toll = cut_often("NORMAL", 0..10, 30);
    assert!(toll.lossy > 0, "this harness cannot see a loss");
    assert_eq!(toll.unsound, 0, "{:?}", toll.first);
}

#[test]
fn synchronous_off_leaves_unsound_databases() {
    assert!(cut_often("OFF", 0..10, 30).unsound > 0, "this harness cannot see damage");
}

#[test]
fn a_second_cut_during_or_after_recovery_keeps_every_acknowledged_turn() {
    for seed in 0..12 {
        let mut random = Random::seeded(seed);
        let first = history("FULL", seed);
        let journal = first.disk.journal();
        let made = first.acknowledged[0];
        let span = (journal.len() - made) as u64;
        let position = made + usize::try_from(random.below(span)).expect("small");
        let image =
            Image::after(&journal[..position], Survival::Subset(Random::seeded(random.next())));

        let directory = new_directory();
        image.write_into(directory.path());
        let disk = PowerDisk::register();
        disk.adopt(directory.path());
        let found = disk.position() as u64;
        let mut db = connect(directory.path(), &disk, "FULL").expect("recover");
        let recovered = read_turns(&db).expect("sound");
        let mut acknowledged = Vec::new();
        for turn in recovered..recovered + 4 {
            write_turn(&mut db, turn, &mut random).expect("write a turn");
            acknowledged.push(disk.position());
        }
        let journal = disk.journal();
        for _ in 0..12 {
            let later = random.below(journal.len() as u64 + 1 - found);
            let position = usize::try_from(found + later).expect("small");
            let survival = Survival::Subset(Random::seeded(random.next()));
            let image = Image::after(&journal[..position], survival);
            let promised = recovered + count_until(&acknowledged, position);
            let found = reopen(&image).expect("sound");
            assert!(
                (promised..=promised + 1).contains(&found),
                "seed {seed}, cut at {position}: {promised} promised, {found} found"
            );
        }
    }
}

#[test]
fn a_reader_in_the_same_process_sees_what_is_committed() {
    let directory = new_directory();
    let disk = PowerDisk::register();
    let mut random = Random::seeded(1);
    let mut writer = connect(directory.path(), &disk, "FULL").expect("open");
    writer.execute_batch(SCHEMA).expect("make the tables");
    let reader = connect(directory.path(), &disk, "FULL").expect("open");
    for turn in 0..50 {
        assert_eq!(read_turns(&reader), Ok(turn));
        write_turn(&mut writer, turn, &mut random).expect("write a turn");
    }
    reader.busy_timeout(std::time::Duration::ZERO).expect("do not wait");
    let also_writing = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
    let busy = reader.execute("DELETE FROM turns", []).expect_err("there is one writer");
    assert_eq!(busy.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
    drop(also_writing);
}

#[test]
fn readers_and_a_writer_on_threads_agree() {
    let directory = new_directory();
    let disk = PowerDisk::register();
    let mut writer = connect(directory.path(), &disk, "FULL").expect("open");
    writer.execute_batch(SCHEMA).expect("make the tables");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let reader = connect(directory.path(), &disk, "FULL").expect("open");
                let mut seen = 0;
                while seen < 60 {
                    reader.execute_batch("BEGIN").expect("begin");
                    let now = read_turns(&reader).expect("sound");
                    reader.execute_batch("COMMIT").expect("end");
                    assert!(now >= seen, "{now} turns after {seen}");
                    seen = now;
                }
            });
        }
        let mut random = Random::seeded(2);
        for turn in 0..60 {
            write_turn(&mut writer, turn, &mut random).expect("write a turn");
        }
    });
}

/// Runs turns over a fault; gives what was acknowledged, the error, and which requests failed.
fn run_into(fault: Fault, seed: u64) -> Outcome {
    let mut random = Random::seeded(seed);
    let directory = new_directory();
    let disk = PowerDisk::register();
    let mut db = connect(directory.path(), &disk, "FULL").expect("open a new database");
    db.execute_batch(SCHEMA).expect("make the tables");
    disk.arm(fault);
    let mut turns = 0;
    let mut error = None;
    while turns < 12 && error.is_none() {
        match write_turn(&mut db, turns, &mut random) {
            Ok(()) => turns += 1,
            Err(met) => error = Some(met),
        }
    }
    let hits = disk.heal();
    let journal = disk.journal();
    // The process dies here: nothing of the open connection may tidy up.
    let after_kill = reopen(&Image::after(&journal, Survival::Everything));
    let after_cuts = (0..5)
        .map(|cut| reopen(&Image::after(&journal, Survival::Subset(Random::seeded(seed + cut)))))
        .chain([reopen(&Image::after(&journal, Survival::SyncedOnly))])
        .collect();
    let goes_on = write_turn(&mut db, turns, &mut random).map(|()| read_turns(&db));
    Outcome {
        acknowledged: turns,
        error: error.and_then(|error| error.sqlite_error().map(|error| error.extended_code)),
        hits,
        after_kill,
        after_cuts,
        goes_on: goes_on.map_err(|error| error.to_string()),
    }
}

struct Outcome {
    acknowledged: u32,
    error: Option<i32>,
    hits: Vec<FileKind>,
    after_kill: Result<u32, String>,
    after_cuts: Vec<Result<u32, String>>,
    goes_on: Result<Result<u32, String>, String>,
}

/// Arms the fault at 0, 1, 2 and so on until a run no longer meets it; gives how many it met.
fn every_index(fault: impl Fn(u64) -> Fault, check: impl Fn(u64, &Outcome)) -> u64 {
    let mut index = 0;
    loop {
        let outcome = run_into(fault(index), 7);
        if outcome.hits.is_empty() {
            assert_eq!((outcome.acknowledged, outcome.error), (12, None));
            return index;
        }
        // A checkpoint that fails is tried again with the next commit and is no error of this one.
        // It writes to the database only, but syncs both files.
        let surfaced = outcome.error.is_some();
        match fault(index) {
            Fault::SyncError { .. } => {
                assert!(!surfaced || outcome.hits == [FileKind::Wal], "{index}");
            }
            Fault::DiskFull { .. } | Fault::WriteError { .. } => {
                assert_eq!(surfaced, outcome.hits.contains(&FileKind::Wal), "{index}");
            }
        }
        check(index, &outcome);
        index += 1;
    }
}

#[test]
fn a_full_disk_at_any_write_undoes_the_turn_and_the_next_one_succeeds() {
    let met = every_index(
        |write| Fault::DiskFull { write },
        |index, outcome| {
            let held = outcome.acknowledged;
            assert!(matches!(outcome.error, None | Some(rusqlite::ffi::SQLITE_FULL)), "{index}");
            assert_eq!(outcome.after_kill, Ok(held), "{index}");
            assert!(outcome.after_cuts.iter().all(|found| *found == Ok(held)), "{index}");
            assert_eq!(outcome.goes_on, Ok(Ok(held + 1)), "{index}");
        },
    );
    assert!(met > 100, "only {met} writes");
}

#[test]
fn a_write_error_at_any_write_undoes_the_turn_and_the_next_one_succeeds() {
    let met = every_index(
        |write| Fault::WriteError { write },
        |index, outcome| {
            let held = outcome.acknowledged;
            assert!(
                matches!(outcome.error, None | Some(rusqlite::ffi::SQLITE_IOERR_WRITE)),
                "{index}"
            );
            assert_eq!(outcome.after_kill, Ok(held), "{index}");
            assert!(outcome.after_cuts.iter().all(|found| *found == Ok(held)), "{index}");
            assert_eq!(outcome.goes_on, Ok(Ok(held + 1)), "{index}");
        },
    );
    assert!(met > 100, "only {met} writes");
}

#[test]
fn a_sync_error_at_any_sync_leaves_every_acknowledged_turn() {
    let met = every_index(
        |sync| Fault::SyncError { sync },
        |index, outcome| {
            // The turn whose sync failed may be there or not: its answer is "unknown".
            let possible = outcome.acknowledged..=outcome.acknowledged + 1;
            assert!(
                matches!(outcome.error, None | Some(rusqlite::ffi::SQLITE_IOERR_FSYNC)),
                "{index}"
            );
            for found in outcome.after_cuts.iter().chain([&outcome.after_kill]) {
                let turns = found.as_ref().unwrap_or_else(|why| panic!("{index}: {why}"));
                assert!(possible.contains(turns), "{index}: {turns}");
            }
        },
    );
    assert!(met > 12, "only {met} syncs");
}
