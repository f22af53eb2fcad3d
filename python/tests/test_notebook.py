"""The notebook runs from top to bottom, and its names do what they say."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import clipgauge
import nbformat
import numpy as np
import pandas as pd
import pytest
from clipgauge.notebook import (
    ClipModel,
    CosineDistanceCalculator,
    EuclideanDistanceCalculator,
    ImageTextSimilarityCalculator,
    Input,
    MetaclipModel,
    OpenaiClipVitModel,
    load_image_from_url,
)
from conftest import EXAMPLES
from nbclient import NotebookClient

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Examples


# The kernel's own libraries warn of each other.
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_scores_and_saves_every_row(
    tmp_path: Path, image_server: str, examples: Examples, scorer: clipgauge.Scorer
) -> None:
    with (EXAMPLES / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = pd.DataFrame({"url": [f"{image_server}/{row['url']}" for row in rows], "caption": examples.captions})
    table.loc[9, "url"] = f"{image_server}/none.png"
    table.to_csv(tmp_path / "links.csv", index=False)

    notebook = nbformat.read(EXAMPLES / "challenge.ipynb", as_version=4)
    [parameters] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert "openai/clip-vit-base-patch32" in parameters.source
    parameters.source = 'TABLE, OUTPUT, MODEL = "links.csv", "out.csv", "pictoclip"'
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute()

    scored = pd.read_csv(tmp_path / "out.csv")
    expected = scorer.score(examples.images, examples.captions)
    expected[9] = np.nan
    np.testing.assert_array_equal(scored["similarity"].to_numpy(np.float32), expected)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    plots = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(plots) == 3
    assert "50 of 51 rows are scored" in "".join(output.get("text", "") for output in outputs)
    assert outputs[-1]["data"]["text/plain"] == "True"


def test_calculators_are_the_scorer(examples: Examples, scorer: clipgauge.Scorer) -> None:
    pairs = [Input(image=image, caption=caption) for image, caption in zip(*examples)]
    model = ClipModel("pictoclip")
    cosine = ImageTextSimilarityCalculator(model=model, distance_calculator=CosineDistanceCalculator())
    expected = scorer.score(*examples)
    np.testing.assert_array_equal(cosine.calculate(pairs), expected)
    euclidean = ImageTextSimilarityCalculator(
        model=model, distance_calculator=EuclideanDistanceCalculator(), timeout="5s"
    )
    np.testing.assert_allclose(euclidean.calculate(pairs) ** 2, 2 - 2 * expected, atol=1e-5)
    table = cosine.compare_texts(["a red apple", "a green apple", "a rocket"])
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-6)
    np.testing.assert_array_equal(table, table.T)
    assert table[0, 1] > table[0, 2]
    assert OpenaiClipVitModel().name == clipgauge.DEFAULT_MODEL
    assert MetaclipModel().name == "facebook/metaclip-b32-400m"


def test_pictures_are_loaded_from_their_url(image_server: str, examples: Examples) -> None:
    name = "images/03-1f34e-fluent-flat.png"
    picture = load_image_from_url(f"{image_server}/{name}")
    assert picture.mode == "RGB"
    with pytest.raises(clipgauge.RowError, match="not_found"):
        load_image_from_url(f"{image_server}/none.png", retries=0)
