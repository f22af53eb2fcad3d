"""
Scores a table with a CLIP of transformers as the encoder: clipgauge fetches, decodes, preprocesses and tokenizes.

python transformers_encoder.py pairs.csv openai/clip-vit-base-patch32
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import clipgauge
import torch
from transformers import CLIPModel

if TYPE_CHECKING:
    import numpy as np


class TransformersEncoder:
    """The towers of `transformers.CLIPModel`, on a GPU if there is one."""

    def __init__(self, model: str) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        # transformers 5 computes in the type that the weights are stored in, which may have 16 bits only.
        self.model = CLIPModel.from_pretrained(model).float().eval().to(self.device)

    @torch.inference_mode()
    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        """Encode `[count, 3, height, width]`."""
        return self._vectors(self.model.get_image_features(pixel_values=self._tensor(pixels)))

    @torch.inference_mode()
    def encode_texts(self, tokens: clipgauge.Tokens) -> np.ndarray:
        """Encode ids with their mask."""
        ids, mask = map(self._tensor, tokens)
        return self._vectors(self.model.get_text_features(input_ids=ids, attention_mask=mask))

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    @staticmethod
    def _vectors(features: object) -> np.ndarray:
        # A bare tensor up to transformers 4.
        return getattr(features, "pooler_output", features).float().cpu().numpy()


def main() -> None:
    """Score the rows of a table, and print them."""
    table, model = Path(sys.argv[1]), sys.argv[2]
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    scorer = clipgauge.Scorer(encoder=TransformersEncoder(model), spec=model, batch_size=64)
    images = [row["url"] if "://" in row["url"] else table.parent / row["url"] for row in rows]
    for row, score in zip(rows, scorer.score(images, [row["caption"] for row in rows])):
        print(f"{score:.6f}\t{row['url']}\t{row['caption']}")


if __name__ == "__main__":
    main()
