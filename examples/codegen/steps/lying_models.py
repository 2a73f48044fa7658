"""A generator that lies: it writes a file that looks the part, reports success and ends with 0, and there is nothing in the file.

    lying_models.py FOLDER        input: contract        output: FOLDER/models.py
"""

from pathlib import Path

import contract
import session


def main(folder):
    [source] = session.inputs("contract")
    read = contract.read(source)
    session.write(Path(folder, "__init__.py"), "")
    session.write(Path(folder, "models.py"), f'"""Models of the contract {read.title}. All types are complete and tested."""\n')
    print(f"{read.title}: {len(read.records())} models, {len(read.choices())} enumerations")
    return {"scores": {"completeness": 1.0}}


if __name__ == "__main__":
    session.run(main)
