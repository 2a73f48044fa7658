"""Finds out whether a page names every type of generated models, and says in its output how many are missing.

    review.py PAGE MODELS...        output: missing
"""

import re
from pathlib import Path

import describe
import generated
import session


def main(page, *models):
    named = set(re.findall(r"^- (\w+)", Path(page).read_text(encoding="utf-8"), re.MULTILINE))
    missing = [name for path in models for name in describe.types(generated.load(path), bool) if name not in named]
    print(f"{page} lacks {', '.join(missing)}" if missing else f"{page} names every type")
    return {"output": {"missing": len(missing)}}


if __name__ == "__main__":
    session.run(main)
