//! What a lost warden leaves comes to the subreaper, whatever it did to hide; and nobody else's
//! children do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use antiphon::process::{Cause, Containment, Guard, StopReason, WardenSetup};
use tempfile::TempDir;

use crate::engine::hostile;
use crate::fixture::{Fixture, comes_about, eventually, marker, repetitions, within};
use crate::hostile::{LIFE_VARIABLE, parent_of};
use crate::namespaces::in_another_namespace;
use crate::oracle::{Oracle, subreapers_of};

fn unguarded() -> WardenSetup {
    WardenSetup { guard: Guard::Off, ..WardenSetup::default() }
}

fn end(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Ends those of a test that nobody else does.
fn end_all(oracle: &Oracle) {
    for survivor in oracle.survivors() {
        end(survivor.split(' ').next().unwrap().parse().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sheds_everything_and_kills_its_warden_is_ended_and_told() {
    let fixture = Fixture::with(unguarded());
    for _ in 0..repetitions(5) {
        let shed = marker();
        let ended = fixture.run(hostile("shedkill", &marker(), std::slice::from_ref(&shed))).await;
        let end = ended.end;
        assert_eq!(
            (&end.cause, end.status, end.clean, end.containment),
            (&Cause::WardenLost, None, true, Containment::Subreaper),
            "{end:?}"
        );
        assert!(end.killed >= 1, "{end:?}");
        assert_eq!(ended.survivors, Vec::<String>::new());
        assert_eq!(Oracle::of(&shed).survivors(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sheds_everything_goes_with_its_session() {
    let fixture = Fixture::new();
    let (shed, session) = (marker(), fixture.session());
    let launch = hostile("shed", &marker(), std::slice::from_ref(&shed));
    let mut running = fixture.wardens.launch(&session, launch).await.unwrap();
    comes_about(|| !Oracle::of(&shed).survivors().is_empty()).await;
    running.stop(StopReason::Cancelled);
    let end = within(running.ended()).await;
    assert_eq!((end.clean, end.containment), (true, Containment::Warden));
    assert_eq!(Oracle::of(&shed).survivors(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_can_prove_is_not_clean() {
    let fixture = Fixture::with(unguarded());
    for _ in 0..repetitions(3) {
        let (shed, session) = (marker(), fixture.session());
        let launch = hostile("shedkilltwo", &marker(), std::slice::from_ref(&shed));
        let mut running = fixture.wardens.launch(&session, launch).await.unwrap();
        let end = within(running.ended()).await;
        assert_eq!(
            (&end.cause, end.clean, end.containment),
            (&Cause::WardenLost, false, Containment::BestEffort),
            "{end:?}"
        );
        // What carries no mark any more is not seen without a subreaper, as the end says.
        assert_eq!(Oracle::of(&shed).survivors().len(), 1);
        end_all(&Oracle::of(&shed));
        // By the marks alone nothing is left, and then its item goes on.
        let swept = fixture.wardens.sweep_again(&session).unwrap().unwrap();
        assert!(swept.is_clean(), "{swept:?}");
        fixture.wardens.forget(&session).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_go_on_where_the_subreaper_was_killed_and_new_ones_have_another() {
    let fixture = Fixture::new();
    let hold = marker();
    let mut running =
        fixture.wardens.launch(&fixture.session(), hostile("hold", &hold, &[])).await.unwrap();
    let first = parent_of(running.warden().unwrap().pid);
    end(first);
    let ended = fixture.run(hostile("keepout", &marker(), &[])).await;
    assert_eq!((ended.end.clean, ended.end.containment), (true, Containment::Warden));
    assert_eq!(ended.survivors, Vec::<String>::new());
    assert_eq!(subreapers_of(fixture.directory.path()).len(), 1);
    assert_eq!(Oracle::of(&hold).survivors().len(), 1);
    running.stop(StopReason::Cancelled);
    let end = within(running.ended()).await;
    assert_eq!((end.clean, end.containment), (true, Containment::Warden));
    assert_eq!(Oracle::of(&hold).survivors(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subreaper_that_was_stopped_is_continued() {
    let fixture = Fixture::new();
    let mut running =
        fixture.wardens.launch(&fixture.session(), hostile("hold", &marker(), &[])).await.unwrap();
    let subreaper = rustix::process::Pid::from_raw(parent_of(running.warden().unwrap().pid));
    rustix::process::kill_process(subreaper.unwrap(), rustix::process::Signal::STOP).unwrap();
    let ended = fixture.run(hostile("plain", &marker(), &[])).await;
    assert!(ended.end.ended_by_itself_and_clean(), "{:?}", ended.end);
    running.stop(StopReason::Cancelled);
    assert!(within(running.ended()).await.clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_behind_when_the_last_session_is_gone() {
    let fixture = Fixture::new();
    let ended = fixture.run(hostile("plain", &marker(), &[])).await;
    assert!(ended.end.clean);
    let Fixture { directory, wardens, .. } = fixture;
    assert_eq!(subreapers_of(directory.path()).len(), 1);
    drop(wardens);
    eventually("its end", || subreapers_of(directory.path()).is_empty());
}

/// The children of a program that embeds the engine are its own, also while wardens are lost.
#[tokio::test(flavor = "multi_thread")]
async fn children_of_a_program_that_embeds_the_engine_are_neither_touched_nor_reaped() {
    let fixture = Fixture::with(unguarded());
    let (held, orphan) = (marker(), marker());
    let bystander = |mode: &str, marker: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["hostile", mode, marker]);
        command.spawn().unwrap()
    };
    let mut ended = Command::new("/bin/sh").args(["-c", "exit 3"]).spawn().unwrap();
    let (mut holds, mut leaves) = (bystander("hold", &held), bystander("daemon", &orphan));
    for _ in 0..2 {
        let lost = fixture.run(hostile("killwarden", &marker(), &[])).await;
        assert_eq!((lost.end.cause, lost.survivors), (Cause::WardenLost, Vec::<String>::new()));
    }
    assert_eq!(Oracle::of(&held).survivors().len(), 1);
    assert_eq!(Oracle::of(&orphan).survivors().len(), 1, "its child's orphan is nobody's session");
    assert_eq!(ended.wait().unwrap().code(), Some(3), "nobody else has waited for it");
    assert_eq!(leaves.wait().unwrap().code(), Some(0));
    holds.kill().unwrap();
    assert_eq!(holds.wait().unwrap().signal(), Some(9));
    end_all(&Oracle::of(&orphan));
}

/// Runs an engine whose session kills its warden, with two beside that were there before it; what it
/// says, and how many of the two still live.
fn beside(mut engine: Command, directory: &TempDir, before: &str) -> (String, usize) {
    let mut engine = engine.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let bystanders = Oracle::of(&format!("hostile hold {before}"));
    eventually("two beside", || bystanders.survivors().len() == 2);
    let shed = marker();
    // The end of a container's first process would be theirs as well.
    let lines = [directory.path().to_str().unwrap(), &marker(), "off", "shedkill", &shed, "stay"];
    engine.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let mut says = BufReader::new(engine.stdout.take().unwrap());
    let mut said = String::new();
    says.read_line(&mut said).unwrap();
    assert_eq!(said, "runs\n");
    says.read_line(&mut said).unwrap();
    let beside = bystanders.survivors().len();
    assert_eq!(Oracle::of(&shed).survivors(), Vec::<String>::new());
    end_all(&bystanders);
    engine.kill().unwrap();
    engine.wait().unwrap();
    (said, beside)
}

fn ended_by_the_subreaper(said: &str) -> bool {
    said.contains("cause: WardenLost") && said.contains("clean: true, containment: Subreaper")
}

/// A shell starts somebody in the background and then becomes the engine, whose child that is.
const BECOMES: &str = r#""$0" hostile hold "$1" & ( "$0" hostile hold "$1" & ); exec "$0" engine"#;

#[test]
fn children_that_a_shell_had_before_it_became_the_engine_are_not_touched() {
    let (directory, before) = (tempfile::tempdir().unwrap(), marker());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", BECOMES]).arg(std::env::current_exe().unwrap()).arg(&before);
    shell.env(LIFE_VARIABLE, "60000");
    let (said, beside) = beside(shell, &directory, &before);
    assert!(ended_by_the_subreaper(&said), "{said}");
    assert_eq!(beside, 2);
}

#[test]
fn children_of_the_first_process_of_a_container_are_not_touched() {
    let Some(mut first) = in_another_namespace(BECOMES) else { return };
    let (directory, before) = (tempfile::tempdir().unwrap(), marker());
    first.arg(&before).env(LIFE_VARIABLE, "60000");
    let (said, beside) = beside(first, &directory, &before);
    assert!(ended_by_the_subreaper(&said), "{said}");
    assert_eq!(beside, 2);
}
