"""Runs generated tests and reports how they went. No tests are no success.

    run_tests.py FOLDER        input: tests        output: FOLDER/report.json
"""

import json
import sys
import unittest
from pathlib import Path

import generated
import session


def main(folder):
    [tests] = session.inputs("tests")
    suite = unittest.defaultTestLoader.loadTestsFromModule(generated.load(tests))
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(suite)
    failed = sorted(test.id() for test, _ in outcome.failures + outcome.errors)
    report = {"contract": Path(folder).name, "tests": outcome.testsRun, "failed": failed}
    session.write(Path(folder, "report.json"), json.dumps(report, indent=2) + "\n")
    if outcome.testsRun == 0:
        raise session.StepError(f"{tests} holds no tests, and what was not tested is not right")
    if failed:
        more = f"the first is {failed[0]}; all are in {folder}/report.json"
        raise session.StepError(f"{len(failed)} of {outcome.testsRun} tests failed, {more}")
    return {"scores": {"tests": outcome.testsRun}}


if __name__ == "__main__":
    session.run(main)
