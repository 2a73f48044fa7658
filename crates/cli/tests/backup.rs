//! `antiphon backup` as its users see it.

#[cfg(target_os = "linux")]
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
#[cfg(target_os = "linux")]
use std::sync::mpsc::channel;

use crate::common::{Fixture, check, stable};
#[cfg(target_os = "linux")]
use crate::kernel::{Call, Kernel};
use antiphon::Engine;

/// Leaves a ledger with a blob that is a file.
#[cfg(target_os = "linux")]
fn large(fixture: &Fixture) {
    use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
    use antiphon::{Output, SessionContext};
    fixture.block_on(async {
        let mut setup = Engine::builder(fixture.state()).unwrap();
        setup
            .register(
                "large",
                |_: SessionContext| async move { Ok(Output::bytes(vec![b'.'; 100_000])) },
            )
            .unwrap();
        let engine = setup.start().await.unwrap();
        let budget = CoordinationBudget::new(10, 60_000, 1_000, None).unwrap();
        let config =
            CoordinationConfig::of_work(vec![WorkSpec::function("one", "large").unwrap()], budget)
                .unwrap();
        let run = engine.submit(config.with_id("large").unwrap()).await.unwrap();
        run.wait().await.unwrap();
        engine.close().await.unwrap();
    });
}

#[test]
fn a_backup_is_a_state_directory_that_every_command_goes_on_with() {
    let fixture = Fixture::new();
    let said = fixture.run("backup copy");
    let (first, rest) = said.split_once(" bytes, in ").unwrap();
    assert!(first.starts_with("18 events in <n> commits, "), "{said}");
    assert!(
        rest.ends_with(" s\ncheck it with: antiphon verify --dir copy\n--- exit 0\n"),
        "{said}"
    );
    check(&fixture.run("verify --dir copy"), &fixture.run("verify"));
    check(&fixture.run("list --dir copy"), &fixture.run("list"));
    assert!(fixture.run("doctor --dir copy").ends_with("\nnothing is wrong\n--- exit 0\n"));

    std::fs::write(fixture.path("receipt.json"), fixture.output("receipt export build").stdout)
        .unwrap();
    assert!(
        fixture.run("verify --dir copy --against receipt.json").ends_with("\nsound\n--- exit 0\n")
    );
    fixture.block_on(async {
        let engine = Engine::builder(fixture.path("copy")).unwrap().start().await.unwrap();
        engine.close().await.unwrap();
    });
    check(
        &fixture.run("log ledger --dir copy --type opened --limit 9").replace("epoch 2", "epoch 1"),
        &{
            let once = fixture.run("log ledger --type opened");
            let line = once.lines().next().unwrap().to_owned();
            format!("{line}\n{}\n--- exit 0\n", line.replacen('1', "3", 1))
        },
    );
}

#[test]
fn json_tells_what_the_backup_holds() {
    let fixture = Fixture::new();
    let output = fixture.output("backup copy --json");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let position = antiphon::ledger::Location::directory(fixture.path("copy")).position().unwrap();
    let size = |name: &str| fixture.path("copy").join(name).metadata().unwrap().len();
    let mut expected = serde_json::json!({
        "dir": "copy", "ledger": position.ledger.to_string(), "epoch": 1, "commits": position.commits.number.0,
        "head": position.commits.hash.to_string(), "events": 18, "blob_files": 0, "bytes": size("ledger.db") + size("head"),
    });
    expected["elapsed_ns"] = answer["elapsed_ns"].clone();
    assert_eq!(stable(answer), expected);
}

#[test]
fn places_that_cannot_be_used_are_told() {
    let fixture = Fixture::new();
    let taken = |name: &str| {
        format!(
            "--- stderr\nerror: {name} already exists and is not empty; name one that does not exist yet\n--- exit 2\n"
        )
    };
    check(&fixture.run("backup state"), &taken("state"));
    std::fs::write(fixture.path("file"), "mine").unwrap();
    check(&fixture.run("backup file"), &taken("file"));
    check(
        &fixture.run("backup state/copy"),
        "--- stderr\nerror: state/copy is inside the state directory <dir>/state; name a place outside of it\n--- exit 2\n",
    );
    let absent = fixture.run("backup absent/copy");
    assert!(
        absent.contains("No such file or directory")
            && absent.contains("its parent directory exists"),
        "{absent}"
    );
    assert!(absent.ends_with("--- exit 3\n"), "{absent}");
    let nothing = fixture.run("backup copy --dir elsewhere");
    assert!(
        nothing.contains("there is no state directory elsewhere")
            && nothing.ends_with("--- exit 3\n"),
        "{nothing}"
    );

    // Who may do everything is not kept out by permissions.
    if !rustix::process::geteuid().is_root() {
        std::fs::create_dir(fixture.path("read-only")).unwrap();
        std::fs::set_permissions(fixture.path("read-only"), std::fs::Permissions::from_mode(0o500))
            .unwrap();
        let refused = fixture.run("backup read-only/copy");
        assert!(
            refused.contains("Permission denied") && refused.ends_with("--- exit 3\n"),
            "{refused}"
        );
    }
}

/// The kernel holds the backup up where it is to name its head mark, with all else copied.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_backup_leaves_nothing_that_looks_like_one_and_the_next_one_clears_it_away() {
    let fixture = Fixture::empty();
    large(&fixture);
    let mut command = fixture.command("backup copy");
    command.stdout(Stdio::null());
    let (reached, has_reached) = channel();
    let (killed, is_killed) = channel::<()>();
    let kernel = Kernel::default();
    kernel.refuse(move |asked| {
        if asked.call == Call::Rename(Some("head".into())) {
            reached.send(()).ok()?;
            // Until the test has gone on, or has ended.
            is_killed.recv().ok()?;
        }
        None
    });
    let Some(mut child) = kernel.spawn(command).unwrap() else { return };
    has_reached.recv().unwrap();
    assert!(fixture.path("copy.unfinished/ledger.db").metadata().unwrap().len() > 0);
    let busy = fixture.run("backup copy");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(killed);

    check(
        &busy,
        "--- stderr\nerror: another process is making a backup in copy.unfinished; wait for it, or name another place\n--- exit 3\n",
    );
    assert!(!fixture.path("copy").exists());
    let unfinished = fixture.run("verify --dir copy.unfinished");
    assert!(!unfinished.contains("sound"), "{unfinished}");
    assert!(!fixture.path("copy.unfinished/head").exists());

    assert!(fixture.run("backup copy").ends_with("--- exit 0\n"));
    assert!(!fixture.path("copy.unfinished").exists());
    assert!(fixture.run("verify --dir copy").ends_with("\nsound\n--- exit 0\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_was_killed_goes_on_from_a_backup_made_in_its_middle() {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let fixture = Fixture::empty();
    for pipe in ["told", "go"] {
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            fixture.path(pipe),
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        )
        .unwrap();
    }
    let plan = "name: halves\nbudget: { sessions: 9, duration: 5m }\nwork:\n  \
                first: { shell: 'echo once >> first' }\n  \
                second: { shell: 'echo $$ > told; read line < go', needs: [first] }\n";
    std::fs::write(fixture.path("plan.yaml"), plan).unwrap();
    let mut run = fixture
        .command("run plan.yaml --id halves")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = std::fs::read_to_string(fixture.path("told")).unwrap().trim().parse().unwrap();
    let session = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
    let said = fixture.run("backup copy");
    run.kill().unwrap();
    run.wait().unwrap();
    // Its warden ends what it ran; the one that waits at the pipe is to be that of the copy.
    poll(&mut [PollFd::new(&session, PollFlags::IN)], None).unwrap();
    assert!(said.ends_with("--- exit 0\n"), "{said}");
    assert!(fixture.run("verify --dir copy").ends_with("\nsound\n--- exit 0\n"));
    assert!(!fixture.path("copy/sessions").exists() && !fixture.path("copy/api.sock").exists());

    let resumed = fixture
        .command("resume halves --dir copy")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_ne!(std::fs::read_to_string(fixture.path("told")).unwrap(), "");
    std::fs::write(fixture.path("go"), "on\n").unwrap();
    let ended = resumed.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(
        std::fs::read_to_string(fixture.path("first")).unwrap(),
        "once\n",
        "what had succeeded is not done again"
    );
    let log = fixture.run("log halves --dir copy --type session_unbound");
    assert!(log.contains("interrupted second (session 2) after <age>, starts again: "), "{log}");
    assert!(fixture.run("verify --dir copy").ends_with("\nsound\n--- exit 0\n"));
}
