"""What a run over a table comes to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Summary:
    """Counts of a run. `str()` gives what the command prints."""

    rows: int
    """The rows that are done."""
    scored: int
    """Those with a score."""
    failed: int
    """Those without."""
    failures: dict[str, int]
    """Those without, by the kind of error."""
    written: int
    """The rows that were written: all but those that filters dropped."""
    truncated_captions: int
    """The captions that were longer than the model reads."""
    errors: Path | None
    """Where the failed rows are listed, if one failed and there is a list."""
    details: dict[str, Any] = field(repr=False)
    """All there is, as `--summary` writes it: quantiles of the scores, options, versions, seconds of each stage."""
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


def summary(parts: tuple[str, str]) -> Summary:
    """Make a summary of what the engine says of it, as JSON and as text."""
    details = json.loads(parts[0])
    errors = details["errors"]
    return Summary(
        rows=details["rows"],
        scored=details["scored"],
        failed=details["failed"],
        failures=details["failures"],
        written=details["written"],
        truncated_captions=details["truncated_captions"],
        errors=None if errors is None else Path(errors),
        details=details,
        text=parts[1],
    )
