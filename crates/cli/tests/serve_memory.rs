//! An engine whose ledger is in memory: commands reach it, and nothing of it stays.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::plans::{self, Ran, Result, Running, heard, pipe, plan, walk};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

/// An engine in memory, and the directory that it printed.
struct Engine {
    process: Running,
    dir: PathBuf,
}

fn antiphon(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = plans::antiphon(dir, &[]);
    // Without the state directory that other tests name.
    let binary = command.get_program().to_owned();
    command = Command::new(binary);
    command.current_dir(dir).args(arguments).env_remove("ANTIPHON_DIR").env("NO_COLOR", "1");
    command.env("TMPDIR", dir.join("tmp")).stdin(Stdio::null());
    command
}

impl Engine {
    fn start(dir: &Path, arguments: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(dir.join("tmp"))?;
        let mut command = antiphon(dir, &[&["serve", "--memory"], arguments].concat());
        let mut process = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
        let mut line = String::new();
        let stdout = process.0.stdout.take().ok_or("no standard output")?;
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line)?;
        process.0.stdout = Some(stdout.into_inner());
        let object: std::result::Result<serde_json::Value, _> = serde_json::from_str(&line);
        let printed = match &object {
            Ok(object) => {
                assert_eq!(object["pid"], process.0.id());
                object["dir"].as_str().ok_or("no directory")?
            }
            Err(_) => line.trim_end(),
        };
        Ok(Self { dir: printed.into(), process })
    }

    /// What a command on it printed, and its exit code.
    fn ran(&self, arguments: &[&str]) -> Result<Ran> {
        let here = self.dir.ancestors().nth(3).ok_or("no directory")?;
        let mut command = antiphon(here, arguments);
        Ok(command.env("ANTIPHON_DIR", &self.dir).output()?.into())
    }

    #[track_caller]
    fn prints(&self, arguments: &[&str]) -> Result<String> {
        let ran = self.ran(arguments)?;
        assert_eq!(ran.status.code(), Some(0), "{arguments:?}: {ran:?}");
        Ok(String::from_utf8(ran.stdout)?)
    }

    fn refuses(&self, arguments: &[&str]) -> Result<(String, Option<i32>)> {
        let ran = self.ran(arguments)?;
        let said = String::from_utf8(ran.stderr)?;
        Ok((said.replace(&self.dir.display().to_string(), "DIR"), ran.status.code()))
    }
}

fn names_in(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[test]
fn commands_reach_it_by_its_directory_and_nothing_of_it_stays() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  made: { command: [echo, made] }\n  bad: { command: ['false'], retry: { attempts: 1 } }\n",
    )?;
    let engine = Engine::start(dir.path(), &["--json"])?;
    assert_eq!(std::fs::metadata(&engine.dir)?.permissions().mode() & 0o777, 0o700);

    let run = engine.ran(&["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(6), "{run:?}");
    let shown = String::from_utf8(run.stdout)?;
    assert!(shown.contains(", verified\n"), "{shown}");
    assert_eq!(engine.prints(&["output", "r", "made"])?, "made\n");
    assert_eq!(engine.prints(&["logs", "r", "made"])?, "made\n");
    assert!(engine.prints(&["list"])?.contains("r   test  partial"));
    assert!(engine.prints(&["status", "r"])?.contains("status        partial\n"));
    assert!(engine.prints(&["show", "r", "bad"])?.contains("exit 1"));
    assert!(engine.prints(&["why", "r", "bad"])?.contains("failed"));
    assert!(engine.prints(&["log", "r"])?.contains("coordination.completed"));
    assert!(engine.prints(&["log", "ledger"])?.contains("ledger.opened"));
    assert!(engine.prints(&["receipt", "show", "r"])?.contains("partial"));
    assert!(engine.prints(&["verify"])?.ends_with("sound\n"));
    assert!(engine.prints(&["verify", "r"])?.ends_with("sound\n"));
    assert_eq!(engine.ran(&["wait", "r"])?.status.code(), Some(6));
    let again = engine.ran(&["retry", "r"])?;
    assert_eq!(again.status.code(), Some(6), "{again:?}");
    assert_eq!(engine.ran(&["do", "--", "true"])?.status.code(), Some(0));

    let needs = |what: &str| {
        let text = format!(
            "error: {what} needs a ledger on disk, and that of DIR is in the memory of its engine\n\
             hint: `antiphon receipt export` keeps the record of a run that has ended\n"
        );
        (text, Some(3))
    };
    assert_eq!(engine.refuses(&["backup", "copy"])?, needs("`antiphon backup`"));
    assert_eq!(engine.refuses(&["doctor"])?, needs("`antiphon doctor`"));
    assert_eq!(engine.refuses(&["log", "r", "--follow"])?, needs("`antiphon log --follow`"));
    let second = engine.refuses(&["serve"])?;
    assert_eq!(second.1, Some(11), "{second:?}");
    assert!(walk(&dir.path().join("tmp"))?.iter().all(|file| !file.ends_with("ledger.db")));

    let Engine { process, .. } = engine;
    process.signal(Signal::TERM)?;
    assert_eq!(process.end()?.status.code(), Some(0));
    assert_eq!(names_in(&dir.path().join("tmp"))?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_running_session_goes_with_it_and_so_does_all_that_it_had_on_disk() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "runs")?;
    plan(
        dir.path(),
        "  only: { shell: 'echo $$ > \"${ANTIPHON_CONTEXT%/*}/mine\"; echo now > runs; sleep 1h' }\n",
    )?;
    let engine = Engine::start(dir.path(), &[])?;
    let submitted = engine.prints(&["run", "plan.yaml", "--id", "r", "--detach"])?;
    assert_eq!(submitted, "r\n");
    heard(&dir.path().join("runs"))?;
    // All that there is of it is in one place.
    assert_eq!(names_in(&dir.path().join("tmp"))?.len(), 1);
    let mine = walk(&dir.path().join("tmp"))?.into_iter().find(|file| file.ends_with("mine"));
    let pid = std::fs::read_to_string(mine.ok_or("the scratch directory is elsewhere")?)?;
    let mut attach = antiphon(dir.path(), &["attach", "r"]);
    attach.env("ANTIPHON_DIR", &engine.dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut following = Running(attach.spawn()?);
    let mut lines = BufReader::new(following.0.stdout.take().ok_or("no standard output")?);
    lines.read_line(&mut String::new())?;
    following.0.stdout = Some(lines.into_inner());
    let Engine { process, .. } = engine;
    process.signal(Signal::TERM)?;
    let ended = process.end()?;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let said = String::from_utf8(ended.stderr)?;
    assert!(
        said.ends_with("\ngone with the ledger in memory before they had ended: r\n"),
        "{said}"
    );
    let following = following.end()?;
    let said = String::from_utf8(following.stderr)?;
    assert!(said.contains("its ledger was in the memory of an engine that has ended"), "{said}");
    assert_eq!(following.status.code(), Some(3));
    assert_eq!(names_in(&dir.path().join("tmp"))?, Vec::<String>::new());
    assert!(!Path::new("/proc").join(pid.trim()).exists() || cfg!(not(target_os = "linux")));
    Ok(())
}

#[test]
fn one_that_was_killed_has_left_nothing_to_continue_and_that_is_said() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  one: { command: ['true'] }\n")?;
    let mut engine = Engine::start(dir.path(), &[])?;
    engine.process.kill()?;
    let gone = "error: the ledger of DIR was in the memory of an engine that is gone\n\
                hint: nothing is left of it; remove the directory\n";
    for (command, code) in
        [(&["list"][..], 3), (&["run", "plan.yaml"], 3), (&["do", "true"], 125), (&["doctor"], 3)]
    {
        assert_eq!(engine.refuses(command)?, (gone.to_owned(), Some(code)), "{command:?}");
    }
    let refused = "error: the ledger of DIR was in the memory of an engine that is gone, and nothing \
                   is left of it; remove the directory, or name another\n";
    assert_eq!(engine.refuses(&["serve"])?, (refused.to_owned(), Some(3)));
    Ok(())
}

#[test]
fn the_next_one_removes_what_one_that_was_killed_has_left_and_nothing_else() -> Result {
    let dir = tempfile::tempdir()?;
    let lives = Engine::start(dir.path(), &[])?;
    pipe(dir.path(), "runs")?;
    plan(dir.path(), "  only: { shell: 'echo $$ $PPID > runs; sleep 1h' }\n")?;
    let mut killed = Engine::start(dir.path(), &[])?;
    assert_eq!(killed.prints(&["run", "plan.yaml", "--id", "r", "--detach"])?, "r\n");
    // The session and its warden, which ends it once its engine is gone.
    let pids = heard(&dir.path().join("runs"))?;
    let processes = pids.split_whitespace().map(|pid| {
        let pid = Pid::from_raw(pid.parse()?).ok_or("no process")?;
        Ok(pidfd_open(pid, PidfdFlags::empty())?)
    });
    let processes = processes.collect::<Result<Vec<_>>>()?;
    // The likes of which others may have.
    let tmp = dir.path().join("tmp");
    std::fs::create_dir_all(tmp.join("antiphon-notes"))?;
    std::fs::write(tmp.join("antiphon-notes/of-mine"), "")?;
    std::os::unix::fs::symlink(&killed.dir, tmp.join("antiphon-link"))?;
    let of = |engine: &Engine| engine.dir.parent().map(Path::to_owned).ok_or("no directory");
    let (left, stays) = (of(&killed)?, of(&lives)?);
    killed.process.kill()?;
    for process in &processes {
        poll(&mut [PollFd::new(process, PollFlags::IN)], None)?;
    }
    let next = Engine::start(dir.path(), &[])?;
    let names = names_in(&tmp)?;
    let mut expected = vec!["antiphon-link".to_owned(), "antiphon-notes".to_owned()];
    let name = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    expected.extend([name(stays), name(of(&next)?)].into_iter().flatten());
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(names_in(&tmp.join("antiphon-notes"))?, ["of-mine"]);
    assert!(lives.prints(&["list"])?.starts_with("ID"));
    next.process.signal(Signal::TERM)?;
    let said = String::from_utf8(next.process.end()?.stderr)?;
    let told = format!("removed {}, which an engine that was killed had left\n", left.display());
    assert!(said.starts_with(&told), "{said}");
    Ok(())
}

#[test]
fn it_makes_its_directory_itself_and_goes_when_it_is_idle() -> Result {
    let dir = tempfile::tempdir()?;
    let refused = antiphon(dir.path(), &["--dir", "state", "serve", "--memory"]).output()?;
    assert_eq!(
        (String::from_utf8(refused.stderr)?, refused.status.code()),
        (
            "error: an engine with its ledger in memory makes a directory of its own\n\
             hint: leave out --dir, and unset ANTIPHON_DIR for it\n"
                .to_owned(),
            Some(2)
        )
    );
    let engine = Engine::start(dir.path(), &["--idle-exit", "10ms"])?;
    assert_eq!(engine.process.end()?.status.code(), Some(0));
    assert_eq!(names_in(&dir.path().join("tmp"))?, Vec::<String>::new());
    Ok(())
}
