//! `antiphon doctor` as its users see it.

mod common;

use antiphon::Engine;
use antiphon::envelope::CommitTip;
use antiphon::id::CommitNumber;
use antiphon::ledger::HeadMark;
use common::{Fixture, check};

/// What the doctor says of a sound ledger, but for the lines that a test is about.
const SOUND: [&str; 7] = [
    "directory    ok       <dir>/state",
    "lock         ok       free; the file is left from process <pid> on <host> (antiphon 0.1.0), which took it at <time>",
    "disk errors  ok       none noted",
    "ledger       ok       format 1, epoch 1, id <hash>",
    "contents     ok       3 coordinations (1 failed, 1 running, 1 succeeded), 18 events in <n> commits",
    "head mark    ok       commit <n> of epoch 1, written <age> ago; the ledger reaches it",
    "record       ok       18 events verified, 2 receipts rebuilt, 0 payloads erased",
];

/// The sound report with some lines replaced, and its end.
fn report(replaced: &[(usize, &str)], end: &str) -> String {
    let mut lines = SOUND;
    for (line, text) in replaced {
        lines[*line] = text;
    }
    format!("{}\n{end}", lines.join("\n"))
}

#[test]
fn a_sound_directory_is_explained() {
    check(&Fixture::new().run("doctor"), &report(&[], "\nnothing is wrong\n--- exit 0\n"));
}

#[test]
fn a_directory_that_is_not_there_is_explained() {
    let fixture = Fixture::empty();
    check(
        &fixture.run("doctor"),
        "\
directory  problem  <dir>/state does not exist
                    what to do: name another one with --dir or ANTIPHON_DIR; an engine creates it when it is first opened

1 problem
--- exit 3
",
    );
}

#[test]
fn probe() {
    let f = Fixture::new();
    f.block_on(async {
        let e = Engine::open(f.state()).unwrap().start().await.unwrap();
        println!("HELD\n{}", f.run("doctor"));
        println!("HELD\n{}", f.run("doctor --accept-shorter"));
        drop(e);
    });
    println!("CRASHED\n{}", f.run("doctor"));
    std::fs::write(f.state().join("poisoned"), "An error of a sync: x\nThe next start verifies the ledger.\n").unwrap();
    println!("POISONED\n{}", f.run("doctor"));
    std::fs::remove_file(f.state().join("poisoned")).unwrap();
    let mark = HeadMark::read(&f.state()).unwrap().unwrap();
    std::fs::remove_file(f.state().join("head")).unwrap();
    println!("MISSING\n{}", f.run("doctor"));
    println!("MISSING\n{}", f.run("doctor --quick --accept-shorter"));
    println!("MISSING\n{}", f.run("doctor --quick --accept-missing-mark"));
    println!("THEN\n{}\n{}", f.run("doctor"), f.run("log ledger"));
    HeadMark { epoch: mark.epoch, commit: CommitTip { number: CommitNumber(99), ..mark.commit } }.write(&f.state()).unwrap();
    println!("SHORTER\n{}", f.run("doctor --quick --json"));
    println!("SHORTER\n{}", f.run("doctor --quick --accept-shorter --json"));
    println!("THEN\n{}", f.run("doctor"));
    for n in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(f.state().join(n));
    }
    println!("NODB\n{}", f.run("doctor --quick"));
    println!("NODB\n{}", f.run("doctor --quick --accept-shorter"));
    println!("THEN\n{}", f.run("doctor"));
}
