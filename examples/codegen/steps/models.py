"""Writes the models of a contract: a dataclass for each object and an enumeration for each list of values.

    models.py FOLDER        input: contract        output: FOLDER/models.py

What its context requires as `license` is said in the file, and the signal that SIGNAL names is sent once it is there.
"""

import os
import re
from pathlib import Path

import contract
import session

IMPORTS = {"dataclasses": ["dataclass"], "datetime": ["date", "datetime"], "enum": ["Enum"], "uuid": ["UUID"]}


def main(folder):
    [source] = session.inputs("contract")
    read = contract.read(source)
    session.write(Path(folder, "__init__.py"), "")
    license = session.requirement("license")
    head = f"# SPDX-License-Identifier: {license}\n" if license else ""
    session.write(Path(folder, "models.py"), head + text(read))
    if kind := os.environ.get("SIGNAL"):
        session.signal(kind, types=len(read.types))
    print(f"{read.title}: {len(read.records())} models, {len(read.choices())} enumerations")


def text(read):
    parts = [enumeration(choice) for choice in read.choices()] + [model(record) for record in read.records()]
    return "\n\n\n".join([header(read, "\n".join(parts)), *parts]) + "\n"


def header(read, body):
    imports = [
        f"from {module} import {', '.join(used)}"
        for module, names in IMPORTS.items()
        if (used := [name for name in names if re.search(rf"\b{name}\b", body)])
    ]
    return f'''"""Models of the contract {read.title}. Generated from {read.file}; do not edit."""

from __future__ import annotations

{chr(10).join(imports)}'''


def enumeration(choice):
    values = "\n".join(f'    {contract.constant(value)} = {value!r}' for value in choice.values)
    return f"class {choice.name}(Enum):\n{doc(choice)}{values}"


def model(record):
    fields = "\n".join(field(member) for member in record.members) or "    pass"
    return f"@dataclass(frozen=True, kw_only=True)\nclass {record.name}:\n{doc(record)}{fields}"


def doc(described):
    if not described.doc:
        return ""
    safe = described.doc.replace("\\", "\\\\").replace('"', '\\"')
    return f'    """{safe}"""\n\n'


def field(member):
    # A member that may be left out and one that may be null are both None.
    optional = not member.required
    kind = annotation(member.shape)
    if optional and not isinstance(member.shape, contract.Nullable):
        kind += " | None"
    return f"    {member.name}: {kind}{' = None' if optional else ''}"


def annotation(shape):
    match shape:
        case contract.Formatted(format):
            return {"date": "date", "date-time": "datetime", "uuid": "UUID"}.get(format, "str")
        case contract.Text():
            return "str"
        case contract.Number(whole=whole):
            return "int" if whole else "float"
        case contract.Flag():
            return "bool"
        case contract.Sequence(item):
            return f"tuple[{annotation(item)}, ...]"
        case contract.Nullable(inner):
            return f"{annotation(inner)} | None"
        case contract.Named(name):
            return name


if __name__ == "__main__":
    session.run(main)
