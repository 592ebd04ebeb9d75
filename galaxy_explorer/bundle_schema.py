"""What a manifest must say: every field that the package relies on, checked by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from galaxy_explorer.bundle_fields import (
    ManifestError,
    check_training,
    integer_in,
    known_in,
    object_in,
    text_in,
)
from galaxy_explorer.bundle_files import CARD, CATALOG, FILE_NAME, MANIFEST, SHA256
from galaxy_explorer.bundle_judge import check_judge
from galaxy_explorer.bundle_prior_schema import check_priors
from galaxy_explorer.clustering.summary import KINDS, TTYPE_CLASSES, ClusterSummary
from galaxy_explorer.errors import BundleError

FORMAT = 2
FEATURES = ("index", "codes", "latents", "rings")
LEVELS = {"num_embeddings": (2, 65536), "embedding_dim": (1, 4096)}
CODED = {**LEVELS, "map_size": (1, 1024)}
# Kind of model: the file of what it encodes the galaxies to, and its sizes with their limits.
MODEL_KINDS: dict[str, tuple[str, dict[str, tuple[int, int]]]] = {
    "vqvae": ("codes", CODED),
    "psf-vqvae": ("codes", {**CODED, "psf_size": (3, 1024)}),
    "vqvae2": ("codes", {**LEVELS, "bottom_size": (2, 1024)}),
    "convae": ("latents", {}),
}
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
MAX_GALAXIES = 50_000_000
SCORES = ("ami", "homogeneity", "eta2")
SCORE_FIELDS = ("value", "low", "high", "chance")


def check_manifest(manifest: dict[str, Any], folder: Path) -> None:
    """Raise BundleError naming the folder and the first field that is missing or wrong."""
    try:
        if manifest.get("format") != FORMAT:
            raise ManifestError("format", f"{manifest.get('format')!r}: only {FORMAT} is known")
        rows = integer_in(manifest, "n_galaxies", "", 1, MAX_GALAXIES)
        text_in(manifest, "name", "")
        _check_survey(object_in(manifest, "survey", ""))
        files = object_in(manifest, "files", "")
        _check_files(files)
        models = object_in(manifest, "models", "")
        for name, entry in models.items():
            _check_model(name, entry, files)
        check_priors(manifest, models, files)
        check_judge(manifest, models, files)
        _check_trainings(manifest)
        _check_clusterings(manifest, models, files, rows)
        known_in(manifest, "display_model", models)
    except ManifestError as error:
        raise BundleError(f"{folder / MANIFEST}{str(error)[len(MANIFEST) :]}") from None


def _check_survey(survey: dict[str, Any]) -> None:
    integer_in(survey, "stamp_size", "survey.", 8, 4096)
    integer_in(survey, "channels", "survey.", 1, 16)
    object_in(survey, "stretch", "survey.")


def _check_files(files: dict[str, Any]) -> None:
    for name in (CATALOG, CARD):
        if name not in files:
            raise ManifestError("files", f"{name} is missing")
    for name, entry in files.items():
        if not FILE_NAME.fullmatch(name) or name == MANIFEST:
            raise ManifestError("files", f"{name!r} is not a plain file name")
        where = f"files.{name}."
        digest = text_in(object_in(files, name, "files."), "sha256", where)
        integer_in(entry, "bytes", where, 0, 1 << 40)
        if not SHA256.fullmatch(digest):
            raise ManifestError(f"{where}sha256", "64 hexadecimal digits are expected")


def _check_model(name: str, entry: Any, files: dict[str, Any]) -> None:
    if not MODEL_NAME.fullmatch(name) or not isinstance(entry, dict):
        raise ManifestError("models", f"{name!r} is not a model")
    where = f"models.{name}."
    encoded, sizes = MODEL_KINDS[known_in(entry, "kind", MODEL_KINDS, where)]
    config = object_in(entry, "config", where)
    for field, limits in sizes.items():
        integer_in(config, field, f"{where}config.", *limits)
    for field in ("weights", encoded):
        known_in(entry, field, files, where)
    check_training(entry, where)


def _check_trainings(manifest: dict[str, Any]) -> None:
    """Models of which only the figures are kept: name, seed, kind and training of each."""
    trainings = manifest.get("trainings", [])
    if not isinstance(trainings, list):
        raise ManifestError("trainings", "a list is expected")
    for number, entry in enumerate(trainings):
        where = f"trainings[{number}]."
        if not isinstance(entry, dict) or not MODEL_NAME.fullmatch(str(entry.get("name"))):
            raise ManifestError(f"trainings[{number}]", "is not a training")
        text_in(entry, "kind", where)
        integer_in(entry, "seed", where, 0, 1 << 40)
        object_in(entry, "config", where)
        check_training(entry, where)


def _check_clusterings(
    manifest: dict[str, Any], models: dict[str, Any], files: dict[str, Any], rows: int
) -> None:
    clusterings = object_in(manifest, "clusterings", "")
    for key, entry in clusterings.items():
        where = f"clusterings.{key}."
        if not isinstance(entry, dict):
            raise ManifestError(f"clusterings.{key}", "an object is expected")
        model = known_in(entry, "model", models, where)
        features = known_in(entry, "features", dict.fromkeys(FEATURES), where)
        if key != f"{model}/{features}":
            raise ManifestError(f"clusterings.{key}", "is not named <model>/<features>")
        known_in(entry, "file", files, where)
        integer_in(entry, "effective_clusters", where, 0, 65536)
        _check_agreement(object_in(entry, "agreement", where), where)
        _check_clusters(entry, where, rows)
    known_in(manifest, "default_clustering", clusterings)


def _check_agreement(agreement: dict[str, Any], where: str) -> None:
    for score in SCORES:
        values = object_in(agreement, score, f"{where}agreement.")
        for field in SCORE_FIELDS:
            if not isinstance(values.get(field), int | float | None):
                raise ManifestError(f"{where}agreement.{score}.{field}", "a number is expected")


def _check_clusters(entry: dict[str, Any], where: str, rows: int) -> None:
    count = integer_in(entry, "n_components", where, 1, 65536)
    clusters = entry.get("clusters")
    if not isinstance(clusters, list) or len(clusters) != count:
        raise ManifestError(f"{where}clusters", f"{count} summaries are expected")
    for number, values in enumerate(clusters):
        field = f"{where}clusters[{number}]"
        try:
            summary = ClusterSummary.from_dict(values)
        except (TypeError, KeyError, ValueError) as error:
            raise ManifestError(field, f"not a cluster summary ({error})") from None
        members = (*summary.typical, summary.medoid)
        counts = (summary.count, summary.n_ttype, *summary.histogram)
        if not all(type(n) is int for n in (*members, *counts, summary.id)):
            raise ManifestError(field, "whole numbers are expected")
        if summary.id != number or summary.kind not in KINDS:
            raise ManifestError(field, f"id {summary.id} or kind {summary.kind!r} is wrong")
        if len(summary.histogram) != TTYPE_CLASSES or sum(summary.histogram) != summary.n_ttype:
            raise ManifestError(f"{field}.histogram", "does not add up to n_ttype")
        if any(not -1 <= row < rows for row in members):
            raise ManifestError(field, f"a member is not a row of the {rows} galaxies")
