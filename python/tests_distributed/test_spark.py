"""Spark in this machine's processes, with its faults."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import clipgauge
import clipgauge.spark
import pytest
from conftest import ImageServer, Loads, by_id
from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

Expected = dict[int, tuple["float | None", "str | None"]]


@pytest.fixture(scope="module")
def spark(loads: Loads) -> Iterator[SparkSession]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = (
        # Two tasks at once, each tried up to four times.
        SparkSession.builder.master("local[2,4]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.python.worker.reuse", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "16")
    )
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def frame(spark: SparkSession, table: pa.Table, parts: int) -> object:
    return spark.createDataFrame(table).repartition(parts, "id")


def test_a_frame_gets_the_scores_of_a_plain_run(
    spark: SparkSession, table: pa.Table, expected: Expected, loads: Loads
) -> None:
    loads.forget()
    scored = clipgauge.spark.score(frame(spark, table, 6), model="pictoclip", error_column="why")
    assert scored.columns == ["id", "url", "caption", "similarity", "why"]
    assert scored.schema["similarity"].dataType.simpleString() == "float"
    assert by_id(scored.toArrow()) == expected
    pids = loads.pids()
    assert 1 <= len(pids) == len(set(pids)) <= 2, "a model for each worker, kept between its six tasks"


def test_a_worker_that_is_killed_costs_no_row(
    spark: SparkSession, table: pa.Table, expected: Expected, server: ImageServer, loads: Loads
) -> None:
    # Other options than before, so that workers load a model and are known.
    options = {"model": "pictoclip", "error_column": "why", "batch_size": 8}
    loads.forget()
    server.kill_at = server.served + 60
    scored = clipgauge.spark.score(frame(spark, table, 4), **options)
    assert by_id(scored.toArrow()) == expected
    assert len(server.killed) == 1
    assert len(set(loads.pids())) == len(loads.pids()) <= 3


def test_columns_are_those_that_are_asked_for(spark: SparkSession, table: pa.Table) -> None:
    scored = clipgauge.spark.score(
        frame(spark, table, 2), model="pictoclip", keep_columns=["id"], diagnostics=True, min_score=-1.0
    )
    result = scored.toArrow()
    assert result.column_names[:3] == ["id", "similarity", "clipgauge_tokens"]
    assert len(result) == scored.count() < table.num_rows, "rows that fail are dropped with a bound"
    assert scored.schema["clipgauge_truncated"].dataType.simpleString() == "boolean"


def test_mistakes_are_told_before_the_job(spark: SparkSession, table: pa.Table) -> None:
    with pytest.raises(clipgauge.TableError, match="a column `caption` already"):
        clipgauge.spark.score(frame(spark, table, 1), model="pictoclip", column="caption")
    with pytest.raises(clipgauge.OptionsError, match="`limit` is about a whole table"):
        clipgauge.spark.score(frame(spark, table, 1), model="pictoclip", limit=3)
    with pytest.raises(clipgauge.OptionsError, match="is `metric` meant"):
        clipgauge.spark.score(frame(spark, table, 1), model="pictoclip", mettric="cosine")
