#!/usr/bin/env bash
# Installs a wheel into a venv where nothing else is, and tries what it has: the package with what it depends on, and the
# command.
set -euo pipefail
wheel=$(realpath "$1")
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
ls -l "$wheel" | awk '{ printf "%s: %.1f MB\n", $NF, $5 / 1e6 }'

"$folder/venv/bin/clipgauge" score examples/pairs.csv --model pictoclip -o "$folder/scored.csv"
"$folder/venv/bin/python" - "$folder/scored.csv" <<'PYTHON'
import csv
import sys

import clipgauge
import numpy as np

with open("examples/pairs.csv", encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
scores = clipgauge.Scorer("pictoclip").score([f"examples/{row['url']}" for row in rows], [row["caption"] for row in rows])
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    assert [np.float32(row["similarity"]) for row in csv.DictReader(file)] == list(scores)
others = {"PIL", "pandas", "polars", "pyarrow", "ray", "torch"} & sys.modules.keys()
assert not others, f"imported without need: {others}"
print(f"{len(rows)} rows, the same by the package and by the command")
PYTHON
