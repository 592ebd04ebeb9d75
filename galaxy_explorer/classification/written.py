"""The table of classifications: made at once, or block by block for as many as there are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_explorer.bundle import Bundle
from galaxy_explorer.bundle.placing import Choice
from galaxy_explorer.errors import SettingError
from galaxy_explorer.utils.files import atomic_path
from galaxy_explorer.utils.tables import encode_table
from galaxy_explorer.utils.tables import write_table as checked_table

if TYPE_CHECKING:
    from astropy.table import Table

    from galaxy_explorer.classification.records import Classification

FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".parquet": "parquet"}


def table_format(path: Path) -> str:
    """Name of the astropy format of a path. Raises SettingError for another extension."""
    if path.suffix not in FORMATS:
        raise SettingError(f"--out {path}: the extension must be one of {', '.join(FORMATS)}")
    return FORMATS[path.suffix]


def codes_text(codes: np.ndarray, num_embeddings: int) -> str:
    """A code map row by row in hexadecimal, as many digits a code as the largest one needs.

    It starts with "x", or a program that reads the CSV would take some maps for numbers.
    """
    digits = len(f"{num_embeddings - 1:x}")
    return "x" + "".join(f"{code:0{digits}x}" for code in codes.ravel().tolist())


def make_table(
    bundle: Bundle, records: Sequence[Classification], choice: Choice | None = None
) -> Table:
    """One row an image. Where there is no number: NaN, cluster -1, empty text.

    choice: what was computed, else everything.
    """
    from astropy.table import Table

    models = choice.models if choice else tuple(bundle.models)
    clusterings = choice.clusterings if choice else tuple(bundle.clusterings)
    table = Table()
    for name in ("file", "reason", "out_of_distribution", "taken"):
        table[name] = np.array([getattr(record, name) for record in records], dtype=str)
    table["frame_filled"] = np.array([record.frame_filled for record in records])
    for name in models:
        readings = [record.models.get(name) for record in records]
        size = bundle.models[name].config.get("num_embeddings")
        if size is not None:  # latents, where there is no codebook, stay out
            maps = ["" if r is None else codes_text(r.codes, size) for r in readings]
            table[f"{name}/codes"] = np.array(maps, dtype=str)
        for about in ("error", "percentile"):
            values = [np.nan if r is None else getattr(r, about) for r in readings]
            table[f"{name}/{about}"] = np.array(values)
    for key in clusterings:
        members = [record.clusterings.get(key) for record in records]
        clusters = [-1 if m is None else m.cluster for m in members]
        table[f"{key}/cluster"] = np.array(clusters, dtype=np.int16)
        names = [one.name for one in bundle.cluster_names(key)]
        called = ["" if cluster < 0 else names[cluster] for cluster in clusters]
        table[f"{key}/cluster_name"] = np.array(called, dtype=str)
        for about in ("probability", "x", "y"):
            values = [np.nan if m is None else getattr(m, about) for m in members]
            table[f"{key}/{about}"] = np.array(values)
        shares = np.full((len(records), bundle.clusterings[key].mixture.n_components), np.nan)
        for i, member in enumerate(members):
            if member is not None:
                shares[i] = member.responsibilities
        table[f"{key}/probabilities"] = shares
    table.meta["bundle"] = bundle.name
    table.meta["bundle_sha256"] = bundle.hash
    return table


def write_table(table: Table, path: Path) -> list[Path]:
    """Write the table; CSV knows no vectors, so they go to `<name>-probabilities.csv` beside it.

    That has one row for each file and clustering, one column for each cluster.
    """
    if table_format(path) != "ascii.csv":
        checked_table(table, path)
        return [path]
    plain, long = without_vectors(table)
    checked_table(plain, path)
    checked_table(long, _beside(path))
    return [path, _beside(path)]


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}-probabilities.csv")


def without_vectors(table: Table) -> tuple[Table, Table]:
    """A table without its vectors, and these as a table of their own, a row a file and vector."""
    from astropy.table import Table

    vectors = [name for name in table.colnames if table[name].ndim > 1]
    plain = table.copy(copy_data=False)
    plain.remove_columns(vectors)
    long = Table()
    long["file"] = np.tile(np.asarray(table["file"]), len(vectors))
    names = [name.removesuffix("/probabilities") for name in vectors]
    long["clustering"] = np.repeat(np.array(names, dtype=str), len(table))
    width = max((table[name].shape[1] for name in vectors), default=0)
    values = np.full((len(long), width), np.nan)
    for i, name in enumerate(vectors):
        values[i * len(table) : (i + 1) * len(table), : table[name].shape[1]] = table[name]
    for cluster in range(width):
        long[f"p{cluster}"] = values[:, cluster]
    return plain, long


class TableStream:
    """A table whose blocks of rows go to the file one after the other, each checked as it is.

    The file is whole once `finish` returns, and absent before. Raises SettingError for FITS, which
    is written in one piece.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._kind = path, path.suffix.removeprefix(".")
        if table_format(path) == "fits":
            raise SettingError(
                f"--out {path}: FITS is written in one piece, not for so many images; take .parquet"
            )
        self._stack = ExitStack()
        self._streams: list[Any] = []
        self.paths = [path, _beside(path)] if self._kind == "csv" else [path]

    def append(self, table: Table) -> None:
        """Add rows; all blocks have the same columns."""
        blocks = without_vectors(table) if self._kind == "csv" else (table,)
        first = not self._streams
        if first:
            at = [self._stack.enter_context(atomic_path(path)) for path in self.paths]
        for number, block in enumerate(blocks):
            data = encode_table(block, self._kind)
            if self._kind == "parquet":
                rows = pq.read_table(pa.BufferReader(data))
                if first:  # longest texts are this block's only
                    known = (rows.schema.metadata or {}).items()
                    kept = {k: v for k, v in known if not k.startswith(b"table::len::")}
                    writer = pq.ParquetWriter(at[0], rows.schema.with_metadata(kept))
                    self._streams.append(self._stack.enter_context(writer))
                self._streams[0].write_table(rows.replace_schema_metadata(None))
                continue
            if first:
                self._streams.append(self._stack.enter_context(at[number].open("wb")))
            self._streams[number].write(data if first else _body(data))

    def finish(self) -> list[Path]:
        """Give the files their names and return them."""
        self._stack.close()
        return self.paths

    def abandon(self, error: BaseException) -> None:
        """Remove what was written."""
        self._stack.__exit__(type(error), error, error.__traceback__)


def _body(data: bytes) -> bytes:
    """The rows of a table in text: without its remarks and the names of the columns."""
    rest = data
    while rest.startswith(b"#"):
        rest = rest.partition(b"\n")[2]
    return rest.partition(b"\n")[2]
