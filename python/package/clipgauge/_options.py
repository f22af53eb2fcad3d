"""The options of `clipgauge score` as keywords. Made by tools/options.py: `make options` makes it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from os import PathLike

Format = Literal["csv", "tsv", "jsonl", "parquet", "arrow", "webdataset"]
Metric = Literal["cosine", "clipscore", "dot", "euclidean", "manhattan", "angular", "logit", "sigmoid"]
Precision = Literal["f32", "int8"]


class ScorerOptions(TypedDict, total=False):
    """What is about models, fetching and pictures. Times are in seconds, or texts such as `"2m"`."""

    canonicalize_captions: bool
    """Put captions in lower case and drop their punctuation first"""
    batch_size: int
    """How many rows an encoder takes at once; never changes a score [default: 16]"""
    cache: str | PathLike[str]
    """Keep the vectors of images and captions in a folder, for the runs to come"""
    cache_size: int | str
    """About how many bytes --cache may have; what was used longest ago goes first [default: 10GB]"""
    concurrency: int
    """The most pictures fetched at once [default: 64]"""
    per_host: int
    """The most requests at once to one host [default: 16]"""
    per_host_interval: float | str | timedelta
    """The least time between two requests to one host [default: none]"""
    host_failures: int
    """After how many requests in a row without an answer a host is taken to be down; 0 for never [default: 10]"""
    timeout: float | str | timedelta
    """The longest that fetching a picture may take, retries included [default: 30s]"""
    connect_timeout: float | str | timedelta
    """The longest that making a connection may take [default: 10s]"""
    retries: int
    """How often a fetch is tried again after a failure that may pass [default: 3]"""
    max_bytes: int | str
    """The most bytes that a picture's file may have [default: 50MB]"""
    header: str | Sequence[str]
    """A header line sent with each request, as 'Name: value'; may be repeated"""
    user_agent: str
    """The User-Agent sent with each request [default: one that names clipgauge]"""
    ignore_opt_outs: bool
    """Use pictures even if their server asks not to"""
    no_sign_request: bool
    """Do not sign requests to object stores, whatever credentials there are"""
    max_pixels: int
    """The most pixels that a picture may have [default: 100M]"""
    ignore_exif: bool
    """Do not turn pictures as their EXIF orientation says"""
    background: str
    """Lay transparent pictures over this colour: white, #fff"""


class TableOptions(TypedDict, total=False):
    """What is about a table."""

    in_place: bool
    """Replace the input with the new table when that is whole"""
    format: Format
    """What the input is, where its name does not say"""
    delimiter: str
    """The byte between two fields: `;`, `tab` [default: by the format]"""
    resume: bool
    """Go on where a run with the same output was ended, by whatever"""
    retry_failed: bool
    """Do only those rows again that have no score in the output that is there"""
    shard: str
    """Score one part of the table: part I, from 0, of N"""
    image_column: str
    """The column with the image: a path, a URL or a data: URI; in Parquet and Arrow also its bytes [default:
    url]"""
    caption_column: str
    """The column with the caption [default: caption]"""
    column: str
    """The column that is added [default: similarity]"""
    error_column: str
    """Also add a column with the kind of error of each row that fails"""
    overwrite: bool
    """Replace columns of these names that are there already"""
    diagnostics: bool
    """Also add columns that say why a score is what it is"""
    limit: int
    """Take only the first N rows of the table"""
    sample: int
    """Take only N rows, drawn at random and kept in their order; of the first ones with --limit"""
    seed: int
    """What the draw of --sample starts from: another number, other rows [default: 0]"""
    min_score: float
    """Write only rows whose first score is at least X; rows that fail are not written either"""
    max_score: float
    """Write only rows whose first score is at most X; rows that fail are not written either"""
    top_fraction: float
    """Write only the best part of all scored rows, by the first score: 0.1 for a tenth"""
    min_image_size: int
    """Score and write only rows whose picture's shorter edge has at least so many pixels"""
    max_aspect_ratio: float
    """Score and write only rows whose picture's longer edge is at most R times the shorter"""
    keep_columns: str | Sequence[str]
    """Write only these columns of the table, and those that are added: id,url"""
    save_images: str | PathLike[str]
    """Also save the pictures of rows that are scored and pass the filters, as WebDataset shards in DIR"""
    save_image_size: int
    """Make pictures smaller whose shorter edge has more pixels; they become JPEG"""
    save_shard_size: int
    """How many pictures a shard has [default: 10000]"""
    errors: str | PathLike[str]
    """Where rows that fail are listed, as CSV [default: OUT.errors.csv]"""
    summary: str | PathLike[str]
    """Also write the summary as JSON"""


class ScoreTableOptions(ScorerOptions, TableOptions, total=False):
    """All of them."""

    model: str | Sequence[str]
    """The model: `pictoclip` (bundled), a folder, or an id of the Hugging Face hub [default: openai/clip-vit-
    base-patch32]"""
    metric: Metric | Sequence[Metric]
    """How the two vectors are compared [default: cosine]"""
    precision: Precision
    """What the model's linear layers are computed in [default: f32]"""
    threads: int
    """How many encoders work at once [default: one per core]"""
