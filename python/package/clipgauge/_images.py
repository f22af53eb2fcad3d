"""
The many forms in which images and captions come, brought to the few that the engine takes.

Nothing is decoded here but what Pillow has decoded already.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import PIL.Image
    from numpy.typing import NDArray

    ImageLike = Union[
        str, "os.PathLike[str]", bytes, bytearray, memoryview, "PIL.Image.Image", "NDArray[np.uint8]", None
    ]
    """A URL, a path or a `data:` URI, a picture file's bytes, a picture of Pillow's, or an array
    `[height, width, 3]` of `uint8`; `None` (or NaN) for one that is missing."""
    Normalized = Union[str, bytes, "NDArray[np.uint8]", None]

_ORIENTATION = 0x0112
_UPRIGHT = 1
_DIMENSIONS = 3
_CHANNELS = 3
# The modes of Pillow that PNG keeps as they are: the engine then treats transparency and 16 bits as it does in files.
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})


class Broken(NamedTuple):
    """An image that turned out to be broken before the engine had it."""

    kind: str
    message: str


def images(values: Iterable[ImageLike]) -> tuple[list[Normalized], dict[int, Broken]]:
    """
    Bring images to a form that the engine takes. Broken ones are missing there, and told beside.

    Raises:
        TypeError: One is nothing that an image can be.
        ValueError: One is an array, but not `[height, width, 3]`, or empty.

    """
    if isinstance(values, np.ndarray) and values.ndim == _DIMENSIONS:
        msg = "`images` has to be a list (or array, or column) of them, not a single array: put it into a list"
        raise TypeError(msg)
    normalized: list[Normalized] = []
    broken = {}
    for index, value in enumerate(_items(values, "images")):
        image = _image(value, index)
        if isinstance(image, Broken):
            broken[index] = image
            image = None
        normalized.append(image)
    return normalized, broken


def texts(values: Iterable[str | None], name: str) -> list[str | None]:
    """
    Bring texts to strings, and missing ones to `None`.

    Raises:
        TypeError: One is no text.

    """
    return [_text(value, name, index) for index, value in enumerate(_items(values, name))]


def _items(values: Iterable[Any], name: str) -> list[Any]:
    if isinstance(values, (str, bytes, bytearray)) or not hasattr(values, "__iter__"):
        msg = f"`{name}` has to be a list (or array, or column) of them, not a single {type(values).__name__}"
        raise TypeError(msg)
    # Columns of pyarrow give scalars of their own.
    to_pylist = getattr(values, "to_pylist", None)
    return list(values) if to_pylist is None else list(to_pylist())


def _is_missing(value: object) -> bool:
    is_nan = isinstance(value, (float, np.floating)) and value != value
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def _text(value: Any, name: str, index: int) -> str | None:
    if _is_missing(value):
        return None
    if isinstance(value, str):
        # Half a surrogate is no character.
        return value.encode("utf-8", "replace").decode("utf-8")
    msg = f"`{name}` has a {type(value).__name__} among its texts, at index {index}"
    raise TypeError(msg)


def _image(value: Any, index: int) -> Normalized | Broken:
    if _is_missing(value):
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, os.PathLike):
        # Absolute, so that no part of it can be taken for a scheme.
        return os.path.abspath(os.fsdecode(value))  # noqa: PTH100
    if isinstance(value, np.ndarray):
        return _array(value, index)
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(value, pillow.Image):
        try:
            return _of_pillow(value)
        except Exception as error:
            # It was opened only, and is read now: whatever Pillow has to say of it is about this image.
            return Broken("truncated" if "truncated" in str(error) else "corrupt", f"Pillow cannot read it: {error}")
    msg = (
        f"an image cannot be a {type(value).__name__} (at index {index}): it is a URL, a path, bytes, a PIL.Image "
        "or an array [height, width, 3] of uint8"
    )
    raise TypeError(msg)


def _array(array: NDArray[Any], index: int) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim != _DIMENSIONS or array.shape[2] != _CHANNELS or array.size == 0:
        msg = (
            f"the array of an image is [height, width, 3] of uint8 and not empty; this one (at index {index}) is "
            f"{list(array.shape)} of {array.dtype}"
        )
        raise ValueError(msg)
    return np.ascontiguousarray(array)


def _of_pillow(image: PIL.Image.Image) -> Normalized | Broken:
    if 0 in image.size:
        return Broken("corrupt", "it has no pixels")
    exif = image.getexif()
    if image.mode == "RGB" and exif.get(_ORIENTATION, _UPRIGHT) == _UPRIGHT:
        return np.ascontiguousarray(image)
    if image.mode not in _PNG_MODES:
        image = image.convert("RGB")
    file = io.BytesIO()
    # Not compressed: it is read again at once.
    image.save(file, "PNG", compress_level=0, exif=exif)
    return file.getvalue()
