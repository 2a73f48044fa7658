"""Puts a fresh copy of the repository where the agents work, so that the original stays as it is.

    checkout.py REPOSITORY COPY
"""

import shutil
import sys
from pathlib import Path


def main(repository, copy):
    if Path(copy).exists():
        shutil.rmtree(copy)
    shutil.copytree(repository, copy, ignore=shutil.ignore_patterns("__pycache__"))
    print(f"{copy} is a copy of {repository}")


if __name__ == "__main__":
    main(*sys.argv[1:])
