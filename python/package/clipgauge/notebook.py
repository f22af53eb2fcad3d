"""
The names that a first notebook for image–text similarity uses, over `clipgauge.Scorer`.

    model = OpenaiClipVitModel()
    calculator = ImageTextSimilarityCalculator(model=model, distance_calculator=CosineDistanceCalculator())
    scores = calculator.calculate([Input(image=url, caption="a sleeping cat")])

An image may be its URL: clipgauge then fetches it, with all others at once. One that cannot be had or read costs its own
score only (NaN), and never ends the calculation.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from clipgauge import _native
from clipgauge._errors import RowError
from clipgauge._scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from clipgauge._images import ImageLike
    from clipgauge._options import Metric, ScorerOptions
    from clipgauge._typing import Progress


class Input(NamedTuple):
    """An image and the caption that it is scored with."""

    image: ImageLike
    """A URL, a path, bytes, a `PIL.Image` or an array; see `clipgauge.Scorer`."""
    caption: str | None
    """The caption."""


@dataclass(frozen=True)
class ClipModel:
    """Any model that clipgauge knows, by its name."""

    name: str
    """`pictoclip` (bundled), a folder, or an id of the Hugging Face hub."""


@dataclass(frozen=True)
class OpenaiClipVitModel(ClipModel):
    """CLIP by OpenAI, ViT-B/32: the one that most published scores are of."""

    name: str = "openai/clip-vit-base-patch32"


@dataclass(frozen=True)
class MetaclipModel(ClipModel):
    """MetaCLIP by Meta, ViT-B/32, trained on 400 million pairs."""

    name: str = "facebook/metaclip-b32-400m"


@dataclass(frozen=True)
class DistanceCalculator:
    """Any metric that clipgauge knows, by its name."""

    metric: Metric


@dataclass(frozen=True)
class CosineDistanceCalculator(DistanceCalculator):
    """The cosine of the angle between the two vectors, from -1 to 1; a better match has the higher one."""

    metric: Metric = "cosine"


@dataclass(frozen=True)
class EuclideanDistanceCalculator(DistanceCalculator):
    """The distance between the two vectors at length 1, from 0 to 2; a better match has the lower one."""

    metric: Metric = "euclidean"


class ImageTextSimilarityCalculator:
    """
    Calculates how similar images are to their captions.

    Args:
        model: The model; loaded here, and downloaded if need be.
        distance_calculator: How the two vectors are compared.
        **options: The options of `clipgauge.Scorer`.

    """

    def __init__(
        self, model: ClipModel, distance_calculator: DistanceCalculator, **options: Unpack[ScorerOptions]
    ) -> None:
        self.scorer = Scorer(model.name, metric=distance_calculator.metric, **options)
        """What does the work."""

    def calculate(self, inputs: Iterable[Input], progress: Progress | None = None) -> NDArray[np.float32]:
        """Score each image with its caption: `[count]`, NaN where an image cannot be used."""
        pairs = [Input(*pair) for pair in inputs]
        images, captions = [pair.image for pair in pairs], [pair.caption for pair in pairs]
        return self.scorer.score(images, captions, progress=progress)

    def compare_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compare each text with each, by the same model and metric: `[count, count]`."""
        count, vectors = len(texts), self.scorer.embed_texts(texts)
        rows, columns = vectors.repeat(count, axis=0), vectors[list(range(count)) * count]
        return self.scorer.compare(rows, columns).reshape(count, count)


def load_image_from_url(url: str, **options: Any) -> PIL.Image.Image:
    """
    Fetch a picture, with the manners of `clipgauge score` on the web, and decode it with Pillow, upright and in RGB.

    To score pictures, give their URLs to the calculator instead: it fetches many at once.

    Raises:
        RowError: The picture cannot be had.

    """
    import PIL.Image
    import PIL.ImageOps

    [data], failures = _native.fetch([url], options)
    if data is None:
        raise RowError(*failures[0])
    return PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGB")
