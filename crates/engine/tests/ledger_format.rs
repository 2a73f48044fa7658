//! docs/ledger-format.md says what the code does: its worked example and its tables are checked
//! here.

#![allow(clippy::unwrap_used, reason = "a test ends where anything is not as it should be")]

use std::fmt::Write as _;

use antiphon::ledger::{
    Cursor, HeadMark, LedgerId, Owner, Snapshot, SqliteOptions, SqliteStore, Store,
};
use antiphon_core::append::HeadRow;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{Commit, CommitTip, Payload, Recorded, StreamTip};
use antiphon_core::id::{Actor, CommandId, CommitNumber, Epoch, StreamName, Version};
use antiphon_core::time::{LedgerTime, WallTime};

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ledger-format.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_schema_in_the_document_is_the_one_that_ledgers_are_made_with() {
    let made = include_str!("../src/ledger/sqlite/schema.sql");
    assert!(document().contains(&format!("```sql\n{made}```\n")));
}

/// The bytes of the format, written here by hand so that they are not the code's own opinion.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn text(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u32).to_be_bytes());
        self.0.extend(text.bytes());
        self
    }

    fn u8(mut self, number: u8) -> Self {
        self.0.push(number);
        self
    }

    fn u32(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn u64(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn digest(mut self, digest: Digest) -> Self {
        self.0.extend(digest.0);
        self
    }

    /// Adds the bytes, wrapped, and their digest to the example, and returns the digest.
    fn show(self, what: &str, example: &mut String) -> Digest {
        let hex: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(example, "{what}:").unwrap();
        for line in hex.chunks(32) {
            writeln!(example, "  {}", line.concat()).unwrap();
        }
        let digest = Digest::of(&self.0);
        writeln!(example, "SHA-256:\n  {digest}\n").unwrap();
        digest
    }
}

fn event(
    stream: &str,
    kind: &'static str,
    at: u64,
    cause: Option<&str>,
    payload: &str,
) -> Recorded {
    let mut event = Recorded {
        stream: stream.parse().unwrap(),
        version: Version(1),
        kind: kind.into(),
        schema: 1,
        at: LedgerTime(at),
        wall: WallTime(1_700_000_000_000_000_000 + at),
        actor: Actor::new("engine").unwrap(),
        cause: cause.map(|cause| CommandId::new(cause).unwrap()),
        payload: Payload::Bytes(payload.as_bytes().to_vec()),
        prev: Digest::GENESIS,
        hash: Digest::GENESIS,
    };
    event.hash = event.computed_hash();
    event
}

#[test]
fn the_worked_example_is_what_the_code_computes() {
    let mut example = String::new();
    let opened = event("ledger", "ledger.opened", 1_000, None, "{}");
    let started = event(
        "coordination/demo",
        "coordination.started",
        2_000,
        Some("start-1"),
        r#"{"name":"é"}"#,
    );

    let hash = Bytes::default()
        .text("antiphon.event.1")
        .text("ledger")
        .u64(1)
        .text("ledger.opened")
        .u32(1)
        .u64(1_000)
        .u64(1_700_000_000_000_001_000)
        .text("engine")
        .u8(0)
        .digest(Digest::of(b"{}"))
        .digest(Digest::GENESIS)
        .show("event 1 of ledger, ledger.opened", &mut example);
    assert_eq!(hash, opened.hash);

    let hash = Bytes::default()
        .text("antiphon.event.1")
        .text("coordination/demo")
        .u64(1)
        .text("coordination.started")
        .u32(1)
        .u64(2_000)
        .u64(1_700_000_000_000_002_000)
        .text("engine")
        .u8(1)
        .text("start-1")
        .digest(Digest::of(r#"{"name":"é"}"#.as_bytes()))
        .digest(Digest::GENESIS)
        .show("event 1 of coordination/demo, coordination.started", &mut example);
    assert_eq!(hash, started.hash);

    let commit =
        Commit::link(CommitTip::default(), Epoch(1), [opened.hash, started.hash].into_iter());
    let hash = Bytes::default()
        .text("antiphon.commit.1")
        .u64(1)
        .digest(Digest::GENESIS)
        .u32(2)
        .digest(opened.hash)
        .digest(started.hash)
        .show("commit 1 of these two events", &mut example);
    assert_eq!(hash, commit.hash);

    let head = HeadRow {
        stream: started.stream.clone(),
        tip: StreamTip { version: started.version, hash: started.hash },
        status: "running".to_owned(),
        ended: false,
        started: started.wall,
        changed: (started.at, started.wall),
        summary: r#"{"items":0}"#.to_owned(),
    };
    let digest = Bytes::default()
        .text("antiphon.head.1")
        .text("coordination/demo")
        .u64(1)
        .digest(started.hash)
        .text("running")
        .u8(0)
        .u64(1_700_000_000_000_002_000)
        .u64(2_000)
        .u64(1_700_000_000_000_002_000)
        .text(r#"{"items":0}"#)
        .show("head row of coordination/demo", &mut example);
    assert_eq!(digest, head.digest());

    let cursor =
        Cursor { name: "mail".to_owned(), stream: started.stream.clone(), version: Version(1) };
    let digest = Bytes::default()
        .text("antiphon.cursor.1")
        .text("mail")
        .text("coordination/demo")
        .u64(1)
        .show("cursor mail at event 1 of coordination/demo", &mut example);
    assert_eq!(digest, cursor.digest());

    let snapshot = Snapshot {
        stream: StreamName::Ledger,
        version: Version(1),
        format: "1".to_owned(),
        bytes: b"state".to_vec(),
    };
    let digest = Bytes::default()
        .text("antiphon.snapshot.1")
        .text("ledger")
        .u64(1)
        .text("1")
        .digest(Digest::of(b"state"))
        .show("snapshot of ledger at version 1, format 1, bytes \"state\"", &mut example);
    assert_eq!(digest, snapshot.digest());

    let ledger = "ab".repeat(32);
    let covered = format!("antiphon.head.2 {ledger} 1 1 {}", commit.hash);
    let mark = format!("{covered} {}", Digest::of(covered.as_bytes()));
    let written = HeadMark {
        ledger: Some(LedgerId([0xab; 32])),
        epoch: Epoch(1),
        commit: CommitTip { number: CommitNumber(1), hash: commit.hash },
    };
    assert_eq!(format!("{mark}\n"), written.to_string());
    write!(example, "head mark of ledger abab.. after commit 1 of epoch 1, one line:\n  {mark}\n")
        .unwrap();

    let block = format!("```text\n{example}```\n");
    assert!(document().contains(&block), "docs/ledger-format.md must hold this block:\n{block}");
}

#[test]
fn the_tables_are_those_of_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(dir.path(), SqliteOptions::default());
    let _ = store.open(&Owner::this_process(WallTime(0))).unwrap();
    store.close().unwrap();
    let database = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    let mut statement = database
        .prepare(
            "SELECT m.name, c.name, c.type FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'",
        )
        .unwrap();
    let columns: Vec<(String, String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(columns.len(), 47);

    let document = document();
    for (table, column, kind) in columns {
        let heading = format!("\n### `{table}`");
        let (_, section) = document
            .split_once(&heading)
            .unwrap_or_else(|| panic!("no section on the table `{table}`"));
        let section = section.split("\n##").next().unwrap();
        let row = format!("| `{column}` | {kind} |");
        assert!(
            section.contains(&row),
            "the section on `{table}` must have a row that begins: {row}"
        );
    }
}
