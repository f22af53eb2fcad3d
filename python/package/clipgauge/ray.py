"""
Scores for Ray Data: `clipgauge.ray.score(dataset, …)`.

Each actor loads the model once and works on the cores of its node with threads; images are fetched within the actor, so
that pixels never enter the object store. Ray does placement, retries and back-pressure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Callable

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy

from clipgauge._attempts import Attempts
from clipgauge._engines import parted
from clipgauge._native import columns
from clipgauge._scorer import Scorer

if TYPE_CHECKING:
    import os

    from typing_extensions import Unpack

    from clipgauge._encoder import Encoder
    from clipgauge._options import ScoreTableOptions

ROWS_PER_BATCH = 256
"""Rows that an actor takes at once: enough for all of its fetches to be under way together."""

MAX_RESTARTS = 3
"""How often an actor that died is started again, and a task of it tried again, before the job fails."""


def score(
    dataset: ray.data.Dataset,
    *,
    encoder: Encoder | Callable[[], Encoder] | None = None,
    spec: str | None = None,
    rows_per_batch: int = ROWS_PER_BATCH,
    actors: int | tuple[int, int] | None = None,
    num_cpus: float | None = None,
    max_restarts: int = MAX_RESTARTS,
    attempts: str | os.PathLike[str] | None = None,
    ray_remote_args: dict[str, Any] | None = None,
    **options: Unpack[ScoreTableOptions],
) -> ray.data.Dataset:
    """
    Add a column with the score of each row to a dataset.

    No row makes it fail: one that cannot be scored gets a null, and the kind of its error in `error_column`. Ray does not
    keep the order of rows unless it is told to (`DataContext.execution_options.preserve_order`): a dataset should have an
    id for each.

    Args:
        dataset: Rows with an image and a caption, from anywhere (`read_parquet`, `read_csv`, `read_webdataset`, …).
        encoder: An encoder of one's own, with its `spec`; see `clipgauge.Scorer`. A class or function of no arguments is
            called on each worker, which finds its GPU there.
        spec: The model whose files say how images and texts are to be preprocessed for it.
        rows_per_batch: Rows that an actor takes at once.
        actors: How many actors there are, or the least and the most; at most one for each node, if not given. Each holds
            a copy of the model.
        num_cpus: The cores that Ray is to keep for an actor: all of a node's but two, if not given, so that reading and
            writing have room, and the filter of Ray's checkpoints. An actor works with as many threads as the node has
            cores, or with `num_cpus` if that is given; `threads` overrides both.
        max_restarts: How often an actor that died is started again, and its task tried again.
        attempts: A folder that all nodes share, in which actors note what they are at, so that a row that kills its
            process again and again is found and named; a folder for temporary files of each node, if not given.
        ray_remote_args: What else actors are to have: `num_gpus`, `resources`, `runtime_env`.
        **options: The options of `clipgauge score`, with underscores: `model`, `metric`, `image_column`, …

    Returns:
        The dataset with its new columns. Nothing is computed before it is used.

    Raises:
        OptionsError: An option is unknown or means nothing.

    """
    columns(dict(options))
    of_the_scorer, of_a_batch = parted(dict(options))
    cores, nodes = _cluster()
    least, most = actors if isinstance(actors, tuple) else (actors or 1, actors or nodes)
    if of_the_scorer.get("threads") is None:
        of_the_scorer["threads"] = cores if num_cpus is None else max(1, math.floor(num_cpus))
    return dataset.map_batches(
        _Actor,
        fn_constructor_kwargs={
            "of_the_scorer": {**of_the_scorer, "spec": spec},
            "encoder": encoder,
            "of_a_batch": of_a_batch,
            "attempts": Attempts(attempts),
        },
        batch_format="pyarrow",
        batch_size=rows_per_batch,
        zero_copy_batch=True,
        compute=ActorPoolStrategy(min_size=least, max_size=most),
        # Ray starts actors first, and what finds no core free then waits for ever: tasks that read, which need one each,
        # and the actor that leaves out what is in a checkpoint, which keeps one.
        num_cpus=max(0, cores - 2) if num_cpus is None else num_cpus,
        max_restarts=max_restarts,
        max_task_retries=max_restarts,
        **(ray_remote_args or {}),
    )


class _Actor:
    """Holds a model, and scores one batch after the other."""

    def __init__(
        self,
        of_the_scorer: dict[str, Any],
        encoder: Encoder | Callable[[], Encoder] | None,
        of_a_batch: dict[str, Any],
        attempts: Attempts,
    ) -> None:
        is_one = encoder is None or (hasattr(encoder, "encode_images") and not isinstance(encoder, type))
        made: Any = encoder if is_one else encoder()  # type: ignore[misc, operator]
        self._scorer = Scorer(**of_the_scorer, encoder=made)
        self._options = of_a_batch
        self._attempts = attempts

    def __call__(self, batch: pa.Table) -> pa.Table:
        return self._attempts.guard(batch, self._score)

    def _score(self, batch: pa.Table) -> pa.Table:
        return pa.table(self._scorer.score_batch(batch, **self._options))


def _cluster() -> tuple[int, int]:
    """The cores of the smallest node that computes, and how many nodes there are."""
    if not ray.is_initialized():
        ray.init()
    cores = [int(node["Resources"]["CPU"]) for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    return (min(cores), len(cores)) if cores else (1, 1)
