//! `antiphon doctor` as its users see it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use crate::common::{Fixture, check};
use antiphon::Engine;
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::envelope::CommitTip;
use antiphon::id::{CommitNumber, CoordinationId};
use antiphon::ledger::{HeadMark, Location};

/// What the doctor says of a sound ledger, but for the lines that a test is about.
const SOUND: [&str; 7] = [
    "directory    ok       <dir>/state",
    "lock         ok       free; the file is left from process <pid> on <host> (antiphon 0.1.0), which took it at <time>",
    "disk errors  ok       none noted",
    "ledger       ok       format 1, epoch 1, id <hash>",
    "contents     ok       3 runs (1 failed, 1 running, 1 succeeded), 18 events in <n> commits",
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
                    what to do: choose another with --dir or ANTIPHON_DIR; `antiphon run` creates it

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
                      what to do: choose a state directory with --dir or ANTIPHON_DIR

1 problem
--- exit 3
";
    assert!(said.ends_with(end), "{said}");
}

#[test]
fn who_holds_the_ledger_is_named() {
    let fixture = Fixture::new();
    fixture.block_on(async {
        let engine = Engine::builder(fixture.state()).unwrap().start().await.unwrap();
        let id = CoordinationId::new("service").unwrap();
        engine.run(&id).unwrap().pause("to look at it").await.unwrap();
        let held = "\
lock         ok       held by process <pid> on <host> (antiphon 0.1.0), which took it at <time>
socket       note     nothing answers, so only the holder can submit, cancel or ask
                      what to do: nothing if the holder is another program without a socket, or has just started; otherwise kill it, and the next engine continues where it stopped";
        let running: [(usize, &str); 5] = [
            (1, held),
            (3, "ledger       ok       format 1, epoch 2, id <hash>"),
            (4, "contents     ok       3 runs (1 failed, 1 paused, 1 succeeded), 21 events in <n> commits"),
            (5, "head mark    ok       commit <n> of epoch 2, written <age> ago; the ledger reaches it"),
            (6, "record       ok       21 events verified, 2 receipts rebuilt, 0 payloads erased"),
        ];
        check(&fixture.run("doctor"), &report(&running, "\nnothing is wrong\n--- exit 0\n"));
        check(
            &fixture.run("doctor --accept-missing-mark"),
            &report(
                &running,
                "\nnothing is wrong\n--- stderr\nerror: an engine holds the ledger, so its head mark is already accepted\n--- exit 3\n",
            ),
        );
        engine.close().await.unwrap();
    });
}

#[test]
fn what_a_crash_leaves_is_no_problem() {
    let fixture = Fixture::new();
    fixture.block_on(async {
        let engine = Engine::builder(fixture.state()).unwrap().start().await.unwrap();
        engine
            .run(CoordinationId::new("service").unwrap())
            .unwrap()
            .pause("before the crash")
            .await
            .unwrap();
        drop(engine);
    });
    // Its writer lets go of the lock on a thread of its own.
    while Location::directory(fixture.state()).files().holder().unwrap().is_some() {
        std::thread::yield_now();
    }
    let said = fixture.run("doctor --quick");
    let end = "\
contents     note     3 runs (1 failed, 1 paused, 1 succeeded), 21 events in <n> commits
                      the last engine did not shut down cleanly
                      what to do: nothing; the next engine continues where that one stopped
head mark    ok       commit <n> of epoch 2, written <age> ago; the ledger reaches it
record       note     not verified
                      what to do: run without --quick, or run `antiphon verify`

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
                      what to do: check the disk, verify the ledger, then start an engine, which removes this note once it has verified the ledger";
    check(&fixture.run("doctor"), &report(&[(2, explained)], "\n1 problem\n--- exit 4\n"));
}

#[test]
fn a_damaged_database_is_a_problem() {
    let fixture = Fixture::new();
    std::fs::write(
        fixture.state().join("ledger.db"),
        "this is no database, and has never been one",
    )
    .unwrap();
    let said = fixture.run("doctor");
    let end = "\
ledger       problem  the ledger is damaged: file is not a database
                      what to do: keep the directory as evidence, and restore a copy

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
record       ok       22 events verified, 1 receipt rebuilt, 1 payload erased
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
    let refusal = "the ledger has <n> commits but no head mark (<dir>/state/head): the file was removed, so it is unknown whether \
                   the ledger is complete; restore it, or accept the missing mark, which will be recorded";
    let explained = format!(
        "head mark    problem  {refusal}\n                      \
         what to do: restore the directory from a copy, or continue with --accept-missing-mark"
    );
    check(&fixture.run("doctor"), &report(&[(5, &explained)], "\n1 problem\n--- exit 4\n"));

    let loss =
        "nothing can tell any more whether acknowledged work at the end of the ledger is missing";
    let wrong = fixture.run("doctor --accept-shorter");
    let end = format!(
        "--- stderr\nerror: this flag does not open the ledger: {refusal}\n\
         hint: use --accept-missing-mark; then {loss}\n--- exit 2\n"
    );
    assert!(wrong.ends_with(&end), "{wrong}");

    let accepted = fixture.run("doctor --accept-missing-mark");
    let end = format!(
        "1 problem\n\naccepted and recorded: {loss}; engines can open the ledger again\n--- stderr\ncontinuing: {loss}\n--- exit 0\n"
    );
    assert!(accepted.ends_with(&end), "{accepted}");
    check(
        &fixture.run("log ledger --from 3"),
        "\
3  <time>  ledger.opened  opened in epoch 2 by antiphon 0.1.0, process <pid> on <host>, despite its head mark
4  <time>  ledger.closed  closed
--- exit 0
",
    );
    assert!(fixture.run("doctor").ends_with("\nnothing is wrong\n--- exit 0\n"));
    let again = fixture.run("doctor --accept-missing-mark");
    let end = "\
--- stderr
error: there is nothing to accept: the head mark does not keep the ledger from being opened
hint: run without --accept-shorter and --accept-missing-mark
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
                     what to do: restore the directory from a copy, or continue with --accept-shorter";
    check(&fixture.run("doctor"), &report(&[(5, explained)], "\n1 problem\n--- exit 4\n"));

    let accepted =
        String::from_utf8(fixture.output("doctor --accept-shorter --json").stdout).unwrap();
    let accepted: serde_json::Value = serde_json::from_str(&accepted).unwrap();
    let last = mark.commit.number;
    assert_eq!(
        accepted["accepted"],
        format!(
            "accepted and recorded: 3 commits of acknowledged work are discarded; the last one left is {last}; engines can open the ledger again"
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
ledger       problem  there is none, but a head mark names commit <n> of epoch 1
                      what to do: restore `ledger.db` and `blobs` from a copy; --accept-shorter starts over, and everything is lost

1 problem
--- exit 3
";
    assert!(said.ends_with(end), "{said}");
}

/// The sound report with something told after its first line and after the lock.
fn beside(after_directory: &str, after_lock: &str, end: &str) -> String {
    let after = |line: usize, more: &str| format!("{}\n{more}", SOUND[line]).trim_end().to_owned();
    report(&[(0, &after(0, after_directory)), (1, &after(1, after_lock))], end)
}

#[test]
fn a_socket_that_a_killed_engine_left_is_no_problem() {
    let fixture = Fixture::new();
    drop(UnixListener::bind(fixture.state().join("api.sock")).unwrap());
    let finding = "\
socket       note     api.sock is left from an engine that was killed
                      what to do: nothing; the next engine replaces it";
    std::fs::set_permissions(fixture.state().join("api.sock"), Permissions::from_mode(0o600))
        .unwrap();
    check(&fixture.run("doctor"), &beside("", finding, "\nnothing is wrong\n--- exit 0\n"));
    assert!(fixture.state().join("api.sock").exists(), "it changes nothing");

    std::fs::remove_file(fixture.state().join("api.sock")).unwrap();
    std::fs::write(fixture.state().join("api.sock"), "").unwrap();
    std::fs::set_permissions(fixture.state().join("api.sock"), Permissions::from_mode(0o600))
        .unwrap();
    let finding = "\
socket       problem  api.sock is not a socket
                      what to do: move it away; no engine can listen while it is there";
    check(&fixture.run("doctor"), &beside("", finding, "\n1 problem\n--- exit 4\n"));
}

#[test]
fn an_engine_that_gives_no_answer_is_a_problem() {
    let fixture = Fixture::new();
    fixture.block_on(async {
        let engine = Engine::builder(fixture.state()).unwrap().start().await.unwrap();
        let silent = UnixListener::bind(fixture.state().join("api.sock")).unwrap();
        std::fs::set_permissions(fixture.state().join("api.sock"), Permissions::from_mode(0o600))
            .unwrap();
        let said = fixture.run("doctor --quick");
        let finding =
            "socket       problem  the engine did not answer within 2 s: it is stopped or hung\n";
        assert!(said.contains(finding) && said.ends_with("\n1 problem\n--- exit 4\n"), "{said}");
        drop(silent);
        engine.close().await.unwrap();
    });
}

#[test]
fn permissions_that_let_others_in_are_told() {
    let fixture = Fixture::new();
    std::fs::set_permissions(fixture.state(), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(fixture.state().join("ledger.db"), Permissions::from_mode(0o644))
        .unwrap();
    let finding = "\
directory    note     <dir>/state is open to other users (mode 755)
                      what to do: the next engine makes it private; `chmod 700` does so now
files        note     ledger.db is open to other users (mode 644)
                      what to do: `chmod 700 <dir>/state && chmod -R go= <dir>/state`; that is safe while an engine runs";
    check(&fixture.run("doctor"), &report(&[(0, finding)], "\nnothing is wrong\n--- exit 0\n"));
}

#[test]
fn a_directory_of_another_user_is_a_problem() {
    // Only root may give a directory away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let fixture = Fixture::new();
    std::os::unix::fs::chown(fixture.state(), Some(12_345), None).unwrap();
    let finding = "\
owner        problem  <dir>/state belongs to user 12345, and this is user 0
                      what to do: run as that user; or give the directory away while no engine runs: `chown -R 0 <dir>/state`, as root";
    check(&fixture.run("doctor"), &beside(finding, "", "\n1 problem\n--- exit 4\n"));
}

#[test]
fn a_blob_that_is_missing_is_a_problem_with_what_to_do() {
    let fixture = Fixture::empty();
    fixture.block_on(async {
        let mut setup = Engine::builder(fixture.state()).unwrap();
        setup
            .register("large", |_| async { Ok(antiphon::Output::bytes(vec![b'.'; 100_000])) })
            .unwrap();
        let engine = setup.start().await.unwrap();
        let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
        let config =
            CoordinationConfig::of_work(vec![WorkSpec::function("one", "large").unwrap()], budget)
                .unwrap();
        let run = engine.submit(config).await.unwrap();
        run.wait().await.unwrap();
        engine.close().await.unwrap();
    });
    std::fs::remove_dir_all(fixture.state().join("blobs")).unwrap();
    let said = fixture.run("doctor");
    let finding =
        ": its file is missing; keep the ledger as it is for evidence, and restore a copy\n";
    assert!(said.contains("                      blob ") && said.contains(finding), "{said}");
    assert!(
        said.ends_with("what to do: see each finding; do not remove anything by hand\n\n1 problem\n--- exit 4\n"),
        "{said}"
    );
}

/// The processes right below one.
#[cfg(target_os = "linux")]
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("children")).unwrap()
    };
    tasks
        .map(of)
        .flat_map(|line| {
            line.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
        })
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_killed_engine_left_running_is_named_and_left_alone() {
    use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
    let fixture = Fixture::empty();
    let told = fixture.path("told");
    rustix::fs::mkfifoat(rustix::fs::CWD, &told, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .unwrap();
    let plan = "name: left\nbudget: { sessions: 2, duration: 5m }\nwork:\n  \
                one: { shell: 'echo $$ > told; exec sleep 600' }\n";
    std::fs::write(fixture.path("plan.yaml"), plan).unwrap();
    let mut engine = fixture
        .command("run plan.yaml --id left")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid: u32 = std::fs::read_to_string(&told).unwrap().trim().parse().unwrap();
    let said = fixture.run("doctor --quick");
    assert!(said.contains("socket       ok       the engine answers\n"), "{said}");
    assert!(said.contains("sessions     ok       1 session under the engine\n"), "{said}");

    // Stopped, neither a warden nor who would continue it can end what is below them when the engine
    // is gone.
    let subreapers = children(engine.id());
    let wardens = subreapers.iter().flat_map(|subreaper| children(*subreaper)).collect();
    let wardens: Vec<Pid> = [subreapers, wardens]
        .concat()
        .into_iter()
        .map(|pid| Pid::from_raw(pid.cast_signed()).unwrap())
        .collect();
    wardens.iter().for_each(|warden| kill_process(*warden, Signal::STOP).unwrap());
    engine.kill().unwrap();
    engine.wait().unwrap();
    let said = fixture.run("doctor --quick");
    assert!(
        said.contains("sessions     note     1 session left from an engine that was killed\n"),
        "{said}"
    );
    assert!(said.contains(&format!("pid {pid} (sleep)")), "{said}");
    assert!(said.contains("the next engine ends what is left before it starts anything"), "{said}");
    assert!(said.ends_with("\nnothing is wrong\n--- exit 0\n"), "{said}");

    let ends: Vec<_> =
        wardens.iter().filter_map(|warden| pidfd_open(*warden, PidfdFlags::empty()).ok()).collect();
    for warden in &wardens {
        kill_process(*warden, Signal::CONT).unwrap();
    }
    for end in &ends {
        rustix::event::poll(
            &mut [rustix::event::PollFd::new(end, rustix::event::PollFlags::IN)],
            None,
        )
        .unwrap();
    }
    let said = fixture.run("doctor --quick");
    assert!(
        said.contains("left.1 of user") && said.contains(": nothing of it is running\n"),
        "{said}"
    );

    // What is left of a session whose run has ended is cleared by `resume`, which says so.
    let (folder, aside) = (fixture.state().join("sessions/left.1"), fixture.path("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    fixture.succeeds("cancel left");
    std::fs::rename(&aside, &folder).unwrap();
    let nothing = "--- stderr\nthere are no unfinished runs in <dir>/state";
    assert_eq!(
        fixture.run("resume"),
        format!("{nothing}; what a crash had left of 1 session was cleared\n--- exit 0\n")
    );
    assert!(!folder.exists());
    assert_eq!(fixture.run("resume"), format!("{nothing}\n--- exit 0\n"));
}
