"""The command that the wheel installs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import clipgauge
from conftest import EXAMPLES

COMMAND = str(Path(sys.executable).with_name("clipgauge"))


def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], check=False, capture_output=True, text=True, input=stdin)


def test_it_is_the_command() -> None:
    assert shutil.which(COMMAND)
    assert run("--version").stdout == f"clipgauge {clipgauge.__version__}\n"
    helped = run("score", "--help")
    assert helped.returncode == 0
    assert "Usage: clipgauge score [OPTIONS] <INPUT>" in helped.stdout
    scored = run("score", str(EXAMPLES / "pairs.csv"), "--model", "pictoclip", "--quiet")
    assert scored.returncode == 0
    assert scored.stdout.splitlines()[1].startswith("images/01-1f63b-fluent-3d.png,")
    module = [sys.executable, "-m", "clipgauge", "--version"]
    assert subprocess.run(module, check=True, capture_output=True, text=True).stdout == run("--version").stdout


def test_exit_codes_are_those_of_the_command(tmp_path: Path) -> None:
    failing = "url,caption\nnone.png,a\n"
    assert run("score", "-", "--model", "pictoclip", stdin=failing).returncode == 3
    assert run("score", "-", "--model", "pictoclip", "--allow-failures", stdin=failing).returncode == 0
    assert run("score", "-", "--no-such-flag").returncode == 2
    assert run("score", str(tmp_path / "none.csv"), "--model", "pictoclip").returncode == 1
    assert run().returncode == 2
