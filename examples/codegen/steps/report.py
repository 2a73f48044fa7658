"""Puts the reports of all contracts together.

    report.py FILE REPORT...
"""

import json
from pathlib import Path

import session


def main(file, *reports):
    read = [json.loads(Path(report).read_text(encoding="utf-8")) for report in reports]
    together = {"contracts": [one["contract"] for one in read], "tests": sum(one["tests"] for one in read)}
    session.write(file, json.dumps(together, indent=2) + "\n")
    print(f"{together['tests']} tests of {len(read)} contracts passed")
    return {"output": together}


if __name__ == "__main__":
    session.run(main)
