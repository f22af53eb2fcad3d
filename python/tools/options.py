"""
Makes `package/clipgauge/_options.py` of the flags of `clipgauge score`.

With `--check`, it only says whether it is as it should be.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from clipgauge import _native

TARGET = Path(__file__).parents[1] / "package" / "clipgauge" / "_options.py"
WIDTH = 116
# Those that `Scorer` names itself, and that are its own types.
NAMED = ("model", "metric", "threads", "precision")
TYPES = {
    "flag": "bool",
    "number": "int",
    "decimal": "float",
    "time": "float | str | timedelta",
    "size": "int | str",
    "path": "str | PathLike[str]",
    "text": "str",
}
HEAD = '''\
"""The options of `clipgauge score` as keywords. Made by tools/options.py: `make options` makes it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from os import PathLike

{aliases}

class ScorerOptions(TypedDict, total=False):
    """What is about models, fetching and pictures. Times are in seconds, or texts such as `"2m"`."""

{scorer}

class TableOptions(TypedDict, total=False):
    """What is about a table."""

{table}

class ScoreTableOptions(ScorerOptions, TableOptions, total=False):
    """All of them."""

{named}'''


def type_of(keyword: dict[str, Any]) -> str:
    """The type of an option's value."""
    plain = TYPES.get(keyword["takes"]) or alias(keyword)
    return f"{plain} | Sequence[{plain}]" if keyword["repeats"] else plain


def alias(keyword: dict[str, Any]) -> str:
    """The name of the type of an option that is one of a list."""
    return "".join(part.capitalize() for part in keyword["name"].split("_"))


def members(keyword: dict[str, Any]) -> str:
    """The definition of that type."""
    listed = ", ".join(f'"{member}"' for member in keyword["members"])
    return f"{alias(keyword)} = Literal[{listed}]\n"


def field(keyword: dict[str, Any]) -> str:
    """The option as a key of a dictionary."""
    default = "" if keyword["default"] is None else f" [default: {keyword['default']}]"
    text = textwrap.wrap(f"{keyword['help']}{default}", WIDTH - 10)
    doc = "\n    ".join(['"""' + text[0], *text[1:]]) + '"""'
    return f"    {keyword['name']}: {type_of(keyword)}\n    {doc}\n"


def source() -> str:
    """The whole file."""
    keywords = _native.keywords()
    named = [keyword for keyword in keywords if keyword["name"] in NAMED]
    others = [keyword for keyword in keywords if keyword["name"] not in NAMED]
    return HEAD.format(
        aliases="".join(members(keyword) for keyword in keywords if keyword["takes"] == "member"),
        scorer="".join(field(keyword) for keyword in others if not keyword["is_of_a_table"]),
        table="".join(field(keyword) for keyword in others if keyword["is_of_a_table"]),
        named="".join(field(keyword) for keyword in named),
    )


def main() -> int:
    """Write the file, or compare it."""
    made = source()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(made, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != made:
        print(f"{TARGET} is not what the flags say: run `make options`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
