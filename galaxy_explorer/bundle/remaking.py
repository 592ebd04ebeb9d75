"""Bundles made of bundles: an excerpt of some of the galaxies, and the card written anew."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import Bundle, load_bundle, read_deconvolution
from galaxy_explorer.bundle.card import measured_by, model_card
from galaxy_explorer.bundle.emulation import CONTACT_SHEET, EMULATION
from galaxy_explorer.bundle.evaluation import CLAIMS, DECONVOLUTION, EVALUATION
from galaxy_explorer.bundle.files import CARD, parse_arrays, read_manifest, verified_bytes
from galaxy_explorer.bundle.manifest import MODEL_NAME, ExcerptEntry, with_prior_keys
from galaxy_explorer.bundle.novelty import NOVELTY, novelty_of
from galaxy_explorer.bundle.writer import BundleContents, Card, add_files, save_bundle
from galaxy_explorer.clustering.summary import cluster_summaries
from galaxy_explorer.errors import BundleError, SettingError

FEWEST = 100
FILES = {
    "evaluation": (EVALUATION, CLAIMS),
    "emulation": (EMULATION, CONTACT_SHEET),
    "deconvolution": (DECONVOLUTION,),
}
"""Files of what was measured of the whole."""
PARTS = ("priors", "judge", "novelty", *FILES)
"""What an excerpt may leave out: each is asked for where it is there, and missed by nobody else."""
MADE_AGAIN = ("index", "latents")
"""Features that are not stored: they are made again from codes and latents."""


def write_excerpt(
    bundle: str | Path, out: str | Path, *, n: int, name: str = "", leave_out: Iterable[str] = ()
) -> Path:
    """Write `n` galaxies of a bundle as a small bundle, to be sent or to travel with the package.

    Drawn at random by a hash of their names, so that of any two excerpts the smaller is part of the
    larger. Weights, priors, mixtures and what was measured stay those of the whole; counts and
    typical members of the clusters are of the excerpt; steered clusterings are left out. The survey
    of the whole does not fit it, and is refused. name: of the excerpt; else that of its folder.
    leave_out: of PARTS.

    Raises SettingError for a number or a part that is not there, BundleError where the bundle is
    not intact or `out` holds something else.
    """
    source, target, left = load_bundle(bundle), Path(out), set(leave_out)
    if unknown := sorted(left - set(PARTS)):
        raise SettingError(f"--leave-out {unknown[0]}: not among {', '.join(PARTS)}")
    if not FEWEST <= n <= len(source):
        raise SettingError(f"--n {n}: {source.path} gives {FEWEST} to {len(source)} galaxies")
    called = name or target.name
    if not MODEL_NAME.fullmatch(called):
        raise SettingError(f"--name {called!r}: small letters, digits and - are expected")
    if target.exists() and not (target / CARD).exists():
        raise BundleError(f"{target}: is there and no bundle; name another folder")
    rows = excerpt_rows(source.column("galaxy_id"), n)
    values = with_prior_keys(read_manifest(source.path)[0])
    for made_anew in ("format", "files", "n_galaxies", "judge"):
        values.pop(made_anew, None)
    whole = ExcerptEntry(source.name, len(source), source.hash, values["survey"]["fingerprint"])
    values |= {"name": called, "excerpt": to_builtins(whole)}
    values["survey"]["fingerprint"] = ""  # of the whole: its rows are not these
    priors = {} if "priors" in left else source.priors
    values["priors"] = {key: values["priors"][key] for key in priors}
    arrays = _cut_clusterings(source, rows, values)
    card = card_of(source, left)
    contents = BundleContents(
        manifest=values,
        columns={name: source.column(name)[rows] for name in source.column_names},
        weights={name: source.path / entry.weights for name, entry in source.models.items()},
        codes={name: source.encoded(name)[rows] for name in source.models},
        arrays=arrays,
        card=card,
        priors={key: source.path / entry.file for key, entry in priors.items()},
    )
    save_bundle(target, contents)
    judge = None if "judge" in left else source.ttype_regressor
    names = [file for part, files in FILES.items() if part not in left for file in files]
    names += [judge.file] if judge else []
    known = source.manifest.files
    there = [file for file in names if file in known]
    added = {file: verified_bytes(source.path / file, known[file]) for file in there}
    usual = None if "novelty" in left else novelty_of(source)
    if usual is not None:  # it has a figure of each galaxy, too
        cut = {model: percentiles[rows] for model, percentiles in usual.known.items()}
        added[NOVELTY] = replace(usual, known=cut).to_bytes()
    return add_files(target, added, card, ttype_regressor=judge)


def renew_card(path: str | Path) -> bool:
    """Write the card of a bundle anew, from what it holds; whether that changed it.

    Raises BundleError where the bundle is not intact.
    """
    bundle = load_bundle(path)
    write = card_of(bundle)
    if write(bundle.manifest) == bundle.card:
        return False
    add_files(bundle.path, {}, write)
    return True


def card_of(bundle: Bundle, left: Collection[str] = ()) -> Card:
    """What writes the card of a bundle with all that was measured of it, some parts left out."""
    return partial(
        model_card,
        evaluation=None if "evaluation" in left else bundle.evaluation,
        emulation=None if "emulation" in left else bundle.emulation,
        deconvolution=None if "deconvolution" in left else read_deconvolution(bundle),
        command=measured_by(bundle.card),
    )


def excerpt_rows(galaxies: Iterable[Any], n: int) -> NDArray[np.int64]:
    """Rows (n,) of the galaxies whose names have the smallest hashes, in the catalogue's order.

    Not the hash that splits a survey into train, validation and test: all splits have their share.
    """
    digests = [hashlib.sha256(f"excerpt {name}".encode()).digest() for name in galaxies]
    return np.sort(np.argsort(np.array(digests), kind="stable")[:n])


def _cut_clusterings(
    source: Bundle, rows: NDArray[np.int64], values: dict[str, Any]
) -> dict[str, dict[str, NDArray[Any]]]:
    """Arrays of each clustering of the excerpt; counts and typical members go into `values`."""
    ttype, classes = source.column("ttype")[rows], source.column("ttype_class")[rows]
    kept = {key: one for key, one in source.clusterings.items() if one.steering is None}
    values["clusterings"] = {key: values["clusterings"][key] for key in kept}
    if values["default_clustering"] not in kept:
        values["default_clustering"] = next(iter(kept))
    arrays = {}
    for key, one in kept.items():
        entry, features = values["clusterings"][key], one.feature_values[rows]
        entry.pop("values", None)  # a file of its own where galaxies are many
        file = source.path / entry["file"]
        data = verified_bytes(file, source.manifest.files[file.name])
        arrays[key] = dict(parse_arrays(data, file))
        if one.features not in MADE_AGAIN:
            arrays[key]["features"] = np.ascontiguousarray(features, np.float16)
        clusters = cluster_summaries(one.mixture, features, one.labels[rows], ttype, classes)
        entry["clusters"] = [cluster.to_dict() for cluster in clusters]
    return arrays
