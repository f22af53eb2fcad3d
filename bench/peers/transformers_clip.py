"""transformers' `CLIPModel` on torch."""

import argparse
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoTokenizer, CLIPModel
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from harness import CONTEXT, arguments, engine_threads, run


class Transformers:
    def __init__(self, model: Path, torchvision: bool) -> None:
        self.model = CLIPModel.from_pretrained(model, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        processor = CLIPImageProcessor if torchvision else CLIPImageProcessorPil
        self.processor = processor.from_pretrained(model)

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        return self.processor(image, return_tensors="pt").pixel_values[0]

    def tokens(self, captions: list[str], length: int | None = None) -> torch.Tensor:
        padding = "max_length" if length else True
        made = self.tokenizer(
            captions, padding=padding, truncation=True, max_length=length or CONTEXT, return_tensors="pt"
        )
        return made.input_ids

    @torch.inference_mode()
    def images(self, pictures: list[torch.Tensor]) -> NDArray[numpy.float32]:
        return self.model.get_image_features(pixel_values=torch.stack(pictures)).pooler_output.numpy()

    @torch.inference_mode()
    def texts(self, tokens: torch.Tensor) -> NDArray[numpy.float32]:
        # The end of a caption sees only what stands before it: no mask is needed, and torch is faster without.
        return self.model.get_text_features(input_ids=tokens).pooler_output.numpy()


def parser() -> argparse.ArgumentParser:
    parser = arguments(__doc__)
    parser.add_argument("--torchvision", action="store_true", help="preprocess with torchvision instead of Pillow")
    return parser


def load(options: argparse.Namespace) -> Transformers:
    torch.set_num_threads(engine_threads(options))
    return Transformers(options.model, options.torchvision)


if __name__ == "__main__":
    options = parser().parse_args()
    run(load(options), options)
