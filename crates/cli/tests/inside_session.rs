//! Commands inside a session: they reach the engine by its socket alone, unless another directory is
//! named.

use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::plans::{self, Ran, Result, Running, heard, pipe, plan, plan_with, ran, say};

const BUDGET: &str = "budget: { sessions: 20, duration: 5m }";

/// A socket in a directory without anything else, through which an engine is reached.
struct Passage {
    dir: tempfile::TempDir,
    connections: Arc<AtomicUsize>,
}

impl Passage {
    fn to(engine: &Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let listener = UnixListener::bind(dir.path().join("passage"))?;
        let connections = Arc::new(AtomicUsize::new(0));
        let (engine, count) = (engine.to_owned(), Arc::clone(&connections));
        thread::spawn(move || -> std::io::Result<()> {
            for near in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (near, far) = (near?, UnixStream::connect(&engine)?);
                for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
                    thread::spawn(move || pass_on(from, to));
                }
            }
            Ok(())
        });
        Ok(Self { dir, connections })
    }

    /// What a command says that has nothing but the socket, and how many connections it made.
    fn ran(&self, arguments: &[&str]) -> Result<(String, Option<i32>, usize)> {
        let before = self.connections.load(Ordering::SeqCst);
        let output: Ran = with_socket(&self.dir.path().join("passage"), arguments).output()?.into();
        let said = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
        let made = self.connections.load(Ordering::SeqCst) - before;
        Ok((said, output.status.code(), made))
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream) -> std::io::Result<()> {
    std::io::copy(&mut from, &mut to)?;
    to.flush()?;
    to.shutdown(std::net::Shutdown::Write)
}

/// A command that is told of an engine by its socket, and of a directory that is not there.
fn with_socket(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command
        .args(arguments)
        .current_dir("/")
        .env("ANTIPHON_SOCKET", socket)
        .env("ANTIPHON_DIR", "/nowhere/at/all")
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .stdin(Stdio::null());
    command
}

/// An item that says that it runs, and ends once it is told to.
const HELD: &str = "  says: { shell: 'echo hello' }
  held: { shell: 'echo runs > runs; read word < ends', needs: [says] }
";

#[test]
fn a_command_that_is_told_of_a_socket_needs_nothing_but_one_connection_to_it() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, ends) = (pipe(dir.path(), "runs")?, pipe(dir.path(), "ends")?);
    plan(dir.path(), HELD)?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "there"])?;
    heard(&runs)?;
    let passage = Passage::to(&dir.path().join("state/api.sock"))?;
    for reads in [
        ["status"].as_slice(),
        &["list"],
        &["show", "last", "says"],
        &["output", "there", "says"],
        &["logs", "there"],
        &["why", "there"],
        &["log", "there"],
        &["log", "ledger"],
    ] {
        let (said, code, connections) = passage.ran(reads)?;
        assert_eq!((code, connections), (Some(0), 1), "{reads:?}: {said}");
    }
    assert_eq!(
        passage.ran(&["why"])?.0,
        "held: it runs: session there.2, attempt 1\n",
        "the engine is asked"
    );
    let paused = "there paused; `antiphon continue there` continues it\n".to_owned();
    assert_eq!(passage.ran(&["pause"])?, (paused, Some(0), 1));
    assert_eq!(passage.ran(&["continue", "there"])?, ("there continued\n".to_owned(), Some(0), 1));
    let (said, code, _) = passage.ran(&["verify"])?;
    assert_eq!((said.lines().last(), code), (Some("sound"), Some(0)));
    let (said, code, _) = passage.ran(&["backup", "copy"])?;
    let needs = format!(
        "error: `antiphon backup` needs the files of {}, and this session reaches its engine by the \
         socket alone\nhint: run the command outside of the session, or name another state directory \
         with --dir\n",
        passage.dir.path().display()
    );
    assert_eq!((said, code), (needs, Some(3)));
    say(&ends, "end")?;
    assert_eq!(run.end()?.status.code(), Some(0));
    // The engine has gone with it, and none begins instead.
    let gone = format!(
        "error: the engine of this session is gone: nothing answers in {}\nhint: name another state \
         directory with --dir, or unset ANTIPHON_SOCKET\n",
        dir.path().join("state").display()
    );
    let files = plans::walk(&dir.path().join("state"))?;
    for command in [&["status"][..], &["pause"], &["run", "plan.yaml"], &["do", "--", "true"]] {
        let output: Ran = with_socket(&dir.path().join("state/api.sock"), command)
            .current_dir(dir.path())
            .output()?
            .into();
        let code = if command[0] == "do" { 125 } else { 3 };
        assert_eq!(
            (String::from_utf8(output.stderr)?, output.status.code()),
            (gone.clone(), Some(code)),
            "{command:?}"
        );
    }
    assert_eq!(plans::walk(&dir.path().join("state"))?, files);
    Ok(())
}

#[test]
fn a_session_reads_its_own_run_and_changes_none_and_another_directory_is_as_outside() -> Result {
    let dir = tempfile::tempdir()?;
    plan_with(dir.path(), "elsewhere.yaml", BUDGET, "  there: { shell: 'echo there' }\n")?;
    std::fs::write(
        dir.path().join("asks"),
        "asked() { echo \"$ antiphon $*\"; \"$ANTIPHON\" \"$@\" 2>&1; echo \"exit $?\"; }
asked list --json | sed 's/,\"name.*//'
asked output last says
asked logs mine says
asked status other
asked pause
asked cancel other
asked log ledger
asked run elsewhere.yaml
asked --dir state pause
asked --dir elsewhere run elsewhere.yaml --id guest --json | tail -1
asked --dir elsewhere output guest there
",
    )?;
    plan(
        dir.path(),
        "  says: { shell: 'echo hello' }
  asks: { shell: 'sh asks', needs: [says], env: { ANTIPHON: { from: ANTIPHON }, NO_COLOR: '1' } }
",
    )?;
    assert_eq!(
        ran(dir.path(), &["run", "elsewhere.yaml", "--id", "other"])?.status.code(),
        Some(0)
    );
    let run: Ran = plans::antiphon(dir.path(), &["run", "plan.yaml", "--id", "mine"])
        .env("ANTIPHON", env!("CARGO_BIN_EXE_antiphon"))
        .output()?
        .into();
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let asked = ran(dir.path(), &["output", "mine", "asks"])?;
    let outside = "hint: run the command outside of the session, or name another state directory \
                   with --dir\nexit 2\n";
    let refused = "error: the caller is session mine.2, which may only read its own run\n";
    let expected = format!(
        "$ antiphon list --json\n{{\"id\":\"mine\"\nexit 0\n\
         $ antiphon output last says\nhello\nexit 0\n\
         $ antiphon logs mine says\nhello\nexit 0\n\
         $ antiphon status other\nerror: there is no run other that this session may read\n{outside}\
         $ antiphon pause\n{refused}{outside}\
         $ antiphon cancel other\nerror: there is no run other that this session may read\n{outside}\
         $ antiphon log ledger\nerror: there is no stream ledger that this session may read\n{outside}\
         $ antiphon run elsewhere.yaml\n{refused}{outside}\
         $ antiphon --dir state pause\n{refused}{outside}\
         exit 0\n\
         $ antiphon --dir elsewhere output guest there\nthere\nexit 0\n"
    );
    assert_eq!(String::from_utf8(asked.stdout)?, expected, "{:?}", asked.stderr);
    Ok(())
}
