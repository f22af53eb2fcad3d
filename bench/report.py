"""Makes bench/RESULTS.md of what bench/peers.py measured. `python bench/report.py` makes it again of the last run."""

import json
import statistics
from pathlib import Path
from typing import Any

from bars import bars
from contestants import BENCH, ROOT
from results import Results

STAGES = {
    "decode": "decode",
    "preprocess": "preprocess",
    "tokenize": "tokenize",
    "images": "image tower",
    "texts": "text tower",
    "texts_padded": "text tower, all padded to 77",
}

NOTES = """\
The scores of open_clip differ because its crop may lie a pixel aside, those of candle because its filter is another; int8
rounds. Those of clipgauge differ by the JPEG decoder, whose pixels are a level off libjpeg-turbo's here and there; from
equal pixels come equal scores to 1e-5 (`make conformance`)."""


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rate(seconds: float) -> str:
    return f"{1 / seconds:.2f}" if seconds > 0 else "too few rows"


def spread(ratios: list[float]) -> str:
    """Median and range of ratios."""
    if not ratios:
        return ""
    middle = f"**{statistics.median(ratios):.2f}**"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.2f}–{max(ratios):.2f})"


def ways(found: dict[str, dict[str, float]]) -> str:
    """What each peer was tried with."""
    rows = []
    for name, times in found.items():
        fastest = min(times, key=lambda way: times[way])
        tried = ", ".join(f"`{way}` {time:.1f}" for way, time in times.items() if way != fastest)
        rows.append([name, f"`{fastest}` {times[fastest]:.1f}", tried])
    title = "## The peers' fastest ways, s a run"
    return f"{title}\n\n{table(['peer', 'taken', 'tried'], rows)}"


def setting(results: Results, caption_set: str, cores: int) -> str:
    header = [
        "contestant", "rows", "runs", "pairs/s, whole process", "pairs/s, steady", "clipgauge is faster, whole process",
        "clipgauge is faster, steady", "CPU s per pair", "peak memory, MB", "start to first score, s",
        "largest difference to transformers",
    ]  # fmt: skip
    rows = []
    for name in results.names(caption_set, cores):
        runs = results.of(name, caption_set, cores)
        ratios = results.ratios(name, caption_set, cores)
        difference = results.difference(name, caption_set)
        rows.append(
            [
                name,
                str(max(run["rows"] for run in runs)),
                str(len(runs)),
                f"{statistics.median(run['rows'] / run['wall'] for run in runs):.2f}",
                rate(statistics.median(results.steady(run) for run in runs)),
                spread([ratio.whole for ratio in ratios]),
                spread([ratio.steady for ratio in ratios]),
                f"{statistics.median(results.steady(run, 'cpu') for run in runs):.3f}",
                f"{statistics.median(run['peak'] for run in runs):.0f}",
                f"{results.start(name, cores):.2f}",
                "" if difference is None else f"{difference:.1e}",
            ]
        )
    return f"## {caption_set.capitalize()} captions, cores: {cores}\n\n{table(header, rows)}"


def stages(results: Results, cores: int) -> str:
    names = results.stage_names(cores)
    rows = []
    for stage, title in STAGES.items():
        found = [results.stage(name, cores, stage) for name in names]
        rows.append([title, *("" if value is None else f"{value:.2f}" for value in found)])
    peak, reached = results.gemm_peak(cores), results.image_tower_flops(cores)
    images = results.stage("clipgauge", cores, "images")
    assert images is not None
    below = (
        f"The matrix kernel of clipgauge ({results.vector_lanes()} numbers in a vector) reaches {peak:.1f} GFLOP/s at most (a linear layer of 768 to "
        f"3072 over 256 rows); its image tower encodes {1e3 / images:.1f} images/s, {reached:.1f} GFLOP/s: "
        f"{reached / peak:.0%} of that."
    )
    title = f"## Stages in ms a pair, towers on cores: {cores}"
    return f"{title}\n\n{table(['stage', *names], rows)}\n\n{below}"


def write(found: dict[str, Any], path: Path) -> None:
    results = Results(found)
    machine, versions = found["machine"], found["versions"]
    cores = int(machine["cores"])
    asked = [[bar.what, bar.bar, bar.measured, "yes" if bar.holds else "no"] for bar in bars(results, cores)]
    parts = [
        "# Results",
        f"{machine['date']}, `{found['command']}`; see [README.md](README.md) for what the columns mean.\n\n"
        f"- Machine: {machine['processor']}, {cores} cores, {machine['instructions']}\n"
        f"- Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}",
        "## What was asked\n\n" + table(["figure", "bar", "measured", "holds"], asked),
        NOTES,
        *(setting(results, *pair) for pair in (("short", cores), ("short", 1), ("long", cores))),
        *(stages(results, number) for number in sorted({1, cores})),
        ways(found["ways"]),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(json.loads((BENCH / "results.json").read_text(encoding="utf-8")), ROOT / "bench" / "RESULTS.md")
