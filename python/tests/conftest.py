from __future__ import annotations

import csv
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import clipgauge
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"


class Examples(NamedTuple):
    images: list[str]
    captions: list[str]


@pytest.fixture(scope="session")
def examples() -> Examples:
    """Images and captions of `examples/pairs.csv`, the images as absolute paths."""
    with (EXAMPLES / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Examples([str(EXAMPLES / row["url"]) for row in rows], [row["caption"] for row in rows])


@pytest.fixture(scope="session")
def scorer() -> clipgauge.Scorer:
    return clipgauge.Scorer("pictoclip")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def image_server() -> Iterator[str]:
    """The address of a server with the files of `examples`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(EXAMPLES)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
