"""Classifications as a table: CSV, ECSV, FITS or Parquet, by the file's extension."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle import Bundle
from galaxy_explorer.classify import Classification
from galaxy_explorer.errors import SettingError
from galaxy_explorer.files import atomic_path

if TYPE_CHECKING:
    from astropy.table import Table

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


def make_table(bundle: Bundle, records: list[Classification]) -> Table:
    """One row an image. Where there is no number: NaN, cluster -1, empty text."""
    from astropy.table import Table

    table = Table()
    table["file"] = np.array([r.file for r in records], dtype=str)
    table["reason"] = np.array([r.reason for r in records], dtype=str)
    table["out_of_distribution"] = np.array([r.out_of_distribution for r in records], dtype=str)
    for name, entry in bundle.models.items():
        _add_model(table, name, entry.config.get("num_embeddings"), records)
    for key, clustering in bundle.clusterings.items():
        _add_clustering(table, key, clustering.mixture.n_components, records)
    table.meta["bundle"] = bundle.name
    table.meta["bundle_sha256"] = bundle.hash
    return table


def _add_model(table: Table, name: str, size: int | None, records: list[Classification]) -> None:
    """Columns of one model; latents, where there is no codebook of `size`, stay out."""
    readings = [record.models.get(name) for record in records]
    if size is not None:
        maps = ["" if r is None else codes_text(r.codes, size) for r in readings]
        table[f"{name}/codes"] = np.array(maps, dtype=str)
    for field in ("error", "percentile"):
        values = [np.nan if r is None else getattr(r, field) for r in readings]
        table[f"{name}/{field}"] = np.array(values)


def _add_clustering(table: Table, key: str, count: int, records: list[Classification]) -> None:
    members = [record.clusterings.get(key) for record in records]
    clusters = [-1 if m is None else m.cluster for m in members]
    table[f"{key}/cluster"] = np.array(clusters, dtype=np.int16)
    for field in ("probability", "x", "y"):
        values = [np.nan if m is None else getattr(m, field) for m in members]
        table[f"{key}/{field}"] = np.array(values)
    shares = np.full((len(records), count), np.nan)
    for i, member in enumerate(members):
        if member is not None:
            shares[i] = member.responsibilities
    table[f"{key}/probabilities"] = shares


def write_table(table: Table, path: Path) -> list[Path]:
    """Write the table; CSV knows no vectors, so they go to `<name>-probabilities.csv` beside it."""
    kind = table_format(path)
    if kind != "ascii.csv":
        _write(table, path, kind)
        return [path]
    vectors = [name for name in table.colnames if table[name].ndim > 1]
    plain = table.copy(copy_data=False)
    plain.remove_columns(vectors)
    _write(plain, path, kind)
    beside = path.with_name(f"{path.stem}-probabilities.csv")
    _write(_long_form(table, vectors), beside, kind)
    return [path, beside]


def _long_form(table: Table, vectors: list[str]) -> Table:
    """One row for each file and clustering, one column for each cluster."""
    from astropy.table import Table

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
    return long


def _write(table: Table, path: Path, kind: str) -> None:
    options: dict[str, Any] = {"overwrite": True, "format": kind}
    with atomic_path(path) as temporary, warnings.catch_warnings():
        # FITS readers take column names with "/" and "-"; the standard only advises against them.
        warnings.filterwarnings("ignore", category=UserWarning, module="astropy")
        table.write(temporary, **options)
