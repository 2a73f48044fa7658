#!/usr/bin/env python3
"""A second verifier of the ledger format, written from docs/ledger-format.md and sharing no code with the first.

Checks both chains, commits, payload and blob digests, head rows, cursors, the head mark and erasures, and puts every receipt together
again from the events of its coordination. Needs Python 3.11 and its standard library. Never writes into the directory.

    python3 tools/verify_ledger.py [--json] DIR

Exit code: 0 sound, 1 something is wrong, 2 there is no ledger that can be read.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import re
import shutil
import sqlite3
import stat
import struct
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

GENESIS = bytes(32)
# "ANTP", in the header of the database.
APPLICATION_ID = 0x414E5450
# Types after which a stream takes in nothing.
TERMINAL = {b"coordination.completed", b"coordination.aborted"}
# The types whose payloads name something that is looked at.
NAMING = TERMINAL | {
    b"ledger.opened", b"ledger.erased", b"coordination.started", b"coordination.work_added", b"coordination.session_unbound",
}
# Earlier builds wrote the first form, which does not name the ledger.
MARK = re.compile(rb"(antiphon\.head\.(?:1|2 ([0-9a-f]{64})) (0|[1-9][0-9]*) (0|[1-9][0-9]*) ([0-9a-f]{64})) ([0-9a-f]{64})\n")
# The tables, indexes and triggers of the format, word for word.
SCHEMA = """
CREATE TABLE ledger (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    format INTEGER NOT NULL,
    id     BLOB    NOT NULL CHECK (length(id) = 32),
    epoch  INTEGER NOT NULL CHECK (epoch >= 0)
) STRICT;

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    stream  INTEGER NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    type    TEXT    NOT NULL,
    schema  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    cause   TEXT,
    payload BLOB,
    erased  BLOB,
    prev    BLOB    NOT NULL CHECK (length(prev) = 32),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    CHECK ((payload IS NULL) = (erased IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);

CREATE TABLE streams (
    stream  INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    version INTEGER NOT NULL CHECK (version > 0),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    status  TEXT    NOT NULL,
    ended   INTEGER NOT NULL CHECK (ended IN (0, 1)),
    started INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    summary TEXT    NOT NULL,
    digest  BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT;
CREATE INDEX streams_running ON streams (stream) WHERE ended = 0;

CREATE TABLE commits (
    number INTEGER PRIMARY KEY,
    epoch  INTEGER NOT NULL CHECK (epoch > 0),
    first  INTEGER NOT NULL,
    events INTEGER NOT NULL CHECK (events > 0),
    prev   BLOB    NOT NULL CHECK (length(prev) = 32),
    hash   BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE blobs (
    blob   INTEGER PRIMARY KEY,
    digest BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    size   INTEGER NOT NULL CHECK (size >= 0),
    bytes  BLOB    CHECK (length(bytes) = size)
) STRICT;

CREATE TABLE cursors (
    name    TEXT    PRIMARY KEY,
    stream  TEXT    NOT NULL,
    version INTEGER NOT NULL,
    digest  BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    stream  TEXT    PRIMARY KEY,
    version INTEGER NOT NULL,
    format  TEXT    NOT NULL,
    bytes   BLOB    NOT NULL,
    digest  BLOB    NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE TRIGGER ledger_stays BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'a ledger keeps its identity'); END;

CREATE TRIGGER ledger_keeps_identity BEFORE UPDATE ON ledger
WHEN new.id IS NOT old.id OR new.format < old.format OR new.epoch < old.epoch
BEGIN SELECT RAISE(ABORT, 'a ledger keeps its identity, and its epoch only rises'); END;

CREATE TRIGGER events_stay BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are only ever appended'); END;

CREATE TRIGGER events_are_erased_or_kept BEFORE UPDATE ON events
WHEN old.payload IS NULL OR new.payload IS NOT NULL OR length(new.erased) IS NOT 32
    OR new.seq IS NOT old.seq OR new.stream IS NOT old.stream OR new.version IS NOT old.version OR new.type IS NOT old.type
    OR new.schema IS NOT old.schema OR new.at IS NOT old.at OR new.wall IS NOT old.wall OR new.actor IS NOT old.actor
    OR new.cause IS NOT old.cause OR new.prev IS NOT old.prev OR new.hash IS NOT old.hash
BEGIN SELECT RAISE(ABORT, 'an event can only be erased'); END;

CREATE TRIGGER commits_stay BEFORE DELETE ON commits
BEGIN SELECT RAISE(ABORT, 'commits are only ever appended'); END;

CREATE TRIGGER commits_are_kept BEFORE UPDATE ON commits
BEGIN SELECT RAISE(ABORT, 'commits are only ever appended'); END;
"""
# What SQLite says when it cannot read now, whatever is in the file: no permission, busy, locked, out of memory, read-only, disk, cannot open.
NOT_NOW = {3, 5, 6, 7, 8, 10, 14}
# How often a ledger is read again of which the files changed under the reader.
TRIES = 20


class NoLedger(Exception):
    """There is nothing here that can be verified."""


class Moved(Exception):
    """An engine came or went while the files were being read."""


class Malformed(Exception):
    """A value is not of the type that its column promises."""


def u8(number: int) -> bytes:
    return struct.pack(">B", number)


def u32(number: int) -> bytes:
    return struct.pack(">I", number)


def u64(number: int) -> bytes:
    return struct.pack(">Q", number)


def text(value: bytes) -> bytes:
    return u32(len(value)) + value


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def number(value: object, name: str) -> int:
    if type(value) is not int or value < 0:
        raise Malformed(f"its column `{name}` is not a number from 0")
    return value


def raw(value: object, name: str) -> bytes:
    if type(value) is not bytes:
        raise Malformed(f"its column `{name}` is not there")
    return value


def digest(value: object, name: str) -> bytes:
    if type(value) is not bytes or len(value) != 32:
        raise Malformed(f"its column `{name}` is not a digest of 32 bytes")
    return value


def shown(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def optional(value: bytes | None) -> bytes:
    return u8(0) if value is None else u8(1) + value


def words(value: str) -> bytes:
    return text(value.encode())


def one(value: object) -> tuple[str, object]:
    """A value of an enumeration: its name, and what belongs to it."""
    if type(value) is str:
        return value, None
    ((name, content),) = value.items()
    return name, content


U32, U64 = 2**32 - 1, 2**64 - 1
FAILED = {"FAILURE", "TIMEOUT", "SPAWN_FAILED"}
NO_ATTEMPT = {"LOST", "CANCELLED", "DEFERRED"}
SKIPPED = {"not_claimable": b"C", "requested": b"Q", "rule": b"R", "not_routed": b"O"}
STOPS = {
    "AllWorkCompleted": "ALL_WORK_COMPLETED",
    "WorkCompleted": "ALL_WORK_COMPLETED",
    "CircuitBreakerTripped": "CIRCUIT_BREAKER_TRIPPED",
    "UserRequested": "USER_REQUESTED",
}
# What belongs to an error, in the order of its bytes; its code; and the sentence that the first version hashed instead.
ERRORS = {
    "InvalidBudget": (["field"], "INVALID_BUDGET", "the budget is invalid: {field} must be greater than zero"),
    "WorkQueueSizeExceeded": (
        ["actual", "max"], "WORK_QUEUE_SIZE_EXCEEDED", "the work queue holds {actual} items; at most {max} are allowed",
    ),
    "TickRateMismatch": (
        ["expected", "actual"], "TICK_RATE_MISMATCH",
        "ticks come at {actual} Hz, but this coordination counts at {expected} Hz",
    ),
    "ClockRegression": (
        ["last", "current"], "CLOCK_REGRESSION", "time went back from {last} to {current}; it may only go on",
    ),
    "WorkFailed": (["work_id"], "WORK_FAILED", "work {work_id} failed, and its failure policy ends the coordination"),
}
COUNTS = (
    "sessions successful failed cancelled lost deferred work_succeeded work_failed work_skipped_by_rule work_skipped work_unfinished "
    "critical_missed resumes writes_refused"
).split()


def completed(stop: object) -> bytes:
    """How a coordination ended by itself."""
    name, content = one(stop)
    if name in STOPS:
        return b"C" + words(STOPS[name])
    if name == "BudgetExhausted":
        return b"C" + words(f"BUDGET_EXHAUSTED_{content.upper()}")
    error, values = one(content)
    members, code, sentence = ERRORS[error]
    if name == "Error":
        return b"C" + words(f"ERROR ({sentence.format(**values)})")
    if name == "Fault":
        values = (values[member] for member in members)
        return b"E" + words(code) + b"".join(words(value) if type(value) is str else u64(value) for value in values)
    raise ValueError(f"no stop condition is called {name}")


def aborted(reason: object) -> bytes:
    """How a coordination was ended."""
    name, content = one(reason)
    if name == "Cancelled":
        return b"A" + words(f"CANCELLED ({content['reason']})" if content["reason"] else "CANCELLED")
    if name == "Error":
        return b"A" + words(f"ERROR ({content['message']})")
    codes = {"NoEligibleWork": "NO_ELIGIBLE_WORK", "StartCutOff": "START_CUT_OFF"}
    parents = {"timed_out": "PARENT_TIMED_OUT", "ending": "PARENT_ENDING"}
    return b"A" + words(parents[content] if name == "ParentStopped" else codes[name])


@dataclass
class Item:
    """A work item of which the receipt does not know the outcome yet."""

    critical: bool
    attempts: int = 0
    sessions: list[int] = field(default_factory=list)
    output: bytes | None = None

    def bytes(self, id_: str, outcome: bytes) -> bytes:
        sessions = self.sessions[-100:]
        return (
            words(id_) + u32(self.attempts) + outcome + u32(len(sessions)) + b"".join(map(u64, sessions)) + optional(self.output)
        )


@dataclass
class Receipt:
    """A receipt, put together from the events of a coordination as they come."""

    coordination: bytes
    budget: dict = field(default_factory=dict)
    started_at: int = 0
    started_wall: int = 0
    elapsed: int = 0
    paused_since: int | None = None
    paused: int = 0
    usage: dict[str, int] = field(default_factory=lambda: dict(sessions=0, tokens=0, cache_tokens=0, cost=0, estimated=0))
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    items: dict[str, Item] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    outcomes: list[bytes] = field(default_factory=list)
    epochs: list[bytes] = field(default_factory=list)
    # Signals by type, for the first thousand types, and those of all others.
    signals: dict[str, int] = field(default_factory=dict)
    other_signals: int = 0
    # Questions by id, and the answers as the receipt has them.
    questions: dict[str, str] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    # Scores of gates by name, each with the version that set it.
    gates: dict[str, tuple[int, int]] = field(default_factory=dict)
    # What was decided of attempts.
    route_chunks: list[bytes] = field(default_factory=list)
    routes: list[bytes] = field(default_factory=list)
    # The run that is retried, and what was taken over from it; None if it is no retry.
    forerunner: bytes | None = None
    reused_chunks: list[bytes] = field(default_factory=list)
    reused: list[bytes] = field(default_factory=list)
    # Which sessions carried that out, as far as it is recorded.
    carried_out_chunks: list[bytes] = field(default_factory=list)
    carried_out: list[bytes] = field(default_factory=list)

    def take(self, kind: str, said: dict, version: int, at: int, wall: int) -> None:
        """Takes in the next event, unless it is the last."""
        if kind == "started":
            self.budget, self.started_at, self.started_wall = said["budget"], at, wall
            self.epochs.append(u64(said["epoch"]) + words(said["engine"]))
            if (retried := said.get("forerunner")) is not None:
                receipt, head = bytes.fromhex(retried["receipt"]), bytes.fromhex(retried["hash"])
                self.forerunner = words(retried["coordination"]) + receipt + u64(retried["version"]) + head
            return
        if kind == "work_added":
            for item in said["items"]:
                self.items[item["id"]] = Item(item.get("critical", False))
                if (reused := item.get("reused")) is not None:
                    self.take_over(item["id"], reused)
        elif kind == "session_bound":
            self.items[said["work"]].sessions.append(said["session"])
        elif kind == "session_unbound":
            self.unbind(said)
        elif kind == "routed":
            self.route(said)
        elif kind == "work_skipped":
            for work in said["works"]:
                self.finish(work, {"skipped": said["because"]})
        elif kind == "signalled":
            if said["type"] in self.signals or len(self.signals) < 1000:
                self.signals[said["type"]] = self.signals.get(said["type"], 0) + 1
            else:
                self.other_signals += 1
        elif kind == "key_set":
            for change in said["changes"]:
                prefix, slash, gate = change["key"].partition("/")
                if (prefix, slash) != ("gate", "/"):
                    continue
                if (score := change.get("value")) is None:
                    self.gates.pop(gate, None)
                else:
                    self.gates[gate] = (score, version)
        elif kind == "asked":
            self.questions[said["id"]] = said["question"]
        elif kind == "answered":
            asked, answer = self.questions.pop(said["id"]).encode(), {"yes": b"Y", "no": b"N"}[said["answer"]]
            self.answers.append(words(said["id"]) + sha(asked) + answer + words(said["by"]) + u64(version))
        elif kind == "paused":
            self.paused_since = at
        elif kind == "continued" and self.paused_since is not None:
            self.paused, self.paused_since = self.paused + at - self.paused_since, None
        elif kind == "budget_raised":
            self.budget = said["budget"]
        elif kind in ("interrupted", "resumed"):
            if self.paused_since is None:
                self.paused += said.get("away", 0)
            epoch = u64(said["epoch"]) + words(said["engine"])
            if epoch not in self.epochs:
                self.epochs.append(epoch)
            self.counts["resumes"] += kind == "resumed"
        elif kind == "write_refused":
            self.counts["writes_refused"] += 1
        self.pass_time(at)

    def route(self, said: dict) -> None:
        """Adds what was decided of an attempt."""
        if len(self.routes) == 1000:
            self.route_chunks.append(sha(words("antiphon.route-chunk.1"), *self.routes))
            self.routes = []
        rule = optional(None if said.get("rule") is None else words(said["rule"]))
        decided = words(said["work"]) + words(said["decision"]) + u32(said["confidence"]) + rule
        to = said.get("to", [])
        decided += u32(len(to)) + b"".join(map(words, to))
        self.routes.append(u64(said["session"]) + decided)

    def take_over(self, work: str, reused: dict) -> None:
        """Adds an item that an earlier run carried out."""
        if (output := reused.get("output")) is not None:
            self.items[work].output = bytes.fromhex(output)
        self.finish(work, "succeeded")
        if len(self.reused) == 1000:
            self.reused_chunks.append(sha(words("antiphon.reused-chunk.1"), *self.reused))
            self.reused = []
        self.reused.append(words(work) + words(reused.get("work") or work))
        if (session := reused.get("session")) is None:
            return
        if len(self.carried_out) == 1000:
            self.carried_out_chunks.append(sha(words("antiphon.carried-out-chunk.1"), *self.carried_out))
            self.carried_out = []
        run, _, number = session.rpartition(".")
        self.carried_out.append(words(work) + words(run) + u64(int(number)))

    def sections(self) -> list[bytes]:
        """The signals, gates, answers and decisions, and what was taken over by a retry and who had carried it out."""
        section = []
        if self.signals:
            types = [words(kind) + u64(count) for kind, count in sorted(self.signals.items())]
            section += [words("signals"), u32(len(types)), *types, u64(self.other_signals)]
        if self.gates:
            gates = sorted(self.gates.items(), key=lambda gate: gate[0].encode())
            scores = [words(name) + u64(score % 2**64) + u64(version) for name, (score, version) in gates[:1000]]
            section += [words("gates"), u32(len(scores)), *scores, u64(len(gates) - len(scores))]
        if self.answers:
            first = self.answers[:1000]
            section += [words("approvals"), u32(len(first)), *first, u64(len(self.answers) - len(first))]
        if self.routes:
            chunks, routes = self.route_chunks, self.routes
            section += [words("routes"), u32(len(chunks)), *chunks, u32(len(routes)), *routes]
        if self.forerunner is None:
            return section
        chunks, reused = self.reused_chunks, self.reused
        section += [words("reused"), self.forerunner, u32(len(chunks)), *chunks, u32(len(reused)), *reused]
        if self.carried_out:
            chunks, carried_out = self.carried_out_chunks, self.carried_out
            section += [words("carried out"), u32(len(chunks)), *chunks, u32(len(carried_out)), *carried_out]
        return section

    def pass_time(self, at: int) -> None:
        until = at if self.paused_since is None else min(at, self.paused_since)
        nanoseconds = max(until - self.started_at - self.paused, 0)
        self.elapsed = max(self.elapsed, min(nanoseconds * self.budget.get("tick_rate_hz", 1000) // 1_000_000_000, U64))

    def unbind(self, said: dict) -> None:
        item, (outcome, _), used = self.items[said["work"]], one(said["outcome"]), said["used"]
        self.counts["sessions"] += 1
        self.counts["successful" if outcome == "SUCCESS" else "failed" if outcome in FAILED else outcome.lower()] += 1
        for meter, most in [("sessions", U32), ("tokens", U64), ("cache_tokens", U64), ("cost", U64), ("estimated", 1)]:
            self.usage[meter] = min(self.usage[meter] + used.get(meter, 0), most)
        item.attempts += outcome not in NO_ATTEMPT
        if said.get("output") is not None:
            item.output = bytes.fromhex(said["output"])
        name, content = one(said["then"])
        if name == "done":
            self.finish(said["work"], content)

    def finish(self, work: str, outcome: object) -> None:
        """Notes what became of an item; `None` for one that did not come to its end."""
        item, (name, because) = self.items.pop(work), one(outcome or "unfinished")
        reason, root = one(because) if name == "skipped" else (None, None)
        if reason is None:
            code = {"succeeded": b"S", "failed": b"F", "unfinished": b"-"}[name]
            count = f"work_{name}"
        else:
            if reason == "need_failed":
                code = b"N" + words(root)
            elif reason == "need_timed_out":
                kind, named = one(root)
                code = b"T" + words(kind) + words(named or "")
            elif reason == "denied":
                code = b"D" + words(root)
            else:
                code = SKIPPED[reason]
            count = "work_skipped_by_rule" if reason in SKIPPED else "work_skipped"
        self.counts[count] += 1
        self.counts["critical_missed"] += item.critical and count not in ("work_succeeded", "work_skipped_by_rule")
        if len(self.outcomes) == 1000:
            self.chunks.append(sha(words("antiphon.receipt-chunk.1"), *self.outcomes))
            self.outcomes = []
        self.outcomes.append(item.bytes(work, code))

    def verdict(self) -> str:
        counts = self.counts
        done, missed = counts["work_succeeded"] + counts["work_skipped_by_rule"], counts["critical_missed"]
        left = counts["work_failed"] + counts["work_skipped"] + counts["work_unfinished"]
        if missed == 0 and left == 0:
            return "succeeded"
        return "failed" if missed or counts["work_succeeded"] == 0 else "partial"

    def end(self, kind: str, said: dict, at: int, wall: int, last: bytes, commit: bytes) -> bytes:
        """The bytes, given the last event and where the evidence lies."""
        self.pass_time(at)
        for work in list(self.items):
            self.finish(work, None)
        ended, budget, usage = kind == "completed", self.budget, self.usage
        cost, tokens, currency = (budget.get(name) for name in ("max_cost", "max_tokens", "currency"))
        rate = budget.get("tick_rate_hz", 1000)
        ticks = budget["max_duration_ticks"] if "max_duration_ticks" in budget else budget["max_duration_ms"]
        return b"".join([
            words("antiphon.receipt.1"), text(self.coordination),
            completed(said["stop"]) if ended else aborted(said["reason"]), words(self.verdict() if ended else "aborted"),
            u32(len(self.chunks)), *self.chunks, u32(len(self.outcomes)), *self.outcomes,
            u32(usage["sessions"]), u64(self.elapsed), u64(rate), u64(usage["tokens"]), u64(usage["cache_tokens"]),
            u64(usage["cost"]), u8(usage["estimated"]),
            u32(budget["max_episodes"]), u64(ticks), u64(rate), optional(None if tokens is None else u64(tokens)),
            optional(None if cost is None else u64(cost)), optional(None if currency is None else words(currency)),
            u64(self.started_wall), u64(wall), *(u64(self.counts[name]) for name in COUNTS),
            u64(1), last, commit, u32(len(self.epochs)), *self.epochs, *self.sections(),
        ])


@dataclass
class Stream:
    """A stream as its events leave it."""

    name: bytes
    version: int = 0
    hash: bytes | None = GENESIS
    started: int = 0
    at: int = 0
    wall: int = 0
    ended: bool = False
    erased: dict[int, bool] = field(default_factory=dict)
    # What its receipt says so far; None if it has none, or what came before cannot be relied on.
    receipt: Receipt | None = None
    # The receipt that its last event names.
    named: str | None = None


@dataclass
class Verifier:
    """One run over one ledger. Memory grows with the streams and the items that have not ended, not with the events."""

    connection: sqlite3.Connection
    directory: Path
    findings: list[dict[str, object]] = field(default_factory=list)
    streams: dict[int, Stream] = field(default_factory=dict)
    names: dict[bytes, Stream] = field(default_factory=dict)
    # Blobs that events name and that are not there, with the event.
    missing: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    # Blobs that were missing until an event named them as erased.
    erased: set[bytes] = field(default_factory=set)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("events", "streams", "commits", "receipts_rebuilt", "erased", "blobs_erased"), 0)
    )
    epoch: int = 0
    # The id of the ledger, as its one row has it.
    id: bytes | None = None
    # The last `ledger.opened` event: its version, ledger and epoch.
    owned: tuple[int, bytes, int] | None = None
    opened: int | None = None
    tip: int = 0
    # The file `head` as it was before the ledger was read: an engine that writes meanwhile only adds to what it knows.
    mark: bytes | None = None

    def found(self, wrong: str, message: str, place: str, **where: object) -> None:
        self.findings.append({"place": place, **where, "wrong": wrong, "message": message})

    def event(self, wrong: str, stream: bytes, version: int, message: str) -> None:
        self.found(wrong, message, "event", stream=shown(stream), version=version)

    def commit(self, wrong: str, commit: int, message: str) -> None:
        self.found(wrong, message, "commit", commit=commit)

    def beside(self, what: str, message: str) -> None:
        self.found("damaged", message, "beside", what=what)

    def run(self) -> None:
        for name, step in [
            ("the database", self.check_database),
            ("the schema", self.check_schema),
            ("the table `ledger`", self.check_identity),
            ("the events and commits", self.check_chains),
            ("the table `ledger`", self.check_owner),
            ("the head rows", self.check_heads),
            ("the blobs", self.check_blobs),
            ("the cursors", self.check_cursors),
            ("the snapshots", self.check_snapshots),
            ("the named blobs", self.check_named_blobs),
            ("the head mark", self.check_mark),
        ]:
            try:
                step()
            except (NoLedger, Moved):
                raise
            # Whatever is read is data from outside, also where no damage of this kind was thought of.
            except Exception as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in NOT_NOW:
                    raise NoLedger(f"{name} cannot be read now: {error}") from error
                self.beside(name, f"{type(error).__name__}: {error}")

    def check_database(self) -> None:
        for (line,) in self.connection.execute("PRAGMA integrity_check(100)"):
            if line != b"ok":
                self.beside("the database", shown(line))

    def check_schema(self) -> None:
        """Holds what the next engine needs of the database against the format: tables, indexes, triggers, and the marks of the file."""
        query = "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB) FROM sqlite_schema"
        with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
            fresh.executescript(SCHEMA)
            expected = {row[:3]: row[3] for row in fresh.execute(query)}
        there = {row[:3]: row[3] for row in self.connection.execute(query)}
        for object_ in sorted(expected.keys() | there.keys(), key=repr):
            what = "the {} `{}` of `{}`".format(*(shown(part or b"") for part in object_))
            if object_ not in there:
                self.beside(what, "it is missing")
            elif object_ not in expected:
                self.beside(what, "this format has no such thing")
            elif there[object_] != expected[object_]:
                self.beside(what, "it is not as this format has it")
        ((id_,),) = self.connection.execute("PRAGMA application_id")
        if id_ != APPLICATION_ID:
            self.beside("the application id of the database", f"it is {id_:#x}, not {APPLICATION_ID:#x}")
        with open(self.directory / "ledger.db", "rb") as database:
            if database.read(20)[18:20] != b"\2\2":
                self.beside("the header of the database", "it names another way of writing")

    def check_identity(self) -> None:
        rows = self.connection.execute("SELECT format, id, epoch FROM ledger").fetchall()
        if len(rows) != 1:
            self.beside("the table `ledger`", f"it has {len(rows)} rows, not one")
            return
        try:
            form, self.id, self.epoch = number(rows[0][0], "format"), digest(rows[0][1], "id"), number(rows[0][2], "epoch")
        except Malformed as error:
            self.beside("the table `ledger`", str(error))
            return
        if form != 1:
            raise NoLedger(f"the ledger has format {form}, this verifier knows 1")

    def check_owner(self) -> None:
        """Holds the one row of the table `ledger`, which no chain covers, against the last `ledger.opened` event and the head mark."""
        if self.owned is None or self.id is None:
            return
        version, id_, epoch = self.owned
        mark = self.read_mark()
        known = epoch if mark is None else max(epoch, mark[0])
        if self.id != id_:
            self.beside("the table `ledger`", f"it names ledger {self.id.hex()}, event {version} of `ledger` names {id_.hex()}")
        elif self.epoch < epoch:
            self.beside("the table `ledger`", f"it says epoch {self.epoch}, but event {version} of `ledger` began epoch {epoch}")
        elif mark is not None and self.epoch > known + 1:
            self.beside("the table `ledger`", f"it says epoch {self.epoch}, but the last that an owner took is {known}")

    def check_chains(self) -> None:
        for key, name in self.connection.execute("SELECT stream, name FROM streams"):
            if type(name) is bytes:
                stream = self.streams[key] = self.names[name] = Stream(name)
                if name.startswith(b"coordination/"):
                    stream.receipt = Receipt(name.removeprefix(b"coordination/"))
        commits = Commits(self)
        before_seq = before_at = 0
        for row in self.connection.execute(
            "SELECT seq, stream, version, type, schema, at, wall, actor, cause, payload, erased, prev, hash FROM events ORDER BY seq"
        ):
            seq, key, version = row[0], row[1], row[2]
            stream = self.streams.get(key)
            if stream is None:
                self.found("unreadable", f"stream {key} has no head row", "address", seq=seq)
                commits.event(seq, None)
                before_seq = seq
                continue
            try:
                version, at = number(version, "version"), number(row[5], "at")
            except Malformed as error:
                self.event("unreadable", stream.name, stream.version + 1, str(error))
                commits.event(seq, None)
                before_seq, stream.hash, stream.version, stream.receipt = seq, None, stream.version + 1, None
                continue
            self.counts["events"] += 1
            if seq != before_seq + 1:
                self.event("address_gap", stream.name, version, f"has address {seq} where {before_seq + 1} follows")
            if at < before_at:
                self.event("time_back", stream.name, version, f"was recorded at {at} ns, after an event at {before_at} ns")
            before_seq, before_at = seq, max(at, before_at)
            findings = len(self.findings)
            try:
                last = u64(stream.version) + (stream.hash or GENESIS)
                self.check_event(stream, version, at, row)
                commits.event(seq, digest(row[12], "hash"))
                commits.opened = self.opened
                if findings != len(self.findings) or row[9] is None or commits.current is None:
                    stream.receipt = None
                elif stream.receipt is not None:
                    self.check_receipt(stream, row, last, u64(commits.current[0] - 1) + commits.current[3])
            except (Malformed, struct.error) as error:
                self.event("unreadable", stream.name, version, str(error))
                commits.event(seq, None)
                stream.version, stream.hash, stream.receipt = version, None, None
        commits.finish()
        self.tip = commits.number
        self.counts["commits"] = commits.count
        self.counts["streams"] = sum(stream.version > 0 for stream in self.streams.values())
        for stream in self.streams.values():
            for version, named in stream.erased.items():
                if not named:
                    self.event("erased_unnamed", stream.name, version, "has an erased payload that no `ledger.erased` event names")

    def check_event(self, stream: Stream, version: int, at: int, row: tuple) -> None:
        kind, schema, wall = raw(row[3], "type"), number(row[4], "schema"), number(row[6], "wall")
        actor, cause, payload = raw(row[7], "actor"), row[8], row[9]
        prev, hash_ = digest(row[11], "prev"), digest(row[12], "hash")
        if stream.ended:
            self.event("after_end", stream.name, version, "follows the end of its stream")
        if version != stream.version + 1:
            self.event("version_gap", stream.name, version, f"follows version {stream.version} of its stream")
        elif stream.hash is not None and prev != stream.hash:
            self.event("prev_differs", stream.name, version, "is not linked to the event before it")
        covered = sha(raw(payload, "payload")) if payload is not None else digest(row[10], "erased")
        computed = sha(
            text(b"antiphon.event.1"), text(stream.name), u64(version), text(kind), u32(schema), u64(at), u64(wall), text(actor),
            u8(0) if cause is None else u8(1) + text(raw(cause, "cause")), covered, prev,
        )
        if computed != hash_:
            self.event("hash_differs", stream.name, version, "its content does not have its hash")
        if kind.split(b".")[0] != stream.name.split(b"/")[0]:
            self.event("misplaced", stream.name, version, f"is of type {shown(kind)}, which has no place in this stream")
        if stream.version == 0:
            stream.started = wall
        stream.version, stream.hash, stream.at, stream.wall = version, hash_, at, wall
        stream.ended |= kind in TERMINAL
        if payload is None:
            self.counts["erased"] += 1
            if kind in TERMINAL or not stream.name.startswith(b"coordination/"):
                self.event("must_not_be_erased", stream.name, version, "has an erased payload, which it may not have")
            else:
                stream.erased[version] = False
        else:
            self.check_payload(stream.name, version, kind, payload)

    def check_payload(self, stream: bytes, version: int, kind: bytes, payload: bytes) -> None:
        """Reads what the format itself needs: erasures, and the blobs that events name."""
        if kind not in NAMING:
            return
        try:
            said = json.loads(payload)
            if kind == b"ledger.opened":
                number(said["epoch"], "epoch")
                self.opened = said["epoch"]
                self.owned = version, bytes.fromhex(said["ledger"]), said["epoch"]
            elif kind == b"ledger.erased":
                self.check_erasure(said, version)
            elif kind == b"coordination.started":
                self.check_forerunner(stream, version, said.get("forerunner"))
                self.check_blob(said.get("origin"), stream, version)
            else:
                if kind in TERMINAL:
                    self.names[stream].named = said["receipt"]
                tree = said.get("tree") or {}
                taken = [item.get("reused") or {} for item in said.get("items", [])]
                reused = [one.get(member) for one in taken for member in ("output", "files")]
                printed = [tree.get(member) for member in ("stdout", "stderr", "files")]
                for name in said.get("receipt"), said.get("output"), *printed, *reused:
                    self.check_blob(name, stream, version)
        except Exception as error:
            self.event("undecodable", stream, version, f"does not decode: {error}")

    def check_blob(self, name: str | None, stream: bytes, version: int) -> None:
        """Notes a blob that an event names and that is not there."""
        if name is not None and not self.has_blob(bytes.fromhex(name)):
            self.missing.setdefault(bytes.fromhex(name), (stream, version))

    def check_forerunner(self, stream: bytes, version: int, named: dict | None) -> None:
        """Looks at the end of the coordination that a retry names."""
        if named is None:
            return
        end = self.names.get(b"coordination/" + named["coordination"].encode())
        said = named["version"], bytes.fromhex(named["hash"]), named["receipt"]
        if end is None or not end.ended or said != (end.version, end.hash, end.named):
            message = f"retries run {named['coordination']}, and does not name its last event and receipt"
            self.event("forerunner_differs", stream, version, message)

    def check_receipt(self, stream: Stream, row: tuple, last: bytes, commit: bytes) -> None:
        """Takes an event into the receipt of its stream, which the last one must name."""
        version, at, wall, kind = row[2], row[5], row[6], shown(row[3]).removeprefix("coordination.")
        try:
            said = json.loads(row[9])
            if row[3] not in TERMINAL:
                stream.receipt.take(kind, said, version, at, wall)
                return
            rebuilt = sha(stream.receipt.end(kind, said, at, wall, last, commit)).hex()
            stream.receipt = None
            self.counts["receipts_rebuilt"] += 1
            if rebuilt != said["receipt"]:
                message = f"names receipt {said['receipt']}, but its events give {rebuilt}"
                self.event("receipt_differs", stream.name, version, message)
        except Exception as error:
            stream.receipt = None
            self.event("not_replayable", stream.name, version, f"gives no receipt: {error}")

    def check_erasure(self, said: dict, by: int) -> None:
        for blob in said["blobs"]:
            if self.missing.pop(bytes.fromhex(blob), None) is not None:
                self.erased.add(bytes.fromhex(blob))
        if said["stream"] is None:
            return
        name = said["stream"].encode()
        stream = self.names.get(name, Stream(name))
        for version in said["versions"]:
            if version in stream.erased:
                stream.erased[version] = True
            else:
                self.event("not_erased", name, version, f"is named as erased by event {by} of `ledger`, but its payload is there")

    def has_blob(self, name: bytes) -> bool:
        return self.connection.execute("SELECT 1 FROM blobs WHERE digest = ?", (name,)).fetchone() is not None

    def check_heads(self) -> None:
        for key, *values in self.connection.execute(
            "SELECT stream, name, version, hash, status, ended, started, at, wall, summary, digest FROM streams ORDER BY stream"
        ):
            name, version, hash_, status, ended, started, at, wall, summary, guard = values
            what = shown(name) if type(name) is bytes else "?"
            try:
                computed = sha(
                    text(b"antiphon.head.1"), text(raw(name, "name")), u64(number(version, "version")), digest(hash_, "hash"),
                    text(raw(status, "status")), u8(number(ended, "ended")), u64(number(started, "started")), u64(number(at, "at")),
                    u64(number(wall, "wall")), text(raw(summary, "summary")),
                )
                if computed != digest(guard, "digest"):
                    self.beside(f"the head row of `{what}`", "it does not match its digest")
            except (Malformed, struct.error) as error:
                self.beside(f"the head row of `{what}`", str(error))
                continue
            stream = self.streams.get(key)
            if stream is None or stream.version == 0:
                self.found("events_missing", "has a head row without events", "stream", stream=what)
            elif stream.hash is not None:
                expected = (stream.version, stream.hash, stream.ended, stream.started, stream.at, stream.wall)
                for column, found, wanted in zip(
                    ("version", "hash", "ended", "started", "at", "wall"),
                    (version, hash_, bool(ended), started, at, wall), expected, strict=True,
                ):
                    if found != wanted:
                        self.found("head_differs", f"its head row differs from its events in {column}", "stream", stream=what)

    def check_blobs(self) -> None:
        for name, size, content in self.connection.execute("SELECT digest, size, bytes FROM blobs ORDER BY blob"):
            what = f"blob {name.hex()}" if type(name) is bytes else "a blob"
            try:
                wanted, size = digest(name, "digest"), number(size, "size")
                if content is None:
                    path = self.directory / "blobs" / name.hex()[:2] / name.hex()
                    # Opening a FIFO would wait for somebody who writes to it.
                    if not stat.S_ISREG(path.lstat().st_mode):
                        self.beside(what, f"at {path}, it is not a regular file")
                        continue
                    content = path.read_bytes()
                if sha(raw(content, "bytes")) != wanted:
                    self.beside(what, "its bytes have another digest")
                elif len(content) != size:
                    self.beside(what, f"its column `size` is {size}, and it has {len(content)} bytes")
            except FileNotFoundError:
                if not self.is_erased_since(name):
                    self.beside(what, "its file is missing")
            except (Malformed, OSError) as error:
                self.beside(what, str(error))

    def is_erased_since(self, name: bytes) -> bool:
        """Whether an engine has erased a blob after the state that is read here: its row goes before its file."""
        if not is_held(self.directory):
            return False
        with contextlib.closing(sqlite3.connect(uri(self.directory / "ledger.db", "mode=ro"), uri=True)) as now:
            return now.execute("SELECT 1 FROM blobs WHERE digest = ?", (name,)).fetchone() is None

    def check_snapshots(self) -> None:
        """A cache; but one that is damaged says that the disk, or somebody, changes what was written."""
        for name, version, form, content, guard in self.connection.execute("SELECT stream, version, format, bytes, digest FROM snapshots"):
            what = f"the snapshot of `{shown(name)}`" if type(name) is bytes else "a snapshot"
            try:
                covered = text(raw(name, "stream")) + u64(number(version, "version")) + text(raw(form, "format"))
                if sha(text(b"antiphon.snapshot.1"), covered, sha(raw(content, "bytes"))) != digest(guard, "digest"):
                    self.beside(what, "it does not match its digest")
            except Malformed as error:
                self.beside(what, str(error))

    def check_cursors(self) -> None:
        for name, stream, version, guard in self.connection.execute("SELECT name, stream, version, digest FROM cursors"):
            what = f"the cursor {shown(name)}" if type(name) is bytes else "a cursor"
            try:
                covered = text(raw(name, "name")) + text(raw(stream, "stream")) + u64(number(version, "version"))
                if sha(text(b"antiphon.cursor.1"), covered) != digest(guard, "digest"):
                    self.beside(what, "it does not match its digest")
            except Malformed as error:
                self.beside(what, str(error))

    def check_named_blobs(self) -> None:
        self.counts["blobs_erased"] = len(self.erased)
        for blob, (stream, version) in self.missing.items():
            message = f"names blob {blob.hex()}, which is missing, and no `ledger.erased` event names it"
            self.event("blob_missing", stream, version, message)

    def read_mark(self) -> tuple[int, int, bytes, bytes | None] | None:
        """Epoch, commit, hash and ledger (if it names one) of the head mark; None if there is none, or it is damaged."""
        match = MARK.fullmatch(self.mark or b"")
        if match is None or hashlib.sha256(match[1]).hexdigest().encode() != match[6]:
            return None
        ledger = None if match[2] is None else bytes.fromhex(match[2].decode())
        return int(match[3]), int(match[4]), bytes.fromhex(match[5].decode()), ledger

    def check_mark(self) -> None:
        def wrong(message: str) -> None:
            self.found("mark", message, "head_mark")

        mark = self.read_mark()
        if self.mark is None:
            if self.tip > 0:
                wrong(f"the ledger has {self.tip} commits but no head mark")
            return
        if mark is None:
            wrong("it is damaged")
            return
        epoch, commit, hash_, ledger = mark
        if ledger is not None and self.id is not None and ledger != self.id:
            wrong(f"it is the head mark of ledger {ledger.hex()}, and this is ledger {self.id.hex()}")
            return
        if self.epoch < epoch or self.tip < commit:
            wrong(f"the ledger ends at commit {self.tip} of epoch {self.epoch}, its mark knows commit {commit} of epoch {epoch}")
            return
        with contextlib.suppress(sqlite3.DatabaseError):
            row = self.connection.execute("SELECT hash FROM commits WHERE number = ?", (commit,)).fetchone()
            if (row[0] if row else GENESIS) != hash_:
                wrong(f"commit {commit} of the ledger is not the one in its head mark")


class Commits:
    """The commit chain, beside the events that it covers."""

    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier
        self.rows = verifier.connection.execute("SELECT number, epoch, first, events, prev, hash FROM commits ORDER BY number")
        self.number = self.epoch = self.count = 0
        self.hash, self.next_first = GENESIS, 1
        self.current: tuple[int, int, int, bytes, bytes] | None = None
        self.hashes: list[bytes] = []
        self.first = 0
        self.torn = False
        # The epoch that the last `ledger.opened` event began.
        self.opened: int | None = None

    def event(self, seq: int, hash_: bytes | None) -> None:
        while self.current is None or seq >= self.current[1] + self.current[2]:
            self.finish_current()
            if not self.begin():
                break
        if self.current is None or seq < self.current[1]:
            self.verifier.found("unreadable", "no commit holds it", "address", seq=seq)
            return
        if hash_ is None:
            self.torn = True
            return
        if not self.hashes:
            self.first = seq
        self.hashes.append(hash_)

    def begin(self) -> bool:
        row = self.rows.fetchone()
        if row is None:
            return False
        wrong = self.verifier.commit
        try:
            number_, epoch, first, events = (number(value, name) for value, name in zip(row, ("number", "epoch", "first", "events")))
            prev, hash_ = digest(row[4], "prev"), digest(row[5], "hash")
        except Malformed as error:
            wrong("unreadable", row[0], str(error))
            return self.begin()
        if number_ != self.number + 1:
            wrong("commit_gap", number_, f"follows commit {self.number}")
            self.next_first = first
        elif prev != self.hash:
            wrong("commit_prev_differs", number_, "is not linked to the commit before it")
        if epoch < self.epoch:
            wrong("epoch_falls", number_, f"is of epoch {epoch}, after one of epoch {self.epoch}")
        self.epoch = epoch
        self.current = (number_, first, events, prev, hash_)
        self.count += 1
        return True

    def finish_current(self) -> None:
        if self.current is not None:
            number_, first, events, prev, hash_ = self.current
            if not self.torn:
                if len(self.hashes) != events or self.first != first or first != self.next_first:
                    self.verifier.commit("commit_events", number_, f"says that it holds {events} events from address {first}")
                if sha(text(b"antiphon.commit.1"), u64(number_), prev, u32(len(self.hashes)), *self.hashes) != hash_:
                    self.verifier.commit("commit_hash_differs", number_, "its events do not have its hash")
            if self.opened not in (None, self.epoch):
                wrong = f"is of epoch {self.epoch}, but `ledger.opened` before it began epoch {self.opened}"
                self.verifier.commit("epoch_differs", number_, wrong)
            self.number, self.hash, self.next_first = number_, hash_, first + events
        self.current, self.hashes, self.first, self.torn = None, [], 0, False

    def finish(self) -> None:
        self.finish_current()
        while self.begin():
            self.finish_current()


def is_held(directory: Path) -> bool:
    """Whether an engine owns the ledger now. An engine that starts in the very moment of the question finds the lock taken."""
    try:
        with open(directory / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def uri(database: Path, options: str) -> str:
    return f"file:{quote(str(database.absolute()))}?{options}"


def written(directory: Path) -> list[tuple[int, int] | None]:
    """What changes with the files of the database whenever one of them is written to."""
    found = []
    for name in ("ledger.db", "ledger.db-wal"):
        try:
            status = (directory / name).stat()
            found.append((status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return found


@contextlib.contextmanager
def opened(directory: Path):
    """Opens the database without leaving a trace in the directory.

    Beside an engine it is one reader more. Without one and without a log the file is all there is. With a log, SQLite needs a third file
    (`-shm`), which only an engine that is running keeps up to date, so that a copy of both files is opened.
    """
    database, log = directory / "ledger.db", directory / "ledger.db-wal"
    if not database.is_file() or database.stat().st_size == 0:
        raise NoLedger(f"there is no ledger in {directory}")
    before, held = written(directory), is_held(directory)
    with contextlib.ExitStack() as stack:
        if held:
            options = "mode=ro"
        elif log.is_file() and log.stat().st_size > 0:
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="verify-ledger-")))
            for file in (database, log):
                shutil.copyfile(file, copy / file.name)
            options, database = "mode=rw", copy / database.name
        else:
            options = "mode=ro&immutable=1"
        connection = sqlite3.connect(uri(database, options), uri=True, isolation_level=None, timeout=10)
        stack.callback(connection.close)
        connection.text_factory = bytes
        yield connection
        if not held and (is_held(directory) or written(directory) != before):
            raise Moved(f"an engine began to write to the ledger in {directory} while it was read")


def read_mark(directory: Path) -> bytes | None:
    try:
        return (directory / "head").read_bytes()
    except FileNotFoundError:
        return None


def verify_once(directory: Path) -> Verifier:
    # Before the ledger, so that it has all that the mark knows.
    mark = read_mark(directory)
    with opened(directory) as connection:
        verifier = Verifier(connection, directory, mark=mark)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA cell_size_check = ON")
            # One state of the ledger for all checks, also while an engine goes on.
            connection.execute("BEGIN")
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'ledger'").fetchone():
                raise NoLedger(f"there is no ledger in {directory}")
        except NoLedger:
            raise
        except Exception as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in NOT_NOW:
                raise NoLedger(f"the ledger in {directory} cannot be read now: {error}") from error
            verifier.beside("the database", str(error))
            return verifier
        verifier.run()
        return verifier


def verify(directory: Path) -> Verifier:
    """Verifies one state of the ledger; where an engine comes or goes meanwhile, it is read again."""
    for tries in range(TRIES):
        was_held = is_held(directory)
        try:
            return verify_once(directory)
        except Moved as error:
            if tries == TRIES - 1:
                raise NoLedger(f"{error}, again and again") from error
        except (NoLedger, OSError):
            # Only an engine that just starts or ends is a reason to look again.
            if tries == TRIES - 1 or not (was_held or is_held(directory)):
                raise
        time.sleep(0.1)
    raise NoLedger("BUG: the last try returns or raises")


def report(verifier: Verifier, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"sound": not verifier.findings, **verifier.counts, "findings": verifier.findings}))
        return
    print("{events} events in {streams} streams, {commits} commits, {receipts_rebuilt} receipts rebuilt, ".format(**verifier.counts), end="")
    print("{erased} payloads and {blobs_erased} blobs erased".format(**verifier.counts))
    for finding in verifier.findings:
        where = {key: value for key, value in finding.items() if key not in ("wrong", "message")}
        place = where.pop("place")
        print(f"{place} {' '.join(str(value) for value in where.values())}: {finding['message']}")
    print(f"NOT SOUND: {len(verifier.findings)} findings" if verifier.findings else "sound")


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies a ledger, read-only.")
    parser.add_argument("directory", type=Path, help="the state directory")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        # What is shown comes from outside, and the terminal may know less than all of it.
        stream.reconfigure(errors="backslashreplace")
    try:
        verifier = verify(arguments.directory)
        report(verifier, arguments.json)
    # Whatever it is, nothing was said of the ledger: no traceback, whose exit code says that something is wrong with it.
    except Exception as error:
        print(f"error: {error}" if isinstance(error, (NoLedger, OSError)) else f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 1 if verifier.findings else 0


if __name__ == "__main__":
    sys.exit(main())
