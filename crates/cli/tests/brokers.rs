//! The script that measures Redis and NATS beside us, with stand-ins that speak as much of their
//! protocols as it needs.
#![cfg(target_os = "linux")]
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Ours but for `bench`, which takes long and is tested elsewhere.
const ANTIPHON: &str = r#"#!/bin/sh
[ "$1" = bench ] || exec "$UNDER_TEST" "$@"
echo '{"conditions":{"cores":2},"results":[{"name":"signal.socket.memory","p50":1.5,"p99":2.5}]}'
"#;

const REDIS: &str = r#"#!/usr/bin/env python3
import socket, sys, threading
if "--version" in sys.argv:
    sys.exit(print("Redis stand-in"))
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[sys.argv.index("--unixsocket") + 1])
listener.listen()
subscribers = []
def serve(link):
    reader = link.makefile("rb")
    while line := reader.readline():
        if line.startswith(b"SUBSCRIBE"):
            subscribers.append(link)
            link.sendall(b"*3\r\n$9\r\nsubscribe\r\n$5\r\ninbox\r\n:1\r\n")
            continue
        words = [reader.readline() + reader.readline() for _ in range(3)]
        for subscriber in subscribers:
            subscriber.sendall(b"*3\r\n$7\r\nmessage\r\n" + words[1] + words[2])
        link.sendall(b":%d\r\n" % len(subscribers))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

const NATS: &str = r#"#!/usr/bin/env python3
import socket, sys, threading
if "--version" in sys.argv:
    sys.exit(print("NATS stand-in"))
listener = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("-p") + 1])))
subscribers = []
def serve(link):
    link.sendall(b"INFO {}\r\n")
    reader = link.makefile("rb")
    while line := reader.readline():
        if line.startswith(b"PUB"):
            payload = reader.readline()
            for subscriber in subscribers:
                subscriber.sendall(b"PING\r\nMSG inbox 1 100\r\n" + payload)
        if line.startswith(b"SUB"):
            subscribers.append(link)
        if not line.startswith(b"PONG"):
            link.sendall(b"+OK\r\n")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

fn program(dir: &Path, name: &str, text: &str) -> Result {
    let path = dir.join(name);
    std::fs::write(&path, text)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// What the script prints where there is nothing but these programs, without its times.
fn printed(dir: &Path) -> Result<Vec<String>> {
    let python =
        Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output()?;
    let python = String::from_utf8(python.stdout)?.trim().to_owned();
    if !dir.join("python3").exists() {
        symlink(&python, dir.join("python3"))?;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/bench_brokers.py");
    let run = Command::new(python)
        .args([script, "--antiphon", "antiphon", "--rounds", "1", "--each", "5"])
        .env("PATH", dir)
        .env("UNDER_TEST", env!("CARGO_BIN_EXE_antiphon"))
        .stdin(Stdio::null())
        .output()?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let text = String::from_utf8(run.stdout)?;
    let shown = |line: &str| {
        let words = line.split_whitespace().map(|word| match word.parse::<f64>() {
            Ok(time) if line.ends_with(" us") && time > 0.0 => "N",
            _ => word,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    Ok(text.lines().filter(|line| !line.starts_with("python")).map(shown).collect())
}

#[test]
fn brokers_are_measured_where_they_are_installed_and_named_where_they_are_not() -> Result {
    let dir = tempfile::tempdir()?;
    program(dir.path(), "antiphon", ANTIPHON)?;
    assert_eq!(
        printed(dir.path())?,
        [
            "cores 2",
            "redis-server not installed, so it is not measured",
            "nats-server not installed, so it is not measured",
            "",
            "from a send to a subscriber client p50 p99",
            "signal.socket.memory antiphon bench N us N us",
            "signal.socket.memory python N us N us",
        ]
    );
    program(dir.path(), "redis-server", REDIS)?;
    program(dir.path(), "nats-server", NATS)?;
    assert_eq!(
        printed(dir.path())?,
        [
            "cores 2",
            "redis-server Redis stand-in",
            "nats-server NATS stand-in",
            "",
            "from a send to a subscriber client p50 p99",
            "signal.socket.memory antiphon bench N us N us",
            "signal.socket.memory python N us N us",
            "redis.socket python N us N us",
            "nats.loopback python N us N us",
        ]
    );
    Ok(())
}
