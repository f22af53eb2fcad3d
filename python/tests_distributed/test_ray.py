"""Ray Data on a real local cluster, with its faults."""

from __future__ import annotations

import gc
import io
import os
import re
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING, Any

import clipgauge
import clipgauge.ray
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import ray
from conftest import EXAMPLES, ImageServer, Loads, by_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clipgauge import Tokens
    from numpy.typing import NDArray

Expected = dict[int, tuple["float | None", "str | None"]]


@pytest.fixture(scope="module", autouse=True)
def cluster(loads: Loads) -> Iterator[None]:
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # A job that hangs fails.
    context.execution_no_progress_timeout_s = 120
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def no_actor_is_left() -> None:
    """Ray ends the actors of a job that failed when nothing refers to them any more: what does may be a cycle."""
    gc.collect()


def collected(dataset: ray.data.Dataset) -> pa.Table:
    return pa.concat_tables(ray.get(dataset.to_arrow_refs()), promote_options="permissive")


def test_a_dataset_gets_the_scores_of_a_plain_run(table: pa.Table, expected: Expected, loads: Loads) -> None:
    loads.forget()
    dataset = ray.data.from_arrow([table.slice(0, 100), table.slice(100)])
    scored = clipgauge.ray.score(dataset, model="pictoclip", error_column="why", rows_per_batch=32)
    result = collected(scored)
    assert result.column_names == ["id", "url", "caption", "similarity", "why"]
    assert by_id(result) == expected
    assert len(loads.pids()) == 1, "one actor, which loads the model once"


def test_every_actor_loads_the_model_once(table: pa.Table, expected: Expected, loads: Loads) -> None:
    loads.forget()
    dataset = ray.data.from_arrow([table.slice(start, 34) for start in range(0, table.num_rows, 34)])
    scored = clipgauge.ray.score(
        dataset, model="pictoclip", error_column="why", actors=2, num_cpus=1, rows_per_batch=17
    )
    assert by_id(collected(scored)) == expected
    pids = loads.pids()
    assert len(pids) == len(set(pids)) == 2


def test_files_of_all_kinds(table: pa.Table, expected: Expected, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "pairs.parquet", row_group_size=64)
    pa.csv.write_csv(table, tmp_path / "pairs.csv")
    for name, dataset in {
        "parquet": ray.data.read_parquet(str(tmp_path / "pairs.parquet")),
        "csv": ray.data.read_csv(str(tmp_path / "pairs.csv")),
    }.items():
        scored = clipgauge.ray.score(dataset, model="pictoclip", error_column="why")
        scored.write_parquet(str(tmp_path / f"{name}-scored"))
        assert by_id(pq.read_table(tmp_path / f"{name}-scored")) == expected, name


def test_web_datasets(tmp_path: Path) -> None:
    pictures = sorted((EXAMPLES / "images").glob("*.png"))[:5]
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for index, picture in enumerate(pictures):
            for name, data in ((f"{index}.png", picture.read_bytes()), (f"{index}.txt", b"a smiling cat")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    dataset = ray.data.read_webdataset(str(tmp_path / "shard.tar"), decoder=None)
    scored = clipgauge.ray.score(dataset, model="pictoclip", image_column="png", caption_column="txt")
    expected = clipgauge.Scorer("pictoclip").score(pictures, ["a smiling cat"] * 5)
    rows = sorted(scored.take_all(), key=lambda row: row["__key__"])
    np.testing.assert_array_equal(np.float32([row["similarity"] for row in rows]), expected)


def test_a_worker_that_is_killed_costs_no_row(
    table: pa.Table, expected: Expected, server: ImageServer, loads: Loads
) -> None:
    loads.forget()
    server.kill_at = server.served + 60
    dataset = ray.data.from_arrow([table.slice(start, 51) for start in range(0, table.num_rows, 51)])
    scored = clipgauge.ray.score(dataset, model="pictoclip", error_column="why", rows_per_batch=16)
    assert by_id(collected(scored)) == expected
    assert len(server.killed) == 1
    pids = loads.pids()
    assert len(pids) == len(set(pids)) == 2, "the actor and the one in its place"
    assert server.killed[0] == pids[0]


def test_mistakes_are_told_before_the_job(table: pa.Table) -> None:
    dataset = ray.data.from_arrow(table)
    for options, expected in (
        ({"mettric": "cosine"}, "is `metric` meant"),
        ({"top_fraction": 0.5}, "`top_fraction` is about a whole table"),
        ({"errors": "errors.csv"}, "`errors` is about a whole table"),
    ):
        with pytest.raises(clipgauge.OptionsError, match=expected):
            clipgauge.ray.score(dataset, model="pictoclip", **options)


class Fragile:
    """Has no towers, and dies of black pictures."""

    def encode_images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        means = pixels.mean(axis=(2, 3))
        if (means < -1).all(axis=1).any():
            os._exit(1)
        return means

    def encode_texts(self, tokens: Tokens) -> NDArray[np.float32]:
        return np.stack([tokens.input_ids[:, 1]] * 3, axis=1).astype(np.float32)


def bmp(red: int, green: int, blue: int) -> bytes:
    """A picture of one colour."""
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), (red, green, blue)).save(file, "BMP")
    return file.getvalue()


@pytest.mark.parametrize("killers", [{23}, {3, 23, 37}], ids=["one", "one in each batch"])
def test_a_row_that_kills_its_process_ends_the_job_and_is_named(killers: set[int]) -> None:
    rows = pa.table(
        {
            "id": range(40),
            "url": [bmp(255, index, 255) if index not in killers else bmp(0, 0, 0) for index in range(40)],
            "caption": [f"caption {index}" for index in range(40)],
        }
    )
    scored = clipgauge.ray.score(
        ray.data.from_arrow(rows),
        encoder=Fragile,
        spec="pictoclip",
        rows_per_batch=20,
    )
    with pytest.raises(Exception, match=r"the worker dies whenever it scores this row: id=(23|3|37)\b") as raised:
        scored.materialize()
    [named] = set(re.findall(r"this row: id=(\d+)", str(raised.value)))
    assert int(named) in killers


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    count = 100_000
    # None so dark that it kills.
    pictures = [bmp(*np.random.default_rng(index).integers(128, 255, 3).tolist()) for index in range(64)]

    class Watched(Fragile):
        """Notes the most memory that its process had, in KiB."""

        def encode_texts(self, tokens: Tokens) -> NDArray[np.float32]:
            import resource

            with (tmp_path / "peaks").open("a") as file:
                file.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")
            return super().encode_texts(tokens)

    def row(batch: dict[str, Any]) -> dict[str, Any]:
        ids = batch["id"]
        return {
            "id": ids,
            "url": [pictures[index % 64] for index in ids],
            "caption": [f"caption {index}" for index in ids],
        }

    dataset = ray.data.range(count).map_batches(row)
    scored = clipgauge.ray.score(dataset, encoder=Watched(), spec="pictoclip", rows_per_batch=1024)
    assert scored.count() == count
    peaks = [int(line) for line in (tmp_path / "peaks").read_text().split()]
    tenth = max(peaks[: len(peaks) // 10])
    # The caches fill up to 64 MiB of vectors, and as much of pictures.
    assert max(peaks) - tenth < 200 << 10, (tenth, max(peaks))


JOB = """
import sys

import clipgauge.ray
import ray

pairs, scored, checkpoints = sys.argv[1:]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)
context = ray.data.DataContext.get_current()
context.enable_progress_bars = False
context.execution_no_progress_timeout_s = 120
context.checkpoint_config = {
    "id_column": "id", "checkpoint_path": checkpoints, "delete_checkpoint_on_success": False
}
# Or this little would be one block, which is done or not as a whole.
context.target_min_block_size = context.target_max_block_size = 4 << 10
dataset = clipgauge.ray.score(ray.data.read_parquet(pairs), model="pictoclip", error_column="why", rows_per_batch=16)
dataset.write_parquet(scored)
"""


def finished(checkpoints: Path) -> int:
    """How many rows Ray has noted as written. What it is about to write has another name."""
    files = [path for path in checkpoints.rglob("*.parquet") if ".pending" not in path.name]
    return sum(pq.read_metadata(path).num_rows for path in files)


def test_a_job_that_was_killed_goes_on(
    table: pa.Table, expected: Expected, server: ImageServer, tmp_path: Path
) -> None:
    (tmp_path / "pairs").mkdir()
    for start in range(0, table.num_rows, 51):
        pq.write_table(table.slice(start, 51), tmp_path / "pairs" / f"{start:03}.parquet")
    command = [sys.executable, "-c", JOB, *(str(tmp_path / name) for name in ("pairs", "scored", "checkpoints"))]
    with subprocess.Popen(command) as job:
        while not (done := finished(tmp_path / "checkpoints")):
            assert job.poll() is None
            time.sleep(0.05)
        job.kill()
    assert 0 < done < table.num_rows
    before = server.settled()
    subprocess.run(command, check=True)
    assert by_id(pq.read_table(tmp_path / "scored")) == expected
    assert server.served - before <= table.num_rows - done, "what was written is not scored again"
