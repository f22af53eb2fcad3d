"""Lets workers of a test note when they load a model: Python runs this file wherever it starts."""

from __future__ import annotations

import logging
import os
from pathlib import Path


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Workers may be forks: their own id counts, not that of the process which this file ran in.
        with Path(os.environ["CLIPGAUGE_TEST_LOADS"]).open("a") as file:
            file.write(f"{os.getpid()}\n")


if "CLIPGAUGE_TEST_LOADS" in os.environ:
    logger = logging.getLogger("clipgauge.load")
    logger.setLevel(logging.INFO)
    logger.addHandler(_Notes())
