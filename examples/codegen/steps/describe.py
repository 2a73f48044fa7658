"""Writes a page that lists the types of generated models.

    describe.py PAGE MODELS...

At its first visit it leaves the enumerations out. That is carelessness by arrangement, for the review to find.
"""

import dataclasses
from enum import Enum
from pathlib import Path

import generated
import session


def main(page, *models):
    careful = session.visit() > 1
    lines = ["# Types"]
    for path in models:
        module = generated.load(path)
        lines += ["", f"## {Path(path).parent.name}", ""]
        lines += [f"- {name}" for name in types(module, dataclasses.is_dataclass)]
        if careful:
            lines += [f"- {name}, one of several words" for name in types(module, is_enumeration)]
    session.write(page, "\n".join(lines) + "\n")


def is_enumeration(found):
    return issubclass(found, Enum)


def types(module, wanted):
    """The names of the classes that a module defines itself."""
    own = [found for found in vars(module).values() if isinstance(found, type) and found.__module__ == module.__name__]
    return [found.__name__ for found in own if wanted(found)]


if __name__ == "__main__":
    session.run(main)
