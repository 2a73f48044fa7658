"""What a step knows of the session that it runs in: its inputs, its attempt, and where it says how it went."""

import http.client
import json
import os
import socket
import sys
from pathlib import Path


class StepError(Exception):
    """A step cannot do its work; the text says what, where and what to do."""


def given(member):
    """A member of the context file."""
    path = os.environ.get("ANTIPHON_CONTEXT")
    if path is None:
        raise StepError("ANTIPHON_CONTEXT is not set, so there are no inputs; run this step by a plan")
    try:
        return json.loads(Path(path).read_text(encoding="utf-8")).get(member)
    except (OSError, ValueError) as error:
        raise StepError(f"the context file {path} cannot be read: {error!r}") from error


def inputs(*names):
    """The inputs of these names, in order: what the plan lists under `input:`, from the context file."""
    found = given("inputs") or {}
    missing = [name for name in names if name not in found]
    if missing:
        raise StepError(f"no input is named {', '.join(missing)}; add it to `input:` of this item in the plan")
    return [Path(found[name]) for name in names]


def requirement(name):
    """What is required of the output of this agent, if that is said."""
    assignment = (given("context") or {}).get("agent_assignment", {})
    return assignment.get("output_requirements", {}).get(name)


def signal(kind, **data):
    """Tells the run something, over the engine's socket; `antiphon signal send` does the same in a shell."""

    class Connection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(os.environ["ANTIPHON_SOCKET"])

    connection = Connection("localhost", timeout=30)
    body = json.dumps({"type": kind, "data": data})
    connection.request("POST", f"/v1/runs/{os.environ['ANTIPHON_RUN']}/signals", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status >= 300:
        raise StepError(f"signal {kind} was refused: {answer.read().decode()}")
    connection.close()


def visit():
    """Which visit of its item this is, from 1."""
    _, numbered, number = os.environ.get("ANTIPHON_WORK", "").rpartition("#")
    return int(number) if numbered else 1


def attempt():
    """Which attempt this is, from 1."""
    return int(os.environ.get("ANTIPHON_ATTEMPT", "1"))


def write(path, text):
    """Writes a file whole or not at all: whoever reads it meanwhile, or after a kill, finds the old one or the new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def run(step):
    """Runs a step, a function of the program's arguments; what it returns goes into the result file."""
    try:
        result = step(*sys.argv[1:]) or {}
    except StepError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        _write({"error": str(error)})
        sys.exit(1)
    _write(result)


def _write(result):
    path = os.environ.get("ANTIPHON_RESULT")
    if path is not None:
        write(path, json.dumps(result))
