"""Bundles made of bundles: an excerpt of some of the galaxies, and the card written anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import to_builtins
from numpy.typing import NDArray
from safetensors.numpy import save as safetensors_bytes

from galaxy_explorer.bundle.bundle import Bundle, load_bundle, read_deconvolution
from galaxy_explorer.bundle.card import measured_by, model_card
from galaxy_explorer.bundle.clusterings import FEATURES, SPARSITY
from galaxy_explorer.bundle.emulation import CONTACT_SHEET, EMULATION
from galaxy_explorer.bundle.evaluation import CLAIMS, DECONVOLUTION, EVALUATION
from galaxy_explorer.bundle.files import CARD, CATALOG, parse_arrays
from galaxy_explorer.bundle.manifest import FORMAT, MODEL_NAME, ExcerptEntry
from galaxy_explorer.bundle.names import NAMES
from galaxy_explorer.bundle.networks import CODES
from galaxy_explorer.bundle.novelty import NOVELTY
from galaxy_explorer.bundle.writer import Card, catalog_bytes, encoded_bytes, opened, rewrite
from galaxy_explorer.clustering.summary import cluster_summaries
from galaxy_explorer.errors import BundleError, SettingError
from galaxy_explorer.models.registry import LATENTS

FEWEST = 100
PARTS = ("priors", "judge", "evaluation", "emulation", "deconvolution", "novelty")
"""What an excerpt may leave out: each is asked for where it is there, and missed by nobody else."""


def write_excerpt(
    bundle: str | Path, out: str | Path, *, n: int, name: str = "", leave_out: Iterable[str] = ()
) -> Path:
    """Write `n` galaxies of a bundle as a small bundle, to be sent or to travel with the package.

    Drawn at random by a hash of their names, so that of any two excerpts the smaller is part of the
    larger. Weights, priors, mixtures and what was measured stay those of the whole; counts and
    typical members of the clusters are of the excerpt. The survey of the whole does not fit it,
    and is refused. name: of the excerpt; else that of its folder. leave_out: of PARTS.

    Raises SettingError for a number or a part that is not there, BundleError where the bundle is
    not intact or `out` holds something else.
    """
    source, target = load_bundle(bundle), Path(out)
    if unknown := sorted(set(leave_out) - set(PARTS)):
        raise SettingError(f"--leave-out {unknown[0]}: not among {', '.join(PARTS)}")
    if not FEWEST <= n <= len(source):
        raise SettingError(f"--n {n}: {source.path} gives {FEWEST} to {len(source)} galaxies")
    called = name or target.name
    if not MODEL_NAME.fullmatch(called):
        raise SettingError(f"--name {called!r}: small letters, digits and - are expected")
    if target.exists() and not (target / CARD).exists():
        raise BundleError(f"{target}: is there and no bundle; name another folder")
    rows = excerpt_rows(source.column("galaxy_id"), n)
    values, manifest = opened(source.path)
    kept = manifest.files.keys() - {CARD, NAMES}
    for part in leave_out:
        kept -= _left_out(part, values)
    whole = ExcerptEntry(source.name, len(source), source.hash, values["survey"]["fingerprint"])
    values |= {"format": FORMAT, "name": called, "n_galaxies": n, "excerpt": to_builtins(whole)}
    values["survey"]["fingerprint"] = ""  # of the whole: its rows are not these
    files: dict[str, bytes] = {}
    for model, entry in source.models.items():
        kind = LATENTS if entry.has_latents else CODES
        kept -= {values["models"][model][kind]}
        ending = "encoded.safetensors" if entry.has_latents else "codes.npz"
        values["models"][model][kind] = file = f"{model}.{ending}"
        files[file] = encoded_bytes(source.encoded(model)[rows])
    files |= _cut_clusterings(source, rows, values)
    kept -= {entry.pop("values", None) for entry in values["clusterings"].values()}
    table = pq.read_table(source.path / CATALOG)
    table = table.drop_columns([c for c in table.column_names if c.endswith(f"/{SPARSITY}")])
    files[CATALOG] = catalog_bytes(table.take(pa.array(rows)))
    rewrite(target, values, kept, files, card_of(source, leave_out), source=source.path)
    return target


def renew_card(path: str | Path) -> bool:
    """Write the card of a bundle anew, from what it holds; whether that changed it.

    Raises BundleError where the bundle is not intact.
    """
    bundle = load_bundle(path)
    write = card_of(bundle)
    if write(bundle.manifest) == bundle.card:
        return False
    values, manifest = opened(bundle.path)
    rewrite(bundle.path, values, manifest.files, {}, write)
    return True


def card_of(bundle: Bundle, leave_out: Iterable[str] = ()) -> Card:
    """What writes the card of a bundle with all that was measured of it, some parts left out."""
    without = set(leave_out)
    return partial(
        model_card,
        evaluation=None if "evaluation" in without else bundle.evaluation,
        emulation=None if "emulation" in without else bundle.emulation,
        deconvolution=None if "deconvolution" in without else read_deconvolution(bundle),
        command=measured_by(bundle.card),
    )


def excerpt_rows(galaxies: Iterable[Any], n: int) -> NDArray[np.int64]:
    """Rows (n,) of the galaxies whose names have the smallest hashes, in the catalogue's order.

    Not the hash that splits a survey into train, validation and test: all splits have their share.
    """
    digests = [hashlib.sha256(f"excerpt {name}".encode()).digest() for name in galaxies]
    return np.sort(np.argsort(np.array(digests), kind="stable")[:n])


def _left_out(part: str, values: dict[str, Any]) -> set[str]:
    """Take a part out of the values of a manifest; returns the names of its files."""
    if part == "priors":
        return {entry["file"] for entry in values.pop("priors", {}).values()}
    if part == "judge":
        return {values.pop("judge")["file"]} if "judge" in values else set()
    named = {
        "evaluation": {EVALUATION, CLAIMS},
        "emulation": {EMULATION, CONTACT_SHEET},
        "deconvolution": {DECONVOLUTION},
        "novelty": {NOVELTY},
    }
    return named[part]


def _cut_clusterings(
    source: Bundle, rows: NDArray[np.int64], values: dict[str, Any]
) -> dict[str, bytes]:
    """Clusters of the excerpt: their counts and typical members; returns files of features."""
    ttype, classes = source.column("ttype")[rows], source.column("ttype_class")[rows]
    files = {}
    for key, one in source.clusterings.items():
        entry, features = values["clusterings"][key], one.feature_values[rows]
        path = source.path / entry["file"]
        arrays = parse_arrays(path.read_bytes(), path)
        if FEATURES in arrays or "values" in entry:
            cut = arrays | {FEATURES: np.ascontiguousarray(features, np.float16)}
            files[entry["file"]] = safetensors_bytes(cut)
        clusters = cluster_summaries(one.mixture, features, one.labels[rows], ttype, classes)
        entry["clusters"] = [cluster.to_dict() for cluster in clusters]
    return files
