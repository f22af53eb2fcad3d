"""Tables: files as the command scores them, and tables in memory as Arrow has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Union, cast, overload

from clipgauge import _native
from clipgauge._errors import OptionsError
from clipgauge._summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from clipgauge._options import ScoreTableOptions
    from clipgauge._typing import ArrowStream, Progress

    Paths = Union[str, os.PathLike[str], Sequence[Union[str, os.PathLike[str]]]]


class ScoredTable:
    """
    A table with its new columns, in memory.

    It has Arrow's `__arrow_c_stream__`, any number of times: `pyarrow.table(it)`, `polars.DataFrame(it)` and the like
    take it without a copy.
    """

    def __init__(self, table: _native.ScoredTable) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"ScoredTable({len(self)} rows, columns {self.column_names})"

    @property
    def column_names(self) -> list[str]:
        """The names of its columns, the new ones included."""
        return self._table.column_names

    @property
    def summary(self) -> Summary:
        """What the run came to."""
        return summary(self._table.summary_parts)


@overload
def score_table(
    input: Paths,
    output: str | os.PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Unpack[ScoreTableOptions],
) -> Summary: ...


@overload
def score_table(
    input: ArrowStream,
    output: None = None,
    *,
    progress: Progress | None = None,
    **options: Unpack[ScoreTableOptions],
) -> ScoredTable: ...


def score_table(
    input: Paths | ArrowStream,
    output: str | os.PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    **options: Unpack[ScoreTableOptions],
) -> Summary | ScoredTable:
    """
    Add a column with the score of each row to a table, as `clipgauge score` does.

    A file is read and written row by row, whatever its size, and the new one appears whole or not at all. A table in
    memory is one of any library that knows Arrow's PyCapsule interface (pyarrow, Polars, pandas, DuckDB, Daft).

    Args:
        input: The table: a file's path, several of them, a pattern (`data/*.parquet`) or a folder; or an object with
            `__arrow_c_stream__`.
        output: For files, the path of the new one, or the folder that takes each under its own name (one that is there, or
            a name that ends in a slash); `in_place=True` puts each in its own place.
        progress: Is told how far it is: a bar of `tqdm`, or anything with its `update`.
        **options: The options of `clipgauge score`, with underscores: `model`, `metric`, `image_column`, …

    Returns:
        For a file, what the run came to; for a table in memory, the table with its new columns.

    Raises:
        TableError: A table cannot be read or written, or has not the columns that it should have.
        ModelError: A model cannot be had or used.
        OptionsError: An option is unknown or means nothing.
        KeyboardInterrupt: At ctrl-C; the message says where the finished rows are.

    """
    keywords = dict(options)
    if keywords.get("errors") in ("nan", "raise", "return"):
        msg = (
            "`errors` is the file that lists the rows which failed; in a table, a row that fails has no score, and its "
            "kind of error is in the `error_column`"
        )
        raise OptionsError(msg)
    if isinstance(input, (list, tuple)) and not input:
        msg = "the list of tables is empty"
        raise OptionsError(msg)
    paths = _paths(input)
    if paths is not None:
        if output is None and not keywords.get("in_place"):
            msg = "the scored table has no place to go: give `output`, or `in_place=True`"
            raise OptionsError(msg)
        place = None if output is None else os.fspath(output)
        return summary(_native.score_file(paths, place, keywords, progress))
    if output is not None or keywords.get("in_place"):
        msg = "a table in memory is given back, not written: leave `output` and `in_place` away"
        raise OptionsError(msg)
    # What is no table either is refused there.
    return ScoredTable(_native.Session(keywords).score_table(cast("ArrowStream", input), keywords, progress))


def _paths(input: object) -> list[str] | None:
    """The files that are meant, if it is no table in memory."""
    inputs = list(input) if isinstance(input, (list, tuple)) else [input]
    paths = [os.fspath(path) for path in inputs if isinstance(path, (str, os.PathLike))]
    return paths if paths and len(paths) == len(inputs) else None
