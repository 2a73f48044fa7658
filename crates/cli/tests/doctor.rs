//! `antiphon doctor` as its users see it.

mod common;

use antiphon::Engine;
use antiphon::envelope::CommitTip;
use antiphon::id::{CommitNumber, CoordinationId};
use antiphon::ledger::{HeadMark, StateDirectory};
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
fn a_directory_of_something_else_is_explained() {
    let fixture = Fixture::empty();
    std::fs::create_dir(fixture.state()).unwrap();
    std::fs::write(fixture.state().join("notes.txt"), "").unwrap();
    let said = fixture.run("doctor");
    let end = "\
ledger       problem  there is none, but there is \"notes.txt\"
                      what to do: name a state directory with --dir or ANTIPHON_DIR

1 problem
--- exit 3
";
    assert!(said.ends_with(end), "{said}");
}

#[test]
fn who_holds_the_ledger_is_named() {
    let fixture = Fixture::new();
    fixture.block_on(async {
        let engine = Engine::open(fixture.state()).unwrap().start().await.unwrap();
        let id = CoordinationId::new("service").unwrap();
        engine.pause(&id, "to look at it").await.unwrap();
        let running: [(usize, &str); 5] = [
            (1, "lock         ok       held by process <pid> on <host> (antiphon 0.1.0), which took it at <time>"),
            (3, "ledger       ok       format 1, epoch 2, id <hash>"),
            (4, "contents     ok       3 coordinations (1 failed, 1 paused, 1 succeeded), 21 events in <n> commits"),
            (5, "head mark    ok       commit <n> of epoch 2, written <age> ago; the ledger reaches it"),
            (6, "record       ok       21 events verified, 2 receipts rebuilt, 0 payloads erased"),
        ];
        check(&fixture.run("doctor"), &report(&running, "\nnothing is wrong\n--- exit 0\n"));
        check(
            &fixture.run("doctor --accept-missing-mark"),
            &report(
                &running,
                "\nnothing is wrong\n--- stderr\nerror: an engine holds the ledger, so its head mark has been accepted already\n--- exit 3\n",
            ),
        );
        engine.close().await.unwrap();
    });
}

#[test]
fn what_a_crash_leaves_is_no_problem() {
    let fixture = Fixture::new();
    fixture.block_on(async {
        let engine = Engine::open(fixture.state()).unwrap().start().await.unwrap();
        engine.pause(&CoordinationId::new("service").unwrap(), "before the crash").await.unwrap();
        drop(engine);
    });
    // Its writer lets go of the lock on a thread of its own.
    while StateDirectory::new(fixture.state()).holder().unwrap().is_some() {
        std::thread::yield_now();
    }
    let said = fixture.run("doctor --quick");
    let end = "\
contents     note     3 coordinations (1 failed, 1 paused, 1 succeeded), 21 events in <n> commits
                      the last engine did not close it
                      what to do: nothing; the next engine goes on where that one stopped
head mark    ok       commit <n> of epoch 2, written <age> ago; the ledger reaches it
record       note     not verified
                      what to do: leave --quick away, or run `antiphon verify`

nothing is wrong
--- exit 0
";
    assert!(said.ends_with(end), "{said}");
}

#[test]
fn a_note_of_a_disk_error_is_a_problem() {
    let fixture = Fixture::new();
    let note = "An error of a sync: could not sync ledger.db-wal: Input/output error\nThe next start verifies the ledger.\n";
    std::fs::write(fixture.state().join("poisoned"), note).unwrap();
    let explained = "\
disk errors  problem  An error of a sync: could not sync ledger.db-wal: Input/output error
                      The next start verifies the ledger.
                      what to do: look after the disk, verify the ledger, then start an engine; it takes the note away once it has verified";
    check(&fixture.run("doctor"), &report(&[(2, explained)], "\n1 problem\n--- exit 4\n"));
}

#[test]
fn a_damaged_database_is_a_problem() {
    let fixture = Fixture::new();
    std::fs::write(fixture.state().join("ledger.db"), "this is no database, and has never been one").unwrap();
    let said = fixture.run("doctor");
    let end = "\
ledger       problem  the ledger is damaged: file is not a database
                      what to do: keep the directory as it is for evidence, and restore a copy

1 problem
--- exit 3
";
    assert!(said.ends_with(end), "{said}");
}

#[test]
fn erased_payloads_are_named_as_not_rebuildable() {
    let fixture = Fixture::erased();
    let said = fixture.run("doctor");
    let end = "\
record       ok       22 events verified, 1 receipts rebuilt, 1 payloads erased
                      coordination/build: not rebuildable: 1 erased, as recorded

nothing is wrong
--- exit 0
";
    assert!(said.ends_with(end), "{said}");
}

#[test]
fn a_missing_head_mark_is_accepted_only_by_its_flag_and_on_the_record() {
    let fixture = Fixture::new();
    std::fs::remove_file(fixture.state().join("head")).unwrap();
    let refusal = "the ledger has <n> commits but no head mark (<dir>/state/head): the file was removed, so nobody can tell whether \
                   the ledger is whole; restore it, or accept the missing mark, which will be recorded";
    let explained = format!(
        "head mark    problem  {refusal}\n                      \
         what to do: restore the directory from a copy, or go on with --accept-missing-mark"
    );
    check(&fixture.run("doctor"), &report(&[(5, &explained)], "\n1 problem\n--- exit 4\n"));

    let loss = "nobody can tell any more whether acknowledged work at the end of the ledger is missing";
    let wrong = fixture.run("doctor --accept-shorter");
    let end = format!(
        "--- stderr\nerror: this ledger is not opened by the flag that was given: {refusal}\n\
         hint: --accept-missing-mark is the one; then {loss}\n--- exit 2\n"
    );
    assert!(wrong.ends_with(&end), "{wrong}");

    let accepted = fixture.run("doctor --accept-missing-mark");
    let end = format!(
        "1 problem\n\naccepted and recorded: {loss}; engines open the ledger again\n--- stderr\ngoing on: {loss}\n--- exit 0\n"
    );
    assert!(accepted.ends_with(&end), "{accepted}");
    check(
        &fixture.run("log ledger --from 3"),
        "\
3  <time>  ledger.opened  epoch 2, antiphon 0.1.0, process <pid> on <host>, going on against the head mark
4  <time>  ledger.closed
--- exit 0
",
    );
    assert!(fixture.run("doctor").ends_with("\nnothing is wrong\n--- exit 0\n"));
    let again = fixture.run("doctor --accept-missing-mark");
    let end = "\
--- stderr
error: there is nothing to accept: the head mark does not keep the ledger from being opened
hint: leave --accept-shorter and --accept-missing-mark away
--- exit 2
";
    assert!(again.ends_with(end), "{again}");
}

#[test]
fn a_shorter_ledger_is_accepted_by_its_flag_and_says_what_is_lost() {
    let fixture = Fixture::new();
    let mark = HeadMark::read(&fixture.state()).unwrap().unwrap();
    let ahead = CommitTip { number: CommitNumber(mark.commit.number.0 + 3), ..mark.commit };
    HeadMark { commit: ahead, ..mark }.write(&fixture.state()).unwrap();
    let explained = "head mark    problem  the ledger ends at commit <n> of epoch 1, but its head mark knows commit <n> of epoch 1: \
                     acknowledged work is missing; restore it from a copy, or accept the shorter ledger, which will be recorded\n                      \
                     what to do: restore the directory from a copy, or go on with --accept-shorter";
    check(&fixture.run("doctor"), &report(&[(5, explained)], "\n1 problem\n--- exit 4\n"));

    let accepted = String::from_utf8(fixture.output("doctor --accept-shorter --json").stdout).unwrap();
    let accepted: serde_json::Value = serde_json::from_str(&accepted).unwrap();
    let last = mark.commit.number;
    assert_eq!(
        accepted["accepted"],
        format!(
            "accepted and recorded: 3 commits of acknowledged work are given up: {last} is the last that is left; engines open the ledger again"
        )
    );
    assert!(fixture.run("doctor").ends_with("\nnothing is wrong\n--- exit 0\n"));
}

#[test]
fn a_removed_database_beside_its_mark_is_explained() {
    let fixture = Fixture::new();
    std::fs::remove_file(fixture.state().join("ledger.db")).unwrap();
    let said = fixture.run("doctor");
    let end = "\
ledger       problem  there is none, but a head mark knows commit <n> of epoch 1
                      what to do: restore `ledger.db` and `blobs` from a copy; --accept-shorter begins anew, and everything is lost

1 problem
--- exit 3
";
    assert!(said.ends_with(end), "{said}");
}

#[test]
fn sessions_that_the_last_engine_left_are_told() {
    let fixture = Fixture::new();
    let folder = fixture.state().join("sessions/service.1");
    std::fs::create_dir_all(&folder).unwrap();
    let place = r#"{"boot":"an earlier one","namespace":1,"init_start":1}"#;
    let line = format!(
        r#"{{"session":"service.1","tattoo":{{"value":1,"depth":0}},"place":{place},"user":0,"engine":null,"since":1,"wall":1,"scratch":null}}"#
    );
    std::fs::write(folder.join("open"), line + "\n").unwrap();
    let told = "\
disk errors  ok       none noted
sessions     note     1 were running, or not recorded, when the last engine ended
                      what to do: nothing; the next engine ends what is left of them, and records it";
    check(&fixture.run("doctor"), &report(&[(2, told)], "\nnothing is wrong\n--- exit 0\n"));

    std::fs::write(folder.join("open"), "{}\n").unwrap();
    let said = fixture.run("doctor");
    assert!(said.contains("an engine of its own version has to sweep it"), "{said}");
}
