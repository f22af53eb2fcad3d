"""What the peers in Python share: a table in, the same table with scores out, and pictures decoded ahead.

A peer is an object with `preprocess`, which runs on as many threads as the peer may use, and `scores`, which runs on the
main thread meanwhile.
"""

import argparse
import csv
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy
from numpy.typing import NDArray

Batch = list[dict[str, str]]

CONTEXT = 77
"""Tokens of a caption that CLIP reads."""


class Peer(Protocol):
    def preprocess(self, path: Path) -> Any:
        """A picture file as the model takes it."""

    def scores(self, pictures: list[Any], captions: list[str]) -> NDArray[numpy.float32]:
        """The cosine of each picture and its caption."""


def arguments(description: str | None, batch: int) -> argparse.ArgumentParser:
    """The interface of every peer; `batch` is what this one is fastest with."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--table", type=Path, required=True, help="CSV with url and caption")
    parser.add_argument("--out", type=Path, required=True, help="where the CSV with the scores goes")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True, help="the folder in Hugging Face's form")
    parser.add_argument("--exported", type=Path, required=True, help="the folder that bench/export.py filled")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--in-line", action="store_true", help="decode between the batches instead of beside them")
    return parser


def cosines(images: NDArray[numpy.float32], texts: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    lengths = numpy.linalg.norm(images, axis=1) * numpy.linalg.norm(texts, axis=1)
    return (images * texts).sum(axis=1) / lengths


def run(peer: Peer, options: argparse.Namespace) -> None:
    """Scores the table, a batch at a time, the next batch's pictures decoded meanwhile."""
    with options.table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    folder = options.table.parent
    batches = [rows[start : start + options.batch] for start in range(0, len(rows), options.batch)]
    with (
        ThreadPoolExecutor(options.threads) as pool,
        options.out.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, [*rows[0], "similarity"])
        writer.writeheader()
        start = lambda batch: [pool.submit(peer.preprocess, folder / row["url"]) for row in batch]
        ahead = 0 if options.in_line else 1
        for batch, pictures in prefetched(batches, start, ahead):
            scores = peer.scores([picture.result() for picture in pictures], [row["caption"] for row in batch])
            writer.writerows({**row, "similarity": float(score)} for row, score in zip(batch, scores))


def prefetched(
    batches: list[Batch], start: Callable[[Batch], list[Future[Any]]], ahead: int
) -> Iterator[tuple[Batch, list[Future[Any]]]]:
    """Each batch with what was started for it, so many batches ahead."""
    started: deque[tuple[Batch, list[Future[Any]]]] = deque()
    for batch in batches:
        started.append((batch, start(batch)))
        if len(started) > ahead:
            yield started.popleft()
    yield from started
