"""open_clip's ViT-B-32-quickgelu with the weights carried over. Its `encode_text` adds all 77 positions, so that captions
cannot be padded to less."""

from pathlib import Path

import numpy
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image

from harness import arguments, cosines, run

ARCHITECTURE = "ViT-B-32-quickgelu"


class OpenClip:
    def __init__(self, exported: Path) -> None:
        weights = str(exported / "open_clip.safetensors")
        self.model, _, self.transform = open_clip.create_model_and_transforms(ARCHITECTURE, pretrained=weights)
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(ARCHITECTURE)

    def preprocess(self, path: Path) -> torch.Tensor:
        return self.transform(Image.open(path))

    @torch.inference_mode()
    def scores(self, pictures: list[torch.Tensor], captions: list[str]) -> NDArray[numpy.float32]:
        images = self.model.encode_image(torch.stack(pictures)).numpy()
        return cosines(images, self.model.encode_text(self.tokenizer(captions)).numpy())


def main() -> None:
    options = arguments(__doc__, batch=16).parse_args()
    torch.set_num_threads(options.threads)
    run(OpenClip(options.exported), options)


if __name__ == "__main__":
    main()
