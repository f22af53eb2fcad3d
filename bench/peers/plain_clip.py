"""CLIP's preprocessing and tokenizer without torch or transformers, for the engines that need neither."""

from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from harness import CONTEXT

SIDE = 224
MEAN = numpy.array([0.48145466, 0.4578275, 0.40821073], numpy.float32)
DEVIATION = numpy.array([0.26862954, 0.26130258, 0.27577711], numpy.float32)
SCALE = 1 / (255 * DEVIATION)
OFFSET = -MEAN / DEVIATION
END = 49407


def picture(path: Path) -> NDArray[numpy.float32]:
    """What `CLIPImageProcessorPil` makes of a file: `[3, 224, 224]`."""
    image = Image.open(path).convert("RGB")
    short = min(image.size)
    width, height = (SIDE * side // short for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    pixels = numpy.asarray(image.crop((left, top, left + SIDE, top + SIDE)))
    return (pixels * SCALE + OFFSET).transpose(2, 0, 1)


def tokenizer(exported: Path) -> Tokenizer:
    """Captions cut at the context with their end kept, padded to the longest of the batch."""
    made = Tokenizer.from_file(str(exported / "tokenizer.json"))
    made.enable_truncation(CONTEXT)
    made.enable_padding(pad_id=END)
    return made


def ids(made: Tokenizer, captions: list[str]) -> NDArray[numpy.int64]:
    return numpy.array([encoding.ids for encoding in made.encode_batch_fast(captions)], numpy.int64)
