"""How fast an encoder of torch can be fed: clipgauge's batches against torch's `DataLoader` with the Hugging Face processor.

`make bench-feed` runs it. Both get the same JPEG files and give normalised float32 batches that torch takes; the encoder does
nothing, so that only the feeding is measured. Each run is a process of its own, held to its cores; the first batches are
not counted, so that no start is. The processor is tried in several ways, and the fastest of them taken on each number of
cores.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent / "target" / "bench"
MODEL = BENCH / "vit-b-32"
BATCH = 64
OURS = "clipgauge"
THEIRS = ("pil", "torchvision", "torchvision-batched", "torchvision-tensors")
PACKAGES = ("clipgauge", "torch", "torchvision", "transformers", "numpy", "pillow")
BAR = 2.5

Arrivals = list[tuple[float, int]]


def pictures(count: int) -> list[Path]:
    """So many different files: the pictures of `work.py`, each time with another end that no decoder reads."""
    sources = sorted((BENCH / "work" / "images").glob("*.jpg"))
    folder = BENCH / "work" / "feed"
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index:04}.jpg" for index in range(count)]
    for index, path in enumerate(paths):
        if not path.exists():
            path.write_bytes(
                sources[index % len(sources)].read_bytes() + index.to_bytes(4, "little")
            )
    return paths


def feed_clipgauge(paths: list[Path], cores: int) -> Arrivals:
    import clipgauge
    import numpy
    import torch

    arrivals: Arrivals = []

    class Nothing:
        def encode_images(self, pixels: numpy.ndarray) -> numpy.ndarray:
            arrivals.append((time.perf_counter(), len(torch.from_numpy(pixels))))
            return numpy.zeros((len(pixels), 1), numpy.float32)

        def encode_texts(self, tokens: clipgauge.Tokens) -> numpy.ndarray:
            raise NotImplementedError

    scorer = clipgauge.Scorer(
        encoder=Nothing(), spec=str(MODEL), threads=cores, batch_size=BATCH
    )
    scorer.embed_images(paths, errors="raise")
    return arrivals


def feed_dataloader(paths: list[Path], cores: int, way: str) -> Arrivals:
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision.io import ImageReadMode, decode_image
    from transformers.models.clip.image_processing_clip import CLIPImageProcessor
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = (
        CLIPImageProcessorPil if way == "pil" else CLIPImageProcessor
    ).from_pretrained(MODEL)

    def decoded(path: Path) -> "Image.Image | torch.Tensor":
        if way == "torchvision-tensors":
            return decode_image(str(path), mode=ImageReadMode.RGB)
        return Image.open(path).convert("RGB")

    class Pictures(Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> "Image.Image | torch.Tensor":
            picture = decoded(paths[index])
            if way == "torchvision-batched":
                return picture
            return processor(picture, return_tensors="pt").pixel_values[0]

    def together(items: list) -> torch.Tensor:
        if way == "torchvision-batched":
            return processor(items, return_tensors="pt").pixel_values
        return torch.stack(items)

    arrivals: Arrivals = []
    # A worker process for each core: with none, decoding would wait for the model.
    for batch in DataLoader(
        Pictures(), batch_size=BATCH, num_workers=cores, collate_fn=together
    ):
        arrivals.append((time.perf_counter(), len(batch)))
    return arrivals


def child(way: str, count: int, cores: int) -> None:
    paths = pictures(count)
    arrivals = (
        feed_clipgauge(paths, cores)
        if way == OURS
        else feed_dataloader(paths, cores, way)
    )
    if sum(images for _, images in arrivals) != count:
        raise SystemExit(f"{way} gave another number of images than {count}")
    # Those that are under way at the start.
    first = 2 * cores
    seconds = arrivals[-1][0] - arrivals[first - 1][0]
    print(json.dumps(sum(images for _, images in arrivals[first:]) / seconds / cores))


def rate(way: str, count: int, cores: int) -> float:
    """Images a second and core."""
    command = [
        "taskset",
        "-c",
        ",".join(map(str, measure.allowed_cores()[:cores])),
        sys.executable,
        __file__,
    ]
    command += ["--way", way, "--images", str(count), "--cores", str(cores)]
    return float(
        json.loads(
            subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True
            ).stdout
        )
    )


def compare(count: int, cores: int, rounds: int) -> None:
    tried = {way: rate(way, count // 2, cores) for way in THEIRS}
    best = max(tried, key=lambda way: tried[way])
    print(
        f"\ncores: {cores}; tried: "
        + ", ".join(f"{way} {tried[way]:.0f}" for way in THEIRS)
    )
    pairs = [
        (rate(OURS, count, cores), rate(best, count, cores)) for _ in range(rounds)
    ]
    for name, found in (
        (OURS, [ours for ours, _ in pairs]),
        (f"DataLoader, {best}", [other for _, other in pairs]),
    ):
        print(
            f"{name}: {statistics.median(found):.0f} images/s a core ({min(found):.0f}–{max(found):.0f})"
        )
    ratios = [ours / other for ours, other in pairs]
    ratio = statistics.median(ratios)
    holds = "holds" if ratio >= BAR else "does not hold"
    print(
        f"clipgauge is faster: {ratio:.2f}× ({min(ratios):.2f}–{max(ratios):.2f}); bar {BAR}×: {holds}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--way", choices=(OURS, *THEIRS), help="one run of it, in this process"
    )
    parser.add_argument("--cores", type=int, help="with --way, how many it has")
    options = parser.parse_args()
    if options.way:
        child(options.way, options.images, options.cores)
    else:
        import machine
        import measure

        described = machine.describe()
        print(
            f"{described['date']}, {described['processor']}, {described['instructions']}"
        )
        print(", ".join(f"{package} {version(package)}" for package in PACKAGES))
        for cores in sorted({1, len(measure.allowed_cores())}):
            compare(options.images, cores, options.rounds)
