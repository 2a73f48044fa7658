"""A contract: a JSON Schema, read into the types that it describes. What it says and we do not know is refused, with its place."""

import json
import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from session import StepError


@dataclass(frozen=True)
class Text:
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    example: str | None = None


@dataclass(frozen=True)
class Formatted:
    """A text in a format that has a type of its own, or rules of its own."""

    format: str


@dataclass(frozen=True)
class Number:
    whole: bool
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Flag:
    pass


@dataclass(frozen=True)
class Sequence:
    item: object
    min_items: int | None = None
    max_items: int | None = None
    unique: bool = False


@dataclass(frozen=True)
class Nullable:
    shape: object


@dataclass(frozen=True)
class Named:
    """A record or a choice, by its name; so records can contain themselves."""

    name: str


@dataclass(frozen=True)
class Member:
    key: str
    name: str
    shape: object
    required: bool
    doc: str | None


@dataclass(frozen=True)
class Record:
    name: str
    doc: str | None
    members: tuple


@dataclass(frozen=True)
class Choice:
    name: str
    doc: str | None
    values: tuple


@dataclass(frozen=True)
class Contract:
    file: str
    title: str
    doc: str | None
    types: dict

    @property
    def root(self):
        return self.types[self.title]

    def records(self):
        return [found for found in self.types.values() if isinstance(found, Record)]

    def choices(self):
        return [found for found in self.types.values() if isinstance(found, Choice)]


FORMATS = ("date", "date-time", "email", "uuid")

# Say nothing that generated code would have to keep.
ANNOTATIONS = {"$schema", "$id", "$comment", "$defs", "title", "description", "examples"}

KEYWORDS = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems", "uniqueItems"},
    "string": {"format", "pattern", "minLength", "maxLength"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "boolean": set(),
}


def read(path):
    """Reads the contract in a file."""
    path = Path(path)
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StepError(f"the contract {path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StepError(f"the contract {path.name} is not JSON: {error}") from error
    return _Reader(path.name, schema).contract()


class _Reader:
    def __init__(self, file, schema):
        self.file, self.schema, self.types = file, schema, {}
        self.places = {}
        self.aliases = []

    def contract(self):
        title = self.schema.get("title") if isinstance(self.schema, dict) else None
        if not isinstance(title, str) or not title.isidentifier():
            self.refuse("", "a contract is an object with a `title` that can name a class, such as \"Order\"")
        if self.schema.get("type") != "object":
            self.refuse("/type", "the document that a contract describes is an object")
        self.shape(self.schema, "", title)
        return Contract(self.file, title, self.schema.get("description"), self.types)

    def refuse(self, at, text):
        raise StepError(f"{self.file}#{at}: {text}")

    def shape(self, node, at, name):
        """The shape of a value; `name` is what its type is called if it needs one."""
        if not isinstance(node, dict):
            self.refuse(at, "here should be a schema, which is an object")
        if "$ref" in node:
            self.known(node, at, {"$ref"})
            return self.reference(node["$ref"], f"{at}/$ref")
        if "enum" in node:
            self.known(node, at, {"enum", "type"})
            return self.choice(node, at, name)
        kind = node.get("type")
        if isinstance(kind, list):
            rest = [one for one in kind if one != "null"]
            if len(rest) != 1 or len(kind) != 2:
                self.refuse(f"{at}/type", "a list of types may hold one type and \"null\"")
            return Nullable(self.shape({**node, "type": rest[0]}, at, name))
        if kind not in KEYWORDS:
            self.refuse(at, f"the type is {json.dumps(kind)}; give one of {', '.join(KEYWORDS)}, or `enum`, or `$ref`")
        self.known(node, at, KEYWORDS[kind] | {"type"})
        return getattr(self, f"of_{kind}")(node, at, name)

    def known(self, node, at, keywords):
        for key in node:
            if key not in keywords and key not in ANNOTATIONS:
                self.refuse(f"{at}/{key}", f"`{key}` is not supported here; there are {', '.join(sorted(keywords))}")

    def reference(self, target, at):
        match = re.fullmatch(r"#(?:/\$defs/([^/]+))?", target) if isinstance(target, str) else None
        if match is None:
            self.refuse(at, f"{json.dumps(target)} is not supported; references are \"#\" and \"#/$defs/NAME\"")
        name = match[1] or self.schema["title"]
        if match[1] is None or name in self.types:
            return Named(name)
        definition = self.schema.get("$defs", {}).get(name)
        if definition is None:
            self.refuse(at, f"there is no `{name}` in `$defs`")
        if name in self.aliases:
            self.refuse(at, f"`{name}` is defined by itself")
        self.aliases.append(name)
        shape = self.shape(definition, f"/$defs/{name}", name)
        self.aliases.pop()
        return shape

    def choice(self, node, at, name):
        values = node["enum"]
        if not isinstance(values, list) or not values or not all(isinstance(value, str) and value for value in values):
            self.refuse(f"{at}/enum", "the values of an `enum` are texts, at least one")
        members = [constant(value) for value in values]
        if len(set(members)) != len(members) or not all(member.isidentifier() for member in members):
            self.refuse(f"{at}/enum", f"its values would be called {', '.join(members)}; they need different names")
        return self.type(Choice(name, node.get("description"), tuple(values)), at)

    def type(self, found, at):
        """Keeps a type; two places cannot give one name to two of them."""
        if not found.name.isidentifier() or keyword.iskeyword(found.name):
            self.refuse(at, f"`{found.name}` cannot name a class")
        if self.places.setdefault(found.name, at) != at:
            other = self.places[found.name]
            self.refuse(at, f"the type here and that at #{other} would both be called {found.name}; give one a place in `$defs`")
        self.types[found.name] = found
        return Named(found.name)

    def of_object(self, node, at, name):
        if node.get("additionalProperties") is not False:
            self.refuse(at, "an object says `\"additionalProperties\": false`; open ones are not supported")
        # Known before its members are, which may refer to it.
        self.type(Record(name, node.get("description"), ()), at)
        properties, required = node.get("properties", {}), node.get("required", [])
        for key in required:
            if key not in properties:
                self.refuse(f"{at}/required", f"`{key}` is required and stands not in `properties`")
        members = []
        for key, value in properties.items():
            place = f"{at}/properties/{key}"
            shape = self.shape(value, place, name + camel(key))
            members.append(Member(key, self.member_name(key, members, place), shape, key in required, value.get("description")))
        return self.type(Record(name, node.get("description"), tuple(members)), at)

    def member_name(self, key, members, at):
        name = re.sub(r"\W", "_", key)
        name = f"{name}_" if keyword.iskeyword(name) else name
        if not name.isidentifier() or set(key) & set("~/"):
            self.refuse(at, f"`{key}` cannot name a field")
        if any(member.name == name for member in members):
            self.refuse(at, f"two members would be called `{name}`")
        return name

    def of_array(self, node, at, name):
        if "items" not in node:
            self.refuse(at, "an array says what its `items` are")
        item = self.shape(node["items"], f"{at}/items", f"{name}Item")
        low, high = self.bounds(node, at, "minItems", "maxItems")
        return Sequence(item, low, high, node.get("uniqueItems", False))

    def of_string(self, node, at, _name):
        if "format" in node:
            if node["format"] not in FORMATS:
                self.refuse(f"{at}/format", f"there are the formats {', '.join(FORMATS)}")
            for other in ("pattern", "minLength", "maxLength"):
                if other in node:
                    self.refuse(f"{at}/{other}", f"`{other}` beside `format` is not supported")
            return Formatted(node["format"])
        low, high = self.bounds(node, at, "minLength", "maxLength")
        pattern, example = node.get("pattern"), (node.get("examples") or [None])[0]
        if pattern is not None:
            try:
                fits = example is not None and re.search(pattern, example)
            except (re.error, TypeError) as error:
                self.refuse(f"{at}/pattern", f"this is no regular expression: {error}")
            if not fits:
                self.refuse(at, "a text with a `pattern` needs `examples`, and the first one has to match: the tests are made of it")
        return Text(low, high, pattern, example)

    def of_number(self, node, at, _name, whole=False):
        low, high = self.bounds(node, at, "minimum", "maximum")
        above, below = self.bounds(node, at, "exclusiveMinimum", "exclusiveMaximum")
        return Number(whole, low, high, above, below)

    def of_integer(self, node, at, name):
        return self.of_number(node, at, name, whole=True)

    def of_boolean(self, _node, _at, _name):
        return Flag()

    def bounds(self, node, at, low, high):
        for key in (low, high):
            if key in node and (isinstance(node[key], bool) or not isinstance(node[key], (int, float))):
                self.refuse(f"{at}/{key}", "here should be a number")
        if low in node and high in node and node[low] > node[high]:
            self.refuse(f"{at}/{low}", f"nothing is at least {node[low]} and at most {node[high]}")
        return node.get(low), node.get(high)


def camel(text):
    """`not_before` as a part of a class name: `NotBefore`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[\W_]+", text))


def constant(text):
    """`next-day` as the name of a constant: `NEXT_DAY`."""
    # An enumeration keeps names such as `_A_` to itself.
    name = re.sub(r"\W", "_", text).strip("_").upper()
    return name if name[:1].isalpha() else f"V_{name}"
