"""Makes what every contestant works on: 256 JPEG files of about 768×768 and two tables of captions, the same each time.

`python bench/work.py FOLDER` writes `images/*.jpg`, `short.csv` (8–40 tokens, median 18, as in examples/) and `long.csv`
(median 50, a tenth over the 77 that CLIP reads). Tokens are counted with the start and the end.
"""

import csv
import math
import random
import sys
from pathlib import Path

import numpy
from PIL import Image, ImageDraw

IMAGES = 256
OPENINGS = "a photo of|a painting of|a drawing of|a picture of|a close up of|an old photo of|a cartoon of|an icon of".split("|")
ADJECTIVES = (
    "red|blue|green|golden|smiling|small|large|old|wooden|bright|dark|shiny|happy|sleeping|broken|ancient|modern|wet|soft|white"
).split("|")
NOUNS = (
    "cat|dog|car|house|tree|flower|bird|boat|train|castle|rocket|apple|pizza|guitar|camera|key|cake|pumpkin|bicycle|book|"
    "umbrella|turtle|spider|lion|elephant|fish|rainbow|mountain|river|bridge|clock|chair|table|lamp|window|garden|horse|cow"
).split("|")
JOINTS = "with|near|on top of|next to|behind|under|in front of|full of|beside|without".split("|")
STYLES = "3d render|flat icon|oil painting|studio light|at night|in the snow|on white background|high detail|vintage film".split("|")


def picture(source: numpy.random.Generator) -> Image.Image:
    """Colour that varies at every scale as in a photograph, shapes with hard edges, and a sensor's noise."""
    width, height = (int(side) for side in source.integers(704, 833, size=2))
    canvas = numpy.full((height, width, 3), 128.0, numpy.float32)
    for octave in range(1, 8):
        cells = source.normal(0, 1, (2**octave + 1, 2**octave + 1, 3)) * 70 / 1.75**octave
        for channel in range(3):
            layer = Image.fromarray(cells[..., channel].astype(numpy.float32))
            canvas[..., channel] += numpy.asarray(layer.resize((width, height), Image.Resampling.BICUBIC))
    image = Image.fromarray(canvas.clip(0, 255).astype(numpy.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(source.integers(4, 12))):
        left, top, across, down = (int(value) for value in source.integers(20, 500, size=4))
        colour = tuple(int(value) for value in source.integers(0, 256, size=3))
        shape = draw.ellipse if source.random() < 0.5 else draw.rectangle
        shape((left, top, left + across // 2, top + down // 2), fill=colour)
    noisy = numpy.asarray(image, numpy.float32) + source.normal(0, 5, (height, width, 1))
    return Image.fromarray(noisy.clip(0, 255).astype(numpy.uint8))


def caption(source: random.Random, tokens: int) -> str:
    """Words of the vocabulary, each one token, until there are as many; the start and the end count, too."""
    words = source.choice(OPENINGS).split()
    while len(words) + 2 < tokens:
        roll = source.random()
        if roll < 0.25:
            words += [",", *source.choice(STYLES).split()]
        else:
            words += [*source.choice(JOINTS).split(), "a", source.choice(ADJECTIVES), source.choice(NOUNS)]
    return " ".join(words[: tokens - 2]).replace(" ,", ",")


def lengths(source: random.Random, median: int, spread: float, least: int, most: int) -> list[int]:
    """Token counts around a median, skewed to the right as those of captions are."""
    return [min(max(round(source.lognormvariate(math.log(median), spread)), least), most) for _ in range(IMAGES)]


def table(path: Path, seed: int, median: int, spread: float, least: int, most: int) -> None:
    source = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["url", "caption"])
        for index, tokens in enumerate(lengths(source, median, spread, least, most)):
            writer.writerow([f"images/{index:03}.jpg", caption(source, tokens)])


def main() -> None:
    folder = Path(sys.argv[1])
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for index in range(IMAGES):
        image = picture(numpy.random.default_rng(index))
        image.save(folder / "images" / f"{index:03}.jpg", quality=90, subsampling="4:2:0")
    table(folder / "short.csv", seed=1, median=18, spread=0.35, least=8, most=40)
    table(folder / "long.csv", seed=2, median=50, spread=0.337, least=12, most=140)
    (folder / "done").touch()


if __name__ == "__main__":
    main()
