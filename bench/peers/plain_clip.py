"""CLIP's preprocessing and tokenizer without torch or transformers, for the engines that need neither."""

from pathlib import Path
from threading import Lock

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


class PlainClip:
    """The half of a peer that turns pictures and captions into arrays."""

    def __init__(self, exported: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(exported / "tokenizer.json"))
        self.tokenizer.enable_truncation(CONTEXT)
        self.padding = Lock()

    def preprocess(self, image: Image.Image) -> NDArray[numpy.float32]:
        """What `CLIPImageProcessorPil` makes of a picture: `[3, 224, 224]`."""
        short = min(image.size)
        width, height = (SIDE * side // short for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - SIDE) // 2, (height - SIDE) // 2
        pixels = numpy.asarray(image.crop((left, top, left + SIDE, top + SIDE)))
        return (pixels * SCALE + OFFSET).transpose(2, 0, 1)

    def tokens(self, captions: list[str], length: int | None = None) -> NDArray[numpy.int64]:
        with self.padding:
            self.tokenizer.enable_padding(pad_id=END, length=length)
            return numpy.array([encoding.ids for encoding in self.tokenizer.encode_batch_fast(captions)], numpy.int64)
