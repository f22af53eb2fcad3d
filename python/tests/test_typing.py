"""The package is typed, its stubs are what is there, and its options are the command's."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import clipgauge
from clipgauge import _native

PYTHON = Path(__file__).parents[1]


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True, cwd=PYTHON)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_and_its_tests_are_typed() -> None:
    run("mypy")


def test_the_stubs_are_what_is_there() -> None:
    run("mypy.stubtest", "clipgauge._native", "--mypy-config-file", "pyproject.toml")


def test_the_options_are_those_of_the_command() -> None:
    done = subprocess.run([sys.executable, PYTHON / "tools" / "options.py", "--check"], check=False)
    assert done.returncode == 0
    defaults = {keyword["name"]: keyword["default"] for keyword in _native.keywords()}
    signature = inspect.signature(clipgauge.Scorer)
    for name in ("model", "metric", "precision"):
        assert signature.parameters[name].default == defaults[name], name
    assert defaults["model"] == clipgauge.DEFAULT_MODEL


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(clipgauge.__file__).parent / "py.typed").exists()
