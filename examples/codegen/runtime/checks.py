"""Checks that validators are put together from. Each reads a JSON value into a model and writes a model as JSON again.

A check reports every problem it finds, with its place as a JSON pointer, and continues.
"""

import datetime
import math
import re
import uuid
from dataclasses import dataclass
from typing import NamedTuple


class Problem(NamedTuple):
    at: str
    text: str


class Invalid(ValueError):
    """A document does not keep its contract; `problems` are all of them."""

    def __init__(self, problems):
        super().__init__("; ".join(f"{at or '/'}: {text}" for at, text in problems))
        self.problems = problems


def read(check, document):
    """The model of a document, or `Invalid` with every problem of it."""
    problems = []
    model = check.read(document, "", problems)
    if problems:
        raise Invalid(problems)
    return model


def kind(value):
    """What a value is in the words of JSON."""
    names = {dict: "an object", list: "an array", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _refuse(problems, at, wanted, value):
    problems.append(Problem(at, f"here should be {wanted}, not {kind(value)}"))


@dataclass(frozen=True)
class Text:
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    def read(self, value, at, problems):
        if not isinstance(value, str):
            return _refuse(problems, at, "a text", value)
        if self.min_length is not None and len(value) < self.min_length:
            problems.append(Problem(at, f"the text has {len(value)} characters, fewer than {self.min_length}"))
        if self.max_length is not None and len(value) > self.max_length:
            problems.append(Problem(at, f"the text has {len(value)} characters, more than {self.max_length}"))
        if self.pattern is not None and not re.search(self.pattern, value):
            problems.append(Problem(at, f"the text does not match {self.pattern}"))
        return value

    def write(self, value):
        return value


def _instant(text):
    # Without an offset from UTC it is no moment. Python before 3.11 does not know "Z".
    moment = datetime.datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    if moment.tzinfo is None or "T" not in text.upper():
        raise ValueError
    return moment


def _day(text):
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError
    return datetime.date.fromisoformat(text)


def _address(text):
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise ValueError
    return text


def _id(text):
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ValueError
    return uuid.UUID(text)


_FORMATS = {
    "date": ("a date such as 2026-03-01", _day, datetime.date.isoformat),
    "date-time": ("a moment such as 2026-03-01T09:30:00Z", _instant, lambda moment: moment.isoformat().replace("+00:00", "Z")),
    "email": ("an e-mail address", _address, str),
    "uuid": ("a UUID", _id, str),
}


@dataclass(frozen=True)
class Formatted:
    format: str

    def read(self, value, at, problems):
        wanted, parse, _ = _FORMATS[self.format]
        if not isinstance(value, str):
            return _refuse(problems, at, wanted, value)
        try:
            return parse(value)
        except ValueError:
            problems.append(Problem(at, f"{value!r} is not {wanted}"))

    def write(self, value):
        return _FORMATS[self.format][2](value)


@dataclass(frozen=True)
class Number:
    whole: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def read(self, value, at, problems):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return _refuse(problems, at, "a whole number" if self.whole else "a number", value)
        if self.whole and value != int(value):
            problems.append(Problem(at, f"{value} is not a whole number"))
        for bound, broken, text in (
            (self.minimum, self.minimum is not None and value < self.minimum, "less than"),
            (self.maximum, self.maximum is not None and value > self.maximum, "more than"),
            (self.above, self.above is not None and value <= self.above, "not more than"),
            (self.below, self.below is not None and value >= self.below, "not less than"),
        ):
            if broken:
                problems.append(Problem(at, f"{value} is {text} {bound}"))
        return int(value) if self.whole else value

    def write(self, value):
        return value


@dataclass(frozen=True)
class Flag:
    def read(self, value, at, problems):
        return value if isinstance(value, bool) else _refuse(problems, at, "true or false", value)

    def write(self, value):
        return value


@dataclass(frozen=True)
class Choice:
    enumeration: type

    def read(self, value, at, problems):
        for member in self.enumeration:
            if isinstance(value, str) and member.value == value:
                return member
        values = ", ".join(member.value for member in self.enumeration)
        problems.append(Problem(at, f"here should be one of {values}"))

    def write(self, value):
        return value.value


@dataclass(frozen=True)
class Sequence:
    item: object
    min_items: int | None = None
    max_items: int | None = None
    unique: bool = False

    def read(self, value, at, problems):
        if not isinstance(value, list):
            return _refuse(problems, at, "an array", value)
        if self.min_items is not None and len(value) < self.min_items:
            problems.append(Problem(at, f"there are {len(value)} items, fewer than {self.min_items}"))
        if self.max_items is not None and len(value) > self.max_items:
            problems.append(Problem(at, f"there are {len(value)} items, more than {self.max_items}"))
        if self.unique and any(one == other for index, one in enumerate(value) for other in value[:index]):
            problems.append(Problem(at, "an item is there more than once"))
        return tuple(self.item.read(item, f"{at}/{index}", problems) for index, item in enumerate(value))

    def write(self, value):
        return [self.item.write(item) for item in value]


@dataclass(frozen=True)
class Nullable:
    check: object

    def read(self, value, at, problems):
        return None if value is None else self.check.read(value, at, problems)

    def write(self, value):
        return None if value is None else self.check.write(value)


@dataclass(frozen=True)
class Named:
    """A check that is defined further down, or contains this one."""

    find: object

    def read(self, value, at, problems):
        return self.find().read(value, at, problems)

    def write(self, value):
        return self.find().write(value)


@dataclass(frozen=True)
class Member:
    name: str
    check: object
    required: bool = False


@dataclass(frozen=True)
class Record:
    model: type
    members: dict

    def read(self, value, at, problems):
        if not isinstance(value, dict):
            return _refuse(problems, at, "an object", value)
        before = len(problems)
        for key in value.keys() - self.members.keys():
            problems.append(Problem(f"{at}/{key}", "the contract has no such member"))
        fields = {}
        for key, member in self.members.items():
            if key in value:
                fields[member.name] = member.check.read(value[key], f"{at}/{key}", problems)
            elif member.required:
                problems.append(Problem(f"{at}/{key}", "this member is required"))
        return self.model(**fields) if len(problems) == before else None

    def write(self, value):
        document = {}
        for key, member in self.members.items():
            field = getattr(value, member.name)
            if field is not None or member.required:
                document[key] = member.check.write(field)
        return document
