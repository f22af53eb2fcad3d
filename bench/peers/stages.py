"""Times each stage of a peer by itself over the rows of a table: `stages.py MODULE` and the peer's own options.

Prints milliseconds a pair as JSON. Pictures are decoded and preprocessed on one thread, the towers run on `--threads`:
in one call, or with `--streams` in a call for each thread.
The Rust example `stages` of clipgauge-core prints the same of clipgauge.
"""

import csv
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness import CONTEXT, decode


def main() -> None:
    module = importlib.import_module(sys.argv.pop(1))
    options = module.parser().parse_args()
    peer = module.load(options)
    with options.table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    paths = [options.table.parent / row["url"] for row in rows]
    captions = [row["caption"] for row in rows]
    milliseconds: dict[str, float] = {}

    calls = ThreadPoolExecutor(options.threads if options.streams else 1)

    def timed(
        name: str, work: Callable[[Any], Any], items: list[Any], over: Callable[..., Iterable[Any]] = map
    ) -> list[Any]:
        list(over(work, items[: options.threads]))
        start = time.perf_counter()
        made = list(over(work, items))
        milliseconds[name] = (time.perf_counter() - start) * 1e3 / len(rows)
        return made

    def batched(items: list[Any]) -> list[list[Any]]:
        return [items[start : start + options.batch] for start in range(0, len(items), options.batch)]

    pictures = timed("preprocess", peer.preprocess, timed("decode", decode, paths))
    timed("images", peer.images, batched(pictures), calls.map)
    timed("texts", peer.texts, timed("tokenize", peer.tokens, batched(captions)), calls.map)
    timed("texts_padded", peer.texts, [peer.tokens(batch, CONTEXT) for batch in batched(captions)], calls.map)
    print(json.dumps(milliseconds))


if __name__ == "__main__":
    main()
