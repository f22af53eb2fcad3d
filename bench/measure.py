"""Runs a program and says what it cost, as seen from outside."""

import os
import subprocess
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """One run of a process."""

    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """Seconds of all its threads, in the program and in the kernel."""
    peak: float
    """The most memory that was resident at once, MB; a mapped file's pages count."""


def run(command: list[str], cores: int, environment: dict[str, str]) -> Cost:
    """Runs a command on so many cores, quietly; a failure ends the benchmark with what the program said."""
    command = ["taskset", "-c", ",".join(map(str, allowed_cores()[:cores])), *command]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{said}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def allowed_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))
