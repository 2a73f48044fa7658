//! A real engine behind a real socket, and a caller that writes its requests by hand.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::ledger::failing::{FailingStore, Faults};
use antiphon::process::WardenSetup;
use antiphon::{Engine, Failed, Output, SessionContext};
use antiphon_server::{ClientLimits, SOCKET, Server, SessionOf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Each test program is also the warden of its sessions, which is decided before `main`: that
/// belongs to the test harness.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static ENTRY: extern "C" fn() = enter;

#[cfg(target_os = "linux")]
extern "C" fn enter() {
    antiphon::process::enter();
}

/// An engine with a server, in a directory of its own.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) dir: PathBuf,
    pub(crate) engine: Engine,
    /// Lets the sessions of `hold` go.
    pub(crate) release: CancellationToken,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<()>,
}

/// How a bench differs from the plain one.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) limits: ClientLimits,
    pub(crate) session_of: Option<SessionOf>,
    pub(crate) faults: Faults,
    /// Whether items of plans are carried out; without, they stay ready.
    pub(crate) processes: bool,
}

impl Bench {
    pub(crate) async fn new() -> Result<Self> {
        Self::with(Setting::default()).await
    }

    pub(crate) async fn with(setting: Setting) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let dir = folder.path().join("state");
        Self::at(folder, dir, setting).await
    }

    pub(crate) async fn at(
        folder: tempfile::TempDir,
        dir: PathBuf,
        setting: Setting,
    ) -> Result<Self> {
        let release = CancellationToken::new();
        let engine = engine(&dir, &release, &setting).await?;
        let mut server = Server::bind(&dir, engine.clone()).await?.with_limits(setting.limits);
        if let Some(session_of) = setting.session_of {
            server = server.with_sessions(session_of);
        }
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(server.serve(shutdown.clone()));
        Ok(Self { folder, dir, engine, release, shutdown, served })
    }

    pub(crate) async fn connect(&self) -> Result<UnixStream> {
        Ok(UnixStream::connect(self.dir.join(SOCKET)).await?)
    }

    /// Sends some bytes and gives what comes back until the end.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> Result<String> {
        let mut stream = self.connect().await?;
        stream.write_all(request.as_ref()).await?;
        rest(&mut stream).await
    }

    /// `GET`, and the whole answer.
    pub(crate) async fn get(&self, path: &str) -> Result<String> {
        self.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
    }

    /// `POST` of JSON, and the whole answer.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Result<String> {
        self.post_with(path, "", body).await
    }

    /// The same with further header lines.
    pub(crate) async fn post_with(&self, path: &str, headers: &str, body: &str) -> Result<String> {
        let length = body.len();
        self.raw(format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: \
             {length}\r\n\r\n{body}"
        ))
        .await
    }

    /// Submits a plan under an id, and gives the whole answer.
    pub(crate) async fn submit(&self, id: &str, plan: &str) -> Result<String> {
        self.post("/v1/runs", &submission(id, plan)).await
    }

    /// Starts a run of functions, as [`functions`] reads it.
    pub(crate) async fn start(&self, id: &str, lines: &str) -> Result {
        start(&self.engine, id, lines).await
    }

    /// Stops the server, then the engine, which nobody else may hold any more.
    pub(crate) async fn stop(self) -> Result {
        self.release.cancel();
        self.shutdown.cancel();
        self.served.await?;
        self.engine.close().await?;
        Ok(())
    }
}

/// A plan of one item.
pub(crate) const PLAN: &str =
    "name: plan\nbudget: { sessions: 10, duration: 10m }\nwork:\n  a: { command: [echo, a] }\n";

/// The body of a submission.
pub(crate) fn submission(id: &str, plan: &str) -> String {
    serde_json::json!({
        "plan": plan, "name": "plan.yaml", "directory": "/tmp", "environment": { "PATH": "/usr/bin:/bin" }, "id": id
    })
    .to_string()
}

/// Everything that comes until the other end closes.
pub(crate) async fn rest(stream: &mut UnixStream) -> Result<String> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes).await {
        // So ends a connection on which the other end did not read everything.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        read => drop(read?),
    }
    Ok(String::from_utf8(bytes)?.replace("\r\n", "\n"))
}

/// What comes until a text is in it.
pub(crate) async fn until(stream: &mut UnixStream, text: &str) -> Result<String> {
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains(text) {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(format!("the stream ended before {text:?} came: {seen}").into());
        }
        seen.push_str(std::str::from_utf8(&buffer[..read])?);
    }
    Ok(seen.replace("\r\n", "\n"))
}

/// An engine with functions: `echo` gives the item's name, `fail` fails, `hold` waits until it is
/// let go or stopped.
pub(crate) async fn engine(
    dir: &Path,
    release: &CancellationToken,
    setting: &Setting,
) -> Result<Engine> {
    let setup = match setting.processes {
        true => Engine::builder(dir)?,
        false => Engine::builder_on(FailingStore::at(dir, &setting.faults))?,
    };
    let mut setup = setup.with_grace(Duration::from_secs(5));
    if setting.processes {
        setup.run_processes(WardenSetup::default())?;
    }
    setup.register("echo", |session: SessionContext| async move {
        Ok(Output::text(session.work().to_string()))
    })?;
    setup.register(
        "fail",
        |_: SessionContext| async move { Err(Failed::because("it was told to")) },
    )?;
    let release = release.clone();
    setup.register("hold", move |session: SessionContext| {
        let release = release.clone();
        async move {
            tokio::select! {
                () = release.cancelled() => Ok(Output::none()),
                () = session.stop_requested() => Err(Failed::because("it was asked to stop")),
            }
        }
    })?;
    Ok(setup.start().await?)
}

/// Starts a run of functions.
pub(crate) async fn start(engine: &Engine, id: &str, lines: &str) -> Result {
    let config = functions(lines).with_id(id)?;
    engine.submit(config).await?;
    Ok(())
}

/// What a run of functions is started with: a line for each thing, `work NAME FUNCTION [NEEDS..]`,
/// `open` or `sessions N`.
fn functions(lines: &str) -> CoordinationConfig {
    let (mut work, mut open, mut sessions) = (Vec::new(), false, 100);
    for line in lines.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["work", name, function, needs @ ..] => {
                let mut item = WorkSpec::function(name, function).unwrap();
                for need in needs {
                    item = item.needs_work(need).unwrap();
                }
                work.push(item);
            }
            ["open"] => open = true,
            ["sessions", count] => sessions = count.parse().unwrap(),
            _ => panic!("{line:?} is nothing that a run can hold"),
        }
    }
    let budget = CoordinationBudget::new(sessions, 600_000, 1_000, None).unwrap();
    let config = match open {
        true => CoordinationConfig::open(work, budget),
        false => CoordinationConfig::of_work(work, budget),
    };
    config.unwrap().with_name("plan.yaml")
}

/// An answer or a stream with everything replaced that is different each time: hashes, times,
/// epochs of the ledger.
pub(crate) fn steady(answer: &str) -> String {
    let mut steady = String::new();
    for line in dechunked(answer).lines() {
        let (prefix, json) = match line.strip_prefix("data: ") {
            Some(json) => ("data: ", json),
            None => ("", line),
        };
        match serde_json::from_str::<serde_json::Value>(json) {
            Ok(mut value) if value.is_object() => {
                blot(&mut value);
                let shown =
                    if prefix.is_empty() { format!("{value:#}") } else { value.to_string() };
                steady.push_str(&format!("{prefix}{shown}\n"));
            }
            _ if line.starts_with("content-length: ") => steady.push_str("content-length: N\n"),
            _ => steady.push_str(&format!("{line}\n")),
        }
    }
    steady
}

fn blot(value: &mut serde_json::Value) {
    const CHANGING: &[&str] = &[
        "added",
        "at",
        "changed",
        "completed_at",
        "deadline",
        "elapsed_ticks",
        "engine",
        "epochs",
        "hash",
        "head_hash",
        "number",
        "pid",
        "plan",
        "prev",
        "ready_ms",
        "receipt",
        "started",
        "started_at",
        "ticks",
        "time",
        "token",
        "took_ms",
        "waited_ms",
        "wall",
    ];
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                // A receipt's digest has the name of its rendering, and a moment that of a fact.
                let is_moment = matches!(name.as_str(), "asked" | "ended" | "expires" | "met")
                    && value.is_string();
                let is_changing = CHANGING.contains(&name.as_str());
                if is_moment || is_changing && !value.is_null() && !value.is_object() {
                    *value = "~".into();
                } else {
                    blot(value);
                }
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(blot),
        _ => {}
    }
}

/// A conversation: requests and whole answers, compared to the letter with a file in
/// `tests/transcripts`.
#[derive(Default)]
pub(crate) struct Transcript(String);

impl Transcript {
    pub(crate) fn say(&mut self, request: &str, answer: &str) {
        self.0.push_str(&format!("> {request}\n{}\n", steady(answer)));
    }

    /// `UPDATE_TRANSCRIPTS=1` writes the file anew; read what changed before it is committed.
    pub(crate) fn check(&self, name: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/transcripts")
            .join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            return std::fs::write(&path, &self.0).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        for (number, (written, said)) in (1..).zip(written.lines().zip(self.0.lines())) {
            assert_eq!(
                said, written,
                "{name}.txt line {number}; UPDATE_TRANSCRIPTS=1 writes it anew"
            );
        }
        assert_eq!(
            self.0.lines().count(),
            written.lines().count(),
            "{name}.txt has more or fewer lines than were said"
        );
    }
}

/// An answer without the sizes of its chunks.
fn dechunked(answer: &str) -> String {
    let Some((head, mut body)) = answer.split_once("\n\n") else { return answer.to_owned() };
    if !head.contains("transfer-encoding: chunked") {
        return answer.to_owned();
    }
    let mut whole = format!("{head}\n\n");
    while let Some((size, rest)) = body.split_once('\n') {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        whole.push_str(rest.get(..size).unwrap_or(rest));
        body = rest.get(size + 1..).unwrap_or_default();
    }
    whole
}
