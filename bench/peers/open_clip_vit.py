"""open_clip's ViT-B-32-quickgelu with the weights carried over. Its `encode_text` adds all 77 positions, so that captions
cannot be padded to less."""

import argparse
from pathlib import Path

import numpy
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image

from harness import arguments, engine_threads, run

ARCHITECTURE = "ViT-B-32-quickgelu"


class OpenClip:
    def __init__(self, exported: Path) -> None:
        weights = str(exported / "open_clip.safetensors")
        self.model, _, self.transform = open_clip.create_model_and_transforms(ARCHITECTURE, pretrained=weights)
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(ARCHITECTURE)

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        return self.transform(image)

    def tokens(self, captions: list[str], length: int | None = None) -> torch.Tensor:
        return self.tokenizer(captions)

    @torch.inference_mode()
    def images(self, pictures: list[torch.Tensor]) -> NDArray[numpy.float32]:
        return self.model.encode_image(torch.stack(pictures)).numpy()

    @torch.inference_mode()
    def texts(self, tokens: torch.Tensor) -> NDArray[numpy.float32]:
        return self.model.encode_text(tokens).numpy()


def parser() -> argparse.ArgumentParser:
    return arguments(__doc__)


def load(options: argparse.Namespace) -> OpenClip:
    torch.set_num_threads(engine_threads(options))
    return OpenClip(options.exported)


if __name__ == "__main__":
    options = parser().parse_args()
    run(load(options), options)
