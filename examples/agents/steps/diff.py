"""Writes the changes as a patch, and returns it as output for the reviewer. No change is an error.

    diff.py REPOSITORY COPY PATCH
"""

import difflib
import json
import os
import sys
from pathlib import Path


def main(repository, copy, patch):
    files = {path.relative_to(root) for root in (repository, copy) for path in Path(root).rglob("*") if path.is_file()}
    changes = []
    for file in sorted(file for file in files if "__pycache__" not in file.parts):
        changes += difflib.unified_diff(lines(repository, file), lines(copy, file), f"a/{file}", f"b/{file}")
    if not changes:
        sys.exit(f"diff.py: {copy} is the same as {repository}; there is nothing to review")
    text = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in changes)
    Path(patch).write_text(text, encoding="utf-8")
    print(text, end="")
    Path(os.environ["ANTIPHON_RESULT"]).write_text(json.dumps({"output": {"patch": text}}), encoding="utf-8")


def lines(root, file):
    path = Path(root, file)
    return path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []


if __name__ == "__main__":
    main(*sys.argv[1:])
