"""The Python code in the documents runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from conftest import EXAMPLES, REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("document", "blocks"), [("README.md", 1), ("docs/python.md", 7)])
def test_code_in_documents_runs(document: str, blocks: int, tmp_path: Path) -> None:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    code = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(code) == blocks
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    shutil.copytree(EXAMPLES / "images", tmp_path / "images")
    shutil.copy(EXAMPLES / "pairs.csv", tmp_path)
    shutil.copy(EXAMPLES / "images" / "01-1f63b-fluent-3d.png", tmp_path / "cat.png")
    # Names that resolve to nothing are not to be asked for.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
