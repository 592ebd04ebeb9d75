"""What a manifest must say: every field that the package relies on, checked by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from galaxy_explorer.bundle_files import CARD, CATALOG, FILE_NAME, MANIFEST, SHA256
from galaxy_explorer.clustering.summary import KINDS, TTYPE_CLASSES, ClusterSummary
from galaxy_explorer.errors import BundleError

FORMAT = 2
FEATURES = ("index", "codes", "latents", "rings")
CODED = {"num_embeddings": (2, 65536), "embedding_dim": (1, 4096), "map_size": (1, 1024)}
# Kind of model: the file of what it encodes the galaxies to, and its sizes with their limits.
MODEL_KINDS: dict[str, tuple[str, dict[str, tuple[int, int]]]] = {
    "vqvae": ("codes", CODED),
    "psf-vqvae": ("codes", {**CODED, "psf_size": (3, 1024)}),
    "convae": ("latents", {}),
}
PRIOR_SIZES = {
    "height": (1, 1024),
    "width": (1, 1024),
    "num_embeddings": (2, 65536),
    "layers": (1, 256),
    "features": (1, 4096),
    "first_kernel": (3, 31),
    "kernel": (1, 31),
    "n_fields": (0, 64),
    "condition_dim": (1, 4096),
    "octaves": (0, 32),
}
FIELD_TEXTS = {"name", "label", "unit", "column", "over"}
FIELD_NUMBERS = {"low", "high", "default", "mean", "spread"}
MAX_CURVE = 1000
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
MAX_GALAXIES = 50_000_000
SCORES = ("ami", "homogeneity", "eta2")
SCORE_FIELDS = ("value", "low", "high", "chance")


class ManifestError(BundleError):
    """A field of the manifest is missing or out of range."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{MANIFEST}: {field}: {reason}")


def check_manifest(manifest: dict[str, Any], folder: Path) -> None:
    """Raise BundleError naming the folder and the first field that is missing or wrong."""
    try:
        if manifest.get("format") != FORMAT:
            raise ManifestError("format", f"{manifest.get('format')!r}: only {FORMAT} is known")
        rows = _integer(manifest, "n_galaxies", "", 1, MAX_GALAXIES)
        _text(manifest, "name", "")
        _check_survey(_object(manifest, "survey", ""))
        files = _object(manifest, "files", "")
        _check_files(files)
        models = _object(manifest, "models", "")
        for name, entry in models.items():
            _check_model(name, entry, files)
        _check_priors(manifest, models, files)
        _check_trainings(manifest)
        _check_clusterings(manifest, models, files, rows)
        _known(manifest, "display_model", models)
    except ManifestError as error:
        raise BundleError(f"{folder / MANIFEST}{str(error)[len(MANIFEST) :]}") from None


def _check_survey(survey: dict[str, Any]) -> None:
    _integer(survey, "stamp_size", "survey.", 8, 4096)
    _integer(survey, "channels", "survey.", 1, 16)
    _object(survey, "stretch", "survey.")


def _check_files(files: dict[str, Any]) -> None:
    for name in (CATALOG, CARD):
        if name not in files:
            raise ManifestError("files", f"{name} is missing")
    for name, entry in files.items():
        if not FILE_NAME.fullmatch(name) or name == MANIFEST:
            raise ManifestError("files", f"{name!r} is not a plain file name")
        where = f"files.{name}."
        digest = _text(_object(files, name, "files."), "sha256", where)
        _integer(entry, "bytes", where, 0, 1 << 40)
        if not SHA256.fullmatch(digest):
            raise ManifestError(f"{where}sha256", "64 hexadecimal digits are expected")


def _check_model(name: str, entry: Any, files: dict[str, Any]) -> None:
    if not MODEL_NAME.fullmatch(name) or not isinstance(entry, dict):
        raise ManifestError("models", f"{name!r} is not a model")
    where = f"models.{name}."
    encoded, sizes = MODEL_KINDS[_known(entry, "kind", MODEL_KINDS, where)]
    config = _object(entry, "config", where)
    for field, limits in sizes.items():
        _integer(config, field, f"{where}config.", *limits)
    for field in ("weights", encoded):
        _known(entry, field, files, where)
    _check_training(entry, where)


def _check_training(entry: dict[str, Any], where: str, score: str = "nmse") -> None:
    """Steps, figures and curve of a training; `best_step` and `rule_step` may be absent."""
    _integer(entry, "steps", where, 0, 1 << 40)
    _check_numbers(_object(entry, "metrics", where), f"{where}metrics")
    for field in ("best_step", "rule_step"):
        if entry.get(field) is not None:
            _integer(entry, field, where, 0, 1 << 40)
    curve = entry.get("curve", [])
    if not isinstance(curve, list) or len(curve) > MAX_CURVE:
        raise ManifestError(f"{where}curve", f"a list of at most {MAX_CURVE} rows is expected")
    for row in curve:
        if not isinstance(row, dict) or not {"step", score} <= row.keys():
            raise ManifestError(f"{where}curve", f"rows with step and {score} are expected")
        _check_numbers(row, f"{where}curve")


def _check_priors(manifest: dict[str, Any], models: dict[str, Any], files: dict[str, Any]) -> None:
    """Priors by the model whose code maps they draw; there may be none."""
    priors = manifest.get("priors", {})
    if not isinstance(priors, dict):
        raise ManifestError("priors", "an object is expected")
    for name, entry in priors.items():
        where = f"priors.{name}."
        if name not in models or not isinstance(entry, dict):
            raise ManifestError(f"priors.{name}", "is not the prior of a model of this bundle")
        config, coded = _object(entry, "config", where), models[name]["config"]
        for field, limits in PRIOR_SIZES.items():
            _integer(config, field, f"{where}config.", *limits)
        shape = tuple(config[field] for field in ("height", "width", "num_embeddings"))
        if shape != (coded.get("map_size"), coded.get("map_size"), coded.get("num_embeddings")):
            raise ManifestError(f"{where}config", f"{shape} are not the codes of {name}")
        _known(entry, "file", files, where)
        _check_fields(entry, where, config["n_fields"])
        _number(entry, "default_guidance", where, 1, 5)
        _check_training(entry, where, score="nll")


def _check_fields(entry: dict[str, Any], where: str, count: int) -> None:
    fields = entry.get("fields")
    if not isinstance(fields, list) or len(fields) != count:
        raise ManifestError(f"{where}fields", f"{count} are expected")
    for number, values in enumerate(fields):
        place = f"{where}fields[{number}]."
        if not isinstance(values, dict) or values.keys() - FIELD_TEXTS - FIELD_NUMBERS - {"log"}:
            raise ManifestError(place[:-1], "is not a field")
        for text in ("name", "label", "column"):
            _text(values, text, place)
        if any(not isinstance(values.get(text), str) for text in ("unit", "over")):
            raise ManifestError(place[:-1], "unit and over are texts")
        for figure in sorted(FIELD_NUMBERS):
            _number(values, figure, place, -1e9, 1e9)
        sound = values["low"] <= values["default"] <= values["high"] and values["spread"] > 0
        if (
            not sound
            or type(values.get("log")) is not bool
            or (values["log"] and values["low"] <= 0)
        ):
            raise ManifestError(place[:-1], "low, default, high or spread contradict each other")


def _number(parent: dict[str, Any], field: str, where: str, low: float, high: float) -> None:
    value = parent.get(field)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ManifestError(f"{where}{field}", f"a number {low:g} to {high:g} is expected")


def _check_numbers(values: dict[str, Any], where: str) -> None:
    for field, value in values.items():
        if type(value) not in (int, float):
            raise ManifestError(f"{where}.{field}", "a number is expected")


def _check_trainings(manifest: dict[str, Any]) -> None:
    """Models of which only the figures are kept: name, seed, kind and training of each."""
    trainings = manifest.get("trainings", [])
    if not isinstance(trainings, list):
        raise ManifestError("trainings", "a list is expected")
    for number, entry in enumerate(trainings):
        where = f"trainings[{number}]."
        if not isinstance(entry, dict) or not MODEL_NAME.fullmatch(str(entry.get("name"))):
            raise ManifestError(f"trainings[{number}]", "is not a training")
        _text(entry, "kind", where)
        _integer(entry, "seed", where, 0, 1 << 40)
        _object(entry, "config", where)
        _check_training(entry, where)


def _check_clusterings(
    manifest: dict[str, Any], models: dict[str, Any], files: dict[str, Any], rows: int
) -> None:
    clusterings = _object(manifest, "clusterings", "")
    for key, entry in clusterings.items():
        where = f"clusterings.{key}."
        if not isinstance(entry, dict):
            raise ManifestError(f"clusterings.{key}", "an object is expected")
        model = _known(entry, "model", models, where)
        features = _known(entry, "features", dict.fromkeys(FEATURES), where)
        if key != f"{model}/{features}":
            raise ManifestError(f"clusterings.{key}", "is not named <model>/<features>")
        _known(entry, "file", files, where)
        _integer(entry, "effective_clusters", where, 0, 65536)
        _check_agreement(_object(entry, "agreement", where), where)
        _check_clusters(entry, where, rows)
    _known(manifest, "default_clustering", clusterings)


def _check_agreement(agreement: dict[str, Any], where: str) -> None:
    for score in SCORES:
        values = _object(agreement, score, f"{where}agreement.")
        for field in SCORE_FIELDS:
            if not isinstance(values.get(field), int | float | None):
                raise ManifestError(f"{where}agreement.{score}.{field}", "a number is expected")


def _check_clusters(entry: dict[str, Any], where: str, rows: int) -> None:
    count = _integer(entry, "n_components", where, 1, 65536)
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


def _object(parent: dict[str, Any], field: str, where: str) -> dict[str, Any]:
    value = parent.get(field)
    if not isinstance(value, dict):
        raise ManifestError(f"{where}{field}", "an object is expected")
    return value


def _text(parent: dict[str, Any], field: str, where: str) -> str:
    value = parent.get(field)
    if not isinstance(value, str) or not value:
        raise ManifestError(f"{where}{field}", "text is expected")
    return value


def _integer(parent: dict[str, Any], field: str, where: str, low: int, high: int) -> int:
    value = parent.get(field)
    if type(value) is not int or not low <= value <= high:
        raise ManifestError(f"{where}{field}", f"a whole number {low} to {high} is expected")
    return value


def _known(parent: dict[str, Any], field: str, names: dict[str, Any], where: str = "") -> str:
    value = parent.get(field)
    if not isinstance(value, str) or value not in names:
        raise ManifestError(f"{where}{field}", f"{value!r} is not one of {sorted(names)[:12]}")
    return value
