"""ctrl-C: real processes and real signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """A server that never answers, and says when it was asked."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def accept() -> None:
            while True:
                try:
                    kept.append(server.accept())
                except OSError:
                    return
                asked.set()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)
        for connection, _ in kept:
            connection.close()


SCORE = """
    import clipgauge
    scorer = clipgauge.Scorer("pictoclip", timeout="10m")
    try:
        scorer.score(["{url}/a.png"] * 3, ["a cat"] * 3)
    except KeyboardInterrupt:
        print("interrupted")
    print(scorer.score(["data:,"], ["still works"]))
"""
TABLE = """
    import clipgauge
    try:
        clipgauge.score_table("{folder}/pairs.csv", "{folder}/out.csv", model="pictoclip", timeout="10m")
    except KeyboardInterrupt as error:
        print("interrupted:", error)
"""


@pytest.mark.parametrize(("code", "expected"), [(SCORE, "interrupted\n[nan]\n"), (TABLE, "interrupted: the rows that")])
def test_ctrl_c_ends_a_call(
    silent_server: tuple[str, threading.Event], tmp_path: Path, code: str, expected: str
) -> None:
    url, asked = silent_server
    (tmp_path / "pairs.csv").write_text(f"url,caption\ndata:,,a\n{url}/b.png,b\n")
    code = textwrap.dedent(code.format(url=url, folder=tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert asked.wait(60)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith(expected)
    assert not (tmp_path / "out.csv").exists()


def test_ctrl_c_ends_the_command(silent_server: tuple[str, threading.Event], tmp_path: Path) -> None:
    url, asked = silent_server
    (tmp_path / "pairs.csv").write_text(f"url,caption\n{url}/b.png,b\n")
    command = [sys.executable, "-m", "clipgauge", "score", "pairs.csv", "-o", "out.csv", "--model", "pictoclip"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ) as process:
        assert asked.wait(60)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
