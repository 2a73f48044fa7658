//! Every way of getting away that we know, over and over: a session that ended clean has left
//! nobody.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use antiphon::process::{Cause, Containment, ExitStatus, StopReason};

use crate::engine::hostile;
use crate::fixture::{Fixture, eventually, marker, repetitions, within};
use crate::hostile::LIFE_VARIABLE;
use crate::oracle::Oracle;

/// Programs that end by themselves, with code 0, and leave what they started.
const LEAVERS: &[&str] = &[
    "plain",
    "daemon",
    "keepout",
    "cleanenv",
    "nodump",
    "zleader",
    "stopped",
    "clone0",
    "cloneparent",
    "ptrace",
    "vfork",
    "multi",
    "subreaper",
    "pidns",
    "latefork",
    "rabbit",
    "rabbitsid",
    "rabbit4",
    "guard",
    "hydra",
];
/// Programs that stay until they are killed.
const STAYERS: &[&str] = &[
    "bomb",
    "hold",
    "holdmulti",
    "holdmix",
    "holdrabbit",
    "ignoreterm",
    "stoppedmain",
    "zleadermain",
    "termdaemon",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_takes_everybody_along() {
    let fixture = Fixture::new();
    let times = repetitions(4);
    for mode in LEAVERS {
        let mut took = Vec::new();
        for _ in 0..times {
            let began = Instant::now();
            let ended = fixture.run(hostile(mode, &marker(), &[])).await;
            took.push(began.elapsed());
            let end = ended.end;
            let seen = (&end.cause, end.status, end.clean, end.containment, &ended.survivors);
            let expected =
                (&Cause::Exited, Some(ExitStatus::Code(0)), true, Containment::Warden, &Vec::new());
            assert_eq!(seen, expected, "{mode}: {end:?}");
            assert_eq!(end.killed > 0, *mode != "plain", "it did leave somebody: {mode}: {end:?}");
        }
        report(mode, took);
    }
}

/// Without a warden they do get away, and are seen: what the other tests find is not found for want
/// of looking.
#[test]
fn whoever_leaves_escapes_from_a_process_group_and_is_seen() {
    for mode in
        ["daemon", "keepout", "cleanenv", "nodump", "ptrace", "vfork", "multi", "latefork", "guard"]
    {
        let marker = marker();
        let mut program = Command::new(std::env::current_exe().unwrap())
            .args(["hostile", mode, &marker])
            .env(LIFE_VARIABLE, "1500")
            .process_group(0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let group = rustix::process::Pid::from_child(&program);
        program.wait().unwrap();
        // Nobody may be left in it.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let oracle = Oracle::of(&marker);
        eventually(mode, || !oracle.survivors().is_empty());
        eventually("the end of the control", || {
            let survivors = oracle.survivors();
            for pid in
                survivors.iter().filter_map(|survivor| survivor.split(' ').next()?.parse().ok())
            {
                let _ = rustix::process::kill_process(
                    rustix::process::Pid::from_raw(pid).unwrap(),
                    rustix::process::Signal::KILL,
                );
            }
            survivors.is_empty()
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stays_is_ended_with_everybody() {
    let fixture = Fixture::new();
    let times = repetitions(3);
    for mode in STAYERS {
        let mut took = Vec::new();
        for round in 0..times {
            let (session, marker) = (fixture.session(), marker());
            let mut launch = hostile(mode, &marker, &[]);
            launch.grace = Duration::from_millis(10);
            let mut running = fixture.wardens.launch(&session, launch).await.unwrap();
            // From "not even begun" to "everything is up".
            tokio::time::timeout(Duration::from_millis(round as u64 * 7 % 60), running.ended())
                .await
                .unwrap_err();
            running.stop(StopReason::Cancelled);
            let began = Instant::now();
            let end = within(running.ended()).await;
            took.push(began.elapsed());
            let survivors = Oracle::of(&marker)
                .with_folder(&fixture.directory.path().join("sessions").join(session.to_string()))
                .survivors();
            let seen = (&end.cause, end.clean, end.containment, &survivors);
            assert_eq!(
                seen,
                (&Cause::Cancelled, true, Containment::Warden, &Vec::new()),
                "{mode}: {end:?}"
            );
            fixture.wardens.forget(&session).unwrap();
        }
        report(mode, took);
    }
}

/// Figures for whoever runs it by hand.
fn report(mode: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: usize| {
        took.get(took.len() * share / 100).or(took.last()).copied().unwrap_or_default()
    };
    println!(
        "{mode}: {} runs, 0 survivors, median {:?}, p95 {:?}, max {:?}",
        took.len(),
        at(50),
        at(95),
        at(100)
    );
}
