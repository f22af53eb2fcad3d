"""The figures that the project holds itself to, beside what was measured."""

import statistics
from dataclasses import dataclass

from contestants import PEERS
from results import Results


@dataclass(frozen=True)
class Bar:
    what: str
    bar: str
    measured: str
    holds: bool


def at_least(what: str, bar: float, measured: float | None, note: str = "") -> Bar:
    found = "not measured" if measured is None else f"{measured:.2f}×{note}"
    return Bar(what, f"≥ {bar}×", found, measured is not None and measured >= bar)


def at_most(what: str, bar: float, measured: float) -> Bar:
    return Bar(what, f"≤ {bar:.0%}", f"{measured:.0%}", measured <= bar)


def bars(results: Results, cores: int) -> list[Bar]:
    return [
        end_to_end(results, "f32 end to end, best f32 peer", 1.4, "short", cores, int8=False),
        end_to_end(results, "f32 end to end, long captions", 1.35, "long", cores, int8=False),
        tower(results, "image tower, best f32 peer", 1.2, "images", cores),
        tower(results, "text tower, best f32 peer", 2, "texts", cores),
        tower(results, "text tower, best f32 peer padded to 77", 4, "texts_padded", cores),
        end_to_end(results, "int8 end to end, ONNX Runtime int8", 1.3, "short", cores, int8=True),
        *drifts(results),
        decoding(results),
        scaling(results, cores),
        memory(results, cores),
        start(results, cores),
        *(
            Bar(
                f"image tower of its own matrix kernel's peak, cores: {number}",
                "≥ 85%",
                f"{results.image_tower_flops(number) / results.gemm_peak(number):.0%}",
                results.image_tower_flops(number) >= 0.85 * results.gemm_peak(number),
            )
            for number in sorted({1, cores})
        ),
    ]


def end_to_end(results: Results, what: str, bar: float, caption_set: str, cores: int, int8: bool) -> Bar:
    """The peer that is nearest, in the steady state, which counts: over the whole process a slow start helps us."""
    if int8 and "clipgauge int8" not in results.names(caption_set, cores):
        return at_least(what, bar, None)
    ratios = {
        peer.name: results.ratios(peer.name, caption_set, cores)
        for peer in PEERS
        if peer.int8 == int8 and peer.name in results.names(caption_set, cores)
    }
    medians = {name: statistics.median(ratio.steady for ratio in found) for name, found in ratios.items() if found}
    if not medians:
        return at_least(what, bar, None)
    nearest = min(medians, key=lambda name: medians[name])
    whole = statistics.median(ratio.whole for ratio in ratios[nearest])
    return at_least(what, bar, medians[nearest], f" ({nearest}; whole process {whole:.2f}×)")


def tower(results: Results, what: str, bar: float, stage: str, cores: int) -> Bar:
    """Theirs, padded or not, over ours, which is never padded."""
    ours = results.stage("clipgauge", cores, stage.removesuffix("_padded"))
    f32 = [peer.name for peer in PEERS if not peer.int8]
    theirs = {name: results.stage(name, cores, stage) for name in results.stage_names(cores) if name in f32}
    times = {name: time for name, time in theirs.items() if time is not None}
    if ours is None or not times:
        return at_least(what, bar, None)
    nearest = min(times, key=lambda name: times[name])
    return at_least(what, bar, times[nearest] / ours, f" ({nearest})")


def decoding(results: Results) -> Bar:
    def time(name: str) -> float | None:
        parts = [results.stage(name, 1, stage) for stage in ("decode", "preprocess")]
        return None if None in parts else sum(part for part in parts if part is not None)

    ours, theirs = time("clipgauge"), time("transformers")
    ratio = None if ours is None or theirs is None else theirs / ours
    return at_least("decode and preprocess on one core, Pillow + CLIPImageProcessor", 2.5, ratio)


def scaling(results: Results, cores: int) -> Bar:
    def steady(number: int) -> float:
        return statistics.median(results.steady(run) for run in results.of("clipgauge", "short", number))

    return at_least(f"scaling from one core to {cores}", 1.85, steady(1) / steady(cores))


def memory(results: Results, cores: int) -> Bar:
    ours, theirs = (results.of(name, "short", cores) for name in ("clipgauge", "transformers"))
    if not theirs:
        return Bar("peak memory, of transformers'", "≤ 60%", "not measured", False)
    share = statistics.median(run["peak"] for run in ours) / statistics.median(run["peak"] for run in theirs)
    return at_most("peak memory, of transformers'", 0.6, share)


def start(results: Results, cores: int) -> Bar:
    what = "start to first score, of transformers'"
    if not results.of("transformers", "short", cores):
        return Bar(what, "≤ 40%", "not measured", False)
    return at_most(what, 0.4, results.start("clipgauge", cores) / results.start("transformers", cores))


def drifts(results: Results) -> list[Bar]:
    """How far int8 moves scores."""
    return [
        Bar(f"int8, change of the cosine at the 99th percentile, {model}", "≤ 0.01", f"{drift:.4f}", drift <= 0.01)
        for model, drift in results.found["int8_drift"].items()
    ]
