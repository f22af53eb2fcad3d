"""What Ray and Spark cost over a plain run on the same cores: `make bench-scale`.

Each engine scores the same Parquet file into another, in a process of its own with a model of B/32's shape. Start-up is
left out by the rule of the other measurements: the time of a few rows is taken off, in the same process, with the engine
and its workers up.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import feed
import pyarrow as pa
import pyarrow.parquet as pq

BENCH = feed.BENCH
MODEL = str(feed.MODEL)
FEW = 16
BAR = 0.15
ENGINES = ("plain", "ray", "spark")
PACKAGES = ("clipgauge", "ray", "pyspark", "pyarrow", "numpy")


def table(rows: int) -> Path:
    """Pairs of which no two are equal."""
    with (BENCH / "work" / "short.csv").open(encoding="utf-8", newline="") as file:
        captions = [row["caption"] for row in csv.DictReader(file)]
    path = BENCH / "work" / f"scale-{rows}.parquet"
    pictures = [str(picture) for picture in feed.pictures(rows)]
    numbered = [f"{captions[index % len(captions)]} {index}" for index in range(rows)]
    # Small row groups, so that engines have something to share out.
    pq.write_table(
        pa.table({"id": range(rows), "url": pictures, "caption": numbered}),
        path,
        row_group_size=128,
    )
    return path


def plain(cores: int) -> Callable[[Path, Path], None]:
    import clipgauge

    def score(pairs: Path, scored: Path) -> None:
        clipgauge.score_table(
            pairs, scored / "scored.parquet", model=MODEL, threads=cores
        )

    return score


def ray(cores: int) -> Callable[[Path, Path], None]:
    import clipgauge.ray
    from ray import data, init

    init(num_cpus=cores, include_dashboard=False, log_to_driver=False)
    data.DataContext.get_current().enable_progress_bars = False

    def score(pairs: Path, scored: Path) -> None:
        clipgauge.ray.score(data.read_parquet(str(pairs)), model=MODEL).write_parquet(
            str(scored)
        )

    return score


def spark(cores: int) -> Callable[[Path, Path], None]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    import clipgauge.spark
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.task.cpus", str(cores))
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")

    def score(pairs: Path, scored: Path) -> None:
        frame = session.read.parquet(str(pairs))
        clipgauge.spark.score(frame, model=MODEL).write.mode("overwrite").parquet(
            str(scored)
        )

    return score


def child(engine: str, rows: int, cores: int) -> None:
    score = globals()[engine](cores)

    def seconds(count: int) -> float:
        scored = BENCH / "work" / f"scaled-{engine}"
        shutil.rmtree(scored, ignore_errors=True)
        scored.mkdir()
        start = time.perf_counter()
        score(table(count), scored)
        took = time.perf_counter() - start
        done = pq.read_table(scored)
        if len(set(done["id"].to_pylist())) != count or done["similarity"].null_count:
            raise SystemExit(f"{engine} has not scored each of {count} rows once")
        return took

    # Workers start, and what they read is then in memory.
    seconds(FEW)
    few = seconds(FEW)
    print(json.dumps((seconds(rows) - few) / (rows - FEW)))


def seconds_a_row(engine: str, rows: int, cores: int) -> float:
    command = [
        "taskset",
        "-c",
        ",".join(map(str, measure.allowed_cores()[:cores])),
        sys.executable,
        __file__,
    ]
    command += ["--engine", engine, "--rows", str(rows), "--cores", str(cores)]
    return float(
        json.loads(
            subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True
            ).stdout.splitlines()[-1]
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--engine", choices=ENGINES, help="one run of it, in this process"
    )
    options = parser.parse_args()
    if options.engine:
        child(options.engine, options.rows, options.cores)
    else:
        import machine
        import measure

        described = machine.describe()
        print(
            f"{described['date']}, {described['processor']}, {described['instructions']}; cores: {options.cores}"
        )
        print(", ".join(f"{package} {version(package)}" for package in PACKAGES))
        rounds = [
            {
                engine: seconds_a_row(engine, options.rows, options.cores)
                for engine in ENGINES
            }
            for _ in range(options.rounds)
        ]
        for engine in ENGINES:
            took = statistics.median(one[engine] for one in rounds)
            over = statistics.median(one[engine] / one["plain"] - 1 for one in rounds)
            holds = (
                ""
                if engine == "plain"
                else f"; {over:+.1%} over plain, bar {BAR:.0%}: {'holds' if over <= BAR else 'does not hold'}"
            )
            print(
                f"{engine}: {1 / took:.2f} rows/s, {1 / took / options.cores:.2f} a core{holds}"
            )
