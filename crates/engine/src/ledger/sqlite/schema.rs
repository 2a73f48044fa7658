//! What the next engine needs of the database besides its rows: the tables, indexes and triggers,
//! word for word, and the marks of the file. No chain covers them, and with a trigger or an index
//! gone nothing that is read says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use rusqlite::Connection;

use super::SqliteStore;
use super::reader::ReadConnection;
use super::rows::read_error;
use crate::ledger::error::ReadError;
use crate::ledger::store::Damage;

/// The statements that make the tables.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// "ANTP", for tools that look at files.
pub(super) const APPLICATION_ID: i64 = 0x414e_5450;

/// Where the header of the file says how it is written and read.
const WRITTEN_AND_READ: std::ops::Range<usize> = 18..20;

/// What it says there of a file with a write-ahead log.
const WITH_LOG: [u8; 2] = [2, 2];

/// What each table, index and trigger is called, and the words that made it.
type Objects = BTreeMap<String, String>;

impl SqliteStore {
    /// What is wrong with the database as such.
    pub(in crate::ledger) fn damaged_ground(&self) -> Result<Vec<Damage>, ReadError> {
        let mut damages = self.readers.read(|reader| reader.damaged_schema())?;
        let mut header = [0; WRITTEN_AND_READ.end];
        let read =
            File::open(self.dir.database()).and_then(|mut file| file.read_exact(&mut header));
        if read.is_ok() && header[WRITTEN_AND_READ] != WITH_LOG {
            damages.push(wrong("the header of the database", "it names another way of writing"));
        }
        Ok(damages)
    }
}

impl ReadConnection {
    fn damaged_schema(&self) -> Result<Vec<Damage>, ReadError> {
        let sql = |error| read_error("the schema of the ledger", error);
        let mut damages = Vec::new();
        let expected = expected().map_err(sql)?;
        let mut found = objects(&self.connection).map_err(sql)?;
        for (name, words) in expected {
            match found.remove(&name) {
                Some(there) if there == words => {}
                Some(_) => damages.push(wrong(&name, "it is not as this format has it")),
                None => damages.push(wrong(&name, "it is missing")),
            }
        }
        damages.extend(found.keys().map(|name| wrong(name, "this format has no such thing")));
        let id: i64 = self
            .connection
            .query_row("PRAGMA application_id", [], |row| row.get(0))
            .map_err(sql)?;
        if id != APPLICATION_ID {
            let how = format!("it is {id:#x}, not {APPLICATION_ID:#x}");
            damages.push(wrong("the application id of the database", &how));
        }
        Ok(damages)
    }
}

fn wrong(what: &str, how: &str) -> Damage {
    Damage { what: what.to_owned(), how: how.to_owned() }
}

/// The objects that an engine makes.
fn expected() -> rusqlite::Result<Objects> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(SCHEMA)?;
    objects(&connection)
}

/// The objects of a database. What is no UTF-8 is none of ours, and is shown as well as it can be.
fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    let mut statement = connection.prepare(
        "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB)
         FROM sqlite_schema",
    )?;
    let rows = statement.query_map([], |row| {
        let text = |index| {
            let bytes: Option<Vec<u8>> = row.get(index)?;
            Ok::<_, rusqlite::Error>(
                String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned(),
            )
        };
        let (kind, name, table, words) = (text(0)?, text(1)?, text(2)?, text(3)?);
        Ok((format!("the {kind} `{name}` of `{table}`"), words))
    })?;
    rows.collect()
}
