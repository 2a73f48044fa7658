//! A session that misuses signals: nothing changes but what it may change, and nobody else waits.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod plans;

use std::time::{Duration, Instant};

use plans::{Result, Running, heard, pipe, plan, ran, say};
use serde_json::Value;

/// Says what it was answered, by status and code, and how long its flood took.
const ATTACKER: &str = r#"
import collections, json, os, socket, threading, time

def connect():
    link = socket.socket(socket.AF_UNIX)
    link.connect(os.environ["ANTIPHON_SOCKET"])
    return link

def request(run, body):
    body = json.dumps(body)
    head = f"POST /v1/runs/{run}/signals HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()

def answer(link, sent):
    link.sendall(sent)
    reader = link.makefile("rb")
    status, length, waits = reader.readline().split()[1].decode(), 0, False
    for line in iter(reader.readline, b"\r\n"):
        name, value = line.decode().lower().split(":", 1)
        length = int(value) if name == "content-length" else length
        waits = waits or name == "retry-after"
    body = json.loads(reader.read(length))
    return " ".join(word for word in (status, body.get("code"), waits and "retry-after") if word)

def once(run, body):
    return answer(connect(), request(run, body))

told = {
    "forged": once("r", {"type": "note", "from": "victim"}),
    "operator": once("r", {"type": "note", "from": "operator"}),
    "foreign": once("other", {"type": "note"}),
    "token": once("other", {"type": "note", "from": "attacker", "data": os.environ["ANTIPHON_TOKEN"]}),
}
half = request("r", {"type": "half"})
for cut in (10, len(half) - 5):
    link = connect()
    link.sendall(half[:cut])
    link.close()

counts, lock = collections.Counter(), threading.Lock()
def flood():
    link, seen = connect(), collections.Counter()
    for number in range(125):
        seen[answer(link, request("r", {"type": "flood", "data": number}))] += 1
    with lock:
        counts.update(seen)
began = time.monotonic()
threads = [threading.Thread(target=flood) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
told["flood"], told["seconds"] = counts, time.monotonic() - began
print(json.dumps(told))
"#;

#[test]
fn a_session_that_floods_forges_and_breaks_off_changes_nothing_and_delays_nobody() -> Result {
    let dir = tempfile::tempdir()?;
    let (begins, goes) = (pipe(dir.path(), "begins")?, pipe(dir.path(), "goes")?);
    let ends = pipe(dir.path(), "ends")?;
    std::fs::write(dir.path().join("attacker.py"), ATTACKER)?;
    plan(
        dir.path(),
        "  attacker: { shell: 'echo > begins; read go < goes; python3 attacker.py; read end < ends' }\n  \
         victim: { command: [echo, unharmed], needs: [attacker] }\n",
    )?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    heard(&begins)?;
    say(&goes, "now")?;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let before = Instant::now();
        let sent = ran(dir.path(), &["signal", "send", "calm"])?;
        assert_eq!(sent.status.code(), Some(0), "{sent:?}");
        slowest = slowest.max(before.elapsed());
    }
    // Starting a process twenty times is most of it.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    say(&ends, "now")?;
    assert_eq!(run.end()?.status.code(), Some(0));

    let told = ran(dir.path(), &["output", "attacker"])?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    for misuse in ["forged", "operator", "foreign", "token"] {
        assert_eq!(told[misuse], "403 session_may_not", "{misuse}: {told}");
    }
    let flood = told["flood"].as_object().ok_or("no flood")?;
    let count = |answer: &str| flood.get(answer).and_then(Value::as_u64).unwrap_or(0);
    let (sent, refused) = (count("200"), count("429 too_many_signals retry-after"));
    assert_eq!(sent + refused, 2_000, "{told}");
    let refilled = (told["seconds"].as_f64().ok_or("no time")? * 100.0).ceil() as u64 + 1;
    assert!((1_000..=1_000 + refilled).contains(&sent), "{told}");

    let log = ran(dir.path(), &["log", "r", "--json"])?;
    let mut types = std::collections::BTreeMap::<String, u64>::new();
    for line in String::from_utf8(log.stdout)?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let kind = match event["type"].as_str() {
            Some("coordination.signalled") => &event["payload"]["type"],
            _ => &event["type"],
        };
        *types.entry(kind.as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let expected = [
        ("calm", 20),
        ("coordination.completed", 1),
        ("coordination.session_bound", 2),
        ("coordination.session_unbound", 2),
        ("coordination.started", 1),
        ("coordination.work_added", 1),
        ("flood", sent),
    ];
    assert_eq!(types, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    let verified = ran(dir.path(), &["verify"])?;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    Ok(())
}
