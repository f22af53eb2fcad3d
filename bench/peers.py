"""Measures clipgauge against its peers and writes bench/RESULTS.md: `make bench-peers`; see bench/README.md."""

import argparse
import csv
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import contestants
import machine
import measure
import report
from contestants import BENCH, OURS, OURS_INT8, PEERS, Contestant

WORK = BENCH / "work"
QUARTER = 4
"""One core, and peers that are far behind, get this part of the rows."""


def cut(caption_set: str, rows: int) -> Path:
    """A table of the first rows of a set, beside it, so that its paths hold."""
    lines = (WORK / f"{caption_set}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    path = WORK / f"{caption_set}-{rows}.csv"
    path.write_text("".join(lines[: rows + 1]), encoding="utf-8")
    return path


def scores(out: Path) -> list[float]:
    with out.open(newline="", encoding="utf-8") as file:
        return [float(row["similarity"]) for row in csv.DictReader(file)]


class Benchmark:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        names = options.peers.split(",") if options.peers else [peer.name for peer in PEERS]
        unknown = set(names) - {peer.name for peer in PEERS}
        if unknown:
            known = ", ".join(peer.name for peer in PEERS)
            raise SystemExit(f"no peer is called {', '.join(sorted(unknown))}; there are {known}")
        self.peers = [peer for peer in PEERS if peer.name in names]
        self.int8 = contestants.has_int8()
        self.runs: list[dict[str, object]] = []
        self.scores: dict[str, dict[str, list[float]]] = {}
        self.stages: list[dict[str, object]] = []
        self.ways: dict[str, dict[str, float]] = {}

    def choose_ways(self, cores: int, rows: int) -> None:
        """Has each peer go its fastest way."""
        table = cut("short", rows)

        def seconds(peer: Contestant, way: tuple[str, ...]) -> float:
            command = peer.going(way).command(table, BENCH / "scores.csv", cores)
            return measure.run(command, cores, peer.environment).wall

        for place, peer in enumerate(self.peers):
            if len(peer.ways) == 1:
                continue
            # The first run reads all from the disk.
            measure.run(peer.command(cut("short", 1), BENCH / "scores.csv", cores), cores, peer.environment)
            tried = {way: seconds(peer, way) for way in peer.ways}
            self.ways[peer.name] = {" ".join(way): time for way, time in tried.items()}
            fastest = min(tried, key=lambda way: tried[way])
            self.peers[place] = peer.going(fastest)
            print(f"{peer.name}: {' '.join(fastest)}, {tried[fastest]:.1f} s", file=sys.stderr)

    def ours(self, peer: Contestant) -> Contestant:
        """Which of ours a peer is held against."""
        return OURS_INT8 if peer.int8 and self.int8 else OURS

    def run(self, contestant: Contestant, setting: tuple[str, int], rows: int, pair: str) -> None:
        caption_set, cores = setting
        out = BENCH / "scores.csv"
        command = contestant.command(cut(caption_set, rows), out, cores)
        cost = measure.run(command, cores, contestant.environment)
        made = scores(out)
        if len(made) != rows:
            raise SystemExit(f"{contestant.name} wrote {len(made)} scores for {rows} rows")
        if rows > len(self.scores.setdefault(caption_set, {}).get(contestant.name, [])):
            self.scores[caption_set][contestant.name] = made
        run = {"name": contestant.name, "set": caption_set, "cores": cores, "rows": rows, "pair": pair}
        self.runs.append(run | asdict(cost))
        print(f"{caption_set}, {cores} cores, {rows} rows: {contestant.name} {cost.wall:.1f} s", file=sys.stderr)

    def setting(self, caption_set: str, cores: int, rows: int, rounds: int) -> None:
        """Alternates ours and each peer's, and ours and theirs over one row for what starting costs."""
        setting = (caption_set, cores)
        for number in range(rounds):
            for peer in self.peers:
                if number > 0 and not peer.strong:
                    continue
                count = rows if peer.strong or peer.name == "transformers" else min(rows, self.options.images // QUARTER)
                for contestant in (self.ours(peer), peer):
                    self.starts(contestant, setting)
                    self.run(contestant, setting, count, f"{peer.name} {number}")

    def starts(self, contestant: Contestant, setting: tuple[str, int]) -> None:
        """What starting costs: runs over one row until there are three, not counting a first one that reads all from the
        disk."""
        had = [run for run in self.runs if (run["name"], run["cores"], run["rows"]) == (contestant.name, setting[1], 1)]
        if not any(run["name"] == contestant.name for run in self.runs):
            command = contestant.command(cut(setting[0], 1), BENCH / "scores.csv", setting[1])
            measure.run(command, setting[1], contestant.environment)
        for _ in range(3 - len(had)):
            self.run(contestant, setting, 1, "")

    def time_stages(self, cores: int, rows: int) -> None:
        """Alternates here, too."""
        table = cut("short", rows)
        for _ in range(3):
            for contestant in [OURS, *(peer for peer in self.peers if peer.is_python)]:
                command = [
                    "taskset", "-c", ",".join(map(str, measure.allowed_cores()[:cores])),
                    *contestant.stages(table, cores),
                ]  # fmt: skip
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                self.stages.append({"name": contestant.name, "cores": cores} | json.loads(said))
            print(f"stages on {cores} cores", file=sys.stderr)

    def int8_drift(self) -> dict[str, float]:
        """The 99th percentile of what int8 changes in a score, by model."""
        if not self.int8:
            return {}
        drifts = {}
        for model, table in (("pictoclip", "examples/pairs.csv"), (str(contestants.MODEL), str(WORK / "short.csv"))):
            made = []
            for precision in ("f32", "int8"):
                out = BENCH / "scores.csv"
                score = [contestants.CLIPGAUGE, "score", table, "-o", out, "--model", model, "--precision", precision]
                subprocess.run(score, cwd=contestants.ROOT, check=True, capture_output=True)
                made.append(scores(out))
            changes = sorted(abs(one - other) for one, other in zip(*made))
            drifts[Path(model).name] = changes[round(0.99 * (len(changes) - 1))]
        return drifts

    def keep_others(self) -> None:
        """With `--add`, what the last run measured of the peers that this one left out."""
        path = BENCH / "results.json"
        if not (self.options.add and path.exists()):
            return
        last = json.loads(path.read_text(encoding="utf-8"))
        measured = {peer.name for peer in self.peers}
        others = {peer.name for peer in PEERS} - measured
        ran = {run["name"] for run in self.runs}

        def is_kept(run: dict[str, str]) -> bool:
            return run["name"] not in ran or run["pair"].rpartition(" ")[0] in others

        self.runs += [run for run in last["runs"] if is_kept(run)]
        self.stages += [run for run in last["stages"] if run["name"] in others]
        self.ways = {name: ways for name, ways in last["ways"].items() if name in others} | self.ways
        for caption_set, found in last["scores"].items():
            kept = {name: made for name, made in found.items() if name not in measured}
            self.scores[caption_set] = kept | self.scores.get(caption_set, {})

    def results(self) -> dict[str, object]:
        all_cores = len(measure.allowed_cores())
        images, rounds = self.options.images, self.options.rounds
        fewer = max(images // QUARTER, 2)
        self.choose_ways(all_cores, max(images // 2, 2))
        self.setting("short", all_cores, images, rounds)
        self.setting("short", 1, fewer, min(rounds, 3))
        self.setting("long", all_cores, images, min(rounds, 3))
        for cores in sorted({1, all_cores}):
            self.time_stages(cores, min(images, 64))
        self.keep_others()
        return {
            "machine": machine.describe(),
            "versions": machine.versions(),
            "command": f"make bench-peers ROUNDS={rounds} IMAGES={images}"
            + self.options.add * f", after it the same with PEERS={self.options.peers} ADD=--add",
            "ways": self.ways,
            "runs": self.runs,
            "scores": self.scores,
            "stages": self.stages,
            "int8_drift": self.int8_drift(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the first setting; others have at most 3")
    parser.add_argument("--images", type=int, default=128, help="rows, at most 256; one core has a quarter")
    parser.add_argument("--peers", default="", help="names with commas between; all, if there is none")
    parser.add_argument("--add", action="store_true", help="keep the last run's results of the peers that are left out")
    options = parser.parse_args()
    results = Benchmark(options).results()
    (BENCH / "results.json").write_text(json.dumps(results), encoding="utf-8")
    report.write(results, contestants.ROOT / "bench" / "RESULTS.md")


if __name__ == "__main__":
    main()
