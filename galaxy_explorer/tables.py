"""Galaxies of a bundle as tables that explain themselves: units, descriptions, UCDs, provenance.

`galaxy_table` makes an astropy Table of any rows; `tables_io` writes and reads it in five formats.
UCDs are those of the IVOA's UCD1+ vocabulary.

Classifications as a table: CSV, ECSV, FITS or Parquet, by the file's extension.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from galaxy_explorer import __version__
from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.classify import Classification
from galaxy_explorer.errors import SettingError
from galaxy_explorer.utils.files import atomic_path

if TYPE_CHECKING:
    from astropy.table import Table


SOFTWARE = f"galaxy_explorer {__version__}"
PAPER = (
    "Cheng, T.-Y., Huertas-Company, M., Robertson, B., Ramachandra, N., Lanusse, F., &"
    " Guilloteau, C. (2019). Vector Quantized Variational AutoEncoder (VQ-VAE) on Emulating Galaxy"
    " Images and Unsupervised Machine Learning Classification for Galaxy Morphology. Report of the"
    " Kavli Summer Program in Astrophysics 2019, University of California Santa Cruz."
)


@dataclass(frozen=True)
class About:
    """What a column is: description, unit (VOUnits, empty for none), UCD (empty for none)."""

    description: str
    unit: str = ""
    ucd: str = ""


ABOUT = {
    "galaxy_id": About("Identifier of the galaxy in the survey", ucd="meta.id;meta.main"),
    "name": About("Name of the galaxy", ucd="meta.id"),
    "ra": About("Right ascension, ICRS", "deg", "pos.eq.ra;meta.main"),
    "dec": About("Declination, ICRS", "deg", "pos.eq.dec;meta.main"),
    "ttype": About("Numerical Hubble stage T; NaN: unknown", ucd="src.morph.type"),
    "ttype_class": About(
        "T rounded to -3..6 and counted from 0; -1: unknown", ucd="src.morph.type"
    ),
    "split": About("Share of the survey: train, validation or test", ucd="meta.code"),
    "source": About("Catalogue that the galaxy is from", ucd="meta.ref"),
    "hubble": About("Hubble type of the catalogue", ucd="src.morph.type"),
    "sky": About("Sky level of the stamp before the stretch", ucd="instr.skyLevel"),
    "sky_sigma": About("Standard deviation of the sky", ucd="stat.stdev;instr.skyLevel"),
    "redshift": About("Redshift", ucd="src.redshift"),
    "posang": About("Position angle of the major axis, north to east", "deg", "pos.posAng"),
    "bmag": About("Apparent magnitude in B", "mag", "phot.mag;em.opt.B"),
    "kmag": About("Apparent magnitude in K", "mag", "phot.mag;em.IR.K"),
    "majax_arcmin": About("Major axis", "arcmin", "phys.angSize.smajAxis"),
    "minax_arcmin": About("Minor axis", "arcmin", "phys.angSize.sminAxis"),
    "cluster": About("Cluster of the galaxy", ucd="meta.code.class"),
    "probability": About("Probability of that cluster", ucd="stat.probability"),
    "map_x": About(
        "Place on the map of this clustering (for the view only)", ucd="pos.cartesian.x"
    ),
    "map_y": About(
        "Place on the map of this clustering (for the view only)", ucd="pos.cartesian.y"
    ),
    "reconstruction_error": About(
        "Mean squared error of the model's reconstruction, in stretched units",
        ucd="stat.fit.residual",
    ),
    "code_distance": About("Distance in code space from the galaxy asked for", ucd="stat.value"),
    "separation": About(
        "Angular distance from the position asked for", "arcmin", "pos.angDistance"
    ),
    "error_percentile": About(
        "Share of the galaxies whose reconstruction error is at most as large", "%", "stat.rank"
    ),
    "sparsity": About(
        "Share of the galaxies whose surroundings in code space are at most as sparse",
        "%",
        "stat.rank",
    ),
}
UNITS = {
    "arcsec": "arcsec", "arcmin": "arcmin", "deg": "deg", "mag": "mag", "kpc": "kpc", "mpc": "Mpc",
    "pix": "pix",
}  # fmt: skip
"""Units by the last part of a column's name."""


def about_column(name: str) -> About:
    """What is known of a column by its name."""
    if name in ABOUT:
        return ABOUT[name]
    words = name.replace("_", " ").strip()
    return About(
        f"{words.capitalize()}, as in the survey's catalogue", UNITS.get(_suffix(name), "")
    )


def _suffix(name: str) -> str:
    return name.rsplit("_", 1)[-1].lower() if "_" in name else ""


def galaxy_table(
    bundle: Bundle,
    rows: ArrayLike,
    *,
    clustering: str | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
    words: str = "",
) -> Table:
    """Galaxies in `rows` (n,), in that order: the catalogue and what one clustering says of them.

    clustering: key, else the default one. extra: further columns (n,), put after the identifier.
    words: the selection in words, for the provenance. Columns carry unit, description and UCD;
    `meta` says where the table is from. Raises KeyError for an unknown clustering.
    """
    rows = np.asarray(rows, np.int64)
    key = clustering or bundle.manifest.default_clustering
    columns: dict[str, Any] = {"galaxy_id": bundle.column("galaxy_id")[rows], **(extra or {})}
    for name in bundle.column_names:
        if "/" not in name and name not in columns:
            columns[name] = bundle.column(name)[rows]
    columns |= _model_columns(bundle, key, rows)
    return explained_table(columns, provenance(bundle, key, words))


def _model_columns(bundle: Bundle, key: str, rows: np.ndarray) -> dict[str, Any]:
    clustering = bundle.clusterings[key]
    return {
        "cluster": clustering.labels[rows],
        "probability": clustering.responsibility[rows],
        "map_x": clustering.coordinates[rows, 0],
        "map_y": clustering.coordinates[rows, 1],
        "reconstruction_error": bundle.column(f"{clustering.model}/error")[rows],
    }


def explained_table(columns: Mapping[str, ArrayLike], meta: Mapping[str, str]) -> Table:
    """Columns (n,) as a table; each gets what `about_column` knows of it."""
    from astropy.table import Column, Table

    made = []
    for name, values in columns.items():
        about = about_column(name)
        ucd = {"ucd": about.ucd} if about.ucd else {}
        column = Column(
            _text(np.asarray(values)), name, unit=about.unit or None, description=about.description
        )
        column.meta.update(ucd)
        made.append(column)
    return Table(made, meta=dict(meta))


def _text(values: np.ndarray) -> np.ndarray:
    return values.astype(str) if values.dtype.kind in "OUS" else values


def provenance(bundle: Bundle, clustering: str, words: str = "") -> dict[str, str]:
    """Where a table is from: bundle and its hash, model, software, time, selection, paper."""
    return {
        "bundle": bundle.name,
        "bundle_sha256": bundle.hash,
        "survey_fingerprint": bundle.manifest.survey.fingerprint,
        "model": bundle.clusterings[clustering].model,
        "clustering": clustering,
        "selection": words or "no selection in words",
        "software": SOFTWARE,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "paper": PAPER,
    }


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
