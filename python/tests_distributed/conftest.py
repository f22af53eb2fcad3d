from __future__ import annotations

import csv
import os
import signal
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clipgauge
import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"
COUNTING = Path(__file__).parent / "counting"


class Loads:
    """The processes that loaded a model."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def forget(self) -> None:
        self._path.write_text("")

    def pids(self) -> list[int]:
        return [int(line) for line in self._path.read_text().split()]


@pytest.fixture(scope="session")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Loads:
    """What workers note. Has to be there before an engine starts."""
    path = tmp_path_factory.mktemp("loads") / "pids"
    path.write_text("")
    os.environ["CLIPGAUGE_TEST_LOADS"] = str(path)
    os.environ["PYTHONPATH"] = str(COUNTING)
    return Loads(path)


class ImageServer:
    """Serves `examples`, not too fast, and kills a process when it has served so many pictures."""

    def __init__(self, loads: Loads) -> None:
        self.loads = loads
        self.kill_at: int | None = None
        self.served = 0
        self.killed: list[int] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self, directory=str(EXAMPLES)))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def count(self) -> None:
        with self._lock:
            self.served += 1
            if self.kill_at is None or self.served < self.kill_at:
                return
            self.kill_at = None
            pid = self.loads.pids()[-1]
            self.killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    def settled(self) -> int:
        """How much it has served, once nothing has been asked for a second: workers outlive a job that is killed."""
        served = -1
        while served != self.served:
            served = self.served
            time.sleep(1)
        return served

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, owner: ImageServer, *args: Any, **kwargs: Any) -> None:
        self._owner = owner
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        time.sleep(0.01)
        self._owner.count()
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(loads: Loads) -> Iterator[ImageServer]:
    loads.forget()
    server = ImageServer(loads)
    yield server
    server.close()


ROUNDS = 6


@pytest.fixture
def table(server: ImageServer) -> pa.Table:
    """The examples several times over, each time with other addresses, some of them of nothing."""
    with (EXAMPLES / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file)) * ROUNDS
    urls = [server.url(f"{row['url']}?{index}") for index, row in enumerate(rows)]
    urls = [server.url("none.png") if index % 10 == 7 else url for index, url in enumerate(urls)]
    return pa.table({"id": range(len(rows)), "url": urls, "caption": [row["caption"] for row in rows]})


@pytest.fixture
def expected(table: pa.Table) -> dict[int, tuple[float | None, str | None]]:
    """Score and kind of error of each id, by a plain run in this process."""
    scored = pa.table(clipgauge.score_table(table, model="pictoclip", error_column="why"))
    return by_id(scored)


def by_id(scored: pa.Table) -> dict[int, tuple[float | None, str | None]]:
    """Score and kind of error of each id; each id is there once."""
    ids = scored["id"].to_pylist()
    assert len(set(ids)) == len(ids), "rows are there twice"
    return dict(zip(ids, zip(scored["similarity"].to_pylist(), scored["why"].to_pylist())))
