"""A model that stays loaded, and scores whatever it is given."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Callable, Literal, overload

import numpy as np

from clipgauge import _native
from clipgauge._errors import OptionsError, RowError
from clipgauge._images import images as normalized_images
from clipgauge._images import texts as normalized_texts
from clipgauge._options import ScorerOptions, ScoreTableOptions, TableOptions
from clipgauge._table import ScoredTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from clipgauge._encoder import Encoder
    from clipgauge._images import Broken, ImageLike
    from clipgauge._options import Metric, Precision
    from clipgauge._typing import ArrowStream, Progress

    Array = NDArray[np.float32]
    Errors = Literal["nan", "raise", "return"]
    Results = tuple[Array, list["RowError | None"]]

_LOG = logging.getLogger("clipgauge.load")

_INHERITED: list[_native.Session] = []
"""What a fork has of the process before: the memory, but not the threads that fetch, and what they had locked stays so. Not
even to end it would be safe."""

DEFAULT_MODEL = "openai/clip-vit-base-patch32"
"""The model that is used when none is named."""


class Scorer:
    """
    Scores how well images match captions, with one model and one metric.

    The model is loaded once, on the way downloaded if need be, and stays in memory. Scores are those of the command
    `clipgauge`, bit for bit, whatever else is scored at the same time.

    An image is a URL, a path, a `data:` URI, a picture file's bytes, a `PIL.Image`, or an array `[height, width, 3]` of
    `uint8`. Relative paths start at the working folder. Images are fetched, decoded and encoded by threads of the
    engine's, without Python's lock; ctrl-C ends a call cleanly. A scorer may be used from several threads, and be handed
    to other processes; one that is inherited by `fork` loads its model anew at its first use there.

    Args:
        model: `pictoclip` (bundled), a folder, an id of the Hugging Face hub, or another tool's name for a model.
        metric: How the two vectors are compared.
        threads: How many encoders work at once; one for each core, if not given.
        precision: What the model's linear layers are computed in.
        encoder: An encoder of one's own in place of the model's towers; see `Encoder`.
        spec: With `encoder`, the model (as for `model`) whose files say how images and texts are to be preprocessed.
        **options: The options of `clipgauge score` that are about models, fetching and pictures.

    Raises:
        ModelError: The model cannot be had or used.
        OptionsError: An option is unknown or means nothing.

    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        metric: Metric = "cosine",
        threads: int | None = None,
        precision: Precision = "f32",
        encoder: Encoder | None = None,
        spec: str | None = None,
        **options: Unpack[ScorerOptions],
    ) -> None:
        if (encoder is None) != (spec is None):
            msg = "an `encoder` needs the `spec` of a model, and a `spec` an `encoder`: give both or none"
            raise OptionsError(msg)
        of_tables = sorted(options.keys() & TableOptions.__annotations__.keys())
        if of_tables:
            msg = f"`{of_tables[0]}` is about a table: give it to `score_batch` or `score_table`"
            raise OptionsError(msg)
        self._keywords: dict[str, Any] = {
            "model": model if spec is None else spec,
            "metric": metric,
            "threads": threads,
            "precision": precision,
            **options,
        }
        self._encoder = encoder
        self._load()

    def _load(self) -> None:
        self._loaded = _native.Session(self._keywords, self._encoder)
        self._process = os.getpid()
        _LOG.info("loaded %s", self)

    @property
    def _session(self) -> _native.Session:
        if self._process != os.getpid():
            _INHERITED.append(self._loaded)
            self._load()
        return self._loaded

    def _session_of_one(self) -> _native.Session:
        session = self._session
        if session.columns > 1:
            msg = (
                "with several models or metrics a pair has several scores, which only tables have room for: "
                "use `score_batch` or `score_table`, or a `Scorer` for each"
            )
            raise OptionsError(msg)
        return session

    def __repr__(self) -> str:
        # A header may be a secret.
        shown = self._keywords.keys() - {"header"}
        given = {name: value for name, value in self._keywords.items() if name in shown and value is not None}
        return f"Scorer({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def __reduce__(self) -> tuple[Callable[..., Scorer], tuple[dict[str, Any], Encoder | None]]:
        return _restored, (self._keywords, self._encoder)

    @property
    def embedding_width(self) -> int:
        """How many numbers an embedding has, as the model's files say."""
        return self._session.embedding_width

    @property
    def context_length(self) -> int:
        """The most tokens that the model reads of a text; what is longer is cut."""
        return self._session.context_length

    @overload
    def score(
        self,
        images: Iterable[ImageLike],
        captions: Iterable[str | None],
        *,
        errors: Literal["nan", "raise"] = "nan",
        progress: Progress | None = None,
    ) -> Array: ...

    @overload
    def score(
        self,
        images: Iterable[ImageLike],
        captions: Iterable[str | None],
        *,
        errors: Literal["return"],
        progress: Progress | None = None,
    ) -> Results: ...

    def score(
        self,
        images: Iterable[ImageLike],
        captions: Iterable[str | None],
        *,
        errors: Errors = "nan",
        progress: Progress | None = None,
    ) -> Array | Results:
        """
        Score each image with the caption at the same place.

        Args:
            images: The images.
            captions: As many captions.
            errors: What a pair that cannot be scored comes to: NaN alone (`"nan"`), an exception (`"raise"`), or NaN with
                a `RowError` in a second list (`"return"`).
            progress: Is told how far it is, as a bar of `tqdm`.

        Returns:
            A score for each pair, `[count]`. With `errors="return"`, also a list with `None` or a `RowError` for each.

        Raises:
            RowError: A pair cannot be scored, with `errors="raise"`.
            ValueError: There are more images than captions, or fewer.

        """
        _check(errors)
        session = self._session_of_one()
        (pictures, broken), texts = normalized_images(images), normalized_texts(captions, "captions")
        if len(pictures) != len(texts):
            msg = f"there are {len(pictures)} images and {len(texts)} captions: each image needs its own"
            raise ValueError(msg)
        return _results(session.score(pictures, texts, progress), errors, broken)

    @overload
    def embed_images(
        self,
        images: Iterable[ImageLike],
        *,
        errors: Literal["nan", "raise"] = "nan",
        progress: Progress | None = None,
    ) -> Array: ...

    @overload
    def embed_images(
        self, images: Iterable[ImageLike], *, errors: Literal["return"], progress: Progress | None = None
    ) -> Results: ...

    def embed_images(
        self, images: Iterable[ImageLike], *, errors: Errors = "nan", progress: Progress | None = None
    ) -> Array | Results:
        """
        Turn images into vectors, `[count, width]`, as the model gives them, not normalised.

        Arguments, results and errors are as for `score`; the vector of an image that failed is NaN throughout.
        """
        _check(errors)
        session = self._session_of_one()
        pictures, broken = normalized_images(images)
        return _results(session.embed_images(pictures, progress), errors, broken)

    @overload
    def embed_texts(
        self,
        texts: Iterable[str | None],
        *,
        errors: Literal["nan", "raise"] = "nan",
        progress: Progress | None = None,
    ) -> Array: ...

    @overload
    def embed_texts(
        self, texts: Iterable[str | None], *, errors: Literal["return"], progress: Progress | None = None
    ) -> Results: ...

    def embed_texts(
        self, texts: Iterable[str | None], *, errors: Errors = "nan", progress: Progress | None = None
    ) -> Array | Results:
        """
        Turn texts into vectors, `[count, width]`, as the model gives them, not normalised.

        Arguments, results and errors are as for `score`; the vector of a text that failed is NaN throughout.
        """
        _check(errors)
        session = self._session_of_one()
        return _results(session.embed_texts(normalized_texts(texts, "texts"), progress), errors, {})

    def compare(self, a: ArrayLike, b: ArrayLike) -> Array:
        """
        Compare the vectors of two arrays by the metric, row by row: two texts, two images, or one of each.

        Args:
            a: Vectors `[count, width]`, of `embed_images` or `embed_texts`.
            b: As many.

        Returns:
            A score for each row, `[count]`.

        Raises:
            ValueError: The arrays are not of one shape, or have no numbers.

        """
        return self._session_of_one().compare(_vectors(a), _vectors(b))

    def score_batch(
        self, batch: ArrowStream, *, progress: Progress | None = None, **options: Unpack[TableOptions]
    ) -> ScoredTable:
        """
        Score a table in memory: what adapters to engines (Ray, Spark) call for one batch after the other.

        No row makes it fail: one that cannot be scored gets a null, and the kind of its error in `error_column`.

        Args:
            batch: A table, a record batch or a reader of any library that knows Arrow's PyCapsule interface.
            progress: Is told how far it is.
            **options: The options of `clipgauge score` that are about tables, such as `image_column`.

        Returns:
            The same table with its new columns; `pyarrow.table` and the like take it.

        Raises:
            TableError: A column is missing, cannot be what it should be, or is there already.
            OptionsError: An option is unknown or means nothing.

        """
        of_the_scorer = sorted(
            options.keys() & (ScoreTableOptions.__annotations__.keys() - TableOptions.__annotations__.keys())
        )
        if of_the_scorer:
            msg = f"`{of_the_scorer[0]}` is not about a table: give it to `Scorer`"
            raise OptionsError(msg)
        return ScoredTable(self._session.score_table(batch, dict(options), progress))


def _restored(keywords: dict[str, Any], encoder: Encoder | None) -> Scorer:
    keywords = dict(keywords)
    spec = None if encoder is None else keywords.pop("model")
    return Scorer(**keywords, encoder=encoder, spec=spec)


def _vectors(array: ArrayLike) -> Array:
    vectors = np.ascontiguousarray(array, dtype=np.float32)
    if vectors.ndim != 2:
        msg = f"vectors are an array [count, width]; this one is {list(vectors.shape)}"
        raise ValueError(msg)
    return vectors


def _check(errors: Errors) -> None:
    """Refuse what `errors` cannot be, before the work."""
    if errors not in ("nan", "raise", "return"):
        msg = f'`errors` is "nan", "raise" or "return", not {errors!r}'
        raise OptionsError(msg)


def _results(
    results: tuple[Array, list[tuple[int, str, str, bool]]], errors: Errors, broken: dict[int, Broken]
) -> Array | Results:
    array, failures = results
    # What was broken came to the engine as missing.
    failures = [
        (index, *broken[index], False) if index in broken else (index, kind, message, is_transient)
        for index, kind, message, is_transient in failures
    ]
    if errors == "nan":
        return array
    if errors == "raise":
        if failures:
            raise RowError(*failures[0])
        return array
    beside: list[RowError | None] = [None] * len(array)
    for failure in failures:
        beside[failure[0]] = RowError(*failure)
    return array, beside
