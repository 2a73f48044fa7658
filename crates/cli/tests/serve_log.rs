//! The log of an engine that stays: lines of JSON for an operator, with the ids that commands take.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::plans::{self, Ran, Result, antiphon, pipe, plan, ran};
use rustix::process::Signal;
use serde_json::Value;

/// Serves until a run `r` has ended, and a request was refused.
fn served(dir: &std::path::Path, arguments: &[&str]) -> Result<Ran> {
    plan(
        dir,
        "  only: { shell: 'echo \"$KEY\"; echo \"$KEY\" > kept', env: { KEY: { secret: KEY } } }\n",
    )?;
    let address = dir.join("notify");
    let told = std::os::unix::net::UnixDatagram::bind(&address)?;
    let mut serve = antiphon(dir, &[&["serve"], arguments].concat());
    serve.env("NOTIFY_SOCKET", &address).stdout(Stdio::piped()).stderr(Stdio::piped());
    let serve = plans::Running(serve.spawn()?);
    told.recv(&mut [0; 64])?;
    let run = antiphon(dir, &["run", "plan.yaml", "--id", "r"]).env("KEY", SECRET).output()?;
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let mut refused = std::os::unix::net::UnixStream::connect(dir.join("state/api.sock"))?;
    refused.write_all(
        b"POST /v1/runs/r/pause HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    )?;
    refused.read_to_end(&mut Vec::new())?;
    serve.signal(Signal::TERM)?;
    serve.end()
}

const SECRET: &str = "a-value-that-nobody-may-see";

/// The message of a line, its level, and the ids in it.
fn told(line: &str) -> Result<String> {
    let line: Value = serde_json::from_str(line)?;
    assert!(line["timestamp"].is_string(), "{line}");
    let part = |name: &str| line[name].as_str().map(str::to_owned);
    let parts = [part("level"), part("message"), part("run"), part("session"), part("outcome")];
    Ok(parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

#[test]
fn runs_and_sessions_are_told_by_their_ids_as_they_come_and_go() -> Result {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log");
    let ended = served(dir.path(), &["--log-file", "log"])?;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let text = std::fs::read_to_string(&log)?;
    assert!(!text.contains(SECRET), "{text}");
    let lines = text.lines().map(told).collect::<Result<Vec<_>>>()?;
    assert_eq!(
        lines,
        [
            "INFO engine opened",
            "INFO serving",
            "INFO run started r",
            "INFO session started r r.1",
            "INFO session ended r r.1 SUCCESS",
            "INFO run ended r",
            "INFO request refused r",
            "INFO stopping",
            "INFO engine closed",
        ]
    );
    let said = String::from_utf8(ended.stderr)?;
    assert!(!said.contains('{'), "the log is in its file: {said}");
    Ok(())
}

#[test]
fn without_a_file_the_log_is_on_standard_error_and_at_debug_it_has_every_request() -> Result {
    let dir = tempfile::tempdir()?;
    let ended = served(dir.path(), &["--log-level", "debug"])?;
    let said = String::from_utf8(ended.stderr)?;
    assert!(!said.contains(SECRET), "{said}");
    let lines = said.lines().filter(|line| line.starts_with('{')).map(told);
    let lines = lines.collect::<Result<Vec<_>>>()?;
    assert!(lines.contains(&"DEBUG answered r".to_owned()), "{lines:?}");
    assert!(lines.contains(&"INFO run ended r".to_owned()), "{lines:?}");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_written_is_refused_at_the_start_and_a_full_disk_stops_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let refused = ran(dir.path(), &["serve", "--log-file", "there/is/no/directory"])?;
    let said = String::from_utf8(refused.stderr)?;
    assert!(
        said.starts_with("error: cannot write the log to there/is/no/directory: No such file"),
        "{said}"
    );
    assert_eq!(refused.status.code(), Some(2));
    pipe(dir.path(), "unread")?;
    let refused = ran(dir.path(), &["serve", "--log-file", "unread"])?;
    let said = String::from_utf8(refused.stderr)?;
    let why = "unread: it is neither a regular file nor a character device\n";
    assert!(said.starts_with(&format!("error: cannot write the log to {why}")), "{said}");
    assert_eq!(refused.status.code(), Some(2));
    assert!(!dir.path().join("state").exists(), "nothing has begun");
    if cfg!(target_os = "linux") {
        let ended = served(dir.path(), &["--log-file", "/dev/full"])?;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let said = String::from_utf8(ended.stderr)?;
        assert_eq!(said.matches("cannot write to the log /dev/full").count(), 1, "{said}");
    }
    Ok(())
}
