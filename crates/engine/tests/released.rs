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
use antiphon_core::event::{DecodeError, Event};
use antiphon_core::id::{CoordinationId, Seq};
use serde_json::Value;

const VERSIONS: [&str; 2] = ["b045367", "a27e6b6"];

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
    let expected = [
        "93 events in 11 streams, 49 commits\n8 receipts rebuilt, 0 payloads erased\nsound\n",
        "62 events in 9 streams, 34 commits\n7 receipts rebuilt, 0 payloads erased\nsound\n",
    ];
    for (version, expected) in VERSIONS.into_iter().zip(expected) {
        let dir = ledger(version);
        let report = verify_directory(dir.path(), &Scope::Ledger).unwrap();
        assert_eq!(report.to_string(), expected, "{version}");
    }
}

#[test]
fn the_second_verifier_agrees() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_ledger.py");
    let expected = [
        "93 events in 11 streams, 49 commits, 8 receipts rebuilt, 0 payloads and 0 blobs erased\nsound\n",
        "62 events in 9 streams, 34 commits, 7 receipts rebuilt, 0 payloads and 0 blobs erased\nsound\n",
    ];
    for (version, expected) in VERSIONS.into_iter().zip(expected) {
        let dir = ledger(version);
        let output = Command::new("python3").arg(script).arg(dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{version}: {said}");
        assert_eq!(said, expected, "{version}");
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

/// Every object in a value, but those whose members are names that callers choose.
fn objects(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if !["/labels", "/widths", "/scores"].iter().any(|name| place.ends_with(name)) {
                found.push(place.to_owned());
            }
            for (name, member) in members {
                objects(member, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(members) => {
            for (index, member) in members.iter().enumerate() {
                objects(member, &format!("{place}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn no_event_of_an_earlier_version_may_have_a_member_that_does_not_exist() {
    let mut refused = 0;
    for version in VERSIONS {
        let dir = ledger(version);
        let store = SqliteStore::at(dir.path(), SqliteOptions::default());
        for placed in store.read_all(Seq(0), usize::MAX).unwrap() {
            let event = placed.event;
            let payload: Value = serde_json::from_slice(event.payload.bytes().unwrap()).unwrap();
            let mut places = Vec::new();
            objects(&payload, "", &mut places);
            for place in places {
                let mut changed = payload.clone();
                changed.pointer_mut(&place).unwrap()["unknown"] = 1.into();
                let bytes = serde_json::to_vec(&changed).unwrap();
                let read = Event::decode(&event.kind, event.schema, &bytes);
                assert!(
                    matches!(read, Err(DecodeError::Malformed { .. })),
                    "{} {}{place}: {read:?}",
                    event.stream,
                    event.version
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

/// Processes of a session that b045367 ran, as they are left when its engine and its warden were
/// killed: the agent, and one that it started in a session of its own.
#[cfg(target_os = "linux")]
mod left_running {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::fs::MetadataExt as _;
    use std::process::{Child, Stdio};

    use antiphon::Engine;
    use antiphon::coordination::SessionOutcome;
    use antiphon::event::{CoordinationEvent, Event};

    use super::*;

    const MARK: u64 = 4_741_708_675_775_725_567;

    struct Tree {
        agent: Child,
        stray: u32,
    }

    impl Tree {
        /// With what b045367 gave the processes of a session in their environment.
        fn start() -> Self {
            let script = "setsid sleep 600 > /dev/null & echo $!; exec sleep 600 > /dev/null";
            let mut agent = Command::new("sh")
                .args(["-c", script])
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("ANTIPHON_COORDINATION", "overnight")
                .env("ANTIPHON_SESSION", "overnight.2")
                .env("ANTIPHON_TREE", format!("{MARK:016x}"))
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(agent.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            Self { agent, stray: line.trim().parse().unwrap() }
        }

        /// The bytes of the file `open` of the session's folder.
        fn written(&self) -> String {
            let number = |name: &str| fs::metadata(format!("/proc/self/ns/{name}")).unwrap().ino();
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
            let (agent, since) = (self.agent.id(), started(self.agent.id()));
            format!(
                "{{\"session\":\"overnight.2\",\"tattoo\":{{\"value\":{MARK},\"depth\":0}},\
                 \"place\":{{\"boot\":\"{}\",\"namespace\":{},\"init_start\":{},\"own_clock\":{}}},\
                 \"user\":{},\"engine\":{{\"pid\":{},\"start\":1}},\"since\":{since},\
                 \"wall\":1795998335382306683,\"scratch\":\"/tmp/antiphon-d0b7e8f0e99445caaa2430dd398bbc02\"}}\n\
                 {{\"warden\":{{\"pid\":{},\"start\":1}},\"agent\":{{\"pid\":{agent},\"start\":{since}}}}}\n",
                boot.trim(),
                number("pid"),
                started(1),
                number("time") == 0xEFFF_FFFA,
                fs::metadata("/proc/self").unwrap().uid(),
                std::process::id(),
                std::process::id(),
            )
        }

        fn lives(&self) -> [bool; 2] {
            [self.agent.id(), self.stray].map(|pid| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
            })
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            if self.lives() != [false, false] {
                let _ = self.agent.kill();
                let _ = Command::new("kill").args(["-9", &self.stray.to_string()]).status();
            }
        }
    }

    /// When a process started, in clock ticks since boot.
    fn started(pid: u32) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn what_b045367_left_running_is_ended_and_recorded_as_lost_at_the_next_start() {
        let (dir, tree) = (ledger("b045367"), Tree::start());
        let folder = dir.path().join("sessions/overnight.2");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("open"), tree.written()).unwrap();
        fs::write(folder.join("stdout"), "").unwrap();
        fs::write(folder.join("stderr"), "").unwrap();
        assert_eq!(tree.lives(), [true, true]);

        let engine = Engine::open(dir.path()).await.unwrap();
        assert_eq!(tree.lives(), [false, false]);
        let id = CoordinationId::new("overnight").unwrap();
        let mut events = engine.run(&id).unwrap().follow().await.unwrap();
        let lost = loop {
            let event = events.next().await.unwrap().unwrap().event().unwrap();
            if let Event::Coordination(CoordinationEvent::SessionUnbound(unbound)) = event
                && unbound.session == 2
            {
                break unbound;
            }
        };
        let tree = lost.tree.unwrap();
        assert_eq!((lost.outcome, tree.killed, tree.clean), (SessionOutcome::Lost, 2, false));
        assert_eq!(
            lost.text.unwrap(),
            "the engine stopped while the session ran; 2 processes that had survived it were ended; \
             what was left is known by its marks alone"
        );
        engine.close().await.unwrap();
        let report = verify_directory(dir.path(), &Scope::Ledger).unwrap();
        assert!(report.is_sound(), "{report}");
    }
}
