"""
Scores for Spark: `clipgauge.spark.score(frame, …)`.

PySpark runs a Python worker for each task that runs, and keeps it for the next ones; each worker loads the model once and
works with as many threads as a task has cores (`spark.task.cpus`). Images are fetched within the worker. Spark does
placement, retries and everything else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql.types import BooleanType, FloatType, LongType, StringType, StructField, StructType

from clipgauge._engines import parted
from clipgauge._errors import TableError
from clipgauge._native import columns
from clipgauge._scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame
    from typing_extensions import Unpack

    from clipgauge._options import ScoreTableOptions


def score(frame: DataFrame, **options: Unpack[ScoreTableOptions]) -> DataFrame:
    """
    Add a column with the score of each row to a data frame.

    No row makes it fail: one that cannot be scored gets a null, and the kind of its error in `error_column`.

    Args:
        frame: Rows with an image (its address, or its bytes) and a caption.
        **options: The options of `clipgauge score`, with underscores: `model`, `metric`, `image_column`, …

    Returns:
        The frame with its new columns. Nothing is computed before it is used.

    Raises:
        OptionsError: An option is unknown or means nothing.
        TableError: A column is there already, without `overwrite`.

    """
    schema = _schema(frame.schema, dict(options))
    of_the_scorer, of_a_batch = parted(dict(options))

    def scored(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = _scorer(of_the_scorer)
        for batch in batches:
            yield from pa.table(scorer.score_batch(batch, **of_a_batch)).to_batches()

    return frame.mapInArrow(scored, schema)


_TYPES = {"number": FloatType, "count": LongType, "truth": BooleanType, "text": StringType}
"""The types of columns by what they hold."""


def _schema(before: StructType, keywords: dict[str, Any]) -> StructType:
    added, kept = columns(keywords)
    names = {name for name, _ in added}
    fields = {f.name: f for f in before.fields if kept is None or f.name in kept or f.name in names}
    for name, kind in added:
        if name in fields and not keywords.get("overwrite"):
            msg = f"the data frame has a column `{name}` already: give the new one another name, or `overwrite=True`"
            raise TableError(msg)
        fields[name] = StructField(name, _TYPES[kind](), nullable=True)
    return StructType(list(fields.values()))


_scorers: dict[str, Scorer] = {}
"""The model of this worker, by what it was asked for: kept between tasks."""


def _scorer(of_the_scorer: dict[str, Any]) -> Scorer:
    context = TaskContext.get()
    if of_the_scorer.get("threads") is None and context is not None:
        of_the_scorer = {**of_the_scorer, "threads": context.cpus()}
    key = json.dumps(of_the_scorer, sort_keys=True, default=str)
    if key not in _scorers:
        # Another model would not have room beside it.
        _scorers.clear()
        _scorers[key] = Scorer(**of_the_scorer)
    return _scorers[key]
