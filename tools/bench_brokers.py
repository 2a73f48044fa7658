#!/usr/bin/env python3
"""A message from its sender to a subscriber: through Antiphon, and through Redis and NATS where they are installed, in one run.

Each server is started here, on a Unix socket or, as NATS has none, on a free port of the loopback interface, without a disk, and
ended again. One client for all of them, in Python's standard library: it publishes a message of 100 bytes on one connection and
waits on another one until it is there, one message at a time, in rounds that take turns. `antiphon bench signal.socket` runs
first, so that the same is known with our own client, and with the ledger on a disk.

    python3 tools/bench_brokers.py [--antiphon PATH] [--rounds N] [--each N] [--json]

Exit code: 0 measured, 2 something could not be measured. A server that is not installed is named and left out.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

MESSAGE = b"x" * 100
# How long a server has to begin, to answer and to end, in seconds.
PATIENCE = 10


class Broken(Exception):
    """A server did not do what it should."""


class Link:
    """A connection that is read by lines and by lengths."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        if not isinstance(address, str):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.reader = self.socket.makefile("rb")

    def send(self, sent: bytes) -> None:
        self.socket.sendall(sent)

    def line(self) -> bytes:
        line = self.reader.readline()
        if not line:
            raise Broken("the server has closed the connection")
        return line

    def expect(self, start: bytes) -> bytes:
        line = self.line()
        if not line.startswith(start):
            raise Broken(f"expected {start!r}, found {line!r}")
        return line


class Redis:
    """RESP: PUBLISH is answered with the number of subscribers, SUBSCRIBE with each message."""

    name = "redis.socket"
    client = "python"

    def __init__(self, address: str) -> None:
        self.sender, self.subscriber = Link(address), Link(address)
        self.subscriber.send(b"SUBSCRIBE inbox\r\n")
        for _ in range(5):
            self.subscriber.line()
        self.subscriber.expect(b":1")
        self.publish = b"*3\r\n$7\r\nPUBLISH\r\n$5\r\ninbox\r\n$%d\r\n%s\r\n" % (len(MESSAGE), MESSAGE)

    def send(self) -> None:
        self.sender.send(self.publish)

    def receive(self) -> None:
        for _ in range(6):
            self.subscriber.line()
        self.subscriber.expect(MESSAGE)

    def answered(self) -> None:
        self.sender.expect(b":1")


class Nats:
    """Each PUB is answered with +OK, as `verbose` asks, so that senders know as much as with the others. Servers ask with PING
    whether a client is there, whenever they like."""

    name = "nats.loopback"
    client = "python"

    def __init__(self, address: tuple[str, int]) -> None:
        self.sender, self.subscriber = Link(address), Link(address)
        for link in (self.sender, self.subscriber):
            link.expect(b"INFO")
            link.send(b'CONNECT {"verbose":true,"pedantic":false}\r\n')
            self.expect(link, b"+OK")
        self.subscriber.send(b"SUB inbox 1\r\n")
        self.expect(self.subscriber, b"+OK")
        self.publish = b"PUB inbox %d\r\n%s\r\n" % (len(MESSAGE), MESSAGE)

    def send(self) -> None:
        self.sender.send(self.publish)

    def receive(self) -> None:
        self.expect(self.subscriber, b"MSG")
        self.subscriber.expect(MESSAGE)

    def answered(self) -> None:
        self.expect(self.sender, b"+OK")

    @staticmethod
    def expect(link: Link, start: bytes) -> None:
        while (line := link.line()).startswith(b"PING"):
            link.send(b"PONG\r\n")
        if not line.startswith(start):
            raise Broken(f"expected {start!r}, found {line!r}")


class Antiphon:
    """HTTP over the socket: a signal is answered with its version, subscribers have it as an event of a stream."""

    name = "signal.socket.memory"
    client = "python"

    def __init__(self, address: str) -> None:
        body = json.dumps({"type": "stage_completed", "data": MESSAGE.decode()}).encode()
        head = "POST /v1/runs/inbox/signals HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        self.publish = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        self.sender = Link(address)
        # The first one begins the run.
        self.send()
        self.answered()
        self.subscriber = Link(address)
        self.subscriber.send(b"GET /v1/runs/inbox/signals?after=now HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
        self.subscriber.expect(b"HTTP/1.1 200")
        while not self.subscriber.line().startswith(b"id:"):
            pass

    def send(self) -> None:
        self.sender.send(self.publish)

    def receive(self) -> None:
        while not (line := self.subscriber.line()).startswith(b"data:"):
            pass
        if MESSAGE not in line:
            raise Broken(f"expected the message, found {line!r}")

    def answered(self) -> None:
        self.sender.expect(b"HTTP/1.1 200")
        length = 0
        while (line := self.sender.line()) != b"\r\n":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.sender.reader.read(length)


@contextmanager
def running(command: list[str], **options):
    """A process, which is ended by its id whatever happens."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def connected(kind, address, process: subprocess.Popen):
    """A client of a server that was just started: it listens when it does, so this is tried until then."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return kind(address)
        except OSError as error:
            if process.poll() is not None:
                raise Broken(f"{process.args[0]} ended at once, with exit code {process.returncode}") from error
            if time.monotonic() > until:
                raise Broken(f"{process.args[0]} does not listen: {error}") from error
            time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def started(stack: ExitStack, scratch: Path, antiphon: str, servers: dict[str, str]) -> list:
    """A client for each server that there is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANTIPHON_")} | {"TMPDIR": str(scratch)}
    serve = [antiphon, "serve", "--memory", "--undeclared", "--json"]
    process = stack.enter_context(running(serve, stdout=subprocess.PIPE, env=environment, cwd=scratch))
    told = json.loads(process.stdout.readline() or "{}")
    if "dir" not in told:
        raise Broken(f"{antiphon} serve does not begin; run it by hand to see why")
    clients = [connected(Antiphon, str(Path(told["dir"]) / "api.sock"), process)]
    if path := servers.get("redis-server"):
        address = str(scratch / "redis.sock")
        options = ["--port", "0", "--unixsocket", address, "--save", "", "--appendonly", "no", "--dir", str(scratch)]
        process = stack.enter_context(running([path, *options], stdout=subprocess.DEVNULL))
        clients.append(connected(Redis, address, process))
    if path := servers.get("nats-server"):
        port = free_port()
        process = stack.enter_context(running([path, "-a", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL))
        clients.append(connected(Nats, ("127.0.0.1", port), process))
    return clients


def round_of(client, each: int) -> list[float]:
    """How long each of some messages takes until its subscriber has it, in microseconds."""
    times = []
    for _ in range(each):
        before = time.perf_counter()
        client.send()
        client.receive()
        times.append((time.perf_counter() - before) * 1e6)
        client.answered()
    return times


def measured(clients: list, rounds: int, each: int) -> list[dict]:
    times = {client.name: [] for client in clients}
    for number in range(rounds + 1):
        for client in clients:
            taken = round_of(client, each)
            # The first round is not counted.
            times[client.name] += taken if number else []
    rows = []
    for client in clients:
        centiles = statistics.quantiles(times[client.name], n=100, method="inclusive")
        rows.append({"name": client.name, "client": client.client, "p50": round(centiles[49], 1), "p99": round(centiles[98], 1)})
    return rows


def benched(antiphon: str, scratch: Path) -> dict:
    """What our own benchmark says of the same, and of the machine."""
    command = [antiphon, "bench", "signal.socket", "--json", "--dir", str(scratch / "state")]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if run.returncode:
        raise Broken(f"{' '.join(command)} failed: {run.stderr.strip()}")
    return json.loads(run.stdout)


def version(path: str) -> str:
    run = subprocess.run([path, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return (run.stdout or run.stderr).strip()


def run(arguments: argparse.Namespace) -> None:
    antiphon = shutil.which(arguments.antiphon)
    if not antiphon:
        raise Broken(f"there is no {arguments.antiphon}; build it with `cargo build --release`, or name another one with --antiphon")
    antiphon = os.path.abspath(antiphon)
    names = ("redis-server", "nats-server")
    servers = {name: path for name in names if (path := shutil.which(name))}
    missing = [name for name in names if name not in servers]
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        own = benched(antiphon, Path(scratch))
        versions = {"python": platform.python_version()} | {name: version(path) for name, path in servers.items()}
        report = {"conditions": own["conditions"] | versions, "not_installed": missing, "unit": "us"}
        rows = [{"name": row["name"], "client": "antiphon bench", "p50": row["p50"], "p99": row["p99"]} for row in own["results"]]
        clients = started(stack, Path(scratch), antiphon, servers)
        report["results"] = rows + measured(clients, arguments.rounds, arguments.each)
    if arguments.json:
        print(json.dumps(report))
        return
    for name, value in report["conditions"].items():
        print(f"{name:<14} {value}")
    for name in missing:
        print(f"{name:<14} not installed, so it is not measured")
    print(f"\n{'from a send to a subscriber':<28} {'client':<16} {'p50':>10} {'p99':>10}")
    for row in report["results"]:
        print(f"{row['name']:<28} {row['client']:<16} {row['p50']:>7} us {row['p99']:>7} us")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures Antiphon beside Redis and NATS, where they are installed.")
    parser.add_argument("--antiphon", default="target/release/antiphon", help="the program (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: %(default)s)")
    parser.add_argument("--each", type=int, default=500, help="messages of a round (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    try:
        run(parser.parse_args())
    except (Broken, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
