//! Sessions of another process namespace, such as a container: ended where they can be seen, told
//! where they cannot.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use antiphon::Submission;

use antiphon::Engine;
use antiphon::coordination::Blocked;
use antiphon::id::CoordinationId;
use antiphon::plan::{Environment, parse};
use antiphon::process::{OrphanPlace, OrphanState, SweepVerdict, WardenSetup, orphans, sweep};
use tempfile::TempDir;

use crate::fixture::{eventually, marker};
use crate::oracle::{Oracle, subreapers_of};

/// One item, which waits where it runs first.
const PLAN: &str = r#"
name: held
budget: { sessions: 10, duration: 10m }
runners: { sh: { command: [/bin/sh, -c, "{{script}}"], env: { PATH: /usr/bin:/bin } } }
work: { build: { runner: sh, script: "test -e again && exit 0; echo > up; sleep 1000" } }
"#;

/// What is said about a session that cannot be seen.
const UNSEEN: &str = "possibly processes in the container or other process namespace where it was started, which \
     cannot be seen from here; once you have made sure that this container is gone, remove the \
     folder sessions/held.1 of the state directory";

/// An engine that begins, an engine that continues, or a sweep, in a process of its own.
pub(crate) fn run(words: &[&str]) {
    let directory = Path::new(words[1]);
    if words[0] == "sweep" {
        let swept = sweep(directory).unwrap();
        return println!(
            "{:?}",
            swept.iter().map(|swept| (swept.verdict, swept.killed)).collect::<Vec<_>>()
        );
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let mut setup = Engine::builder(directory.join("state")).unwrap();
            setup.run_processes(WardenSetup::default()).unwrap();
            let engine = setup.start().await.unwrap();
            let id = CoordinationId::new("held").unwrap();
            if words[0] == "begin" {
                let compiled = parse(PLAN, &directory.join("plan.yaml"))
                    .unwrap()
                    .compile(&Environment::Of([].into()))
                    .unwrap();
                engine
                    .submit(
                        Submission::new(compiled.config.with_id("held").unwrap())
                            .with_inputs(compiled.blobs),
                    )
                    .await
                    .unwrap();
            } else {
                let held = async {
                    loop {
                        match engine.run(&id).unwrap().why("build").await.unwrap().as_slice() {
                            [held @ Blocked::AwaitingCleanup { left, .. }] if !left.is_empty() => {
                                break held.to_string();
                            }
                            _ => drop(
                                tokio::time::timeout(
                                    Duration::from_millis(5),
                                    std::future::pending::<()>(),
                                )
                                .await,
                            ),
                        }
                    }
                };
                println!("{}", held.await);
                println!("{:?}", unseen(&directory.join("state")));
                let _ = std::io::stdout().flush();
            }
            let ended = engine.run(&id).unwrap().wait().await.unwrap();
            println!("{}", ended.verdict);
            engine.close().await.unwrap();
        });
}

/// What may be left of each session where nothing of it can be seen.
fn unseen(state: &Path) -> Vec<Option<String>> {
    let place = |known| match known {
        OrphanState::Begun { place: OrphanPlace::Hidden(left), .. } => Some(left),
        _ => None,
    };
    orphans(state).unwrap().into_iter().map(|orphans| place(orphans.known)).collect()
}

/// This program in a process namespace of its own, below a shell; `None` where that is not
/// permitted.
pub(crate) fn in_another_namespace(script: &str) -> Option<Command> {
    let shells = [&["--user", "--map-root-user"][..], &[]].map(|user| {
        let mut command = Command::new("unshare");
        command.args(user).args([
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "/bin/sh",
            "-c",
        ]);
        command
    });
    let permitted = |command: &mut Command| {
        let mut trial = Command::new(command.get_program());
        trial.args(command.get_args()).arg("exit 0").stderr(Stdio::null());
        trial.status().is_ok_and(|status| status.success())
    };
    let Some(mut command) =
        shells.into_iter().find_map(|mut command| permitted(&mut command).then_some(command))
    else {
        println!("skipped: no process namespace can be made here");
        return None;
    };
    command
        .arg(script)
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Some(command)
}

/// Whether this process sees every other one of the machine.
pub(crate) fn sees_all() -> bool {
    std::fs::metadata("/proc/self/ns/pid").unwrap().ino() == 0xEFFF_FFFC
}

fn line(process: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    process.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// An engine in a namespace of its own, whose session has begun; the namespace is there as long as
/// this.
struct Container {
    namespace: Child,
    directory: TempDir,
    marker: String,
}

impl Container {
    fn start(guard: &str, mode: &str) -> Option<Self> {
        let (directory, marker) = (tempfile::tempdir().unwrap(), marker());
        let mut namespace =
            in_another_namespace(r#""$0" engine; exec sleep 1000"#)?.spawn().unwrap();
        let lines = [directory.path().to_str().unwrap(), &marker, guard, mode, "{engine}"];
        namespace.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
        assert_eq!(line(&mut BufReader::new(namespace.stdout.take().unwrap())), "runs");
        Some(Self { namespace, directory, marker })
    }

    fn survivors(&self) -> Vec<String> {
        Oracle::of(&self.marker).survivors()
    }

    /// Ends the namespace, and all that is in it with it.
    fn remove(&mut self) {
        self.namespace.kill().unwrap();
        self.namespace.wait().unwrap();
        eventually("the end of the namespace", || self.survivors().is_empty());
    }

    /// What sweeps say, told from here and from a further namespace.
    fn swept(&self) -> (Vec<(SweepVerdict, u64)>, String) {
        let unsupported = in_another_namespace(r#""$0" sweep "$1""#)
            .unwrap()
            .arg(self.directory.path())
            .output()
            .unwrap();
        let here = sweep(self.directory.path()).unwrap();
        let here = here.iter().map(|swept| (swept.verdict, swept.killed)).collect();
        (here, String::from_utf8(unsupported.stdout).unwrap())
    }
}

#[test]
fn what_is_left_in_a_container_is_ended_by_who_sees_it_and_not_guessed_at_by_others() {
    let Some(mut container) = Container::start("off", "killthree") else { return };
    eventually("three daemons alone", || {
        subreapers_of(container.directory.path()).is_empty() && container.survivors().len() == 3
    });
    let (here, unsupported) = container.swept();
    assert_eq!(unsupported, "[(CannotVerify, 0)]\n");
    if sees_all() {
        assert_eq!(here, [(SweepVerdict::Gone, 3)]);
        assert_eq!(container.survivors(), Vec::<String>::new());
    } else {
        assert_eq!(here, [(SweepVerdict::CannotVerify, 0)]);
    }
    container.remove();
}

#[test]
fn nothing_is_left_of_a_container_that_is_gone() {
    let Some(mut container) = Container::start("best", "hold") else { return };
    container.remove();
    let (here, unsupported) = container.swept();
    assert_eq!(unsupported, "[(CannotVerify, 0)]\n", "who cannot see does not know");
    assert_eq!(
        here,
        [(if sees_all() { SweepVerdict::Gone } else { SweepVerdict::CannotVerify }, 0)]
    );
}

#[test]
fn an_item_whose_session_cannot_be_seen_waits_until_its_folder_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut second) = in_another_namespace(r#""$0" go-on "$1""#) else { return };
    let mut first = Command::new(std::env::current_exe().unwrap())
        .arg("begin")
        .arg(directory.path())
        .spawn()
        .unwrap();
    eventually("the session", || directory.path().join("up").exists());
    first.kill().unwrap();
    first.wait().unwrap();
    let folder = directory.path().join("state/sessions/held.1");
    eventually("the end that the warden leaves", || folder.join("end").exists());
    // As if the warden had been killed, too.
    std::fs::remove_file(folder.join("end")).unwrap();
    std::fs::write(directory.path().join("again"), "").unwrap();

    let mut second = second.arg(directory.path()).spawn().unwrap();
    let mut says = BufReader::new(second.stdout.take().unwrap());
    assert_eq!(
        line(&mut says),
        format!("session held.1 ended; it waits until this is gone: {UNSEEN}")
    );
    assert_eq!(line(&mut says), format!("[Some({UNSEEN:?})]"));
    assert_eq!(unseen(&directory.path().join("state")), [None], "it was started here");
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(line(&mut says), "succeeded");
    assert!(second.wait().unwrap().success());
}
