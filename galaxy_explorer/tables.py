"""Galaxies of a bundle as tables that explain themselves: units, descriptions, UCDs, provenance.

`galaxy_table` makes an astropy Table of any rows; `utils.tables` writes and reads it.
UCDs are those of the IVOA's UCD1+ vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.settings import VERSION

if TYPE_CHECKING:
    from astropy.table import Table

    from galaxy_explorer.clustering.naming import ClusterName


SOFTWARE = f"galaxy_explorer {VERSION}"
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
    "cluster_name": About("What the cluster is called", ucd="meta.code.class"),
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
        "Share of the galaxies, of as much detail and noise where that is known, whose"
        " reconstruction error is at most as large",
        "%",
        "stat.rank",
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
    suffix = name.rsplit("_", 1)[-1].lower() if "_" in name else ""
    return About(f"{words.capitalize()}, as in the survey's catalogue", UNITS.get(suffix, ""))


def galaxy_table(
    bundle: Bundle,
    rows: ArrayLike,
    *,
    clustering: str | None = None,
    names: Sequence[ClusterName] | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
    words: str = "",
) -> Table:
    """Galaxies in `rows` (n,), in that order: the catalogue and what one clustering says of them.

    clustering: key, else the default one. names: of its clusters, else those by the rule. extra:
    further columns (n,), put after the identifier. words: the selection in words, for the
    provenance. Columns carry unit, description and UCD; `meta` says where the table is from.
    Raises KeyError for an unknown clustering.
    """
    rows = np.asarray(rows, np.int64)
    key = clustering or bundle.manifest.default_clustering
    columns: dict[str, Any] = {"galaxy_id": bundle.column("galaxy_id")[rows], **(extra or {})}
    for name in bundle.column_names:
        if "/" not in name and name not in columns:
            columns[name] = bundle.column(name)[rows]
    found = bundle.clusterings[key]
    called = np.array([one.name for one in names or bundle.cluster_names(key)])
    columns |= {
        "cluster": found.labels[rows],
        "cluster_name": called[found.labels[rows]],
        "probability": found.responsibility[rows],
        "map_x": found.coordinates[rows, 0],
        "map_y": found.coordinates[rows, 1],
        "reconstruction_error": bundle.column(f"{found.model}/error")[rows],
    }
    return explained_table(columns, provenance(bundle, key, words))


def explained_table(columns: Mapping[str, ArrayLike], meta: Mapping[str, str]) -> Table:
    """Columns (n,) as a table; each gets what `about_column` knows of it."""
    from astropy.table import Column, Table

    made = []
    for name, given in columns.items():
        about, values = about_column(name), np.asarray(given)
        values = values.astype(str) if values.dtype.kind in "OUS" else values
        column = Column(values, name, unit=about.unit or None, description=about.description)
        column.meta.update({"ucd": about.ucd} if about.ucd else {})
        made.append(column)
    return Table(made, meta=dict(meta))


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
