"""
Finds the row that kills its process.

An engine tries a batch again whose worker died, and would do so until its patience ends, without a word on the reason. So
a worker notes what it is at in a file, and takes the note away when it is done. Who finds the note of a batch whose worker
died scores it row by row, and who finds the note of a row whose worker died raises an error that names it: also from
another batch, since a worker may have several to try again and dies of each.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
import uuid
from functools import partial
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

    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._folder = None if folder is None else os.fspath(folder)
        self._run = f"clipgauge-{uuid.uuid4().hex}"

    def guard(self, batch: pa.Table, score: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """
        Score a batch, as a whole or, if a worker died of it before, row by row.

        Raises:
            Error: A row, of this batch or another, killed its worker.

        """
        note = self._note(batch, "batch")
        for row in note.parent.glob("row-*"):
            _raise_if_it_killed(row, also_elsewhere=False)
        if not note.exists():
            return _noted(note, "", partial(score, batch))
        rows = [batch.slice(index, 1) for index in range(batch.num_rows)]
        done = pa.concat_tables([self._alone(row, score) for row in rows])
        note.unlink(missing_ok=True)
        return done

    def _alone(self, row: pa.Table, score: Callable[[pa.Table], pa.Table]) -> pa.Table:
        note = self._note(row, "row")
        _raise_if_it_killed(note, also_elsewhere=True)
        shown = ", ".join(f"{name}={value!r:.{_SHOWN}}" for name, value in row.to_pylist()[0].items())
        return _noted(note, shown, partial(score, row))

    def _note(self, rows: pa.Table, what: str) -> Path:
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


def _noted(note: Path, row: str, work: Callable[[], pa.Table]) -> pa.Table:
    note.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "row": row}), encoding="utf-8")
    try:
        return work()
    finally:
        # An exception is no death.
        note.unlink(missing_ok=True)


def _raise_if_it_killed(note: Path, also_elsewhere: bool) -> None:
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        # The row is done, or about to be scored.
        return
    is_here = noted["host"] == socket.gethostname()
    # Of a worker on another node it cannot be told whether it lives; but a row that came here from there killed it.
    if _is_alive(noted["pid"]) if is_here else not also_elsewhere:
        return
    msg = f"the worker dies whenever it scores this row: {noted['row']}; take it out of the table"
    raise Error(msg)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
