"""
What can go wrong, as a small tree of exceptions.

`Error` is the root of all; options that mean nothing are also a `ValueError`.
"""

from __future__ import annotations

from typing import Callable


class Error(Exception):
    """Scoring is not possible. The message says what is, why, and what to do."""


class OptionsError(Error, ValueError):
    """An option is unknown, means nothing, or does not go with another or with the model."""


class ModelError(Error):
    """A model cannot be had or used."""


class TableError(Error):
    """A table cannot be read or written, or has not the columns that it should have."""


class RowError(Error):
    """
    One image or text cannot be used.

    It is raised with `errors="raise"`, and given beside the scores with `errors="return"`.
    """

    index: int
    """Which one it is, from 0."""
    kind: str
    """What kind of failure it is, such as `not_found`; the list of them is closed."""
    message: str
    """What happened, in one sentence."""
    is_transient: bool
    """Whether the same row may succeed another time."""

    def __init__(self, index: int, kind: str, message: str, is_transient: bool) -> None:
        super().__init__(f"row {index}: {message} ({kind})")
        self.index = index
        self.kind = kind
        self.message = message
        self.is_transient = is_transient

    def __reduce__(self) -> tuple[Callable[..., RowError], tuple[int, str, str, bool]]:
        return RowError, (self.index, self.kind, self.message, self.is_transient)
