"""Decides whether generated models are what the contract says, whatever their generator said of itself.

    check_models.py CONTRACT MODELS
"""

import sys

import contract
import generated
from session import StepError


def main(source, models):
    read = contract.read(source)
    problems = generated.missing_models(read, generated.load(models))
    if problems:
        raise StepError(f"{models} is not what {read.file} describes:\n  " + "\n  ".join(problems))
    print(f"{models} holds all {len(read.types)} types of {read.file}")


if __name__ == "__main__":
    # Not as a step: the result file belongs to what is checked.
    try:
        main(*sys.argv[1:])
    except StepError as error:
        sys.exit(f"check_models.py: {error}")
