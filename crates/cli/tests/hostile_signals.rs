//! A session that misuses what it may do: nothing changes but what it may change, and nobody else waits.
#![cfg(target_os = "linux")]
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::plans::{Result, Running, heard, pipe, plan_with, ran, say};
use serde_json::Value;

/// Requests as bytes over the socket, and their answers by status and code.
const REQUESTS: &str = r#"
import json, os, socket

def connect():
    link = socket.socket(socket.AF_UNIX)
    link.connect(os.environ["ANTIPHON_SOCKET"])
    return link

def post(path, body):
    body = json.dumps(body)
    head = f"POST /v1/runs/{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()

def answer(reader):
    status, length, waits = reader.readline().split()[1].decode(), 0, False
    for line in iter(reader.readline, b"\r\n"):
        name, value = line.decode().lower().split(":", 1)
        length = int(value) if name == "content-length" else length
        waits = waits or name == "retry-after"
    body = json.loads(reader.read(length))
    return " ".join(word for word in (status, body.get("code"), waits and "retry-after") if word)

def asked(link, sent):
    link.sendall(sent)
    return answer(link.makefile("rb"))

def once(path, body):
    return asked(connect(), post(path, body))
"#;

/// Floods from before it says so until it is told to stop, with many requests on their way at a time.
const ATTACKER: &str = r#"
import collections, threading
from requests_of_a_session import *

SENDERS, TOGETHER, SENDS = 16, 25, 10_000
told = {
    "question": once("r/approvals", {"question": "May I?", "id": "mine"}),
    "own_answer": once("r/approvals/mine/answer", {"answer": "yes"}),
    "foreign_answer": once("other/approvals/theirs/answer", {"answer": "yes"}),
    "forged": once("r/signals", {"type": "note", "from": "victim"}),
    "operator": once("r/signals", {"type": "note", "from": "operator"}),
    "foreign": once("other/signals", {"type": "note"}),
    "token": once("other/signals", {"type": "note", "from": "attacker", "data": os.environ["ANTIPHON_TOKEN"]}),
    "foreign_gate": once("r/keys", {"set": {"gate/coverage": 1_000_000}}),
    "gate_between": once("r/keys", {"set": {"own": 1, "gate/coverage": 1_000_000}}),
    "context": once("r/keys", {"set": {"context/victim": {}}}),
}
half = post("r/signals", {"type": "half"})
held = []
for cut in (10, len(half) - 5):
    link = connect()
    link.sendall(half[:cut])
    link.close()
    link = connect()
    link.sendall(half[:cut])
    held.append(link)

counts, lock = collections.Counter(), threading.Lock()
begun, enough = threading.Event(), threading.Event()
def flood():
    link, sent = connect(), 0
    reader, flooding = link.makefile("rb"), post("r/signals", {"type": "flood"}) * TOGETHER
    while sent < SENDS / SENDERS or not enough.is_set():
        link.sendall(flooding)
        seen = collections.Counter(answer(reader) for _ in range(TOGETHER))
        sent += TOGETHER
        with lock:
            counts.update(seen)
            if sum(counts.values()) > 2_000:
                begun.set()
threads = [threading.Thread(target=flood) for _ in range(SENDERS)]
for thread in threads: thread.start()
begun.wait()
open("floods", "w").write("now")
open("calmed").read()
enough.set()
for thread in threads: thread.join()
print(json.dumps(told | {"flood": counts, "held": len(held)}))
"#;

/// How often each type of event is on the record of a run; of signals, each of their types.
fn recorded(dir: &Path, run: &str) -> Result<BTreeMap<String, u64>> {
    let log = ran(dir, &["log", run, "--json"])?;
    let mut types = BTreeMap::<String, u64>::new();
    for line in String::from_utf8(log.stdout)?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let kind = match event["type"].as_str() {
            Some("coordination.signalled") => &event["payload"]["type"],
            _ => &event["type"],
        };
        *types.entry(kind.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    Ok(types)
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.map(|(kind, count)| (kind.to_owned(), count)).into()
}

fn verified(dir: &Path) -> Result {
    let verified = ran(dir, &["verify"])?;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    Ok(())
}

#[test]
fn a_session_that_floods_forges_and_breaks_off_changes_nothing_and_delays_nobody() -> Result {
    let dir = tempfile::tempdir()?;
    let path = dir.path();
    let (begins, goes) = (pipe(path, "begins")?, pipe(path, "goes")?);
    let (runs, ends) = (pipe(path, "runs")?, pipe(path, "ends")?);
    let (floods, calmed) = (pipe(path, "floods")?, pipe(path, "calmed")?);
    std::fs::write(path.join("requests_of_a_session.py"), REQUESTS)?;
    std::fs::write(path.join("attacker.py"), ATTACKER)?;
    let budget = "budget: { sessions: 20, duration: 5m }";
    let other = "  held: { shell: 'echo runs > runs; read word < ends' }\n";
    plan_with(path, "other.yaml", budget, other)?;
    plan_with(
        path,
        "plan.yaml",
        &format!("{budget}\ngates: {{ coverage: {{ by: [victim] }} }}"),
        "  attacker: { shell: 'echo > begins; read go < goes; python3 attacker.py' }\n  \
         victim: { command: [echo, unharmed], needs: [attacker] }\n",
    )?;
    let other = Running::start(path, &["run", "other.yaml", "--id", "other"])?;
    heard(&runs)?;
    let asked = ran(path, &["ask", "Theirs?", "--id", "theirs", "--run", "other"])?;
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    let run = Running::start(path, &["run", "plan.yaml", "--id", "r"])?;
    heard(&begins)?;
    say(&goes, "now")?;

    // As long as the flood goes on, others are answered: in the same run and in another one.
    heard(&floods)?;
    for _ in 0..10 {
        for run in ["r", "other"] {
            let sent = ran(path, &["signal", "send", "calm", "--run", run])?;
            assert_eq!(sent.status.code(), Some(0), "{sent:?}");
        }
    }
    say(&calmed, "now")?;
    assert_eq!(run.end()?.status.code(), Some(0));
    say(&ends, "now")?;
    assert_eq!(other.end()?.status.code(), Some(0));

    let told = ran(path, &["output", "r", "attacker"])?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    assert_eq!((&told["question"], &told["held"]), (&"200".into(), &2.into()), "{told}");
    assert_eq!(told["own_answer"], "403 approval_by_session", "{told}");
    for misuse in [
        "foreign_answer",
        "forged",
        "operator",
        "foreign",
        "token",
        "foreign_gate",
        "gate_between",
        "context",
    ] {
        assert_eq!(told[misuse], "403 session_may_not", "{misuse}: {told}");
    }
    let flood = told["flood"].as_object().ok_or("no flood")?;
    let count = |answer: &str| flood.get(answer).and_then(Value::as_u64).unwrap_or(0);
    let (sent, refused) = (count("200"), count("429 too_many_signals retry-after"));
    let all: u64 = flood.values().filter_map(Value::as_u64).sum();
    assert_eq!(sent + refused, all, "{told}");
    assert!(all >= 10_000 && sent >= 990 && refused > sent, "{told}");

    let expected = [
        ("calm", 10),
        ("coordination.asked", 1),
        ("coordination.completed", 1),
        ("coordination.session_bound", 2),
        ("coordination.session_unbound", 2),
        ("coordination.started", 1),
        ("coordination.work_added", 1),
        ("flood", sent),
    ];
    assert_eq!(recorded(path, "r")?, counts(expected));
    let expected = [
        ("calm", 10),
        ("coordination.asked", 1),
        ("coordination.completed", 1),
        ("coordination.session_bound", 1),
        ("coordination.session_unbound", 1),
        ("coordination.started", 1),
        ("coordination.work_added", 1),
    ];
    assert_eq!(recorded(path, "other")?, counts(expected));
    verified(path)
}

/// Hands its connections to a process outside and stops itself, so that it does not even hear that its
/// time is over.
const STOPPED: &str = r#"
import signal
from requests_of_a_session import *

links = [connect(), connect()]
first = asked(links[0], post("r/signals", {"type": "early"}))
keeper = socket.socket(socket.AF_UNIX)
keeper.connect("keeper.sock")
socket.send_fds(keeper, [f"{os.getpid()} {first}".encode()], [link.fileno() for link in links])
os.kill(os.getpid(), signal.SIGSTOP)
once("r/signals", {"type": "late"})
"#;

/// Keeps what a session hands it, and once told to, wakes the session up and uses it.
const KEEPER: &str = r#"
import signal
from requests_of_a_session import *

listener = socket.socket(socket.AF_UNIX)
listener.bind("keeper.sock")
listener.listen()
open("keeps", "w").write("now")
said, links, _, _ = socket.recv_fds(listener.accept()[0], 100, 2)
pid, first = said.decode().split()
open("kept", "w").write("now")
open("wakes").read()
told = {"first": first}
try:
    os.kill(int(pid), signal.SIGCONT)
    told["woken"] = True
except ProcessLookupError:
    told["woken"] = False
used, unused = (socket.socket(fileno=link) for link in links)
told["late"] = asked(used, post("r/signals", {"type": "late"}))
told["later"] = asked(used, post("r/keys", {"set": {"late": 1}}))
told["unused"] = asked(unused, post("r/signals", {"type": "late"}))
print(json.dumps(told))
"#;

#[test]
fn a_session_that_was_stopped_past_its_end_is_gone_and_its_connections_change_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let path = dir.path();
    let (keeps, kept) = (pipe(path, "keeps")?, pipe(path, "kept")?);
    let (wakes, ends) = (pipe(path, "wakes")?, pipe(path, "ends")?);
    std::fs::write(path.join("requests_of_a_session.py"), REQUESTS)?;
    std::fs::write(path.join("stopped.py"), STOPPED)?;
    std::fs::write(path.join("keeper.py"), KEEPER)?;
    plan_with(
        path,
        "plan.yaml",
        "budget: { sessions: 20, duration: 5m }",
        "  stopped: { command: [python3, stopped.py], timeout: 2s, grace: 100ms, retry: { attempts: 1 } }\n  \
         held: { shell: 'read word < ends' }\n",
    )?;
    let mut keeper = Command::new("python3");
    let keeper = keeper.arg("keeper.py").current_dir(path).stdout(Stdio::piped()).spawn()?;
    heard(&keeps)?;
    let run = Running::start(path, &["run", "plan.yaml", "--id", "r"])?;
    heard(&kept)?;

    // It stands still, and others are answered.
    let sent = ran(path, &["signal", "send", "calm", "--run", "r"])?;
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    let wait = ["signal", "wait", "agent_completed", "--about", "stopped", "--run", "r"];
    let ended = ran(path, &wait)?;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    say(&wakes, "now")?;
    let told: Value = serde_json::from_slice(&keeper.wait_with_output()?.stdout)?;
    let expected = serde_json::json!({
        "first": "200",
        "woken": false,
        "late": "409 stale_session",
        "later": "409 stale_session",
        "unused": "409 stale_session",
    });
    assert_eq!(told, expected);
    say(&ends, "now")?;
    assert_eq!(run.end()?.status.code(), Some(6));

    let expected = [
        ("calm", 1),
        ("coordination.completed", 1),
        ("coordination.session_bound", 2),
        ("coordination.session_unbound", 2),
        ("coordination.started", 1),
        ("coordination.work_added", 1),
        ("coordination.write_refused", 2),
        ("early", 1),
    ];
    assert_eq!(recorded(path, "r")?, counts(expected));
    verified(path)
}
