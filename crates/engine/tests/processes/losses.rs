//! What happens when warden or engine are killed or stopped, from outside or by what they run.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use antiphon::process::{
    Cause, Containment, ExitStatus, Guard, Kept, Protection, StopReason, SweepVerdict, WardenSetup,
    sweep,
};
use tempfile::TempDir;

use crate::engine::{CANARY, hostile};
use crate::fixture::{Fixture, comes_about, eventually, marker, repetitions, within};
use crate::namespaces;
use crate::oracle::{Oracle, subreapers_of};
use crate::outputs::is_below;

fn unguarded() -> WardenSetup {
    WardenSetup {
        guard: Guard::Off,
        beat: Duration::from_millis(100),
        silence: Duration::from_millis(1_500),
        ..WardenSetup::default()
    }
}

/// An engine in a process of its own.
struct Engine {
    process: Child,
    directory: TempDir,
    marker: String,
}

impl Engine {
    fn start(guard: &str, words: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let marker = marker();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("engine")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = vec![directory.path().to_str().unwrap(), &marker, guard];
        lines.extend(words);
        process.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
        Self { process, directory, marker }
    }

    fn wait_until_it_runs(&mut self) {
        let mut line = String::new();
        BufReader::new(self.process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "runs\n");
    }

    fn folder(&self) -> std::path::PathBuf {
        self.directory.path().join("sessions/killed.1")
    }

    fn survivors(&self) -> Vec<String> {
        Oracle::of(&self.marker).with_folder(&self.folder()).survivors()
    }

    /// What a warden of the session has among its arguments.
    fn warden_mark(&self) -> String {
        let open = std::fs::read_to_string(self.folder().join("open")).unwrap_or_default();
        let value = open
            .split_once("\"value\":")
            .and_then(|(_, rest)| rest.split_once(',')?.0.parse::<u64>().ok());
        value.map_or_else(|| "nothing was written".to_owned(), |value| format!("{value:016x}"))
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn an_engine_killed_at_any_moment_leaves_nobody_after_the_next_start() {
    for mode in ["holdmulti", "holdmix", "holdrabbit", "ignoreterm"] {
        let mut verdicts = std::collections::BTreeMap::new();
        let mut took = Duration::ZERO;
        for round in 0..repetitions(5) {
            let mut engine = Engine::start("best", &[mode]);
            let began = Instant::now();
            // From before its first line to well into the session; every third waits for the
            // session.
            if round % 3 == 2 {
                engine.wait_until_it_runs();
            }
            let moment = Duration::from_micros((round as u64 * 2_713) % 30_000);
            while began.elapsed() < moment {
                std::thread::yield_now();
            }
            engine.kill();
            let began = Instant::now();
            let swept = sweep(engine.directory.path()).unwrap();
            took = took.max(began.elapsed());
            assert_eq!(engine.survivors(), Vec::<String>::new(), "{mode}");
            assert!(
                !Oracle::of(&engine.warden_mark())
                    .survivors()
                    .iter()
                    .any(|line| line.contains("antiphon-warden")),
                "{mode}"
            );
            for session in swept {
                assert!(session.is_clean() && session.leftovers.is_empty(), "{session:?}");
                *verdicts
                    .entry(format!("{:?}, end left: {}", session.verdict, session.end.is_some()))
                    .or_insert(0) += 1;
                if let Some(end) = session.end {
                    assert_eq!((end.cause, end.clean), (Cause::EngineLost, true));
                }
            }
        }
        println!("{mode}: longest sweep {took:?}, {verdicts:?}");
    }
}

#[test]
fn a_warden_whose_engine_was_killed_ends_the_session_by_itself() {
    let mut engine = Engine::start("best", &["holdmix"]);
    engine.wait_until_it_runs();
    engine.kill();
    eventually("the end that the warden leaves", || engine.folder().join("end").exists());
    assert_eq!(engine.survivors(), Vec::<String>::new());
}

#[test]
fn a_time_limit_holds_while_the_engine_is_stopped() {
    let mut engine = Engine::start("best", &["holdmulti", "limited"]);
    engine.wait_until_it_runs();
    let pid = rustix::process::Pid::from_child(&engine.process);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    eventually("the end", || engine.folder().join("end").exists());
    assert_eq!(engine.survivors(), Vec::<String>::new());
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    let mut said = String::new();
    BufReader::new(engine.process.stdout.as_mut().unwrap()).read_to_string(&mut said).unwrap();
    assert!(
        said.starts_with("TreeEnd { cause: TimedOut,") && said.contains("clean: true"),
        "{said}"
    );
    assert!(engine.process.wait().unwrap().success());
}

#[test]
fn an_end_that_the_warden_saw_is_told_to_the_next_start() {
    let mut engine = Engine::start("best", &["exit", "5"]);
    engine.wait_until_it_runs();
    eventually("the end", || engine.folder().join("end").exists());
    engine.kill();
    let swept = sweep(engine.directory.path()).unwrap();
    let [session] = swept.as_slice() else { panic!("{swept:?}") };
    let end = session.end.as_ref().unwrap();
    assert_eq!(session.verdict, SweepVerdict::Gone);
    assert!(end.ended_by_itself_and_clean());
    assert_eq!(end.status, Some(ExitStatus::Code(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cannot_signal_its_warden() {
    for (guard, protection) in
        [(Guard::Best, Protection::Landlock), (Guard::Seccomp, Protection::Seccomp)]
    {
        let fixture = Fixture::with(WardenSetup { guard, ..WardenSetup::default() });
        for mode in ["killwarden", "stopwarden", "killtwo"] {
            let mut launch = hostile(mode, &marker(), &[std::process::id().to_string()]);
            launch.time_limit = Some(Duration::from_millis(1_500));
            let ended = fixture.run(launch).await;
            if ended.end.protection == Protection::Seccomp && guard == Guard::Best {
                // A kernel whose Landlock has no scopes yet.
                continue;
            }
            assert_eq!(ended.end.protection, protection);
            assert_eq!(ended.folder.read(Kept::Stdout).unwrap(), b"refused", "{mode}");
            assert!(
                ended.end.clean && matches!(ended.end.cause, Cause::Exited | Cause::TimedOut),
                "{:?}",
                ended.end
            );
            assert_eq!(ended.survivors, Vec::<String>::new());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_warden_leaves_is_ended() {
    let fixture = Fixture::with(unguarded());
    for _ in 0..repetitions(5) {
        let ended = fixture.run(hostile("killwarden", &marker(), &[])).await;
        let end = ended.end;
        assert_eq!(
            (&end.cause, end.status, end.clean, end.containment),
            (&Cause::WardenLost, None, true, Containment::Subreaper)
        );
        assert!(end.killed >= 3, "{end:?}");
        assert_eq!(ended.survivors, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warden_that_was_stopped_is_continued() {
    let fixture = Fixture::with(unguarded());
    for _ in 0..repetitions(2) {
        let ended = fixture.run(hostile("stopwarden", &marker(), &[])).await;
        assert_eq!((&ended.end.cause, ended.end.clean), (&Cause::Exited, true), "{:?}", ended.end);
        assert_eq!(ended.survivors, Vec::<String>::new());
    }
}

#[test]
fn nobody_is_left_when_warden_and_engine_are_killed_by_their_session() {
    for _ in 0..repetitions(5) {
        let mut engine = Engine::start("off", &["killtwo", "{engine}"]);
        assert_eq!(engine.process.wait().unwrap().code(), None, "it was killed");
        eventually("the end of three daemons", || engine.survivors().is_empty());
        eventually("the end of who ended them", || {
            subreapers_of(engine.directory.path()).is_empty()
        });
        let swept = sweep(engine.directory.path()).unwrap();
        let [session] = swept.as_slice() else { panic!("{swept:?}") };
        assert_eq!((session.verdict, session.killed), (SweepVerdict::Gone, 0));
        // The warden may have been continued before it was killed.
        assert!(session.end.as_ref().is_none_or(|end| end.cause == Cause::EngineLost));
    }
}

#[test]
fn the_next_start_ends_what_is_left_when_all_that_watch_are_killed_by_their_session() {
    let mut longest = Duration::ZERO;
    for _ in 0..repetitions(5) {
        let mut engine = Engine::start("off", &["killthree", "{engine}"]);
        assert_eq!(engine.process.wait().unwrap().code(), None, "it was killed");
        eventually("three daemons alone", || engine.survivors().len() == 3);
        let began = Instant::now();
        let swept = sweep(engine.directory.path()).unwrap();
        longest = longest.max(began.elapsed());
        let [session] = swept.as_slice() else { panic!("{swept:?}") };
        assert_eq!((session.verdict, session.killed, &session.end), (SweepVerdict::Gone, 3, &None));
        assert_eq!(engine.survivors(), Vec::<String>::new());
    }
    println!("killthree: longest sweep {longest:?}");
}

#[test]
fn the_next_start_lets_a_stopped_warden_finish() {
    for _ in 0..repetitions(3) {
        let mut engine = Engine::start("off", &["stoptwo", "{engine}"]);
        engine.process.wait().unwrap();
        let swept = sweep(engine.directory.path()).unwrap();
        let [session] = swept.as_slice() else { panic!("{swept:?}") };
        assert_eq!((session.verdict, session.killed), (SweepVerdict::Gone, 0));
        assert_eq!(
            session.end.as_ref().map(|end| (&end.cause, end.clean)),
            Some((&Cause::EngineLost, true))
        );
        assert_eq!(engine.survivors(), Vec::<String>::new());
    }
}

#[test]
fn a_secret_is_nowhere_after_engine_and_session_were_killed() {
    for guard in ["best", "off"] {
        let mut engine = Engine::start(guard, &["printhold", "KEY"]);
        engine.wait_until_it_runs();
        let written = || {
            std::fs::read(engine.folder().join("stderr"))
                .is_ok_and(|bytes| bytes.ends_with(b"wrong\n"))
        };
        eventually("what it says", written);
        let open = std::fs::read_to_string(engine.folder().join("open")).unwrap();
        let scratch =
            open.split_once("\"scratch\":\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
        eventually("what it keeps", || is_below(Path::new(scratch), CANARY));
        if guard == "off" {
            // The warden as well, with what it still holds.
            let warden = open
                .split_once("\"warden\":{\"pid\":")
                .and_then(|(_, rest)| rest.split_once(','))
                .unwrap()
                .0;
            let warden = rustix::process::Pid::from_raw(warden.parse().unwrap()).unwrap();
            rustix::process::kill_process(warden, rustix::process::Signal::KILL).unwrap();
        }
        engine.kill();
        let swept = sweep(engine.directory.path()).unwrap();
        assert!(swept[0].is_clean());
        assert_eq!(engine.survivors(), Vec::<String>::new());
        assert!(
            !is_below(engine.directory.path(), CANARY)
                && !is_below(engine.directory.path(), "in-the-mine")
        );
        assert!(!Path::new(scratch).exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_not_complete_says_so_and_names_who_is_left() {
    // No time at all to end anything stands for processes that cannot be ended.
    let fixture =
        Fixture::with(WardenSetup { end_within: Duration::ZERO, ..WardenSetup::default() });
    let session = fixture.session();
    let mut running =
        fixture.wardens.launch(&session, hostile("keepout", &marker(), &[])).await.unwrap();
    let end = within(running.ended()).await;
    assert_eq!((&end.cause, end.clean, end.leftovers.len()), (&Cause::Exited, false, 1), "{end:?}");
    assert!(!end.ended_by_itself_and_clean());
    // Later they may be gone, and then the item may be tried again.
    let swept = fixture.wardens.sweep_again(&session).unwrap().unwrap();
    assert!(swept.is_clean(), "{swept:?}");
    fixture.wardens.forget(&session).unwrap();
    assert_eq!(fixture.wardens.sweep_again(&session).unwrap(), None);
}

/// An engine inside of a session, which has a session of its own.
async fn nested(fixture: &Fixture) -> (antiphon::process::RunningTree, TempDir, String) {
    let (directory, marker) = (tempfile::tempdir().unwrap(), marker());
    let mut launch = hostile("", "", &[]);
    launch.command.truncate(1);
    launch.command.push("engine".into());
    launch.stdin = Some(
        [directory.path().to_str().unwrap(), &marker, "best", "holdmulti"].join("\n").into_bytes(),
    );
    let running = fixture.wardens.launch(&fixture.session(), launch).await.unwrap();
    eventually("the session inside", || Oracle::of(&marker).survivors().len() >= 11);
    (running, directory, marker)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_takes_the_sessions_of_an_engine_inside_of_it_along() {
    let fixture = Fixture::with(unguarded());
    let (mut running, _directory, marker) = nested(&fixture).await;
    running.stop(StopReason::Cancelled);
    let end = within(running.ended()).await;
    assert_eq!(
        (end.cause, end.clean, end.containment),
        (Cause::Cancelled, true, Containment::Warden)
    );
    assert_eq!(Oracle::of(&marker).survivors(), Vec::<String>::new());

    let (mut running, _directory, marker) = nested(&fixture).await;
    let warden = rustix::process::Pid::from_raw(running.warden().unwrap().pid).unwrap();
    rustix::process::kill_process(warden, rustix::process::Signal::KILL).unwrap();
    let end = within(running.ended()).await;
    assert_eq!(
        (end.cause, end.clean, end.containment),
        (Cause::WardenLost, true, Containment::Subreaper)
    );
    assert_eq!(Oracle::of(&marker).survivors(), Vec::<String>::new());
}

/// A process that looks like a session's and is none.
struct Decoy(Child, String);

impl Decoy {
    fn start(environment: &[(&str, &str)]) -> Self {
        let marker = marker();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["hostile", "hold", &marker])
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        Self(process, marker)
    }

    fn is_untouched(&self) -> bool {
        let survivors = Oracle::of(&self.1).survivors();
        survivors.len() == 1 && !survivors[0].contains(" T ")
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// When a process started, in the clock ticks of its record.
fn start_of(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap()
}

#[test]
fn processes_that_are_not_the_sessions_are_not_touched() {
    let mut engine = Engine::start("off", &["killthree", "{engine}"]);
    engine.process.wait().unwrap();
    eventually("three daemons alone", || engine.survivors().len() == 3);
    let open = std::fs::read_to_string(engine.folder().join("open")).unwrap();
    let decoys = [Decoy::start(&[]), Decoy::start(&[("ANTIPHON_TREE", "4000000000000000")])];
    // Other sessions are written down: one whose program's id belongs to somebody else by now, who
    // started at another time, and one whose record names somebody else's processes outright.
    let reused = decoys[0].0.id();
    let start = start_of(reused);
    let mark = u64::from_str_radix(&engine.warden_mark(), 16).unwrap();
    for (name, warden, agent) in [("forged.1", 1, 2), ("forged.2", start, start)] {
        let forged: Vec<String> = open
            .lines()
            .map(|line| match line.starts_with("{\"warden\"") {
                true => format!("{{\"warden\":{{\"pid\":{reused},\"start\":{warden}}},\"agent\":{{\"pid\":{reused},\"start\":{agent}}}}}\n"),
                false => format!(
                    "{}\n",
                    line.replace("killed.1", name).replace(&mark.to_string(), &(mark ^ 1 << 40).to_string())
                ),
            })
            .collect();
        let folder = engine.directory.path().join("sessions").join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("open"), forged.concat()).unwrap();
    }
    let swept = sweep(engine.directory.path()).unwrap();
    let told: Vec<_> = swept
        .iter()
        .map(|swept| (swept.session.to_string(), swept.verdict, swept.killed))
        .collect();
    assert_eq!(
        told,
        [
            ("forged.1".to_owned(), SweepVerdict::Gone, 0),
            ("forged.2".to_owned(), SweepVerdict::Gone, 0),
            ("killed.1".to_owned(), SweepVerdict::Gone, 3)
        ]
    );
    assert_eq!(engine.survivors(), Vec::<String>::new());
    assert!(decoys.iter().all(Decoy::is_untouched));
}

#[test]
fn another_boot_has_nothing_alive_and_another_namespace_is_not_guessed_at() {
    let mut engine = Engine::start("best", &["hold"]);
    engine.wait_until_it_runs();
    engine.kill();
    eventually("the end that the warden leaves", || engine.folder().join("end").exists());
    let path = engine.folder().join("open");
    let open = std::fs::read_to_string(&path).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let verdict_on = |changed: String| {
        std::fs::write(&path, changed).unwrap();
        sweep(engine.directory.path()).map(|swept| swept[0].verdict)
    };
    let unsupported = open.replace("\"namespace\":", "\"namespace\":9");
    assert_eq!(verdict_on(unsupported.clone()).unwrap(), SweepVerdict::Gone, "its warden says so");
    std::fs::remove_file(engine.folder().join("end")).unwrap();
    let unseen = match namespaces::sees_all() {
        true => SweepVerdict::Gone,
        false => SweepVerdict::CannotVerify,
    };
    assert_eq!(verdict_on(unsupported).unwrap(), unseen);
    let first_line = open.lines().next().unwrap().replace("\"namespace\":", "\"namespace\":9");
    assert_eq!(
        verdict_on(first_line + "\n").unwrap(),
        SweepVerdict::NeverRan,
        "its gate was never opened"
    );
    let namesake = open.replace("\"init_start\":", "\"init_start\":9");
    assert_eq!(
        verdict_on(namesake).unwrap(),
        SweepVerdict::NamespaceGone,
        "its number belongs to another one"
    );
    assert_eq!(
        verdict_on(open.replace(boot.trim(), "another-boot")).unwrap(),
        SweepVerdict::EarlierBoot
    );
    let foreign = verdict_on(open.replace("\"tattoo\"", "\"brand\"")).unwrap_err();
    assert_eq!(foreign.kind(), std::io::ErrorKind::InvalidData, "{foreign}");
    // A first line that was torn was never synced, so nothing came after it.
    std::fs::write(&path, &open[..open.len() / 4]).unwrap();
    assert_eq!(sweep(engine.directory.path()).unwrap(), []);
    assert!(!engine.folder().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_warden_disturbs_no_other_session() {
    let fixture = Fixture::with(unguarded());
    let mut others = Vec::new();
    for _ in 0..5 {
        let marker = marker();
        others.push((
            fixture
                .wardens
                .launch(&fixture.session(), hostile("hold", &marker, &[]))
                .await
                .unwrap(),
            marker,
        ));
    }
    let ended = fixture.run(hostile("killwarden", &marker(), &[])).await;
    assert_eq!((ended.end.cause, ended.survivors), (Cause::WardenLost, Vec::new()));
    for (running, marker) in &mut others {
        assert_eq!(Oracle::of(marker).survivors().len(), 1);
        running.stop(StopReason::TimedOut);
        let end = within(running.ended()).await;
        assert_eq!(
            (end.cause, end.clean, end.containment),
            (Cause::TimedOut, true, Containment::Warden)
        );
    }
}

#[tokio::test]
async fn a_session_that_nobody_holds_any_more_is_ended() {
    let fixture = Fixture::new();
    let (session, marker) = (fixture.session(), marker());
    let running =
        fixture.wardens.launch(&session, hostile("holdmulti", &marker, &[])).await.unwrap();
    drop(running);
    let end = fixture.directory.path().join("sessions").join(session.to_string()).join("end");
    comes_about(|| end.exists()).await;
    assert_eq!(Oracle::of(&marker).survivors(), Vec::<String>::new());
}

#[test]
fn a_program_that_did_not_enter_is_refused_and_not_run_again() {
    let output = Command::new(std::env::current_exe().unwrap()).arg("stranger").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("this program cannot run sessions as processes"), "{said}");
}
