"""Decides whether the copy is fixed: its tests are those of the repository, and they pass. What the agent says does not count.

    verify.py REPOSITORY COPY
"""

import filecmp
import re
import subprocess
import sys
from pathlib import Path


def main(repository, copy):
    for test in sorted(Path(repository, "tests").rglob("*.py")):
        copied = Path(copy) / test.relative_to(repository)
        if not copied.exists() or not filecmp.cmp(test, copied, shallow=False):
            sys.exit(f"verify.py: {copied} is not as it was; the tests are not the agent's to change")
    run = subprocess.run([sys.executable, "-m", "unittest", "-v"], cwd=copy, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    sys.stdout.write(run.stderr)
    ran = re.search(r"^Ran (\d+) test", run.stderr, re.MULTILINE)
    if ran is None or ran[1] == "0":
        sys.exit(f"verify.py: no test ran in {copy}")
    if run.returncode != 0:
        sys.exit(f"verify.py: the tests of {copy} fail")


if __name__ == "__main__":
    main(*sys.argv[1:])
