"""Documents that keep a contract, and changes to one after which it does not."""

import copy
import re
from dataclasses import dataclass

import contract
from session import StepError

FORMATTED = {
    "date": "2026-03-01",
    "date-time": "2026-03-01T09:30:00Z",
    "email": "ada@example.com",
    "uuid": "7f3c2a10-5b6d-4e8f-9a01-23456789abcd",
}


@dataclass(frozen=True)
class Change:
    """Another value at a place. `code` is its value as Python, in which FULL is the full document; MISSING takes the place away."""

    at: tuple
    code: str
    what: str
    valid: bool = False


def document(read, full):
    """A document with all members, or with the required ones alone."""
    return _Sampler(read, full).value(contract.Named(read.title), ())


def changes(read):
    """Every change of the full document that a bound, a type or a name of the contract decides about."""
    return list(_changes(read, contract.Named(read.title), document(read, full=True), ()))


class _Sampler:
    def __init__(self, read, full):
        self.types, self.full = read.types, full

    def value(self, shape, path):
        match shape:
            case contract.Text(low, high, _, example):
                return example if example is not None else "sample text".ljust(low or 0, ".")[:high]
            case contract.Formatted(format):
                return FORMATTED[format]
            case contract.Number():
                return _number(shape)
            case contract.Flag():
                return True
            case contract.Nullable(inner):
                return self.value(inner, path)
            case contract.Sequence(item, low, _, unique):
                count = max(low or 0, 1) if self.full else low or 0
                if count > 1 and unique:
                    raise StepError(f"no sample of {count} different items can be made; `uniqueItems` goes with at most one required item")
                return [self.value(item, path) for _ in range(0 if self.closes(item, path) else count)]
            case contract.Named(name):
                found = self.types[name]
                if isinstance(found, contract.Choice):
                    return found.values[0]
                wanted = [member for member in found.members if self.wanted(member, (*path, name))]
                return {member.key: self.value(member.shape, (*path, name)) for member in wanted}

    def wanted(self, member, path):
        return member.required or (self.full and not self.closes(member.shape, path))

    def closes(self, shape, path):
        """Whether this is a record that is being made already, and so would have no end."""
        return isinstance(shape, contract.Named) and shape.name in path


def _number(shape):
    if shape.minimum is not None:
        return shape.minimum
    if shape.above is not None:
        return shape.above + (1 if shape.whole else 0.5)
    return min(bound for bound in (0, shape.maximum, shape.below and shape.below - 1) if bound is not None)


def _changes(read, shape, value, at):
    def refused(code, what, place=at):
        return Change(place, code, what)

    def accepted(code, what, place=at):
        return Change(place, code, what, valid=True)

    match shape:
        case contract.Nullable(inner):
            yield accepted("None", "null")
            yield from _changes(read, inner, value, at)
        case contract.Text(low, high, pattern):
            yield refused("7", "a number instead of a text")
            if low:
                yield refused(repr("x" * (low - 1)), "a text that is too short")
            if high is not None:
                yield refused(f'"x" * {high + 1}', "a text that is too long")
            if high is not None and pattern is None:
                yield accepted(f'"x" * {high}', "the longest text")
            if pattern is not None and not re.search(pattern, "?"):
                yield refused(repr("?"), "a text of another pattern")
        case contract.Formatted(format):
            yield refused(repr("soon"), f"no {format}")
            yield refused("7", "a number instead of a text")
        case contract.Number(whole, low, high, above, below):
            yield refused(repr("many"), "a text instead of a number")
            yield refused("True", "a truth value instead of a number")
            if whole:
                yield refused(repr(value + 0.5), "a fraction")
            for bound, step in ((low, -1), (high, 1)):
                if bound is not None:
                    yield refused(repr(bound + step), "a number beyond its bound")
                    yield accepted(repr(bound), "a number at its bound")
            for bound in (above, below):
                if bound is not None:
                    yield refused(repr(bound), "a number at the bound that it may not reach")
        case contract.Flag():
            yield refused(repr("yes"), "a text instead of true or false")
            yield accepted("False", "false")
        case contract.Sequence(item, low, high, unique):
            yield refused("{}", "an object instead of an array")
            if low:
                yield refused(repr(value[: low - 1]), "too few items")
            elif value:
                yield accepted("[]", "no items")
            if high is not None and not unique and value:
                yield refused(f"{source(at)} * {high + 1}", "too many items")
            if unique and value:
                yield refused(f"{source(at)} * 2", "an item twice")
            if value:
                yield from _changes(read, item, value[0], (*at, 0))
        case contract.Named(name):
            yield from _of_named(read, read.types[name], value, at)


def _of_named(read, found, value, at):
    if isinstance(found, contract.Choice):
        yield Change(at, repr("something else"), "an unknown value")
        for other in found.values[1:]:
            yield Change(at, repr(other), f"the value {other}", valid=True)
        return
    if at:
        yield Change(at, "[]", "an array instead of an object")
    yield Change((*at, "surprise"), "1", "an unknown member")
    for member in found.members:
        if member.key not in value:
            continue
        place = (*at, member.key)
        yield Change(place, "MISSING", "nothing", valid=not member.required)
        if not isinstance(member.shape, contract.Nullable):
            yield Change(place, "None", "null")
        yield from _changes(read, member.shape, value[member.key], place)


def source(at):
    """The value at a place of the full document, as Python."""
    return "FULL" + "".join(f"[{key!r}]" for key in at)


def changed(document, at, value, missing):
    """The document with another value at a place."""
    document = copy.deepcopy(document)
    node = document
    for key in at[:-1]:
        node = node[key]
    if value is missing:
        del node[at[-1]]
    else:
        node[at[-1]] = value
    return document
