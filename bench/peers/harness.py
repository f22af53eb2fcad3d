"""What the peers in Python share: a table in, the same table with scores out, and pictures decoded ahead.

Each peer is a module with `parser()`, its command line, and `load(options)`, which gives a `Peer`. `stages.py` measures the
same parts one by one.
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
from PIL import Image

Batch = list[dict[str, str]]

CONTEXT = 77
"""Tokens of a caption that CLIP reads."""


class Peer(Protocol):
    def preprocess(self, image: Image.Image) -> Any:
        """A picture as the model takes it; called on several threads at once."""

    def tokens(self, captions: list[str], length: int | None = None) -> Any:
        """Captions as the model takes them: cut at the context, padded to the longest, or to a length."""

    def images(self, pictures: list[Any]) -> NDArray[numpy.float32]:
        """A vector for each picture."""

    def texts(self, tokens: Any) -> NDArray[numpy.float32]:
        """A vector for each caption."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The interface of every peer."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--table", type=Path, required=True, help="CSV with url and caption")
    parser.add_argument("--out", type=Path, help="where the CSV with the scores goes")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True, help="the folder in Hugging Face's form")
    parser.add_argument("--exported", type=Path, required=True, help="the folder that bench/export.py filled")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--streams", action="store_true", help="a batch of its own on each core, from its files to its scores"
    )
    return parser


def engine_threads(options: argparse.Namespace) -> int:
    """Threads that the engine works on in one call."""
    return 1 if options.streams else options.threads


def decode(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def cosines(images: NDArray[numpy.float32], texts: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    lengths = numpy.linalg.norm(images, axis=1) * numpy.linalg.norm(texts, axis=1)
    return (images * texts).sum(axis=1) / lengths


def run(peer: Peer, options: argparse.Namespace) -> None:
    """Scores the table: a batch at a time, the next batch's pictures decoded meanwhile, or a batch on each core."""
    with options.table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    folder = options.table.parent
    batches = [rows[start : start + options.batch] for start in range(0, len(rows), options.batch)]
    with (
        ThreadPoolExecutor(options.threads) as pool,
        options.out.open("w", newline="", encoding="utf-8") as file,
    ):

        def picture(row: dict[str, str]) -> Any:
            return peer.preprocess(decode(folder / row["url"]))

        def scored(batch: Batch, pictures: list[Any]) -> NDArray[numpy.float32]:
            return cosines(peer.images(pictures), peer.texts(peer.tokens([row["caption"] for row in batch])))

        def in_one_call(batch: Batch) -> NDArray[numpy.float32]:
            return scored(batch, [picture(row) for row in batch])

        def one_after_the_other() -> Iterator[NDArray[numpy.float32]]:
            for batch, pictures in prefetched(batches, lambda batch: [pool.submit(picture, row) for row in batch]):
                yield scored(batch, [made.result() for made in pictures])

        writer = csv.DictWriter(file, [*rows[0], "similarity"])
        writer.writeheader()
        for batch, scores in zip(batches, pool.map(in_one_call, batches) if options.streams else one_after_the_other()):
            writer.writerows({**row, "similarity": float(score)} for row, score in zip(batch, scores))


def prefetched(
    batches: list[Batch], start: Callable[[Batch], list[Future[Any]]]
) -> Iterator[tuple[Batch, list[Future[Any]]]]:
    """Each batch with what was started for it, one batch ahead."""
    started: deque[tuple[Batch, list[Future[Any]]]] = deque()
    for batch in batches:
        started.append((batch, start(batch)))
        if len(started) > 1:
            yield started.popleft()
    yield from started
