"""What was measured, and what follows from it: steady state, ratios, differences."""

import statistics
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """How many times as many pairs in a second clipgauge scores, in one pair of runs."""

    whole: float
    steady: float


class Results:
    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.runs: list[dict[str, Any]] = found["runs"]

    def of(self, name: str, caption_set: str, cores: int) -> list[dict[str, Any]]:
        """The runs over more than one row, only those over most where there are different numbers."""
        key = (name, caption_set, cores)
        runs = [run for run in self.runs if (run["name"], run["set"], run["cores"]) == key and run["rows"] > 1]
        most = max((run["rows"] for run in runs), default=0)
        return [run for run in runs if run["rows"] == most]

    def names(self, caption_set: str, cores: int) -> list[str]:
        runs = [run for run in self.runs if (run["set"], run["cores"]) == (caption_set, cores)]
        return list(dict.fromkeys(run["name"] for run in runs))

    def start(self, name: str, cores: int, cost: str = "wall") -> float:
        """A run over one row: what starting and ending cost."""
        key = (name, cores, 1)
        return statistics.median(run[cost] for run in self.runs if (run["name"], run["cores"], run["rows"]) == key)

    def steady(self, run: dict[str, Any], cost: str = "wall") -> float:
        """What each pair after the first cost."""
        return (run[cost] - self.start(run["name"], run["cores"], cost)) / (run["rows"] - 1)

    def ratios(self, peer: str, caption_set: str, cores: int) -> list[Ratio]:
        key = (caption_set, cores)
        pairs: dict[str, list[dict[str, Any]]] = {}
        for run in self.runs:
            if (run["set"], run["cores"]) == key and run["pair"].rpartition(" ")[0] == peer:
                pairs.setdefault(run["pair"], []).append(run)
        # Over a few rows, starting may seem to cost more than everything.
        return [
            Ratio(theirs["wall"] / ours["wall"], self.steady(theirs) / self.steady(ours))
            for ours, theirs in pairs.values()
            if self.steady(ours) > 0 and self.steady(theirs) > 0
        ]

    def difference(self, name: str, caption_set: str, reference: str = "transformers") -> float | None:
        """The largest difference of scores."""
        scores = self.found["scores"].get(caption_set, {})
        if name not in scores or reference not in scores:
            return None
        return max(abs(one - other) for one, other in zip(scores[name], scores[reference]))

    def stage_names(self, cores: int) -> list[str]:
        return list(dict.fromkeys(run["name"] for run in self.found["stages"] if run["cores"] == cores))

    def stage(self, name: str, cores: int, stage: str) -> float | None:
        runs = [run for run in self.found["stages"] if (run["name"], run["cores"]) == (name, cores)]
        found = [run[stage] for run in runs if stage in run]
        return statistics.median(found) if found else None

    def gemm_peak(self, cores: int) -> float:
        """GFLOP/s; the best that was seen."""
        runs = [run for run in self.found["stages"] if (run["name"], run["cores"]) == ("clipgauge", cores)]
        return max(run["gemm_gflops"] for run in runs)

    def vector_lanes(self) -> int:
        return next(run["vector_lanes"] for run in self.found["stages"] if run["name"] == "clipgauge")

    def image_tower_flops(self, cores: int) -> float:
        """GFLOP/s of the image tower over the operations that clipgauge does."""
        milliseconds = self.stage("clipgauge", cores, "images")
        assert milliseconds is not None
        return image_operations() / milliseconds / 1e6


def image_operations() -> int:
    """Operations for an image in ViT-B/32, two for a multiplication and its addition, without those that clipgauge leaves
    out: in the last of 12 layers only keys and values are of all 50 tokens, and the rest is of the pooled one."""
    width, tokens, patches = 768, 50, 49
    patch = patches * 3 * 32 * 32 * width
    keys_and_values = 2 * width * width
    others = 2 * width * width + 8 * width * width
    attention = 2 * tokens * width
    layers = 11 * tokens * (keys_and_values + others + attention)
    last = tokens * keys_and_values + others + attention
    return 2 * (patch + layers + last + width * 512)
