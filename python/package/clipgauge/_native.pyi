"""The extension module: what the package is made on. Not for use from outside."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from clipgauge._encoder import Encoder
from clipgauge._images import Normalized
from clipgauge._typing import ArrowStream, Progress

__all__ = ["VERSION", "ScoredTable", "Session", "columns", "fetch", "keywords", "run_command", "score_file"]

VERSION: str

_Failure = tuple[int, str, str, bool]

@final
class Session:
    def __new__(cls, keywords: dict[str, Any], encoder: Encoder | None = None) -> Session: ...
    @property
    def embedding_width(self) -> int: ...
    @property
    def context_length(self) -> int: ...
    @property
    def columns(self) -> int: ...
    def score(
        self, pairs: Sequence[Normalized], captions: Sequence[str | None], progress: Progress | None = None
    ) -> tuple[NDArray[np.float32], list[_Failure]]: ...
    def embed_images(
        self, pictures: Sequence[Normalized], progress: Progress | None = None
    ) -> tuple[NDArray[np.float32], list[_Failure]]: ...
    def embed_texts(
        self, texts: Sequence[str | None], progress: Progress | None = None
    ) -> tuple[NDArray[np.float32], list[_Failure]]: ...
    def compare(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def score_table(
        self, batches: ArrowStream, keywords: dict[str, Any], progress: Progress | None = None
    ) -> ScoredTable: ...

@final
class ScoredTable:
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __len__(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    @property
    def summary_parts(self) -> tuple[str, str]: ...

def columns(keywords: dict[str, Any]) -> tuple[list[tuple[str, str]], list[str] | None]: ...
def fetch(addresses: Sequence[str], keywords: dict[str, Any]) -> tuple[list[bytes | None], list[_Failure]]: ...
def keywords() -> list[dict[str, Any]]: ...
def run_command(arguments: Sequence[str]) -> int: ...
def score_file(
    inputs: Sequence[str],
    output: str | None,
    keywords: dict[str, Any],
    progress: Progress | None = None,
) -> tuple[str, str]: ...
