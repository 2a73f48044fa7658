//! `list`, `status`, the frame on a terminal and the API say the same word for the same run, in
//! whatever order it was paused, closed, drained and cancelled, its budget was spent and its
//! breaker tripped.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Fixture, check};
use crate::screen::OnTerminal;
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::id::{CoordinationId, Version};
use antiphon::{Engine, Failed, Output, SessionContext};
use antiphon_server::{Client, Code, Problem, Server, Steer};
use rustix::process::Signal;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What can come over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Pause,
    Close,
    Drain,
    Cancel,
    Budget,
    Breaker,
}

const CAUSES: [Cause; 6] =
    [Cause::Pause, Cause::Close, Cause::Drain, Cause::Cancel, Cause::Budget, Cause::Breaker];

/// Tokens that a run may use, and that one of its sessions says it has used.
const TOKENS: u64 = 1_000;

/// Items that fail for good, one after the other.
const BREAKER: u32 = 3;

/// Sessions that a run starts with.
const SESSIONS: u32 = BREAKER + 2;

/// Where the state directory of the process is that has the engine; it is this program again, as
/// an engine does not answer what descends from it.
const HOST: &str = "STATUS_WORDS_HOST";

fn name(first: Cause, then: Cause) -> String {
    format!("{first:?}-{then:?}").to_lowercase()
}

/// Every ordered pair of causes.
fn orders() -> impl Iterator<Item = (Cause, Cause)> {
    let pairs = CAUSES.into_iter().flat_map(|first| CAUSES.map(|then| (first, then)));
    pairs.filter(|(first, then)| first != then)
}

fn config(name: &str) -> CoordinationConfig {
    let mut work = vec![
        WorkSpec::function("stays", "stays").unwrap(),
        WorkSpec::function("spends", "spends").unwrap(),
    ];
    work.extend((0..BREAKER).map(|number| {
        WorkSpec::function(format!("fails-{number}"), "fails").unwrap().with_attempts(1)
    }));
    work.push(WorkSpec::function("later", "stays").unwrap().needs_work("stays").unwrap());
    let budget = CoordinationBudget::new(100, 3_600_000, 1_000, Some(TOKENS)).unwrap();
    let open = CoordinationConfig::open(work, budget).unwrap().with_id(name).unwrap();
    open.with_concurrency(SESSIONS).unwrap().with_breaker(BREAKER).unwrap()
}

/// Waits until so many events of a type are recorded.
async fn recorded(client: &Client, id: &CoordinationId, kind: &str, count: usize) {
    let mut events = client.follow(id, Version(0));
    for _ in 0..count {
        while events.next().await.unwrap().unwrap().recorded().unwrap().kind.as_ref() != kind {}
    }
}

/// Brings a cause over a run, after so many of its sessions have ended; gives whether that is
/// allowed.
async fn bring(
    host: &mut Host,
    client: &Client,
    run: &str,
    cause: Cause,
    ended: &mut usize,
) -> bool {
    let id = CoordinationId::new(run).unwrap();
    let how = match cause {
        Cause::Pause => Steer::Pause,
        Cause::Close => Steer::Close,
        Cause::Drain => Steer::Drain,
        Cause::Cancel => Steer::Cancel,
        Cause::Budget | Cause::Breaker => {
            let (end, ends) = match cause {
                Cause::Budget => ("spends", 1),
                _ => ("fails", BREAKER as usize),
            };
            writeln!(host.gates, "{run}/{end} {ends}").unwrap();
            *ended += ends;
            recorded(client, &id, "coordination.session_unbound", *ended).await;
            return true;
        }
    };
    match client.steer(&id, how, "to see what it says", None).await {
        Ok(_) => true,
        Err(error) if error.problem().and_then(Problem::known_code) == Some(Code::WrongState) => {
            false
        }
        Err(error) => panic!("{run}: {error}"),
    }
}

/// The word in the heading of the last frame on a terminal.
fn framed(fixture: &Fixture, run: &str) -> String {
    let plain = |command: &mut Command| _ = command.env("NO_COLOR", "1");
    let dir = fixture.path("");
    let mut shown = OnTerminal::start(&dir, &["resume", run], (24, 100), plain).unwrap();
    // What is recorded comes at once, frames after a while: the third has all of it.
    for _ in 0..3 {
        shown.between_frames().unwrap();
    }
    shown.signal(Signal::TERM).unwrap();
    let (text, screen, _status) = shown.end().unwrap();
    let lines = screen.lines();
    let heading = lines.iter().rfind(|line| line.starts_with(run));
    let heading = heading.unwrap_or_else(|| panic!("no heading in {text:?}"));
    heading.split_whitespace().nth(1).unwrap().to_owned()
}

/// The process that has the engine, and the way to let its sessions go.
struct Host {
    process: Child,
    gates: ChildStdin,
}

impl Host {
    /// Starts it, and waits until its runs are submitted.
    fn start(fixture: &Fixture, test: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(HOST, fixture.state())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "ready"));
        let gates = process.stdin.take().unwrap();
        Self { process, gates }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// An engine with a run for each order, of whose sessions each waits until it is let go by a line
/// on standard input; one never is.
async fn host(state: PathBuf) {
    let names = orders().flat_map(|(first, then)| {
        ["stays", "spends", "fails"].map(|end| format!("{}/{end}", name(first, then)))
    });
    let gates: HashMap<String, Semaphore> = names.map(|name| (name, Semaphore::new(0))).collect();
    let gates = Arc::new(gates);
    let mut setup = Engine::builder(&state).unwrap().with_grace(Duration::from_secs(3_600));
    for end in ["stays", "spends", "fails"] {
        let gates = Arc::clone(&gates);
        setup
            .register(end, move |session: SessionContext| {
                let gates = Arc::clone(&gates);
                async move {
                    let gate = &gates[&format!("{}/{end}", session.coordination())];
                    gate.acquire().await.unwrap().forget();
                    match end {
                        "fails" => Err(Failed::because("it cannot be done")),
                        _ => Ok(Output::none().with_usage(TOKENS, 0)),
                    }
                }
            })
            .unwrap();
    }
    let engine = setup.start().await.unwrap();
    let server = Server::bind(&state, engine.clone()).await.unwrap();
    let _serving = tokio::spawn(server.serve(CancellationToken::new()));
    for (first, then) in orders() {
        engine.submit(config(&name(first, then))).await.unwrap();
    }
    println!("\nready");
    // Until its parent ends it.
    tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let (gate, count) = line.split_once(' ').unwrap();
            gates[gate].add_permits(count.parse().unwrap());
        }
    })
    .await
    .unwrap();
}

#[test]
fn every_order_of_causes_has_one_word_wherever_it_is_asked() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(state) = std::env::var_os(HOST) {
        return runtime.block_on(host(state.into()));
    }
    let fixture = Fixture::empty();
    let test = "status_words::every_order_of_causes_has_one_word_wherever_it_is_asked";
    let mut host = Host::start(&fixture, test);
    let (answered, refused) = runtime.block_on(async {
        let client = Client::connect(fixture.state()).await.unwrap();
        let (mut answered, mut refused) = (HashMap::new(), Vec::new());
        for (first, then) in orders() {
            let run = name(first, then);
            let id = CoordinationId::new(&run).unwrap();
            recorded(&client, &id, "coordination.session_bound", SESSIONS as usize).await;
            let mut ended = 0;
            assert!(bring(&mut host, &client, &run, first, &mut ended).await, "{run}");
            if !bring(&mut host, &client, &run, then, &mut ended).await {
                refused.push(run.clone());
            }
            answered.insert(run, client.status(&id).await.unwrap().status.to_string());
        }
        (answered, refused)
    });
    let listed: HashMap<String, String> = (fixture.objects("list --json --limit 0").iter())
        .map(|run| (text(&run["id"]).to_owned(), text(&run["status"]).to_owned()))
        .collect();

    let mut table = String::new();
    for (first, then) in orders() {
        let run = name(first, then);
        let status = fixture.objects(&format!("status {run} --json")).remove(0);
        let frame = framed(&fixture, &run);
        let words = [&listed[&run], text(&status["status"]), &frame, &answered[&run]];
        let said = match words {
            [list, status, frame, api] if [status, frame, api].iter().all(|word| *word == list) => {
                list.to_owned()
            }
            [list, status, frame, api] => {
                format!("list {list}, status {status}, frame {frame}, API {api}")
            }
        };
        let note = if refused.contains(&run) { " (the second is refused)" } else { "" };
        table.push_str(&format!("{run}: {said}{note}\n"));
    }
    check(&table, EXPECTED);
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap()
}

const EXPECTED: &str = "\
pause-close: paused
pause-drain: stopping
pause-cancel: stopping
pause-budget: paused
pause-breaker: paused
close-pause: paused
close-drain: stopping
close-cancel: stopping
close-budget: stopping
close-breaker: stopping
drain-pause: stopping
drain-close: stopping (the second is refused)
drain-cancel: stopping
drain-budget: stopping
drain-breaker: stopping
cancel-pause: stopping
cancel-close: stopping (the second is refused)
cancel-drain: stopping (the second is refused)
cancel-budget: stopping
cancel-breaker: stopping
budget-pause: paused
budget-close: stopping
budget-drain: stopping
budget-cancel: stopping
budget-breaker: running
breaker-pause: paused
breaker-close: stopping
breaker-drain: stopping
breaker-cancel: stopping
breaker-budget: running
";
