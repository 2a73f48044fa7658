//! How a session ends: codes, signals, start failures, stops.

use std::sync::Arc;
use std::time::Duration;

use antiphon::process::{
    Captured, Cause, Containment, ExitStatus, Kept, Launch, Protection, ResultFile, StopReason,
    TreeEnd, WardenProgram, WardenSetup,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::engine::hostile;
use crate::fixture::{Fixture, comes_about, marker, within};

#[tokio::test]
async fn a_program_that_ends_by_itself_is_reported_whole() {
    let fixture = Fixture::new();
    let ended = fixture.run(Launch::new(["sh", "-c", "echo out; echo err >&2; exit 3"], "/")).await;
    let expected = TreeEnd {
        cause: Cause::Exited,
        status: Some(ExitStatus::Code(3)),
        clean: true,
        containment: Containment::Warden,
        protection: ended.end.protection,
        killed: 0,
        leftovers: Vec::new(),
        stdout: Captured { kept: 4, seen: 4, cut: false, tail: 0 },
        stderr: Captured { kept: 4, seen: 4, cut: false, tail: 0 },
        check: None,
        result: ResultFile::Absent,
        used: ended.end.used,
    };
    assert_eq!(ended.end, expected);
    assert_ne!(ended.end.protection, Protection::None);
    assert_eq!(ended.folder.read(Kept::Stdout).unwrap(), b"out\n");
    assert_eq!(ended.folder.read(Kept::Stderr).unwrap(), b"err\n");
}

#[tokio::test]
async fn a_daemon_that_keeps_the_output_is_ended_with_its_session() {
    let fixture = Fixture::new();
    let ended = fixture.run(hostile("keepout", &marker(), &[])).await;
    assert_eq!(ended.survivors, Vec::<String>::new());
    assert_eq!(
        (ended.end.cause, ended.end.status, ended.end.clean),
        (Cause::Exited, Some(ExitStatus::Code(0)), true)
    );
    assert_eq!(ended.end.killed, 1);
}

#[tokio::test]
async fn a_session_that_ignores_the_request_to_stop_is_killed_after_its_grace() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let mut running =
        fixture.wardens.launch(&session, hostile("ignoreterm", &marker(), &[])).await.unwrap();
    let ignores =
        || fixture.wardens.folder(&session).read(Kept::Stdout).is_ok_and(|said| !said.is_empty());
    comes_about(ignores).await;
    running.stop(StopReason::Cancelled);
    let end = within(running.ended()).await;
    let killed = ExitStatus::Signal { signal: 9, core: false };
    assert_eq!(
        (end.cause, end.status, end.clean, end.killed),
        (Cause::Cancelled, Some(killed), true, 1)
    );
}

/// Runs a mode with each number, some at a time, and gives how each ended.
async fn statuses(
    mode: &'static str,
    numbers: impl IntoIterator<Item = i32>,
) -> Vec<(i32, Cause, Option<ExitStatus>)> {
    let fixture = Arc::new(Fixture::new());
    let slots = Arc::new(Semaphore::new(8));
    let mut sessions = JoinSet::new();
    for number in numbers {
        let (fixture, slots) = (Arc::clone(&fixture), Arc::clone(&slots));
        sessions.spawn(async move {
            let _slot = slots.acquire().await.unwrap();
            let end = fixture.run(hostile(mode, &marker(), &[number.to_string()])).await.end;
            (number, end.cause, end.status)
        });
    }
    let mut ended = sessions.join_all().await;
    ended.sort_by_key(|(number, ..)| *number);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn every_exit_code_is_told() {
    let expected: Vec<_> =
        (0..=255).map(|code| (code, Cause::Exited, Some(ExitStatus::Code(code)))).collect();
    assert_eq!(statuses("exit", 0..=255).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_signal_is_told_apart_from_every_exit_code() {
    let fatal: Vec<i32> = (1..=64)
        .filter(|signal| ![17, 18, 19, 20, 21, 22, 23, 28, 32, 33].contains(signal))
        .collect();
    let expected: Vec<_> = fatal
        .iter()
        .map(|&signal| (signal, Cause::Exited, Some(ExitStatus::Signal { signal, core: false })))
        .collect();
    assert_eq!(statuses("sig", fatal).await, expected);
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_told_apart_from_one_that_ends_with_127() {
    let fixture = Fixture::new();
    let cases = [
        (
            vec!["no-such-program"],
            "/",
            2,
            "cannot start \"no-such-program\": No such file or directory (os error 2)",
        ),
        (
            vec!["/etc/passwd"],
            "/",
            13,
            "cannot start \"/etc/passwd\": Permission denied (os error 13)",
        ),
        (
            vec!["true"],
            "/no/such",
            2,
            "cannot enter the directory /no/such: No such file or directory (os error 2)",
        ),
    ];
    for (command, directory, errno, text) in cases {
        let end = fixture.run(Launch::new(command, directory)).await.end;
        let Cause::NotStarted(failure) = end.cause else { panic!("{:?}", end.cause) };
        assert_eq!(
            (failure.errno, failure.text.as_str(), end.status, end.clean),
            (errno, text, None, true)
        );
    }
    let end = fixture.run(hostile("exit", &marker(), &["127".to_owned()])).await.end;
    assert_eq!((end.cause, end.status), (Cause::Exited, Some(ExitStatus::Code(127))));
}

#[tokio::test]
async fn a_stopped_program_hears_the_request_to_stop() {
    let fixture = Fixture::new();
    let mut launch = hostile("stoppedmain", &marker(), &[]);
    launch.time_limit = Some(Duration::from_millis(100));
    launch.grace = Duration::from_secs(20);
    let end = fixture.run(launch).await.end;
    assert_eq!(
        (end.cause, end.status),
        (Cause::TimedOut, Some(ExitStatus::Signal { signal: 15, core: false }))
    );
}

#[tokio::test]
async fn a_program_that_ends_well_within_its_grace_keeps_its_code() {
    let fixture = Fixture::new();
    let mut launch = hostile("termdaemon", &marker(), &[]);
    launch.time_limit = Some(Duration::from_secs(1));
    launch.grace = Duration::from_secs(20);
    let ended = fixture.run(launch).await;
    assert_eq!(
        (ended.end.cause, ended.end.status, ended.end.killed),
        (Cause::TimedOut, Some(ExitStatus::Code(7)), 1)
    );
    assert_eq!(ended.survivors, Vec::<String>::new());
}

#[tokio::test]
async fn a_session_that_is_written_down_is_not_started_again() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let mut running =
        fixture.wardens.launch(&session, hostile("plain", &marker(), &[])).await.unwrap();
    within(running.ended()).await;
    let again =
        fixture.wardens.launch(&session, hostile("plain", &marker(), &[])).await.unwrap_err();
    assert_eq!(
        again.to_string(),
        format!(
            "session {session} is still in the sessions folder; sweep and record its end before it \
            is started again"
        )
    );
    fixture.wardens.forget(&session).unwrap();
    let mut running =
        fixture.wardens.launch(&session, hostile("plain", &marker(), &[])).await.unwrap();
    assert!(within(running.ended()).await.ended_by_itself_and_clean());
}

#[tokio::test]
async fn what_is_not_a_warden_is_refused_and_leaves_nothing() {
    let fixture = Fixture::with(WardenSetup {
        program: WardenProgram::At("/bin/true".into()),
        ..WardenSetup::default()
    });
    let session = fixture.session();
    let refused =
        fixture.wardens.launch(&session, hostile("plain", &marker(), &[])).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("session {session}: cannot start its subreaper: the subreaper ended")
    );
    assert!(fixture.wardens.sweep().unwrap().is_empty());
}

#[tokio::test]
async fn a_warden_that_has_threads_already_is_refused_and_says_what_to_do() {
    let fixture = Fixture::new();
    let refused = fixture
        .wardens
        .launch(&"late.1".parse().unwrap(), hostile("plain", &marker(), &[]))
        .await
        .unwrap_err();
    let expected = "session late.1: the warden could not prepare it: antiphon::process::enter() was called after a thread was started; \
                    call it first in main, outside of any runtime";
    assert_eq!(refused.to_string(), expected);
    assert!(fixture.wardens.sweep().unwrap().is_empty());
}
