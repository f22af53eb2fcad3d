"""
How well does each image match its caption?

`Scorer` scores images and captions that are at hand, `score_table` tables; both are the engine of the command `clipgauge`
and give its scores, bit for bit. `clipgauge.ray` and `clipgauge.spark` bring it to clusters.
"""

from clipgauge import _native
from clipgauge._encoder import Encoder, Patches, Tokens
from clipgauge._errors import Error, ModelError, OptionsError, RowError, TableError
from clipgauge._scorer import DEFAULT_MODEL, Scorer
from clipgauge._summary import Summary
from clipgauge._table import ScoredTable, score_table

__version__ = _native.VERSION

__all__ = [
    "DEFAULT_MODEL",
    "Encoder",
    "Error",
    "ModelError",
    "OptionsError",
    "Patches",
    "RowError",
    "ScoredTable",
    "Scorer",
    "Summary",
    "TableError",
    "Tokens",
    "__version__",
    "score_table",
]
