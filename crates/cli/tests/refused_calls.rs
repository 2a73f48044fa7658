//! What becomes of a run whose kernel refuses its engine what a session needs: real errors of real
//! calls, from the real kernel. The session waits, nothing fails, and the run goes on.

#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::kernel::{Asked, Call, Kernel};
use crate::plans::{Result, Running, antiphon, heard, pipe, plan, ran, say};
use serde_json::Value;

/// How the sessions of a run ended, with the number of the attempt that each item had.
fn ends(dir: &Path, run: &str) -> Result<Vec<(String, u64)>> {
    let events = String::from_utf8(ran(dir, &["log", run, "--json"])?.stdout)?;
    let events = events.lines().map(serde_json::from_str::<Value>);
    let events = events.collect::<std::result::Result<Vec<_>, _>>()?;
    let attempts = events.iter().filter_map(|event| event["payload"]["attempt"].as_u64());
    let ends = events.iter().filter_map(|event| event["payload"]["outcome"].as_str());
    Ok(ends.map(ToOwned::to_owned).zip(attempts).collect())
}

/// A run whose first item runs while the kernel begins to refuse something: the second one waits,
/// everybody is told what for, and it runs once that is over.
#[track_caller]
fn waits(refused: impl Fn(&Asked) -> Option<i32> + Send + 'static, what: &str) {
    waits_for(refused, what).unwrap_or_else(|error| panic!("{what}: {error}"));
}

fn waits_for(refused: impl Fn(&Asked) -> Option<i32> + Send + 'static, what: &str) -> Result {
    let dir = tempfile::tempdir()?;
    let (up, go) = (pipe(dir.path(), "up")?, pipe(dir.path(), "go")?);
    std::fs::create_dir(dir.path().join("scratch"))?;
    plan(
        dir.path(),
        "  a: { shell: \"echo it > up; read it < go\" }\n  b: { shell: \"true\", needs: [a] }\n",
    )?;
    let mut command = antiphon(dir.path(), &["run", "plan.yaml", "--id", "r"]);
    command.env("TMPDIR", dir.path().join("scratch"));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let kernel = Kernel::default();
    let Some(child) = kernel.spawn(command)? else { return Ok(()) };
    let mut running = Running(child);
    heard(&up)?;
    kernel.refuse(refused);
    say(&go, "on")?;
    let mut told = String::new();
    // Kept open: the run has more to tell.
    let mut stderr = BufReader::new(running.0.stderr.take().ok_or("no stderr")?);
    stderr.read_line(&mut told)?;
    let scratch = dir.path().canonicalize()?.join("scratch");
    let what = what.replace("SCRATCH", &scratch.to_string_lossy());
    assert_eq!(told, format!("sessions wait for room on this machine: {what}\n"));
    let why = String::from_utf8(ran(dir.path(), &["why", "r", "b"])?.stdout)?;
    assert!(why.contains(&what), "{why}");
    let status = ran(dir.path(), &["status", "r", "--json"])?.stdout;
    let status: Value = serde_json::from_slice(&status)?;
    assert_eq!(status["shortage"], format!("sessions wait for room on this machine: {what}"));
    let log = String::from_utf8(ran(dir.path(), &["log", "r"])?.stderr)?;
    assert!(log.contains(&what), "{log}");
    kernel.allow();
    assert_eq!(running.0.wait()?.code(), Some(0));
    assert_eq!(ends(dir.path(), "r")?, vec![("SUCCESS".to_owned(), 1); 2]);
    Ok(())
}

fn makes_scratch(asked: &Asked) -> bool {
    let Call::MakeDirectory(Some(path)) = &asked.call else { return false };
    path.to_string_lossy().contains("/scratch/")
}

fn forks(asked: &Asked, by: &str) -> bool {
    asked.call == Call::Fork && asked.by == by
}

#[test]
fn a_scratch_disk_that_fails_is_waited_for() {
    waits(
        |asked| makes_scratch(asked).then_some(libc::EIO),
        "cannot make its scratch directory: SCRATCH: Input/output error (os error 5); \
         the disk or its file system fails",
    );
}

#[test]
fn a_quota_is_waited_for() {
    waits(
        |asked| makes_scratch(asked).then_some(libc::EDQUOT),
        "cannot make its scratch directory: SCRATCH: Disk quota exceeded (os error 122); \
         what ran out is the quota of the disk",
    );
}

#[test]
fn open_files_of_the_whole_system_are_waited_for() {
    waits(
        |asked| (asked.call == Call::MakeSockets).then_some(libc::ENFILE),
        "cannot make a socket: Too many open files in system (os error 23); \
         what ran out is the limit of open files of the system (`fs.file-max`)",
    );
}

#[test]
fn memory_for_a_warden_is_waited_for() {
    waits(
        |asked| forks(asked, "antiphon-subrea").then_some(libc::ENOMEM),
        "cannot spawn a warden: Cannot allocate memory (os error 12); \
         what ran out is the memory of this machine, or of its control group",
    );
}

#[test]
fn memory_for_the_program_of_a_session_is_waited_for() {
    waits(
        |asked| forks(asked, "antiphon-warden").then_some(libc::ENOMEM),
        "cannot fork: Cannot allocate memory (os error 12); \
         what ran out is the memory of this machine, or of its control group",
    );
}

/// A user of whom nothing else runs: the limit is of all processes of a user, and binds only those
/// without privileges.
const USER: u32 = 54_321;

#[test]
fn a_limit_of_processes_is_waited_for() -> Result {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become a user of whom nothing else runs");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    // Where the binary is that user may not be able to look.
    let binary = dir.path().join("antiphon");
    std::fs::copy(env!("CARGO_BIN_EXE_antiphon"), &binary)?;
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755))?;
    chown(dir.path(), Some(USER), Some(USER))?;
    let numbers: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    std::fs::write(
        dir.path().join("plan.yaml"),
        format!(
            "name: test\nbudget: {{ sessions: 99, duration: 5m }}\nconcurrency: 20\nwork:\n  \
             m: {{ command: [sleep, \"1\"], matrix: {{ n: [{}] }}, env: {{ N: \"{{{{n}}}}\" }} }}\n",
            numbers.join(", ")
        ),
    )?;
    let ended = Command::new("prlimit")
        .arg("--nproc=32")
        .arg(&binary)
        .args(["--dir", "state", "run", "plan.yaml", "--id", "r"])
        .env("TMPDIR", dir.path())
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .uid(USER)
        .gid(USER)
        .output()?;
    let told = String::from_utf8(ended.stderr)?;
    assert_eq!(ended.status.code(), Some(0), "{told}");
    assert!(
        told.contains("Resource temporarily unavailable (os error 11); what ran out is the limit of processes (`ulimit -u`: 32, "),
        "{told}"
    );
    assert_eq!(ends(dir.path(), "r")?, vec![("SUCCESS".to_owned(), 1); 20]);
    Ok(())
}
