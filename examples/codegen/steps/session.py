"""What a step knows of the session that it runs in: its inputs, its attempt, and where it says how it went."""

import json
import os
import sys
from pathlib import Path


class StepError(Exception):
    """A step cannot do its work; the text says what, where and what to do."""


def inputs(*names):
    """The inputs of these names, in order: what the plan lists under `input:`, from the context file."""
    path = os.environ.get("ANTIPHON_CONTEXT")
    if path is None:
        raise StepError("ANTIPHON_CONTEXT is not set, so there are no inputs; run this step by a plan")
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))["inputs"]
    except (OSError, ValueError, KeyError) as error:
        raise StepError(f"the context file {path} cannot be read: {error!r}") from error
    missing = [name for name in names if name not in given]
    if missing:
        raise StepError(f"no input is named {', '.join(missing)}; add it to `input:` of this item in the plan")
    return [Path(given[name]) for name in names]


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
