"""What the adapters to engines share: an engine scores a table in batches, of which none knows the others."""

from __future__ import annotations

from typing import Any

from clipgauge._errors import OptionsError
from clipgauge._options import TableOptions

OF_A_WHOLE_TABLE = (
    "delimiter",
    "errors",
    "format",
    "in_place",
    "limit",
    "resume",
    "retry_failed",
    "sample",
    "seed",
    "shard",
    "summary",
    "top_fraction",
)
"""Options that mean nothing, or something else, for a batch."""


def parted(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Part options into those of the scorer and those of each batch.

    Raises:
        OptionsError: One is about the whole table.

    """
    for name in OF_A_WHOLE_TABLE:
        if options.get(name) not in (None, False):
            msg = f"`{name}` is about a whole table, and an engine scores it in batches: leave `{name}` away"
            raise OptionsError(msg)
    of_a_batch = TableOptions.__annotations__.keys()
    return (
        {name: value for name, value in options.items() if name not in of_a_batch},
        {name: value for name, value in options.items() if name in of_a_batch},
    )
