"""Encoders in Python: what they are given is what the model would get, and what they raise is raised."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clipgauge
import numpy as np
import pytest
from conftest import REPOSITORY

if TYPE_CHECKING:
    from clipgauge import Tokens
    from conftest import Examples
    from numpy.typing import NDArray

GOLDEN = REPOSITORY / "tests" / "golden"


class Plain:
    """Means of the channels, and counts of tokens: a model that can be checked by hand."""

    def __init__(self) -> None:
        self.pixels: list[NDArray[np.float32]] = []
        self.tokens: list[Tokens] = []
        self.threads: set[int] = set()
        self.busy = threading.Lock()

    def encode_images(self, pixels: NDArray[np.float32]) -> Any:
        assert self.busy.acquire(blocking=False), "two batches at once"
        if not self.pixels:
            # So that another thread has the next batch ready, however busy the machine is.
            time.sleep(0.5)
        self.pixels.append(pixels)
        self.threads.add(threading.get_ident())
        self.busy.release()
        return pixels.mean(axis=(2, 3))

    def encode_texts(self, tokens: Tokens) -> list[list[float]]:
        self.tokens.append(tokens)
        return [[float(row.sum()), 1.0, 1.0] for row in tokens.attention_mask]


def plain(**options: Any) -> tuple[Plain, clipgauge.Scorer]:
    encoder = Plain()
    return encoder, clipgauge.Scorer(encoder=encoder, spec="pictoclip", **options)


def test_an_encoder_gets_batches_as_torch_takes_them(examples: Examples) -> None:
    encoder, scorer = plain(threads=2, batch_size=8)
    vectors = scorer.embed_images(examples.images)
    given = np.concatenate(encoder.pixels)
    assert given.shape[1] == 3
    assert len(given) <= 51, "equal pictures are encoded once"
    assert len(encoder.threads) == 2
    for pixels in encoder.pixels:
        assert pixels.dtype == np.float32
        assert pixels.flags.c_contiguous
        assert pixels.flags.writeable
        assert len(pixels) <= 8
    means = {tuple(row) for row in given.mean(axis=(2, 3)).tolist()}
    assert {tuple(row) for row in vectors.tolist()} == means


def test_texts_are_filled_up_and_masked() -> None:
    encoder, scorer = plain(threads=1)
    vectors = scorer.embed_texts(["a", "a red apple on a table"])
    [tokens] = encoder.tokens
    assert tokens.input_ids.shape == tokens.attention_mask.shape
    assert tokens.input_ids.dtype == np.int64
    lengths = tokens.attention_mask.sum(axis=1)
    assert lengths[0] < lengths[1] == tokens.input_ids.shape[1]
    assert (tokens.input_ids[0, lengths[0] :] == 0).all()
    np.testing.assert_array_equal(vectors[:, 0], lengths)


def test_what_an_encoder_raises_is_raised(examples: Examples) -> None:
    class Broken(Plain):
        def encode_images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
            raise LookupError(len(pixels))

    with pytest.raises(LookupError) as raised:
        clipgauge.Scorer(encoder=Broken(), spec="pictoclip").score(*examples)
    assert "encode_images" in str(raised.traceback[-1])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros(3, np.float32), r"\[count, width\]"),
        (np.zeros((7, 3), np.float32), "was given 1 items"),
        (np.zeros((1, 0), np.float32), "was given 1 items"),
        ("text", "could not convert"),
    ],
)
def test_what_is_no_vectors_is_refused(examples: Examples, vectors: Any, message: str) -> None:
    class Wrong(Plain):
        def encode_images(self, pixels: NDArray[np.float32]) -> Any:
            return vectors

    with pytest.raises(ValueError, match=message):
        clipgauge.Scorer(encoder=Wrong(), spec="pictoclip").score(examples.images[:1], examples.captions[:1])


def test_pictures_that_keep_their_aspect_ratio_come_as_patches(examples: Examples) -> None:
    seen: list[Any] = []

    class Patched:
        def encode_images(self, pixels: clipgauge.Patches) -> NDArray[np.float32]:
            seen.append(pixels)
            return np.ones((len(pixels.pixel_values), 4), np.float32)

        def encode_texts(self, tokens: Tokens) -> NDArray[np.float32]:
            return np.ones((len(tokens.input_ids), 4), np.float32)

    folders = [Path(path).parent for path in GOLDEN.rglob("config.json")]
    [naflex] = [f for f in folders if json.loads((f / "config.json").read_text()).get("model_type") == "siglip2"][:1]
    scorer = clipgauge.Scorer(encoder=Patched(), spec=str(naflex), threads=1)
    scores = scorer.score(examples.images[:2], examples.captions[:2])
    np.testing.assert_allclose(scores, 1, atol=1e-6)
    # One batch or two: a picture waits for no other.
    assert sum(len(patches.pixel_values) for patches in seen) == 2
    for patches in seen:
        assert patches.pixel_values.ndim == 3
        np.testing.assert_array_equal(patches.pixel_attention_mask.sum(axis=1), patches.spatial_shapes.prod(axis=1))
