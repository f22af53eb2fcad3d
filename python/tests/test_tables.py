from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clipgauge
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import EXAMPLES
from tqdm import tqdm

if TYPE_CHECKING:
    from conftest import Examples
    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def scores(scorer: clipgauge.Scorer, examples: Examples) -> NDArray[np.float32]:
    return scorer.score(examples.images, examples.captions)


@pytest.fixture
def table(examples: Examples) -> pa.Table:
    return pa.table({"id": range(51), "url": examples.images, "caption": examples.captions})


def test_a_file_is_scored_as_the_command_does(tmp_path: Path, scores: NDArray[np.float32]) -> None:
    output = tmp_path / "scored.csv"
    with tqdm(disable=True) as bar:
        summary = clipgauge.score_table(EXAMPLES / "pairs.csv", output, model="pictoclip", progress=bar)
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [np.float32(row["similarity"]) for row in rows] == list(scores)
    assert (summary.rows, summary.scored, summary.failed, summary.failures) == (51, 51, 0, {})
    assert summary.errors is None
    assert str(summary).startswith("51 rows, 51 scored")
    assert summary.details["scores"][0]["metric"] == "cosine"


def test_every_option_of_the_command_is_a_keyword(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("a;b\nnone.png;a cat\n", encoding="utf-8")
    summary = clipgauge.score_table(
        str(table),
        in_place=True,
        model="pictoclip",
        metric=["cosine", "angular"],
        image_column="a",
        caption_column="b",
        delimiter=";",
        column="score",
        error_column="why",
        errors=tmp_path / "errors.csv",
        summary=tmp_path / "summary.json",
        timeout=2.5,
        retries=0,
        threads=1,
    )
    assert table.read_text(encoding="utf-8") == "a;b;score:cosine;score:angular;why\nnone.png;a cat;;;not_found\n"
    assert summary.failures == {"not_found": 1}
    assert summary.errors == tmp_path / "errors.csv"
    assert json.loads((tmp_path / "summary.json").read_text())["failed"] == 1


def test_several_files_and_long_runs(tmp_path: Path, examples: Examples, scores: NDArray[np.float32]) -> None:
    for name, rows in {"a": slice(0, 20), "b": slice(20, 51)}.items():
        pairs = pd.DataFrame({"url": examples.images[rows], "caption": examples.captions[rows]})
        pairs.to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "scored").mkdir()
    inputs: list[str | Path] = [tmp_path / "a.csv", str(tmp_path / "b.csv")]
    assert clipgauge.score_table(inputs, tmp_path / "scored", model="pictoclip").written == 51
    found = [pd.read_csv(tmp_path / "scored" / f"{name}.csv")["similarity"] for name in ("a", "b")]
    np.testing.assert_array_equal(pd.concat(found).astype(np.float32), scores)

    output = tmp_path / "all.csv"
    clipgauge.score_table(str(tmp_path / "[ab].csv"), output, model="pictoclip", top_fraction=0.1, keep_columns=["url"])
    best = pd.read_csv(output)
    assert list(best.columns) == ["url", "similarity"]
    np.testing.assert_array_equal(np.sort(best["similarity"].astype(np.float32)), np.sort(scores)[-5:])

    output = tmp_path / "part.csv"
    summary = clipgauge.score_table(inputs[0], output, model="pictoclip", shard="1/2", resume=True)
    assert 0 < summary.rows < 20
    again = clipgauge.score_table(inputs[0], output, model="pictoclip", shard="1/2", resume=True)
    assert again.details["nothing_to_do"]
    with pytest.raises(clipgauge.TableError, match="matches no file"):
        clipgauge.score_table(str(tmp_path / "*.parquet"), output, model="pictoclip")


def test_rows_and_columns_of_tables_in_memory_are_chosen(table: pa.Table, scores: NDArray[np.float32]) -> None:
    scored = clipgauge.score_table(table, model="pictoclip", top_fraction=0.1, keep_columns="id", diagnostics=True)
    result = pa.table(scored)
    assert result.column_names[:3] == ["id", "similarity", "clipgauge_tokens"]
    assert result["id"].to_pylist() == sorted(np.argsort(-scores, kind="stable")[:5].tolist())
    assert result.schema.field("clipgauge_truncated").type == pa.bool_()
    assert (scored.summary.rows, scored.summary.written) == (51, 5)
    sampled = clipgauge.score_table(table, model="pictoclip", sample=9, seed=2**64 - 1, limit=20)
    assert len(sampled) == 9
    assert max(pa.table(sampled)["id"].to_pylist()) < 20


def test_tables_in_memory_of_any_library(table: pa.Table, examples: Examples, scores: NDArray[np.float32]) -> None:
    forms: dict[str, Any] = {
        "a table": table,
        "a table in chunks": pa.Table.from_batches(table.to_batches(max_chunksize=7)),
        "a record batch": table.to_batches()[0],
        "a reader": pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=20)),
        "a frame of Polars": pl.DataFrame({"url": examples.images, "caption": examples.captions}),
        "a frame of pandas": pd.DataFrame({"url": examples.images, "caption": examples.captions}),
        "dictionaries": table.set_column(2, "caption", table["caption"].dictionary_encode()),
    }
    for name, form in forms.items():
        scored = clipgauge.score_table(form, model="pictoclip")
        assert len(scored) == 51, name
        assert scored.summary.scored == 51, name
        result = pa.table(scored)
        assert result.column_names == scored.column_names, name
        assert result.schema.field("similarity").type == pa.float32(), name
        np.testing.assert_array_equal(result["similarity"].to_numpy(), scores, err_msg=name)
        # It can be had again.
        assert pl.DataFrame(scored).height == 51, name


def test_columns_pass_through_and_failures_are_null(table: pa.Table, scorer: clipgauge.Scorer) -> None:
    images = [*table["url"].to_pylist()[:2], "none.png", None]
    batch = pa.record_batch(
        {
            "picture": pa.array(images),
            "tags": pa.array([["a"], None, [], ["b", "c"]]),
            "text": pa.array(["a cat", None, "b", "c"]),
            "similarity": pa.array([1, 2, 3, 4]),
        }
    )
    scored = pa.table(
        scorer.score_batch(batch, image_column="picture", caption_column="text", error_column="why", overwrite=True)
    )
    assert scored.column_names == ["picture", "tags", "text", "similarity", "why"]
    assert scored.select(["picture", "tags", "text"]).equals(pa.table(batch).select(["picture", "tags", "text"]))
    assert scored["similarity"].is_null().to_pylist() == [False, True, True, True]
    assert scored["why"].to_pylist() == [None, "no_caption", "not_found", "no_image"]


def test_an_empty_table_has_its_columns(scorer: clipgauge.Scorer, table: pa.Table) -> None:
    scored = pa.table(scorer.score_batch(table.slice(0, 0)))
    assert scored.column_names == ["id", "url", "caption", "similarity"]
    assert scored.num_rows == 0


def test_pictures_in_tables(table: pa.Table, examples: Examples, scores: NDArray[np.float32]) -> None:
    pictures = [Path(image).read_bytes() for image in examples.images]
    struct = pa.array([{"bytes": picture, "path": None} for picture in pictures])
    for column in (pa.array(pictures), struct):
        scored = clipgauge.score_table(table.set_column(1, "url", column), model="pictoclip")
        np.testing.assert_array_equal(pa.table(scored)["similarity"].to_numpy(), scores)


def test_what_is_no_table_is_refused(table: pa.Table, tmp_path: Path, scorer: clipgauge.Scorer) -> None:
    with pytest.raises(TypeError, match="a list is no table"):
        clipgauge.score_table([1], model="pictoclip")  # type: ignore[list-item]
    with pytest.raises(clipgauge.OptionsError, match="give `output`"):
        clipgauge.score_table("pairs.csv", model="pictoclip")
    with pytest.raises(clipgauge.OptionsError, match="list of tables is empty"):
        clipgauge.score_table([], tmp_path / "out.csv", model="pictoclip")
    with pytest.raises(clipgauge.OptionsError, match="`errors` is the file"):
        clipgauge.score_table(table, model="pictoclip", errors="raise")
    with pytest.raises(clipgauge.OptionsError, match="given back"):
        clipgauge.score_table(table, tmp_path / "out.csv", model="pictoclip")
    with pytest.raises(clipgauge.OptionsError, match="--resume is about tables in files"):
        clipgauge.score_table(table, model="pictoclip", resume=True)
    with pytest.raises(clipgauge.OptionsError, match="`timeout` is not about a table"):
        scorer.score_batch(table, timeout=3)  # type: ignore[call-arg]
    with pytest.raises(clipgauge.TableError, match=r"none\.csv"):
        clipgauge.score_table(tmp_path / "none.csv", tmp_path / "out.csv", model="pictoclip")
    with pytest.raises(clipgauge.TableError, match=r"the table has no column `image`"):
        scorer.score_batch(table, image_column="image")
    with pytest.raises(clipgauge.TableError, match="similarity"):
        scorer.score_batch(scorer.score_batch(table.slice(0, 1)))
    with pytest.raises(clipgauge.TableError, match="id"):
        scorer.score_batch(table, caption_column="id")
    assert not list(tmp_path.iterdir())


def test_a_reader_that_fails_ends_the_run(scorer: clipgauge.Scorer, table: pa.Table) -> None:
    def batches() -> Any:
        yield table.to_batches()[0]
        msg = "the source is gone"
        raise OSError(msg)

    with pytest.raises(clipgauge.TableError, match="the source is gone"):
        scorer.score_batch(pa.RecordBatchReader.from_batches(table.schema, batches()))


def test_a_parquet_file(table: pa.Table, tmp_path: Path, scores: NDArray[np.float32]) -> None:
    pq.write_table(table, tmp_path / "pairs.parquet", row_group_size=20)
    shutil.copy(tmp_path / "pairs.parquet", tmp_path / "again.parquet")
    clipgauge.score_table(tmp_path / "pairs.parquet", tmp_path / "scored.parquet", model="pictoclip")
    clipgauge.score_table(tmp_path / "again.parquet", in_place=True, model="pictoclip")
    for name in ("scored", "again"):
        np.testing.assert_array_equal(pq.read_table(tmp_path / f"{name}.parquet")["similarity"].to_numpy(), scores)
