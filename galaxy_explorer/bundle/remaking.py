"""Bundles made of bundles: the same networks with other galaxies, and the card written anew."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import structs, to_builtins
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import Bundle, load_bundle, read_deconvolution
from galaxy_explorer.bundle.card import measured_by, model_card
from galaxy_explorer.bundle.clusterings import FEATURES, Clustering
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
    leave_out: of PARTS, or kinds of priors ("pixelcnn").

    Raises SettingError for a number or a part that is not there, BundleError where the bundle is
    not intact or `out` holds something else.
    """
    source, target, left = load_bundle(bundle), Path(out), set(leave_out)
    known = (*PARTS, *dict.fromkeys(prior.kind for prior in source.priors.values()))
    if unknown := sorted(left - set(known)):
        raise SettingError(f"--leave-out {unknown[0]}: not among {', '.join(known)}")
    if not FEWEST <= n <= len(source):
        raise SettingError(f"--n {n}: {source.path} gives {FEWEST} to {len(source)} galaxies")
    called = name or target.name
    if not MODEL_NAME.fullmatch(called):
        raise SettingError(f"--name {called!r}: small letters, digits and - are expected")
    if target.exists() and not (target / CARD).exists():
        raise BundleError(f"{target}: is there and no bundle; name another folder")
    rows = excerpt_rows(source.column("galaxy_id"), n)
    kept = [key for key, one in source.clusterings.items() if one.steering is None]
    usual = novelty_of(source)
    cut = OtherGalaxies(
        columns={name: source.column(name)[rows] for name in source.column_names},
        codes={name: source.encoded(name)[rows] for name in source.models},
        features={key: source.clusterings[key].feature_values[rows] for key in kept},
        known={} if usual is None else {name: one[rows] for name, one in usual.known.items()},
    )
    # The fingerprint is that of the whole: its rows are not these.
    whole = ExcerptEntry(source.name, len(source), source.hash, source.manifest.survey.fingerprint)
    return write_remade(source, target, called, cut, whole, left_out=left)


@dataclass(frozen=True)
class OtherGalaxies:
    """Galaxies that take the place of a bundle's own, as its networks see them.

    columns (N,): of the catalogue, with cluster, probability and place of each clustering. codes:
    code maps or latents (N, ...) of the models that are kept. features (N, P): of the clusterings
    that are kept. known (N,): how unusual each is to a model (see `Novelty.known`); {} where the
    bundle does not know what is usual.
    """

    columns: Mapping[str, NDArray[Any] | pa.ChunkedArray]
    codes: Mapping[str, NDArray[Any]]
    features: Mapping[str, NDArray[Any]]
    known: Mapping[str, NDArray[np.float32]]


def write_remade(
    source: Bundle,
    target: Path,
    called: str,
    galaxies: OtherGalaxies,
    origin: ExcerptEntry,
    *,
    fingerprint: str = "",
    left_out: Collection[str] = (),
) -> Path:
    """Write a bundle of the networks of another one and of other galaxies.

    Weights, priors, mixtures and what was measured stay those of `source`, but for the merger trees
    of its galaxies; counts and typical members of the clusters are of the galaxies. called: its
    name. origin: where the networks are from. fingerprint: of the survey that has these galaxies in
    their order, "" where none has. left_out: of PARTS, or kinds of priors. Raises BundleError where
    they do not fit together.
    """
    left, models = set(left_out), galaxies.codes
    values = with_prior_keys(read_manifest(source.path)[0])
    for made_anew in ("format", "files", "n_galaxies", "judge"):
        values.pop(made_anew, None)
    values |= {"name": called, "excerpt": to_builtins(origin)}
    values["survey"]["fingerprint"] = fingerprint
    priors = {
        key: prior
        for key, prior in source.priors.items()
        if prior.model in models and not left & {"priors", prior.kind}
    }
    for table, kept in (("models", models), ("priors", priors), ("clusterings", galaxies.features)):
        values[table] = {key: values[table][key] for key in kept}
    for choice, table in (("default_clustering", "clusterings"), ("display_model", "models")):
        if values[choice] not in values[table]:
            values[choice] = next(iter(values[table]))
    arrays = {
        key: _clustering_arrays(source.clusterings[key], source, galaxies, values)
        for key in galaxies.features
    }
    card = card_of(source, left)
    contents = BundleContents(
        manifest=values, columns=galaxies.columns, codes=models, arrays=arrays, card=card,
        weights={name: source.path / source.models[name].weights for name in models},
        priors={key: source.path / entry.file for key, entry in priors.items()},
    )  # fmt: skip
    save_bundle(target, contents)
    judge = None if "judge" in left else source.ttype_regressor
    names = [file for part, files in FILES.items() if part not in left for file in files]
    if judge is not None:
        names.append(judge.file)
        drawn = {name: one for name, one in judge.drawn.items() if name in models}
        judge = structs.replace(judge, drawn=drawn)
    known = source.manifest.files
    there = [file for file in names if file in known]
    added = {file: verified_bytes(source.path / file, known[file]) for file in there}
    if EVALUATION in added and source.evaluation is not None:
        # A tree of before has a leaf for each galaxy of the whole, and none for these.
        added[EVALUATION] = structs.replace(source.evaluation, trees=()).to_bytes()
    usual = None if "novelty" in left else novelty_of(source)
    if usual is not None and galaxies.known:
        weights, errors = (
            {name: one[name] for name in models} for one in (usual.weights, usual.errors)
        )
        own = replace(usual, known=dict(galaxies.known), weights=weights, errors=errors)
        added[NOVELTY] = own.to_bytes()
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


def _clustering_arrays(
    one: Clustering, source: Bundle, galaxies: OtherGalaxies, values: dict[str, Any]
) -> dict[str, NDArray[Any]]:
    """Arrays of a clustering with other galaxies; counts and typical members go into `values`."""
    entry, features = values["clusterings"][one.key], galaxies.features[one.key]
    entry.pop("values", None)  # a file of its own where galaxies are many
    file = source.path / entry["file"]
    arrays = dict(parse_arrays(verified_bytes(file, source.manifest.files[file.name]), file))
    if one.features not in MADE_AGAIN:
        arrays[FEATURES] = np.ascontiguousarray(features, np.float16)
    labels, ttype, classes = (
        np.asarray(galaxies.columns[name])
        for name in (f"{one.key}/cluster", "ttype", "ttype_class")
    )
    clusters = cluster_summaries(one.mixture, features, labels, ttype, classes)
    entry["clusters"] = [cluster.to_dict() for cluster in clusters]
    return arrays
