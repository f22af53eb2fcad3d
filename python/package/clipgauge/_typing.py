"""What arguments have to be able to do."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told how far a run is, on the thread of the caller. A bar of `tqdm` is one."""

    def update(self, n: int, /) -> object:
        """So many more rows are done."""
        ...


class ArrowStream(Protocol):
    """
    A table that Arrow's PyCapsule interface gives out.

    pyarrow's tables, record batches and readers are such, and data frames of Polars and pandas, relations of DuckDB and
    what else knows the interface.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
