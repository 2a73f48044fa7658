//! A state directory that goes while a command uses it: every command that follows a run in it says
//! so in one sentence and exits, what ran is ended, and nothing is written to another directory.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::plans::{Ran, Result, Running, heard, pipe, plan, plan_with, ran, story};

const BUDGET: &str = "budget: { sessions: 9, duration: 5m }";

/// A session that says its process and stays.
fn stays(pipe: &str) -> String {
    format!(
        "  {pipe}: {{ command: [sh, -c, 'echo $$ > {pipe}; exec sleep 300'] }}\n  after: {{ shell: \"true\", needs: [{pipe}] }}\n"
    )
}

/// Removes a directory that files may still come into, as its engine marks what it has recorded.
fn remove(dir: &Path) -> Result {
    while dir.exists() {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// A host and a guest whose sessions run, and what to read the processes of those from.
fn both_at_work(dir: &Path) -> Result<([Running; 2], [String; 2])> {
    let (hosted, visiting) = (pipe(dir, "hosted")?, pipe(dir, "visiting")?);
    plan_with(dir, "host.yaml", BUDGET, &stays("hosted"))?;
    plan_with(dir, "guest.yaml", BUDGET, &stays("visiting"))?;
    let host = Running::start(dir, &["run", "host.yaml", "--id", "hosts"])?;
    let first = heard(&hosted)?;
    let guest = Running::start(dir, &["run", "guest.yaml", "--id", "visits"])?;
    let second = heard(&visiting)?;
    Ok(([host, guest], [first, second]))
}

/// Checks that both ended with the exit code of a state directory, and said the same of it.
fn end_saying(commands: [Running; 2], processes: &[String; 2], said: &str) -> Result {
    for command in commands {
        let ended = command.end()?;
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{stderr}");
        assert_eq!(stderr.lines().filter(|line| line.contains(said)).count(), 1, "{stderr}");
        let story = story(&ended).join("\n");
        assert!(!story.contains("failed") && !story.contains("succeeded"), "{story}");
    }
    for process in processes {
        assert!(!Path::new("/proc").join(process).exists(), "the session {process} is ended");
    }
    Ok(())
}

#[test]
fn a_directory_that_is_removed_ends_host_and_guest_and_is_not_made_again() -> Result {
    let dir = tempfile::tempdir()?;
    let (commands, processes) = both_at_work(dir.path())?;
    let mut log = Running::start(dir.path(), &["log", "hosts", "--follow"])?;
    // Its first events are there, so it watches.
    let mut events = std::io::BufReader::new(log.0.stdout.take().ok_or("no output")?);
    std::io::BufRead::read_line(&mut events, &mut String::new())?;
    remove(&dir.path().join("state"))?;
    assert_eq!(log.0.wait()?.code(), Some(3), "who reads along is told, too");
    // Of one that is half removed its database is missed first.
    end_saying(commands, &processes, "was removed")?;
    assert!(!dir.path().join("state").exists());
    Ok(())
}

#[test]
fn a_directory_that_is_moved_is_said_to_be_where_it_is_and_goes_on_there() -> Result {
    let dir = tempfile::tempdir()?;
    let (commands, processes) = both_at_work(dir.path())?;
    let (state, away) = (dir.path().join("state"), dir.path().join("away"));
    fs::rename(&state, &away)?;
    let said = format!("was moved to {}", away.canonicalize()?.display());
    end_saying(commands, &processes, &said)?;
    assert!(!state.exists());
    fs::rename(&away, &state)?;
    let list = String::from_utf8(ran(dir.path(), &["list", "--running"])?.stdout)?;
    assert!(list.contains("hosts") && list.contains("visits"), "{list}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_directory_that_another_command_makes_anew_keeps_what_that_one_recorded() -> Result {
    let dir = tempfile::tempdir()?;
    let (commands, processes) = both_at_work(dir.path())?;
    let (state, away) = (dir.path().join("state"), dir.path().join("away"));
    fs::rename(&state, &away)?;
    let new = ran(dir.path(), &["do", "--", "echo", "new"])?;
    assert_eq!((new.status.code(), &*new.stdout), (Some(0), &b"new\n"[..]), "{new:?}");
    end_saying(commands, &processes, "another has its name")?;
    for directory in [state, away] {
        let verified = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["verify", "--dir"])
            .arg(&directory)
            .output()?;
        assert!(verified.status.success(), "{verified:?}");
    }
    let again = ran(dir.path(), &["do", "--", "echo", "again"])?;
    assert_eq!(again.status.code(), Some(0), "the new ledger opens: {again:?}");
    Ok(())
}

#[test]
fn a_session_that_cleans_the_checkout_fails_no_item_and_gets_no_receipt() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  tidy: { shell: \"rm -rf state\" }\n  next: { shell: \"true\", needs: [tidy] }\n",
    )?;
    for _ in 0..3 {
        let ended = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains("the state directory"), "{stderr}");
        let story = story(&ended).join("\n");
        assert!(!story.contains("failed") && !story.contains("succeeded"), "{story}");
        assert!(!String::from_utf8_lossy(&ended.stdout).contains("receipt"), "{story}");
        // What a session left of it is no ledger any more.
        let _ = fs::remove_dir_all(dir.path().join("state"));
    }
    Ok(())
}

#[test]
fn a_file_system_that_is_unmounted_below_a_run_ends_it() -> Result {
    const SCRIPT: &str = r#"
        mkdir m && mount -t tmpfs -o size=16m tmpfs m || exit 77
        "$0" --dir m/state run plan.yaml 2> told & run=$!
        read -r ready < runs
        umount -l m
        wait $run
    "#;
    let dir = tempfile::tempdir()?;
    let _runs = pipe(dir.path(), "runs")?;
    plan(dir.path(), "  a: { command: [sh, -c, 'echo $$ > runs; exec sleep 300'] }\n")?;
    let ended = Command::new("unshare")
        .args(["-rm", "sh", "-c", SCRIPT, env!("CARGO_BIN_EXE_antiphon")])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output();
    let ended = Ran::from(match ended {
        Ok(ended) if ended.status.code() != Some(77) && dir.path().join("told").exists() => ended,
        // No file system can be mounted here.
        _ => return Ok(()),
    });
    let told = fs::read_to_string(dir.path().join("told"))?;
    assert_eq!(ended.status.code(), Some(3), "{told}");
    assert!(told.contains("m/state is gone: its file system was unmounted"), "{told}");
    Ok(())
}

/// What is at a path: its kind and rights, its number, when it was changed, and what is in it.
type Found = (u32, u64, i64, i64, Option<Vec<u8>>);

/// All that is below a directory, by its path there.
fn tree(dir: &Path) -> Result<BTreeMap<PathBuf, Found>> {
    let (mut found, mut below) = (BTreeMap::new(), vec![PathBuf::new()]);
    while let Some(path) = below.pop() {
        let at = dir.join(&path);
        let meta = fs::symlink_metadata(&at)?;
        if meta.is_dir() {
            for entry in fs::read_dir(&at)? {
                below.push(path.join(entry?.file_name()));
            }
        }
        let bytes = meta.is_file().then(|| fs::read(&at)).transpose()?;
        found.insert(path, (meta.mode(), meta.ino(), meta.mtime(), meta.mtime_nsec(), bytes));
    }
    Ok(found)
}

/// Makes a directory with a copy of all files of another, in which an engine makes and removes some.
fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_file() {
            match fs::copy(entry.path(), to) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied?),
            }
        }
    }
    Ok(())
}

/// A run of which one session ends when it is told to, and another stays until it is released; and
/// what to read the process of that from.
fn at_work(dir: &Path) -> Result<(Running, String)> {
    const WORK: &str = r#"
  ends: { command: [sh, -c, 'echo > begun; read -r go < go; seq 1 200000; echo {} > "$ANTIPHON_RESULT"'] }
  stays: { command: [sh, -c, 'test -e released && exit; echo $$ > staying; exec sleep 300'] }
  after: { shell: "true", needs: [ends] }
"#;
    let (begun, staying, _go) = (pipe(dir, "begun")?, pipe(dir, "staying")?, pipe(dir, "go")?);
    let file = format!("name: test\n{BUDGET}\nconcurrency: 2\nwork:{WORK}");
    fs::write(dir.join("plan.yaml"), file)?;
    let run = Running::start(dir, &["run", "plan.yaml", "--id", "r"])?;
    heard(&begun)?;
    let process = heard(&staying)?;
    Ok((run, process))
}

/// The one child of an engine, to which its wardens belong.
fn only_child(engine: u32) -> Result<OwnedFd> {
    for process in fs::read_dir("/proc")? {
        let Ok(stat) = fs::read_to_string(process?.path().join("stat")) else { continue };
        // Its name, in parentheses, may be anything.
        let Some((start, rest)) = stat.rsplit_once(") ") else { continue };
        if rest.split(' ').nth(1) == Some(&engine.to_string()) {
            let pid = start.split(' ').next().ok_or("no pid")?.parse()?;
            let pid = Pid::from_raw(pid).ok_or("no pid")?;
            return Ok(pidfd_open(pid, PidfdFlags::empty())?);
        }
    }
    Err("the engine has no child".into())
}

/// Goes on with the run in the directory that was moved, once it is back.
fn goes_on(dir: &Path) -> Result {
    let (state, away) = (dir.join("state"), dir.join("away"));
    fs::rename(&state, dir.join("other"))?;
    fs::rename(away, state)?;
    fs::write(dir.join("released"), "")?;
    fs::remove_file(dir.join("begun"))?;
    fs::remove_file(dir.join("go"))?;
    fs::write(dir.join("go"), "go\n")?;
    let ended = ran(dir, &["resume", "r"])?;
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ran(dir, &["verify"])?.status.code(), Some(0));
    assert_eq!(fs::read_dir(dir.join("state/sessions"))?.count(), 0);
    Ok(())
}

#[test]
fn a_directory_that_takes_the_place_is_not_touched_by_what_still_runs() -> Result {
    let dir = tempfile::tempdir()?;
    let (run, process) = at_work(dir.path())?;
    let (state, other) = (dir.path().join("state"), dir.path().join("other"));
    // It has all names that the engine and its wardens could take for their own.
    copy(&state, &other)?;
    let before = tree(&other)?;
    fs::rename(&state, dir.path().join("away"))?;
    fs::rename(&other, &state)?;
    // Opened for both, it waits for no reader: the session may have been ended by now.
    let mut go = OpenOptions::new().read(true).write(true).open(dir.path().join("go"))?;
    go.write_all(b"go\n")?;
    let ended = run.end()?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{stderr}");
    let said = stderr.lines().filter(|line| line.contains("another has its name"));
    assert_eq!(said.count(), 1, "{stderr}");
    assert!(!Path::new("/proc").join(process).exists(), "the session is ended");
    assert_eq!(tree(&state)?, before);
    goes_on(dir.path())?;
    assert_eq!(tree(&other)?, before);
    Ok(())
}

#[test]
fn wardens_that_outlive_their_engine_leave_their_ends_in_the_directory_that_was_moved() -> Result {
    let dir = tempfile::tempdir()?;
    let (mut run, process) = at_work(dir.path())?;
    let (state, other) = (dir.path().join("state"), dir.path().join("other"));
    copy(&state, &other)?;
    let before = tree(&other)?;
    fs::rename(&state, dir.path().join("away"))?;
    fs::rename(&other, &state)?;
    let subreaper = only_child(run.0.id())?;
    run.kill()?;
    // It goes last, after the wardens that are its children.
    poll(&mut [PollFd::new(&subreaper, PollFlags::IN)], None)?;
    assert_eq!(tree(&state)?, before);
    goes_on(dir.path())?;
    assert!(!Path::new("/proc").join(process).exists(), "the session is ended");
    assert_eq!(tree(&other)?, before);
    Ok(())
}
