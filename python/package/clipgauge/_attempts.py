"""
Finds the row that kills its process.

An engine tries a batch again whose worker died, and would do so until its patience ends, without a word on the reason. So
a worker notes what it is at in a file, and takes the note away when it is done. Who finds the note of a worker that died
scores the batch row by row, and who finds the note of a row raises an error that names it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from pathlib import Path
from typing import Callable

import pyarrow as pa

from clipgauge._errors import Error

_SHOWN = 200
"""The most characters of a row that an error shows."""


class Attempts:
    """
    Notes of workers in a folder.

    Args:
        folder: Where the notes are; a folder of this run's own among the temporary files of each node, if not given.
        most: How often a batch is tried before its rows are looked at one by one; at least once.

    """

    def __init__(self, folder: str | os.PathLike[str] | None, most: int) -> None:
        self._folder = None if folder is None else os.fspath(folder)
        self._run = f"clipgauge-{uuid.uuid4().hex}"
        # One more attempt goes row by row, and the one after that finds which row it was.
        self._whole = max(1, most - 1)

    def guard(self, batch: pa.Table, score: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """
        Score a batch, as a whole or, if that killed its workers before, row by row.

        Raises:
            Error: A row of the batch killed its worker.

        """
        note = self._note(batch)
        deaths = _count(note)
        if deaths < self._whole:
            return _noted(note, deaths + 1, lambda: score(batch))
        rows = [batch.slice(index, 1) for index in range(batch.num_rows)]
        done = pa.concat_tables([self._alone(row, score) for row in rows])
        note.unlink(missing_ok=True)
        return done

    def _alone(self, row: pa.Table, score: Callable[[pa.Table], pa.Table]) -> pa.Table:
        note = self._note(row, "row")
        if _count(note):
            shown = ", ".join(f"{name}={value!r:.{_SHOWN}}" for name, value in row.to_pylist()[0].items())
            msg = f"the worker dies whenever it scores this row: {shown}; take it out of the table"
            raise Error(msg)
        return _noted(note, 1, lambda: score(row))

    def _note(self, rows: pa.Table, what: str = "batch") -> Path:
        digest = hashlib.sha256()
        with pa.ipc.new_stream(_Hashed(digest.update), rows.schema) as stream:
            stream.write_table(rows.combine_chunks())
        folder = Path(self._folder or tempfile.gettempdir()) / self._run
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{what}-{digest.hexdigest()}"


class _Hashed:
    """A file for Arrow that is only hashed."""

    closed = False

    def __init__(self, update: Callable[[bytes], object]) -> None:
        self._update = update

    def write(self, data: bytes) -> int:
        self._update(data)
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _count(note: Path) -> int:
    try:
        return int(note.read_text(encoding="ascii") or 0)
    except FileNotFoundError:
        return 0


def _noted(note: Path, count: int, work: Callable[[], pa.Table]) -> pa.Table:
    note.write_text(str(count), encoding="ascii")
    try:
        return work()
    finally:
        # An exception is no death.
        note.unlink(missing_ok=True)
