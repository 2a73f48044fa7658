"""Loading what other steps have generated, and holding it against the contract."""

import dataclasses
import importlib
import sys
from enum import Enum
from pathlib import Path

from session import StepError


def load(path):
    """The module in a file of a generated package: `build/order/models.py` is `order.models`."""
    path = Path(path).resolve()
    above = str(path.parent.parent)
    if above not in sys.path:
        sys.path.insert(0, above)
    try:
        return importlib.import_module(f"{path.parent.name}.{path.stem}")
    except Exception as error:
        raise StepError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error


def missing_models(read, models):
    """What the contract describes and the module of models does not hold."""
    problems = []
    for choice in read.choices():
        found = getattr(models, choice.name, None)
        if not (isinstance(found, type) and issubclass(found, Enum)):
            problems.append(f"there is no enumeration {choice.name}")
        elif (values := [member.value for member in found]) != list(choice.values):
            problems.append(f"{choice.name} has the values {values}, and the contract {list(choice.values)}")
    for record in read.records():
        found = getattr(models, record.name, None)
        if not dataclasses.is_dataclass(found):
            problems.append(f"there is no dataclass {record.name}")
            continue
        fields = {field.name: field.default is dataclasses.MISSING for field in dataclasses.fields(found)}
        wanted = {member.name: member.required for member in record.members}
        for name in wanted.keys() - fields.keys():
            problems.append(f"{record.name} lacks the field {name}")
        for name in fields.keys() - wanted.keys():
            problems.append(f"{record.name} has a field {name}, which is not in the contract")
        for name in wanted.keys() & fields.keys():
            if wanted[name] != fields[name]:
                problems.append(f"{record.name}.{name} should be {'required' if wanted[name] else 'optional'}")
    return sorted(problems)
