"""Writes the validators of a contract: they read a document into its models, or report every problem in it.

    validators.py FOLDER        inputs: contract, models        output: FOLDER/validators.py
"""

from pathlib import Path

import contract
import generated
import session

RUNTIME = Path(__file__).resolve().parent.parent / "runtime" / "checks.py"


def main(folder):
    source, models = session.inputs("contract", "models")
    read = contract.read(source)
    problems = generated.missing_models(read, generated.load(models))
    if problems:
        raise session.StepError(f"validators cannot be built upon {models}: {problems[0]}; generate the models again")
    session.write(Path(folder, "checks.py"), RUNTIME.read_text(encoding="utf-8"))
    session.write(Path(folder, "validators.py"), text(read))
    print(f"{read.title}: validators of {len(read.types)} types")


def text(read):
    parts = [header(read)]
    parts += [f"{checker(choice.name)} = checks.Choice(models.{choice.name})" for choice in read.choices()]
    parts += [record_check(record) for record in read.records()]
    return "\n\n".join(parts) + "\n"


def header(read):
    root = checker(read.title)
    return f'''"""Validators of the contract {read.title}. Generated from {read.file}; do not edit."""

from . import checks, models
from .checks import Invalid


def read(document):
    """The {read.title} in a document, or `Invalid` with every problem of it."""
    return checks.read({root}, document)


def write(model):
    """The document of a model: what `read` takes."""
    return {root}.write(model)
'''


def record_check(record):
    members = [f"        {member.key!r}: checks.Member({arguments(member)}),\n" for member in record.members]
    return f"{checker(record.name)} = checks.Record(\n    models.{record.name},\n    {{\n{''.join(members)}    }},\n)"


def arguments(member):
    required = ", required=True" if member.required else ""
    return f"{member.name!r}, {check(member.shape)}{required}"


def check(shape):
    match shape:
        case contract.Text(low, high, pattern):
            return call("Text", min_length=low, max_length=high, pattern=pattern)
        case contract.Formatted(format):
            return f"checks.Formatted({format!r})"
        case contract.Number(whole, low, high, above, below):
            return call("Number", whole=whole or None, minimum=low, maximum=high, above=above, below=below)
        case contract.Flag():
            return "checks.Flag()"
        case contract.Sequence(item, low, high, unique):
            return call("Sequence", check(item), min_items=low, max_items=high, unique=unique or None)
        case contract.Nullable(inner):
            return f"checks.Nullable({check(inner)})"
        case contract.Named(name):
            return f"checks.Named(lambda: {checker(name)})"


def call(name, *given, **options):
    named = [f"{option}={value!r}" for option, value in options.items() if value is not None]
    return f"checks.{name}({', '.join([*given, *named])})"


def checker(name):
    return f"_{name}"


if __name__ == "__main__":
    session.run(main)
