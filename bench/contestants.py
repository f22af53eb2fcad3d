"""Who takes part, and how each is started."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "target" / "bench"
MODEL = BENCH / "vit-b-32"
EXPORTED = BENCH / "exported"
PYTHON = BENCH / "peers-venv" / "bin" / "python"
CLIPGAUGE = ROOT / "target" / "release" / "clipgauge"
CANDLE = BENCH / "candle" / "release" / "candle-peer"
STAGES = ROOT / "target" / "release" / "examples" / "stages"


@dataclass(frozen=True)
class Contestant:
    name: str
    """As the report has it."""
    program: tuple[str, ...]
    """What is started: a Python module of bench/peers with its options, or a name of its own."""
    int8: bool = False
    strong: bool = False
    """Whether it takes part in every round; the others are too far behind for their last per cent to matter."""
    ways: tuple[tuple[str, ...], ...] = ((),)
    """Options of which the fastest are taken."""

    @property
    def is_python(self) -> bool:
        return self.program[0] not in ("clipgauge", "candle")

    @property
    def environment(self) -> dict[str, str]:
        # Threads of torch that wait without sleeping would take the processor from those that decode.
        return {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}

    def going(self, way: tuple[str, ...]) -> "Contestant":
        """The same with options of its ways."""
        return replace(self, program=(*self.program, *way), ways=((),))

    def command(self, table: Path, out: Path, threads: int) -> list[str]:
        match self.program:
            case ("clipgauge", *options):
                score = [CLIPGAUGE, "score", table, "-o", out, "--model", MODEL, "--threads", threads, *options]
                return [str(part) for part in score]
            case ("candle",):
                threads_of = f"RAYON_NUM_THREADS={threads}"
                candle = ["env", threads_of, CANDLE, table, out, MODEL, EXPORTED / "tokenizer.json", 16]
                return [str(part) for part in candle]
            case _:
                return self.python(self.program[0], table, threads, ["--out", str(out)])

    def stages(self, table: Path, threads: int) -> list[str]:
        """What prints the time of each stage."""
        if self.is_python:
            return self.python("stages", table, threads, [], self.program[0])
        return [str(STAGES), str(MODEL), str(table), str(threads)]

    def python(self, module: str, table: Path, threads: int, more: list[str], *leading: str) -> list[str]:
        options = ["--table", table, "--threads", threads, "--model", MODEL, "--exported", EXPORTED, *self.program[1:]]
        return [str(part) for part in [PYTHON, ROOT / f"bench/peers/{module}.py", *leading, *options, *more]]


OURS = Contestant("clipgauge", ("clipgauge",))
OURS_INT8 = Contestant("clipgauge int8", ("clipgauge", "--precision", "int8"), int8=True)
BATCHES = (("--batch", "16"), ("--batch", "32"))
CALLS = BATCHES + tuple(("--streams", *batch) for batch in BATCHES)
PEERS = [
    Contestant("transformers", ("transformers_clip",), ways=(*CALLS, *((*call, "--torchvision") for call in CALLS))),
    Contestant("open_clip", ("open_clip_vit",), ways=CALLS),
    Contestant("onnxruntime", ("onnxruntime_clip",), strong=True, ways=CALLS),
    Contestant("openvino", ("openvino_clip",), strong=True, ways=CALLS),
    Contestant("candle", ("candle",)),
    Contestant("onnxruntime-int8", ("onnxruntime_clip", "--int8"), int8=True, strong=True, ways=CALLS),
]


def has_int8() -> bool:
    """Whether this clipgauge scores in int8."""
    said = subprocess.run([CLIPGAUGE, "score", "--help"], capture_output=True, text=True, check=True).stdout
    return "int8" in said.partition("--precision")[2].partition("--threads")[0]
