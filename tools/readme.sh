#!/usr/bin/env bash
# Runs the commands of README.md (its ```sh blocks) as they stand, from the top, and stops at the first that fails.
# `make test` itself is left out: it is what runs this.
set -euo pipefail
cd "$(dirname "$0")/.."

commands=$(awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside && $0 != "make test"' README.md)
count=$(grep -c . <<< "$commands")
# Fewer would mean that the blocks are not found any more.
if [ "$count" -lt 5 ]; then
    echo "README.md has only $count commands" >&2
    exit 1
fi

written=(scored.csv twice.csv vectors.parquet scored.csv.errors.csv summary.json vectors clipgauge.bash clipgauge-score.1 examples/other-names.csv)
trap 'rm -rf "${written[@]}"' EXIT

export CARGO_INSTALL_ROOT=$PWD/target/readme
export PATH=$CARGO_INSTALL_ROOT/bin:$PATH
# `head` closes its pipe early, which is no failure: so no pipefail in here.
bash -eux -c "$commands"
echo "$count commands of README.md ran"
