"""Writes the tests of a contract's validators: documents that they have to read, and changes that they have to refuse, with the place.

    tests.py FOLDER        inputs: contract, validators        output: FOLDER/test_contract.py

It fails on the attempt that FAIL_ON_ATTEMPT names. That is trouble by arrangement, for the plan's retry policy to absorb.
"""

import inspect
import os
import pprint
import re
from pathlib import Path

import contract
import generated
import samples
import session


def main(folder):
    if os.environ.get("FAIL_ON_ATTEMPT") == str(session.attempt()):
        raise session.StepError(f"attempt {session.attempt()} fails, as FAIL_ON_ATTEMPT asks; the next one will not")
    source, validators = session.inputs("contract", "validators")
    read = contract.read(source)
    if not hasattr(generated.load(validators), "read"):
        raise session.StepError(f"{validators} has no function `read` to test; generate the validators again")
    changes = samples.changes(read)
    session.write(Path(folder, "test_contract.py"), text(read, changes))
    print(f"{read.title}: {len(changes) + 2} tests")


def text(read, changes):
    return HEAD.format(
        title=read.title,
        file=read.file,
        full=literal(samples.document(read, full=True)),
        least=literal(samples.document(read, full=False)),
        changed=inspect.getsource(samples.changed),
    ) + "".join(test(name, change) for name, change in zip(names(changes), changes))


def literal(document):
    return pprint.pformat(document, sort_dicts=False, width=120)


def names(changes):
    """A name for each test; a number sets apart those that would be called the same."""
    taken = {}
    for change in changes:
        place = " ".join(str(key) for key in change.at) or "document"
        name = re.sub(r"\W+", "_", f"{change.what} at {place} is {'read' if change.valid else 'refused'}")
        taken[name] = taken.get(name, 0) + 1
        yield f"{name}_{taken[name]}" if taken[name] > 1 else name


def test(name, change):
    expectation = "reads" if change.valid else "refuses"
    return f"\n    def test_{name}(self):\n        self.{expectation}({change.at!r}, {change.code})\n"


HEAD = '''"""Tests of the contract {title}. Generated from {file}; do not edit."""

import copy
import unittest

from . import validators

MISSING = object()

FULL = {full}

LEAST = {least}


{changed}

class {title}Contract(unittest.TestCase):
    def reads(self, at, value):
        validators.read(changed(FULL, at, value, MISSING))

    def refuses(self, at, value):
        with self.assertRaises(validators.Invalid) as refusal:
            validators.read(changed(FULL, at, value, MISSING))
        place = "".join(f"/{{key}}" for key in at)
        self.assertEqual({{problem.at for problem in refusal.exception.problems}}, {{place}})

    def test_a_document_with_all_members_is_read_and_written_back(self):
        self.assertEqual(validators.write(validators.read(FULL)), FULL)

    def test_a_document_with_the_required_members_is_read_and_written_back(self):
        self.assertEqual(validators.write(validators.read(LEAST)), LEAST)
'''


if __name__ == "__main__":
    session.run(main)
