//! Connections to `ledger.db` and the settings that durability rests on.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

/// How long a connection waits for another one's lock.
const BUSY: Duration = Duration::from_secs(10);

/// How long emptying the WAL waits for a reader.
const BRIEFLY: Duration = Duration::from_millis(50);

/// Statements that stay prepared; more than there are.
const STATEMENTS: usize = 64;

/// Opens the database for the owner. The file exists already, with the permissions that its WAL
/// inherits.
pub(super) fn writing(path: &Path, vfs: Option<&str>) -> rusqlite::Result<Connection> {
    let connection = open(path, vfs, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Until the ledger has been let through, closing it must not copy a damaged WAL back and remove
    // what is left of it.
    keep_wal(&connection, true)?;
    switch_to_wal(&connection)?;
    // Checkpoints are our own: SQLite's automatic ones keep errors of a sync to themselves.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA secure_delete = ON;
         PRAGMA recursive_triggers = ON;
         PRAGMA cache_size = -8192;",
    )?;
    Ok(connection)
}

/// Switches the file to a write-ahead log and makes sure of it.
///
/// The pragma gives its answer before it commits the switch, so it is run to its end, where an
/// error of that commit comes up, and the mode is asked for again. Unseen, such an error leaves a
/// rollback journal, with which a power cut can undo what `synchronous = FULL` has acknowledged.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut switch = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut answers = switch.query([])?;
    while answers.next()?.is_some() {}
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode != "wal" {
        let message =
            format!("the database stays in journal mode {mode} and has no write-ahead log");
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some(message),
        ));
    }
    Ok(())
}

/// Whether closing the last connection leaves the WAL as it is, instead of copying it back and
/// removing it.
pub(super) fn keep_wal(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

/// Opens the database for reading only.
pub(super) fn reading(path: &Path, vfs: Option<&str>) -> rusqlite::Result<Connection> {
    let connection = open(path, vfs, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")?;
    Ok(connection)
}

/// Opens a database that nobody writes to, where nothing can be written beside it: on a medium for
/// reading only, or in a directory of somebody else. `log` says whether there is a write-ahead log.
///
/// With one, its index is kept in memory instead of in a file; without one, the file is all there
/// is.
pub(super) fn reading_still(path: &Path, log: bool) -> rusqlite::Result<Connection> {
    let connection = if log {
        let connection = open(path, Some("unix-none"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE;")?;
        keep_wal(&connection, true)?;
        connection
    } else {
        let name = format!("file:{}?immutable=1", escaped(path));
        open(Path::new(&name), None, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?
    };
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048;")?;
    Ok(connection)
}

/// Opens an empty file to copy a database into. The caller syncs it; it may be where there are
/// neither locks nor shared memory.
pub(super) fn copying(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path, Some("unix-none"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    Ok(connection)
}

/// What a checkpoint did.
#[derive(Debug, Clone, Copy)]
pub(super) struct CheckpointPass {
    /// Pages of the WAL when it began.
    pub(super) log: u32,
    /// Pages from the start of the WAL that are in the database now.
    pub(super) copied: u32,
}

/// Copies the WAL back into the database as far as readers allow, without waiting for them.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<CheckpointPass> {
    // Negative numbers say that another checkpoint was running.
    let pages = |row: &rusqlite::Row<'_>, index| {
        row.get::<_, i64>(index).map(|pages| u32::try_from(pages).unwrap_or(0))
    };
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(CheckpointPass { log: pages(row, 1)?, copied: pages(row, 2)? })
    })
}

/// Copies the WAL back and empties it, so that nothing erased is left in it. Returns whether that
/// is done: a reader that is still at it is waited for only briefly, as this holds up appends.
pub(super) fn truncate_wal(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(BRIEFLY)?;
    let done = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(!row.get::<_, bool>(0)?));
    connection.busy_timeout(BUSY)?;
    done
}

/// A path as a part of a URI.
fn escaped(path: &Path) -> String {
    let mut escaped = String::new();
    // What is relative stays so: an absolute one begins with a slash of its own.
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                escaped.push(char::from(*byte));
            }
            other => {
                let _ = write!(escaped, "%{other:02X}");
            }
        }
    }
    escaped
}

fn open(path: &Path, vfs: Option<&str>, access: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match vfs {
        None => Connection::open_with_flags(path, flags)?,
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
    };
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A database is data from outside: its schema may not call functions with effects, and its
    // cells are checked.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch(
        "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}
