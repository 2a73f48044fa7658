//! Plans in a directory of their own, run by the real binary, and named pipes to know how far their
//! sessions are.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The binary with arguments, on the state directory `state` of a directory.
pub(crate) fn antiphon(dir: &Path, arguments: &[&str]) -> Command {
    crate::signals::are_heard();
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command
        .current_dir(dir)
        .arg("--dir")
        .arg(dir.join("state"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("TZ", "UTC");
    command.stdin(Stdio::null());
    command
}

/// What the binary printed, and how it ended.
#[derive(Debug)]
#[must_use = "check how the binary ended, or what it printed"]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl From<Output> for Ran {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        Self { status, stdout, stderr }
    }
}

/// Runs the binary to its end.
pub(crate) fn ran(dir: &Path, arguments: &[&str]) -> Result<Ran> {
    Ok(antiphon(dir, arguments).output()?.into())
}

/// What a run printed, without its times, its ids and what is advised at its end.
pub(crate) fn story(output: &Ran) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines =
        text.lines().filter(|line| !line.starts_with("receipt ") && !line.contains("`antiphon "));
    lines
        .map(|line| {
            line.split_whitespace()
                .filter(|word| !is_time_or_id(word))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

fn is_time_or_id(word: &str) -> bool {
    let word = word.trim_end_matches([',', ':']);
    let is_time = word.strip_suffix('s').is_some_and(|digits| digits.parse::<f64>().is_ok());
    is_time || word.len() == 36 || is_moment(word)
}

/// Whether a word is a time in UTC, to the second.
fn is_moment(word: &str) -> bool {
    word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T'
}

/// Writes a plan file with these items, one at a time.
pub(crate) fn plan(dir: &Path, work: &str) -> Result {
    plan_with(dir, "plan.yaml", "budget: { sessions: 20, duration: 5m }", work)
}

/// Writes a plan file with these keys and items.
pub(crate) fn plan_with(dir: &Path, file: &str, keys: &str, work: &str) -> Result {
    Ok(std::fs::write(
        dir.join(file),
        format!("name: test\n{keys}\nconcurrency: 1\nwork:\n{work}"),
    )?)
}

/// A run that is killed when it is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts it with its outputs kept.
    pub(crate) fn start(dir: &Path, arguments: &[&str]) -> Result<Self> {
        Ok(Self(antiphon(dir, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?))
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) -> Result {
        let pid =
            rustix::process::Pid::from_raw(i32::try_from(self.0.id())?).ok_or("no process")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Waits until a signal about an item has been sent in the run that it carries out.
    pub(crate) fn until(&mut self, dir: &Path, run: &str, kind: &str, about: &str) -> Result {
        let wait = ["signal", "wait", kind, "--about", about, "--timeout", "60s", "--run", run];
        loop {
            let waited = ran(dir, &wait)?;
            match waited.status.code() {
                Some(0) => return Ok(()),
                Some(12) => return Err(format!("no signal {kind} about {about}").into()),
                // There is no run yet.
                _ if self.0.try_wait()?.is_none() => {}
                _ => return Err(format!("run {run} has ended: {waited:?}").into()),
            }
        }
    }

    /// Waits for its end, and gives what it printed.
    pub(crate) fn end(mut self) -> Result<Ran> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut errors = self.0.stderr.take().ok_or("no standard error")?;
        let reader = std::thread::spawn(move || {
            std::io::Read::read_to_end(&mut errors, &mut stderr).map(|_| stderr)
        });
        std::io::Read::read_to_end(
            &mut self.0.stdout.take().ok_or("no standard output")?,
            &mut stdout,
        )?;
        let stderr = reader.join().map_err(|_| "reading failed")??;
        Ok(Ran { status: self.0.wait()?, stdout, stderr })
    }

    pub(crate) fn kill(&mut self) -> Result {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Makes a named pipe.
pub(crate) fn pipe(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )?;
    Ok(path)
}

/// Opens a named pipe for reading and waits for whoever writes to it.
pub(crate) fn heard(pipe: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(pipe)?.trim().to_owned())
}

/// Writes a line to a named pipe, once somebody reads it.
pub(crate) fn say(pipe: &Path, text: &str) -> Result {
    Ok(std::fs::write(pipe, format!("{text}\n"))?)
}

/// Every file below a directory.
pub(crate) fn walk(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(walk(&path)?) } else { files.push(path) }
    }
    Ok(files)
}
