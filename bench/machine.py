"""What was measured on, and with what."""

import datetime
import subprocess
from pathlib import Path

from contestants import CANDLE, CLIPGAUGE, PYTHON, ROOT
from measure import allowed_cores

PACKAGES = ["torch", "transformers", "open_clip_torch", "onnxruntime", "openvino", "numpy", "pillow"]
FLAGS = ["avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_int8", "asimd"]


def describe() -> dict[str, str]:
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in information.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", fields.get("Features", "")).split()
    kind = f"{fields.get('model name', 'unknown')} (family {fields.get('cpu family')}, model {fields.get('model')})"
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": kind,
        "cores": str(len(allowed_cores())),
        "instructions": ", ".join(flag for flag in FLAGS if flag in flags),
    }


def versions() -> dict[str, str]:
    program = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    said = subprocess.run([PYTHON, "-c", program, *PACKAGES], capture_output=True, text=True, check=True).stdout
    clipgauge = subprocess.run([CLIPGAUGE, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    found = {"clipgauge": f"{clipgauge} ({commit.strip()})"} | dict(zip(PACKAGES, said.split()))
    if CANDLE.exists():
        lock = (ROOT / "bench/peers/candle/Cargo.lock").read_text(encoding="utf-8")
        found["candle"] = lock.partition('name = "candle-transformers"\nversion = "')[2].partition('"')[0]
    return found
