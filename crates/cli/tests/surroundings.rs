//! What becomes of a run whose machine has no room for its sessions: it waits, and nothing of it
//! fails. Real plans, run by the real binary.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::plans::{self, Ran, Result, Running, antiphon, heard, pipe, plan, plan_with, ran, say};
use rustix::process::Signal;
use serde_json::Value;

/// How the sessions of a run ended, with the number of the attempt that each item had.
fn ends(dir: &Path, run: &str) -> Result<Vec<(String, u64)>> {
    let events = String::from_utf8(ran(dir, &["log", run, "--json"])?.stdout)?;
    let mut attempts = Vec::new();
    let mut ends = Vec::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line)?;
        let payload = &event["payload"];
        if let Some(attempt) = payload["attempt"].as_u64() {
            attempts.push(attempt);
        }
        if let Some(outcome) = payload["outcome"].as_str() {
            ends.push(outcome.to_owned());
        }
    }
    Ok(ends.into_iter().zip(attempts).collect())
}

#[test]
fn a_run_whose_temporary_directory_is_missing_says_so_waits_and_goes_on_once_it_is_there() -> Result
{
    let dir = tempfile::tempdir()?;
    let gone = dir.path().join("gone");
    plan(dir.path(), "  a: { shell: \"true\" }\n  b: { shell: \"true\" }\n")?;
    let mut command = antiphon(dir.path(), &["run", "plan.yaml", "--id", "r"]);
    command.env("TMPDIR", &gone).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(command.spawn()?);
    let mut told = String::new();
    // Kept open: the run has more to tell.
    let mut stderr = BufReader::new(running.0.stderr.take().ok_or("no stderr")?);
    stderr.read_line(&mut told)?;
    assert!(
        told.contains("sessions wait for room on this machine")
            && told.contains(&*gone.to_string_lossy()),
        "{told}"
    );
    let why = String::from_utf8(ran(dir.path(), &["why", "r", "a"])?.stdout)?;
    assert!(why.contains(&*gone.to_string_lossy()), "{why}");
    let status = String::from_utf8(ran(dir.path(), &["status", "r"])?.stdout)?;
    assert_eq!(status.matches(&*gone.to_string_lossy()).count(), 2, "{status}");
    let status: Value =
        serde_json::from_slice(&ran(dir.path(), &["status", "r", "--json"])?.stdout)?;
    for told in [&status["shortage"], &status["items"][0]["waits"]] {
        assert!(
            told.as_str().is_some_and(|told| told.contains(&*gone.to_string_lossy())),
            "{told}"
        );
    }
    let log = ran(dir.path(), &["log", "r"])?;
    let told = String::from_utf8(log.stderr)?;
    assert!(told.contains(&*gone.to_string_lossy()), "{told}");
    std::fs::create_dir(&gone)?;
    assert_eq!(running.0.wait()?.code(), Some(0));
    let success = ("SUCCESS".to_owned(), 1);
    assert_eq!(ends(dir.path(), "r")?, [success.clone(), success]);
    Ok(())
}

/// Runs the binary with a limit of open files.
fn with_open_files(dir: &Path, limit: u32, arguments: &[&str]) -> Result<Ran> {
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_antiphon"))
        .arg("--dir")
        .arg(dir.join("state"))
        .args(arguments)
        .current_dir(dir)
        .output()?;
    Ok(output.into())
}

#[test]
fn as_many_sessions_run_at_a_time_as_the_limit_of_open_files_carries_and_none_fails_for_it()
-> Result {
    let dir = tempfile::tempdir()?;
    let numbers: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    std::fs::write(
        dir.path().join("plan.yaml"),
        format!(
            "name: test\nbudget: {{ sessions: 99, duration: 5m }}\nconcurrency: 40\nwork:\n  \
             m: {{ command: [sleep, \"0.2\"], matrix: {{ n: [{}] }}, env: {{ N: \"{{{{n}}}}\" }} }}\n",
            numbers.join(", ")
        ),
    )?;
    let ended = with_open_files(dir.path(), 90, &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ends(dir.path(), "r")?, vec![("SUCCESS".to_owned(), 1); 40]);
    Ok(())
}

#[test]
fn a_session_has_the_limit_of_open_files_that_its_engine_was_started_with() -> Result {
    let dir = tempfile::tempdir()?;
    let script = "ulimit -Sn 200; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_antiphon")])
        .args(["do", "--", "sh", "-c", "ulimit -Sn; ulimit -Hn"])
        .current_dir(dir.path())
        .output()?;
    let hard = Command::new("sh").args(["-c", "ulimit -Hn"]).output()?;
    let expected = format!("200\n{}", String::from_utf8(hard.stdout)?);
    assert_eq!(String::from_utf8(output.stdout)?, expected);
    Ok(())
}

/// An end within the time, of which the engine hears when the time is over: it was stopped, as a
/// whole machine is that sleeps. That the time is over is said by another item, which its warden
/// asks to stop two seconds after the same time.
#[test]
fn what_ended_in_time_while_its_engine_was_suspended_is_what_it_was() -> Result {
    let dir = tempfile::tempdir()?;
    let [started, waits, go, done, over] =
        ["started", "waits", "go", "done", "over"].map(|name| pipe(dir.path(), name));
    std::fs::write(
        dir.path().join("plan.yaml"),
        "name: test\nbudget: { sessions: 9, duration: 5m }\nconcurrency: 2\n\
         retry: { attempts: 1 }\nwork:\n  \
           a: { shell: \"echo it > started; read it < go; echo it > done\", timeout: 1s }\n  \
           late:\n    timeout: 1s\n    shell: |\n      \
             trap 'echo it > over; exit 1' TERM\n      sleep 300 & echo it > waits\n      wait\n",
    )?;
    let mut command = antiphon(dir.path(), &["run", "plan.yaml", "--id", "r"]);
    let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    heard(&started?)?;
    heard(&waits?)?;
    running.signal(Signal::STOP)?;
    say(&go?, "on")?;
    heard(&done?)?;
    // Its time is over before its engine goes on.
    heard(&over?)?;
    running.signal(Signal::CONT)?;
    assert_eq!(running.0.wait()?.code(), Some(6));
    let mut ends = ends(dir.path(), "r")?;
    ends.sort();
    assert_eq!(ends, [("SUCCESS".to_owned(), 1), ("TIMEOUT".to_owned(), 1)]);
    let log = String::from_utf8(ran(dir.path(), &["log", "r", "--json"])?.stdout)?;
    let events =
        log.lines().map(serde_json::from_str).collect::<std::result::Result<Vec<Value>, _>>();
    let events = events?;
    let ended = events.iter().find(|event| event["payload"]["outcome"] == "SUCCESS");
    let ticks = ended.and_then(|event| event["payload"]["used"]["ticks"].as_u64());
    assert!(ticks.is_some_and(|ticks| ticks < 1_000), "it is charged the time it took: {log}");
    Ok(())
}

#[test]
fn a_sessions_folder_that_somebody_removed_is_made_again() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  a: { shell: \"rm -rf state/sessions\" }\n  b: { shell: \"true\", needs: [a] }\n",
    )?;
    let ended = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stdout));
    Ok(())
}

#[test]
fn a_program_that_is_not_there_fails_its_item_at_once() -> Result {
    let dir = tempfile::tempdir()?;
    let budget = "budget: { sessions: 9, duration: 1m }";
    plan_with(
        dir.path(),
        "plan.yaml",
        budget,
        "  a: { command: [./not-there], retry: { attempts: 1 } }\n",
    )?;
    let ended = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(ended.status.code(), Some(7), "{}", String::from_utf8_lossy(&ended.stdout));
    assert_eq!(ends(dir.path(), "r")?, [("SPAWN_FAILED".to_owned(), 1)]);
    Ok(())
}

/// A run that has said that its ledger takes nothing in, as its files may not grow.
#[cfg(target_os = "linux")]
fn at_the_limit(dir: &Path) -> Result<(Running, impl Sized)> {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -S -f 200; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_antiphon")])
        .arg("--dir")
        .arg(dir.join("state"))
        .args(["run", "plan.yaml", "--id", "r"])
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut running = Running(command.spawn()?);
    let mut stderr = BufReader::new(running.0.stderr.take().ok_or("no stderr")?);
    let mut told = String::new();
    stderr.read_line(&mut told)?;
    assert!(told.contains("read-only") && told.contains("ulimit -f"), "{told}");
    Ok((running, stderr))
}

/// Takes the limit away.
#[cfg(target_os = "linux")]
fn let_go(running: &Running) -> Result {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let unlimited = Rlimit { current: None, maximum: None };
    prlimit(Pid::from_raw(running.0.id().try_into()?), Resource::Fsize, unlimited)?;
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_for_a_ledger_that_takes_nothing_in_waits_until_it_is_recorded() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  a: { shell: \"head -c 40000 /dev/urandom | base64\" }\n  \
           b: { shell: \"head -c 40000 /dev/urandom | base64\" }\n  \
           c: { shell: \"head -c 40000 /dev/urandom | base64; sleep 300\" }\n",
    )?;
    let (mut running, _stderr) = at_the_limit(dir.path())?;
    let mut cancel = Running::start(dir.path(), &["cancel", "r"])?;
    let mut stderr = BufReader::new(cancel.0.stderr.take().ok_or("no stderr")?);
    let mut told = String::new();
    stderr.read_line(&mut told)?;
    assert!(told.contains("waiting to have the command recorded"), "{told}");
    let_go(&running)?;
    assert_eq!(cancel.0.wait()?.code(), Some(0));
    assert_eq!(running.0.wait()?.code(), Some(8));
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn a_ledger_that_has_reached_the_limit_of_a_file_is_waited_for_like_a_full_disk() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  a: { shell: \"head -c 40000 /dev/urandom | base64\" }\n  \
           b: { shell: \"head -c 40000 /dev/urandom | base64\" }\n  \
           c: { shell: \"head -c 40000 /dev/urandom | base64\" }\n",
    )?;
    let (mut running, _stderr) = at_the_limit(dir.path())?;
    let_go(&running)?;
    assert_eq!(running.0.wait()?.code(), Some(0));
    assert_eq!(ends(dir.path(), "r")?, vec![("SUCCESS".to_owned(), 1); 3]);
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

/// What a script prints that mounts small file systems, with the binary as `$0`; nothing where none
/// can be mounted, which is told.
#[cfg(target_os = "linux")]
fn mounting(dir: &Path, script: &str) -> Result<Option<String>> {
    let ended = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_antiphon")])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|ended| ended.status.code() != Some(77));
    let Some(ended) = ended else {
        println!("skipped: no file system can be mounted here");
        return Ok(None);
    };
    let told = String::from_utf8(ended.stdout)?;
    assert!(ended.status.success(), "{told}{}", String::from_utf8_lossy(&ended.stderr));
    Ok(Some(told))
}

#[test]
#[cfg(target_os = "linux")]
fn an_engine_that_cannot_begin_on_a_full_disk_says_so_at_once_and_what_is_there_can_be_read()
-> Result {
    const SCRIPT: &str = r#"
        mkdir m && mount -t tmpfs -o size=2m tmpfs m || exit 77
        fill() { head -c 8M /dev/zero > m/filler 2> nothing; }
        export NO_COLOR=1 ANTIPHON_DIR=m/state
        exec 2>&1
        fill; "$0" run plan.yaml --id r; echo "exit $?"
        rm m/filler; "$0" run plan.yaml --id r > nothing; echo "exit $?"
        fill; "$0" run plan.yaml --id again; echo "exit $?"
        "$0" list | cut -c 1-20; "$0" output r a
        rm m/filler; "$0" run plan.yaml --id again > nothing; echo "exit $?"
    "#;
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  a: { shell: \"echo done\" }\n")?;
    let Some(told) = mounting(dir.path(), SCRIPT)? else { return Ok(()) };
    let hint = "hint: nothing has begun; make room, if that is what it lacks, and run the command \
                again, or choose another directory with --dir or ANTIPHON_DIR\nexit 3\n";
    assert_eq!(
        told,
        format!(
            "error: could not write the lock of m/state: No space left on device (os error 28); \
             make room\n{hint}exit 0\nerror: could not read the ledger in m/state: disk I/O \
             error; the disk, a quota or the file system refuses it\n{hint}\
             ID  NAME  STATUS    \nr   test  succeeded \ndone\nexit 0\n"
        )
    );
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn a_prune_on_a_full_disk_says_what_to_do_and_erases_nothing_until_there_is_room() -> Result {
    // The first fill leaves nothing, not even for the index of the log; the second a little.
    const SCRIPT: &str = r#"
        mkdir m && mount -t tmpfs -o size=4m tmpfs m || exit 77
        fill() { head -c 9M /dev/zero > m/filler 2> nothing; }
        export NO_COLOR=1 ANTIPHON_DIR=m/state
        exec 2>&1
        for id in a b c d; do "$0" run plan.yaml --id $id > nothing; done
        fill; "$0" prune --keep 1; "$0" output a item | wc -c
        truncate -s -64K m/filler; "$0" prune --keep 1; echo "exit $?"
        rm m/filler; "$0" prune --keep 1 | head -1; "$0" verify > nothing; echo "exit $?"
    "#;
    let dir = tempfile::tempdir()?;
    let lots = "  item: { shell: 'seq 20000 | head -c 60000; echo $ANTIPHON_RUN' }\n";
    plan(dir.path(), lots)?;
    let Some(told) = mounting(dir.path(), SCRIPT)? else { return Ok(()) };
    let told: Vec<&str> = told.lines().collect();
    let [unopened, hint, bytes, read_only, rest @ ..] = told.as_slice() else {
        return Err(format!("{told:?}").into());
    };
    assert!(unopened.starts_with("error: could not read the ledger"), "{unopened}");
    assert!(hint.starts_with("hint: nothing has begun; make room"), "{hint}");
    assert_eq!(*bytes, "60002");
    assert!(read_only.starts_with("error: the ledger is read-only until a write"), "{read_only}");
    assert_eq!(
        rest,
        [
            "hint: to record what is erased takes room itself, of a megabyte or two: remove another \
             file, and prune again",
            "exit 3",
            "pruned 3 runs: a, b, c",
            "exit 0"
        ]
    );
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn a_result_that_a_full_disk_kept_from_being_known_is_no_failure() -> Result {
    const SCRIPT: &str = r#"
        mkdir m && mount -t tmpfs -o size=4m tmpfs m || exit 77
        "$0" --dir m/state run plan.yaml --id r > told 2>&1 & run=$!
        read -r filled < full
        sleep 1
        rm m/filler
        wait $run || exit 1
        cat told
    "#;
    let dir = tempfile::tempdir()?;
    let _full = plans::pipe(dir.path(), "full")?;
    plan(
        dir.path(),
        "  a:\n    usage: result\n    shell: |\n      echo '{\"output\": \"done\"}' > \"$ANTIPHON_RESULT\"\n      \
         head -c 8M /dev/zero > m/filler\n      echo full > full\n",
    )?;
    let Some(told) = mounting(dir.path(), SCRIPT)? else { return Ok(()) };
    assert!(told.contains("succeeded in") && told.contains("1 session"), "{told}");
    Ok(())
}
