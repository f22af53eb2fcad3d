"""transformers' `CLIPModel` on torch."""

from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoTokenizer, CLIPModel
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from harness import CONTEXT, arguments, cosines, run


class Transformers:
    def __init__(self, model: Path, torchvision: bool) -> None:
        self.model = CLIPModel.from_pretrained(model, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        processor = CLIPImageProcessor if torchvision else CLIPImageProcessorPil
        self.processor = processor.from_pretrained(model)

    def preprocess(self, path: Path) -> torch.Tensor:
        return self.processor(Image.open(path).convert("RGB"), return_tensors="pt").pixel_values[0]

    def images(self, pictures: list[torch.Tensor]) -> torch.Tensor:
        return self.model.get_image_features(pixel_values=torch.stack(pictures)).pooler_output

    def tokens(self, captions: list[str], padding: bool | str = True) -> torch.Tensor:
        made = self.tokenizer(captions, padding=padding, truncation=True, max_length=CONTEXT, return_tensors="pt")
        return made.input_ids

    def texts(self, ids: torch.Tensor) -> torch.Tensor:
        # The end of a caption sees only what stands before it, so that no mask is needed; torch is faster without.
        return self.model.get_text_features(input_ids=ids).pooler_output

    @torch.inference_mode()
    def scores(self, pictures: list[torch.Tensor], captions: list[str]) -> NDArray[numpy.float32]:
        return cosines(self.images(pictures).numpy(), self.texts(self.tokens(captions)).numpy())


def main() -> None:
    parser = arguments(__doc__, batch=16)
    parser.add_argument("--torchvision", action="store_true", help="preprocess with torchvision instead of Pillow")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run(Transformers(options.model, options.torchvision), options)


if __name__ == "__main__":
    main()
