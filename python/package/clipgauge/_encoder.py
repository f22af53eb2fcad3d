"""
Encoders of one's own: any model that turns pixels and tokens into vectors of one space.

clipgauge fetches, decodes, preprocesses and tokenizes as the model's files say, on threads of its own, and compares the
vectors; the encoder gets one batch at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Union

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Patches(NamedTuple):
    """Pictures cut into patches that keep their aspect ratio (SigLIP 2 NaFlex), under the names of transformers."""

    pixel_values: NDArray[np.float32]
    """`[count, patches, numbers]`, normalised; zero beyond the patches that a picture has."""
    pixel_attention_mask: NDArray[np.int64]
    """`[count, patches]`: 1 for a patch that is there, 0 for one that fills up."""
    spatial_shapes: NDArray[np.int64]
    """`[count, 2]`: rows and columns of patches that each picture has."""


class Tokens(NamedTuple):
    """Texts as ids, under the names of transformers."""

    input_ids: NDArray[np.int64]
    """`[count, tokens]`, special tokens included, filled up with 0 to the longest of the batch."""
    attention_mask: NDArray[np.int64]
    """`[count, tokens]`: 1 for a token, 0 for what fills up."""


Pixels = Union["NDArray[np.float32]", Patches]
"""`[count, 3, height, width]`, normalised, contiguous and writable, so that `torch.from_numpy` takes it as it is; for a
model that keeps aspect ratios, `Patches`."""


class Encoder(Protocol):
    """
    Turns pictures and texts into vectors of one space. Is called from threads that are not the caller's, never from two
    at once.
    """

    def encode_images(self, pixels: Any, /) -> ArrayLike:
        """One vector for each picture of `pixels` (see `Pixels`): `[count, width]`, not normalised."""
        ...

    def encode_texts(self, tokens: Tokens, /) -> ArrayLike:
        """One vector for each text: `[count, width]`, not normalised."""
        ...


def tokens(ids: NDArray[np.int64], ends: NDArray[np.int64]) -> Tokens:
    """Fill up texts that are packed one behind the other; `ends` says where each ends."""
    lengths = np.diff(ends, prepend=0)
    mask = (np.arange(lengths.max(initial=0)) < lengths[:, None]).astype(np.int64)
    filled = np.zeros_like(mask)
    filled[mask == 1] = ids
    return Tokens(filled, mask)


def patches(values: NDArray[np.float32], grids: NDArray[np.int64]) -> Patches:
    """Put a mask to patches; `grids` says how many rows and columns of them each picture has."""
    mask = (np.arange(values.shape[1]) < grids.prod(axis=1)[:, None]).astype(np.int64)
    return Patches(values, mask, grids)
