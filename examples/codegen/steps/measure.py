"""Measures how much of generated validators their generated tests carry out: lines that were run, of those that can be.

    measure.py TESTS...        score: coverage, of the validators that are tested least
"""

import sys
import types
import unittest
from pathlib import Path

import generated
import session


def main(*tests):
    shares = [measured(Path(path).resolve()) for path in tests]
    return {"scores": {"coverage": round(min(shares), 4)}}


def measured(tests):
    validators = tests.with_name("validators.py")
    lines, ran = executable(validators), set()

    def trace(frame, event, _):
        if frame.f_code.co_filename != str(validators):
            return None
        if event == "line":
            ran.add(frame.f_lineno)
        return trace

    sys.settrace(trace)
    try:
        outcome = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromModule(generated.load(tests)).run(outcome)
    finally:
        sys.settrace(None)
    if not outcome.wasSuccessful() or outcome.testsRun == 0:
        raise session.StepError(f"{tests} did not pass, so what they cover says nothing")
    share = len(lines & ran) / len(lines)
    print(f"{tests.parent.name}: {outcome.testsRun} tests carry out {share:.1%} of {len(lines)} lines")
    return share


def executable(path):
    """The lines of a file that have code of their own."""
    found, left = set(), [compile(path.read_text(encoding="utf-8"), str(path), "exec")]
    while left:
        code = left.pop()
        found |= {line for _, _, line in code.co_lines() if line}
        left += [inner for inner in code.co_consts if isinstance(inner, types.CodeType)]
    return found


if __name__ == "__main__":
    session.run(main)
