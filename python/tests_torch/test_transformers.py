"""A model of torch as the encoder: the example with transformers scores as the engine's own towers do."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import clipgauge
import numpy as np

REPOSITORY = Path(__file__).parents[2]
PICTOCLIP = REPOSITORY / "crates" / "clipgauge-pictoclip" / "model"
TABLE = REPOSITORY / "examples" / "pairs.csv"


def test_the_example_scores_as_the_engines_towers(tmp_path: Path) -> None:
    example = REPOSITORY / "examples" / "transformers_encoder.py"
    done = subprocess.run([sys.executable, example, TABLE, PICTOCLIP], check=True, capture_output=True, text=True)
    scores = [float(line.split("\t")[0]) for line in done.stdout.splitlines()]
    clipgauge.score_table(TABLE, tmp_path / "scored.csv", model="pictoclip")
    with (tmp_path / "scored.csv").open(encoding="utf-8", newline="") as file:
        expected = [float(row["similarity"]) for row in csv.DictReader(file)]
    assert len(scores) == 51
    np.testing.assert_allclose(scores, expected, atol=2e-5)
