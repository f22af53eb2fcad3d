from __future__ import annotations

import io
import json
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clipgauge
import numpy as np
import pandas as pd
import PIL.Image
import pyarrow as pa
import pytest
from conftest import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Examples
    from numpy.typing import NDArray

# JPEG decoders differ by a level here and there.
MAX_DIFFERENCE = 0.003


@pytest.fixture(scope="module")
def scores(scorer: clipgauge.Scorer, examples: Examples) -> NDArray[np.float32]:
    return scorer.score(examples.images, examples.captions)


def test_scores_are_the_references(scores: NDArray[np.float32]) -> None:
    rows = json.loads((EXAMPLES / "expected.json").read_text())["rows"]
    assert scores.dtype == np.float32
    assert scores.shape == (51,)
    np.testing.assert_allclose(scores, [row["cosine"] for row in rows], atol=MAX_DIFFERENCE)


def test_an_image_scores_the_same_however_it_comes(
    scorer: clipgauge.Scorer, examples: Examples, scores: NDArray[np.float32], image_server: str
) -> None:
    paths = [Path(image) for image in examples.images]
    forms: dict[str, list[Any]] = {
        "paths": paths,
        "bytes": [path.read_bytes() for path in paths],
        "bytearrays": [bytearray(path.read_bytes()) for path in paths],
        "URLs": [f"{image_server}/{path.relative_to(EXAMPLES).as_posix()}" for path in paths],
        "file URLs": [path.as_uri() for path in paths],
    }
    for name, images in forms.items():
        np.testing.assert_array_equal(scorer.score(images, examples.captions), scores, err_msg=name)


def test_pictures_of_pillow_score_as_their_files(
    scorer: clipgauge.Scorer, examples: Examples, scores: NDArray[np.float32]
) -> None:
    with ExitStack() as files:
        pictures = [files.enter_context(PIL.Image.open(image)) for image in examples.images]
        by_pillow = scorer.score(pictures, examples.captions)
    np.testing.assert_allclose(by_pillow, scores, atol=MAX_DIFFERENCE)
    lossless = [index for index, picture in enumerate(pictures) if picture.format == "PNG"]
    assert len(lossless) > 5
    np.testing.assert_array_equal(by_pillow[lossless], scores[lossless])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr", "HSV"])
def test_every_mode_of_pillow_is_taken(scorer: clipgauge.Scorer, examples: Examples, mode: str) -> None:
    picture = PIL.Image.open(examples.images[0]).convert("RGB")
    # Pillow converts to this one from gray only.
    picture = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
    assert np.isfinite(scorer.score([picture], ["a cat"])).all()


def test_pictures_of_pillow_are_turned_as_their_exif_says(scorer: clipgauge.Scorer, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    array[:20] //= 4
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    PIL.Image.fromarray(array).save(path, exif=exif)
    turned = np.ascontiguousarray(np.rot90(array, -1))
    by_file, by_pillow, by_array = scorer.score([path, PIL.Image.open(path), turned], ["a cat"] * 3)
    assert by_file == by_pillow == by_array


def test_arrays_are_pictures(scorer: clipgauge.Scorer, examples: Examples, scores: NDArray[np.float32]) -> None:
    index = next(index for index, image in enumerate(examples.images) if image.endswith(".png"))
    picture = np.asarray(PIL.Image.open(examples.images[index]).convert("RGB"))
    caption = examples.captions[index]
    # A view that is not contiguous, too.
    mirrored = np.ascontiguousarray(picture[:, ::-1])[:, ::-1]
    many = np.stack([picture, mirrored])
    for images in ([picture, mirrored], many):
        np.testing.assert_array_equal(scorer.score(images, [caption] * 2), [scores[index]] * 2)


def test_failures_are_nan_or_raised_or_returned(scorer: clipgauge.Scorer, examples: Examples, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    images: list[Any] = [
        examples.images[0],
        tmp_path / "none.png",
        tmp_path / "text.png",
        None,
        float("nan"),
        b"",
        "ftp://b/k",
    ]
    captions: list[str | None] = ["a cat", "b", "c", "d", "e", "f", "g"]
    images, captions = [*images, examples.images[0]], [*captions, None]
    kinds = [None, "not_found", "not_an_image", "no_image", "no_image", "empty", "bad_address", "no_caption"]

    scores = scorer.score(images, captions)
    assert list(np.isnan(scores)) == [kind is not None for kind in kinds]
    again, errors = scorer.score(images, captions, errors="return")
    np.testing.assert_array_equal(again, scores)
    assert [None if error is None else error.kind for error in errors] == kinds
    error = errors[1]
    assert error is not None
    assert error.index == 1
    assert not error.is_transient
    assert "none.png" in error.message
    with pytest.raises(clipgauge.RowError, match=r"row 1: .*none.png.* \(not_found\)") as raised:
        scorer.score(images, captions, errors="raise")
    assert pickle.loads(pickle.dumps(raised.value)).kind == "not_found"
    assert scorer.score(images[:1], captions[:1], errors="raise").shape == (1,)


@pytest.mark.parametrize(
    ("images", "captions", "error", "message"),
    [
        ("a.png", ["a"], TypeError, "`images` has to be a list"),
        (["a.png"], "a", TypeError, "`captions` has to be a list"),
        ([7], ["a"], TypeError, "an image cannot be a int"),
        (["a.png", 7], ["a", "b"], TypeError, "at index 1"),
        (np.zeros((4, 4, 3), np.uint8), ["a"], TypeError, "put it into a list"),
        (["a.png"], [7], TypeError, "`captions` has a int among its texts, at index 0"),
        (["a.png"], [], ValueError, "1 images and 0 captions"),
        ([np.zeros((4, 4, 3), np.float32)], ["a"], ValueError, "of float32"),
        ([np.zeros((4, 4), np.uint8)], ["a"], ValueError, r"this one \(at index 0\) is \[4, 4\]"),
        ([np.zeros((0, 4, 3), np.uint8)], ["a"], ValueError, "not empty"),
    ],
)
def test_mistakes_of_the_caller_are_raised(
    scorer: clipgauge.Scorer, images: Any, captions: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        scorer.score(images, captions)


def test_pictures_of_pillow_that_cannot_be_read_are_failures(scorer: clipgauge.Scorer, examples: Examples) -> None:
    whole = Path(next(image for image in examples.images if image.endswith(".jpg"))).read_bytes()
    closed = PIL.Image.open(io.BytesIO(whole))
    closed.close()
    pictures: list[Any] = [
        PIL.Image.open(io.BytesIO(whole[: len(whole) // 2])),
        PIL.Image.new("RGB", (0, 4)),
        closed,
        examples.images[0],
        np.float32("nan"),
        pd.NaT,
    ]
    scores, errors = scorer.score(pictures, ["a cat"] * 6, errors="return")
    assert list(np.isnan(scores)) == [True, True, True, False, True, True]
    kinds = ["truncated", "corrupt", "corrupt", None, "no_image", "no_image"]
    assert [error and error.kind for error in errors] == kinds
    with pytest.raises(clipgauge.RowError, match=r"row 0: .*truncated"):
        scorer.embed_images(pictures, errors="raise")


def test_columns_of_pyarrow_are_lists(scorer: clipgauge.Scorer, examples: Examples) -> None:
    table = pa.table({"image": [*examples.images[:2], None], "caption": ["a cat", None, "a dog"]})
    scores = scorer.score(table["image"], table["caption"])
    np.testing.assert_array_equal(scores[:1], scorer.score(examples.images[:1], ["a cat"]))
    assert np.isnan(scores[1:]).all()


def test_what_errors_cannot_be_is_told_before_the_work(scorer: clipgauge.Scorer) -> None:
    class Hook:
        def update(self, rows: int) -> None:
            raise AssertionError(rows)

    calls: list[Callable[[], object]] = [
        lambda: scorer.score(["a.png"], ["a"], errors="ignore", progress=Hook()),  # type: ignore[call-overload]
        lambda: scorer.embed_images(["a.png"], errors="ignore", progress=Hook()),  # type: ignore[call-overload]
        lambda: scorer.embed_texts(["a"], errors="ignore", progress=Hook()),  # type: ignore[call-overload]
    ]
    for call in calls:
        with pytest.raises(clipgauge.OptionsError, match="not 'ignore'"):
            call()


def test_several_metrics_are_for_tables(scorer: clipgauge.Scorer, examples: Examples) -> None:
    several = clipgauge.Scorer("pictoclip", metric=["cosine", "dot"])  # type: ignore[arg-type]
    vectors = scorer.embed_texts(["a cat"])
    calls: list[Callable[[], object]] = [
        lambda: several.score(examples.images[:1], ["a cat"]),
        lambda: several.embed_texts(["a cat"]),
        lambda: several.compare(vectors, vectors),
    ]
    for call in calls:
        with pytest.raises(clipgauge.OptionsError, match="several scores"):
            call()
    table = pa.table({"image": examples.images[:1], "caption": ["a cat"]})
    scored = pa.table(several.score_batch(table, image_column="image"))
    assert scored.column_names == ["image", "caption", "similarity:cosine", "similarity:dot"]


def test_vectors_are_compared_however_they_lie(scorer: clipgauge.Scorer) -> None:
    a, b = scorer.embed_texts(["a cat", "a dog", "a car"]), scorer.embed_texts(["a dog", "a cat", "a bus"])
    expected = scorer.compare(a, b)
    forms: dict[str, Any] = {
        "columns first": np.asfortranarray(a),
        "a view": np.repeat(a, 2, axis=0)[::2],
        "64 bits": a.astype(np.float64),
        "lists": a.tolist(),
        "pandas": pd.DataFrame(a).to_numpy(),
    }
    for name, form in forms.items():
        np.testing.assert_array_equal(scorer.compare(form, b), expected, err_msg=name)
    np.testing.assert_array_equal(scorer.compare(a[::-1], b[::-1]), expected[::-1])
    with pytest.raises(ValueError, match=r"this one is \[\d+\]"):
        scorer.compare(a[0], b[0])


def _scored_in_a_fork(images: list[str], captions: list[str]) -> NDArray[np.float32]:
    assert _INHERITED is not None
    return _INHERITED.score(images, captions)


_INHERITED: clipgauge.Scorer | None = None


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_scorer_works_in_a_fork(
    scorer: clipgauge.Scorer, examples: Examples, scores: NDArray[np.float32], image_server: str
) -> None:
    global _INHERITED
    _INHERITED = scorer
    urls = [f"{image_server}/{Path(image).relative_to(EXAMPLES).as_posix()}" for image in examples.images]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.starmap_async(_scored_in_a_fork, [(urls, examples.captions)] * 2).get(timeout=60)
    for result in results:
        np.testing.assert_array_equal(result, scores)


def test_options_that_mean_nothing_are_refused() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"metric": "cosin"}, "invalid value 'cosin'"),
        ({"treads": 2}, "is `threads` meant?"),
        ({"threads": 0}, "write a whole number from 1"),
        ({"timeout": -1}, "takes a time"),
        ({"image_column": "a"}, "is about a table"),
        ({"metric": "sigmoid"}, "which the model does not have"),
        ({"spec": "pictoclip"}, "give both or none"),
        ({"header": "no colon"}, "Name: value"),
        ({"header": "A\u00e9: b"}, "HTTP does not allow"),
    ]
    for options, message in cases:
        with pytest.raises(clipgauge.OptionsError, match=message):
            clipgauge.Scorer("pictoclip", **options)
    with pytest.raises(TypeError, match="cannot be a object"):
        clipgauge.Scorer("pictoclip", timeout=object())  # type: ignore[arg-type]
    assert issubclass(clipgauge.OptionsError, ValueError)


def test_models_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(clipgauge.ModelError, match=r"config\.json"):
        clipgauge.Scorer(str(tmp_path))
    for error in (clipgauge.ModelError, clipgauge.OptionsError, clipgauge.TableError, clipgauge.RowError):
        assert issubclass(error, clipgauge.Error)


def test_embeddings_compare_to_the_scores(
    scorer: clipgauge.Scorer, examples: Examples, scores: NDArray[np.float32]
) -> None:
    images, texts = scorer.embed_images(examples.images), scorer.embed_texts(examples.captions)
    assert images.shape == texts.shape == (51, scorer.embedding_width)
    assert images.dtype == texts.dtype == np.float32
    np.testing.assert_array_equal(scorer.compare(images, texts), scores)
    cosine = (images * texts).sum(axis=1) / np.linalg.norm(images, axis=1) / np.linalg.norm(texts, axis=1)
    np.testing.assert_allclose(cosine, scores, atol=1e-6)
    np.testing.assert_allclose(scorer.compare(texts, texts), 1.0, atol=1e-6)
    with pytest.raises(ValueError, match="row by row"):
        scorer.compare(images, texts[:-1])


def test_embeddings_of_failures_are_nan(scorer: clipgauge.Scorer, examples: Examples) -> None:
    vectors, errors = scorer.embed_images([examples.images[0], "none.png"], errors="return")
    assert np.isfinite(vectors[0]).all()
    assert np.isnan(vectors[1]).all()
    assert [error and error.kind for error in errors] == [None, "not_found"]
    vectors, errors = scorer.embed_texts([None, "a cat"], errors="return")
    assert np.isnan(vectors[0]).all()
    assert [error and error.kind for error in errors] == ["no_caption", None]
    with pytest.raises(clipgauge.RowError, match="no_caption"):
        scorer.embed_texts([None], errors="raise")
    assert scorer.embed_images([]).shape == scorer.embed_texts([]).shape == (0, scorer.embedding_width)
    assert scorer.score([], []).shape == (0,)


def test_a_picture_that_changed_is_seen_anew(scorer: clipgauge.Scorer, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    scores = []
    for color in ("red", "blue"):
        PIL.Image.new("RGB", (32, 32), color).save(path)
        scores.append(scorer.score([path], ["a red apple"])[0])
    assert scores[0] != scores[1]


def test_results_take_no_copy(scorer: clipgauge.Scorer, examples: Examples) -> None:
    vectors = scorer.embed_texts(examples.captions)
    assert vectors.flags.c_contiguous
    assert vectors.flags.writeable


def test_scores_do_not_depend_on_threads_or_batches(examples: Examples, scores: NDArray[np.float32]) -> None:
    for options in ({"threads": 1, "batch_size": 1}, {"threads": 3, "batch_size": 7}):
        np.testing.assert_array_equal(
            clipgauge.Scorer("pictoclip", **options).score(*examples),  # type: ignore[arg-type]
            scores,
        )


def test_options_reach_the_engine(examples: Examples) -> None:
    scorer = clipgauge.Scorer("pictoclip", metric="euclidean", max_bytes=100, timeout="5s", precision="int8")
    assert "metric='euclidean'" in repr(scorer)
    _, errors = scorer.score(*examples, errors="return")
    assert {error and error.kind for error in errors} == {"too_large"}


def test_a_scorer_can_be_pickled_and_shared(
    scorer: clipgauge.Scorer, examples: Examples, scores: NDArray[np.float32]
) -> None:
    again = pickle.loads(pickle.dumps(scorer))
    np.testing.assert_array_equal(again.score(*examples), scores)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: scorer.score(*examples), range(4)):
            np.testing.assert_array_equal(result, scores)


def test_columns_of_pandas_are_lists(scorer: clipgauge.Scorer, examples: Examples, scores: NDArray[np.float32]) -> None:
    frame = pd.DataFrame({"url": examples.images, "caption": examples.captions})
    frame["similarity"] = scorer.score(frame["url"], frame["caption"])
    np.testing.assert_array_equal(frame["similarity"].to_numpy(), scores)


def test_progress_is_told_on_the_thread_of_the_caller(scorer: clipgauge.Scorer, examples: Examples) -> None:
    class Bar:
        rows = 0

        def update(self, n: int, /) -> None:
            self.rows += n

    bar = Bar()
    scorer.score(*examples, progress=bar)
    assert bar.rows == 51
    bar = Bar()
    scorer.embed_texts(examples.captions, progress=bar)
    assert bar.rows == 51

    class Broken:
        def update(self, n: int, /) -> None:
            raise LookupError(n)

    with pytest.raises(LookupError):
        scorer.score(*examples, progress=Broken())
