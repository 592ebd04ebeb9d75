"""What a manifest must say: every field that the package relies on, checked by name.

Fields of a manifest, each taken by name and type; who lacks one is told where.

The models of a bundle: what the manifest says of each, and what each made of every galaxy.

The judge of a bundle: what the manifest says of it, and the network itself.

A supervised network that has learnt T from real stamps of the train split, independent of whatever
draws the galaxies that it judges.

What a manifest must say of its priors: of code maps, and of latents.

The priors of a bundle: what the manifest says of each, and the networks themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle.files import (
    CARD,
    CATALOG,
    FILE_NAME,
    MANIFEST,
    SHA256,
    parse_arrays,
    parse_codes,
)
from galaxy_explorer.clustering.summary import KINDS, TTYPE_CLASSES, ClusterSummary
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.conditions import Field

if TYPE_CHECKING:
    from galaxy_explorer.models.inference import Prior
    from galaxy_explorer.models.ttype_regressor import StoredRegressor


MAX_CURVE = 1000


class ManifestError(BundleError):
    """A field of the manifest is missing or out of range."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{MANIFEST}: {field}: {reason}")


def object_in(parent: dict[str, Any], field: str, where: str) -> dict[str, Any]:
    """An object."""
    value = parent.get(field)
    if not isinstance(value, dict):
        raise ManifestError(f"{where}{field}", "an object is expected")
    return value


def text_in(parent: dict[str, Any], field: str, where: str) -> str:
    """A text that is not empty."""
    value = parent.get(field)
    if not isinstance(value, str) or not value:
        raise ManifestError(f"{where}{field}", "text is expected")
    return value


def integer_in(parent: dict[str, Any], field: str, where: str, low: int, high: int) -> int:
    """A whole number within limits."""
    value = parent.get(field)
    if type(value) is not int or not low <= value <= high:
        raise ManifestError(f"{where}{field}", f"a whole number {low} to {high} is expected")
    return value


def known_in(parent: dict[str, Any], field: str, names: dict[str, Any], where: str = "") -> str:
    """One of the names."""
    value = parent.get(field)
    if not isinstance(value, str) or value not in names:
        raise ManifestError(f"{where}{field}", f"{value!r} is not one of {sorted(names)[:12]}")
    return value


def number_in(parent: dict[str, Any], field: str, where: str, low: float, high: float) -> None:
    """Check a number within limits."""
    value = parent.get(field)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ManifestError(f"{where}{field}", f"a number {low:g} to {high:g} is expected")


def check_numbers(values: dict[str, Any], where: str) -> None:
    """Check that all values are numbers."""
    for field, value in values.items():
        if type(value) not in (int, float):
            raise ManifestError(f"{where}.{field}", "a number is expected")


def check_training(entry: dict[str, Any], where: str, score: str = "nmse") -> None:
    """Steps, figures and curve of a training; `best_step` and `rule_step` may be absent."""
    integer_in(entry, "steps", where, 0, 1 << 40)
    check_numbers(object_in(entry, "metrics", where), f"{where}metrics")
    for field in ("best_step", "rule_step"):
        if entry.get(field) is not None:
            integer_in(entry, field, where, 0, 1 << 40)
    curve = entry.get("curve", [])
    if not isinstance(curve, list) or len(curve) > MAX_CURVE:
        raise ManifestError(f"{where}curve", f"a list of at most {MAX_CURVE} rows is expected")
    for row in curve:
        if not isinstance(row, dict) or not {"step", score} <= row.keys():
            raise ManifestError(f"{where}curve", f"rows with step and {score} are expected")
        check_numbers(row, f"{where}curve")


LATENTS = "latents"
HIERARCHICAL_KIND = "vqvae2"
SCALE = ".scale"  # of a matrix stored in eight bits: one number for each of its rows


@dataclass(frozen=True)
class ModelEntry:
    """One trained autoencoder as the manifest describes it.

    kind: "vqvae" and "psf-vqvae" have code maps, "vqvae2" has two, "convae" has latents. metrics:
    measured on the held-out test split (mse, nmse, psnr_db, n_test; with codes also perplexity and
    used_share). steps, seconds: what the training ran. curve: figures on the validation split every
    5 % of the steps. best_step: whose weights are kept. rule_step: where the stop rule was first
    met, None if never.
    """

    name: str
    config: dict[str, Any]
    steps: int
    seconds: float
    metrics: dict[str, float]
    kind: str = "vqvae"
    curve: tuple[dict[str, float], ...] = ()
    best_step: int | None = None
    rule_step: int | None = None

    @property
    def rule_cost(self) -> float | None:
        """By how much the error would have been larger had the training ended by the rule.

        A share of the error of the best step; None where the rule was never met.
        """
        at = {row["step"]: row["nmse"] for row in self.curve}
        if self.rule_step is None or self.rule_step not in at:
            return None
        return at[self.rule_step] / min(at.values()) - 1


def read_models(
    manifest: dict[str, Any], data: dict[str, bytes], folder: Path
) -> tuple[dict[str, ModelEntry], dict[str, np.ndarray]]:
    """Entries by name, and what each model encodes the galaxies to, checked against its config.

    Raises BundleError naming the file that is not what the manifest says.
    """
    rows = manifest["n_galaxies"]
    models, encoded = {}, {}
    for name, entry in manifest["models"].items():
        check_weights(data[entry["weights"]], folder / entry["weights"])
        read = _read_latents if entry["kind"] == "convae" else _read_codes
        encoded[name] = read(entry, rows, data, folder)
        models[name] = _entry(name, entry)
    return models, encoded


def _entry(name: str, entry: dict[str, Any]) -> ModelEntry:
    return ModelEntry(
        name=name,
        config=entry["config"],
        steps=entry["steps"],
        seconds=float(entry.get("seconds", 0)),
        metrics=entry["metrics"],
        kind=entry["kind"],
        curve=tuple(entry.get("curve", ())),
        best_step=entry.get("best_step"),
        rule_step=entry.get("rule_step"),
    )


def _read_codes(
    entry: dict[str, Any], rows: int, data: dict[str, bytes], folder: Path
) -> np.ndarray:
    config, file = entry["config"], entry["codes"]
    if entry["kind"] == HIERARCHICAL_KIND:  # both maps of a galaxy in one row, the top one first
        side = config["bottom_size"]
        shape: tuple[int, ...] = (rows, side**2 + (side // 2) ** 2)
    else:
        shape = (rows, config["map_size"], config["map_size"])
    return parse_codes(data[file], folder / file, shape, config["num_embeddings"])


def _read_latents(
    entry: dict[str, Any], rows: int, data: dict[str, bytes], folder: Path
) -> np.ndarray:
    path = folder / entry[LATENTS]
    latents = parse_arrays(data[path.name], path).get(LATENTS)
    if latents is None or latents.dtype != np.float16 or latents.ndim != 2:
        raise BundleError(f"{path}: a table of float16 named {LATENTS} is expected")
    if len(latents) != rows:
        raise BundleError(f"{path}: {len(latents)} rows where {rows} are expected")
    return latents


def check_weights(data: bytes, path: Path) -> None:
    """Weights are float16, or int8 with a float32 scale beside; finite.

    Their shapes are compared when the model is loaded.
    """
    arrays = parse_arrays(data, path)
    for name, array in arrays.items():
        scaled = array.dtype == np.int8 and name + SCALE in arrays
        scale = array.dtype == np.float32 and name.endswith(SCALE)
        if array.dtype != np.float16 and not (scaled or scale):
            raise BundleError(f"{path}: {name} is {array.dtype} where float16 is expected")


JUDGE = "judge.safetensors"
CURE = "run galaxy-explorer evaluate --emulator again"


@dataclass(frozen=True)
class Reading:
    """How well T is read: r, its correlation with the catalogued T; errors in stages.

    rms: root mean square error. bias: mean error, below 0 where T is read too early.
    """

    r: float
    rms: float
    bias: float

    @property
    def words(self) -> str:
        """All three."""
        side = "early" if self.bias < 0 else "late"
        return (
            f"r {self.r:.2f}, rms error {self.rms:.1f}, on average {abs(self.bias):.1f} too {side}"
        )


@dataclass(frozen=True)
class RegressorEntry:
    """The judge as the manifest describes it, measured with the weights that ship.

    n: held-out galaxies with a T. real: read from their stamps. drawn: by the name of a model,
    read from what it draws of their codes or latents, under noise as of real stamps.
    """

    n: int
    real: Reading
    drawn: dict[str, Reading]

    def of(self, model: str) -> str:
        """What is known of its errors, in stages, on what a model draws, in words."""
        kinds = {f"{self.n} held-out real galaxies": self.real}
        if model in self.drawn:
            kinds["the same galaxies as the model draws them"] = self.drawn[model]
        return "; ".join(f"{kind}: {reading.words}" for kind, reading in kinds.items())


def check_judge(manifest: dict[str, Any], models: dict[str, Any], files: dict[str, Any]) -> None:
    """The judge of a manifest; there may be none."""
    if "judge" not in manifest:
        return
    entry = object_in(manifest, "judge", "")
    known_in(entry, "file", files, "judge.")
    integer_in(entry, "n", "judge.", 1, 1 << 40)
    _check_reading(object_in(entry, "real", "judge."), "judge.real.")
    drawn = object_in(entry, "drawn", "judge.")
    for name in drawn:
        if name not in models:
            raise ManifestError(f"judge.drawn.{name}", "is not a model of this bundle")
        _check_reading(object_in(drawn, name, "judge.drawn."), f"judge.drawn.{name}.")


def _check_reading(values: dict[str, Any], where: str) -> None:
    number_in(values, "r", where, -1, 1)
    number_in(values, "rms", where, 0, 1000)
    number_in(values, "bias", where, -1000, 1000)


def read_regressor(
    manifest: dict[str, Any], data: dict[str, bytes], folder: Path
) -> RegressorEntry | None:
    """What is said of the judge, None where there is none.

    Raises BundleError naming the file whose weights are not numbers.
    """
    entry = manifest.get("judge")
    if entry is None:
        return None
    try:
        check_weights(data[entry["file"]], folder / entry["file"])
    except BundleError as error:
        raise BundleError(f"{error}; {CURE}") from None
    drawn = {name: _reading(values) for name, values in entry["drawn"].items()}
    return RegressorEntry(entry["n"], _reading(entry["real"]), drawn)


def _reading(values: dict[str, Any]) -> Reading:
    return Reading(*(float(values[name]) for name in ("r", "rms", "bias")))


def open_regressor(data: bytes, path: Path, survey: dict[str, Any]) -> StoredRegressor:
    """The network of verified bytes, in evaluation mode; loads torch at the first call.

    survey: as in the manifest. Raises BundleError where it does not read such stamps.
    """
    from galaxy_explorer.models.ttype_regressor import parse_judge

    try:
        return parse_judge(data, channels=survey["channels"], side=survey["stamp_size"])
    except ValueError as error:
        raise BundleError(f"{path}: not the judge of these stamps: {error}; {CURE}") from None


CODE_PRIOR, HIERARCHICAL, FLOW = "pixelcnn", "hierarchical", "flow"
COMMON = {"n_fields": (0, 64), "condition_dim": (1, 4096), "octaves": (0, 32)}
MAPS = {
    "height": (1, 1024),
    "width": (1, 1024),
    "num_embeddings": (2, 65536),
    "layers": (1, 256),
    "features": (1, 4096),
    "first_kernel": (3, 31),
    "kernel": (1, 31),
    **COMMON,
}
# Kind of prior: its sizes with their limits.
PRIOR_SIZES: dict[str, dict[str, tuple[int, int]]] = {
    CODE_PRIOR: MAPS,
    HIERARCHICAL: MAPS,
    FLOW: {
        "latents": (2, 256),
        "transforms": (1, 64),
        "hidden": (1, 4096),
        "bins": (2, 64),
        "bound": (1, 100),
        **COMMON,
    },
}
FIELD_TEXTS = {"name", "label", "unit", "column", "over"}
FIELD_NUMBERS = {"low", "high", "default", "mean", "spread"}


def kind_of(entry: dict[str, Any]) -> str:
    """The kind of a prior; older bundles, which name none, have priors of code maps alone."""
    return str(entry.get("kind", CODE_PRIOR))


def check_priors(manifest: dict[str, Any], models: dict[str, Any], files: dict[str, Any]) -> None:
    """Priors by the model whose code maps or latents they draw; there may be none."""
    priors = manifest.get("priors", {})
    if not isinstance(priors, dict):
        raise ManifestError("priors", "an object is expected")
    for name, entry in priors.items():
        where = f"priors.{name}."
        if name not in models or not isinstance(entry, dict):
            raise ManifestError(f"priors.{name}", "is not the prior of a model of this bundle")
        known_in({"kind": entry.get("kind", CODE_PRIOR)}, "kind", PRIOR_SIZES, where)
        config = object_in(entry, "config", where)
        for field, limits in PRIOR_SIZES[kind_of(entry)].items():
            integer_in(config, field, f"{where}config.", *limits)
        _check_drawn(kind_of(entry), config, models[name], where)
        known_in(entry, "file", files, where)
        _check_fields(entry, where, config["n_fields"])
        number_in(entry, "default_guidance", where, 1, 5)
        check_training(entry, where, score="nll")


def _check_drawn(kind: str, config: dict[str, Any], model: dict[str, Any], where: str) -> None:
    """The prior draws what its model encodes galaxies to."""
    if kind == FLOW:
        if "latents" not in model:
            raise ManifestError(f"{where}kind", "a flow is of a model with latents")
        return
    coded = model["config"]
    side = coded.get("bottom_size" if kind == HIERARCHICAL else "map_size")
    shape = tuple(config[field] for field in ("height", "width", "num_embeddings"))
    if shape != (side, side, coded.get("num_embeddings")):
        name = where.removeprefix("priors.").rstrip(".")
        raise ManifestError(f"{where}config", f"{shape} are not the codes of {name}")


def _check_fields(entry: dict[str, Any], where: str, count: int) -> None:
    fields = entry.get("fields")
    if not isinstance(fields, list) or len(fields) != count:
        raise ManifestError(f"{where}fields", f"{count} are expected")
    for number, values in enumerate(fields):
        place = f"{where}fields[{number}]."
        if not isinstance(values, dict) or values.keys() - FIELD_TEXTS - FIELD_NUMBERS - {"log"}:
            raise ManifestError(place[:-1], "is not a field")
        for text in ("name", "label", "column"):
            text_in(values, text, place)
        if any(not isinstance(values.get(text), str) for text in ("unit", "over")):
            raise ManifestError(place[:-1], "unit and over are texts")
        for figure in sorted(FIELD_NUMBERS):
            number_in(values, figure, place, -1e9, 1e9)
        sound = values["low"] <= values["default"] <= values["high"] and values["spread"] > 0
        if (
            not sound
            or type(values.get("log")) is not bool
            or (values["log"] and values["low"] <= 0)
        ):
            raise ManifestError(place[:-1], "low, default, high or spread contradict each other")


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


@dataclass(frozen=True)
class PriorEntry:
    """The prior over the code maps or latents of one model as the manifest describes it.

    kind: "pixelcnn" of code maps, "flow" of latents. fields: what it may be asked for.
    default_guidance: 1 until `evaluate --emulator` chooses it. metrics: of the held-out galaxies
    with a known T: nll, nats a galaxy asked for all that is known, of a flow a density over
    latents, which may be below 0; bits, the same a code; nll_gaussian, of a Gaussian in place of
    the flow; nll_first, asked for T alone; nll_withheld, for nothing; label_gain, the nats that
    shuffling T costs nll_first, and its error; n_known, how many they are. curve: the same on the
    validation split every 5 % of the steps.
    """

    model: str
    config: dict[str, Any]
    fields: tuple[Field, ...]
    steps: int
    seconds: float
    default_guidance: float
    metrics: dict[str, float]
    recipe: dict[str, Any]
    curve: tuple[dict[str, float], ...] = ()
    best_step: int | None = None
    kind: str = CODE_PRIOR


def read_priors(
    manifest: dict[str, Any],
    data: dict[str, bytes],
    folder: Path,
    encoded: Mapping[str, np.ndarray],
) -> dict[str, PriorEntry]:
    """Entries by the name of their model; none of a bundle without priors.

    encoded: what each model encodes the galaxies to. Raises BundleError naming the file whose
    weights are not numbers, or that draws as many latents as its model does not have.
    """
    priors = {}
    for model, entry in manifest.get("priors", {}).items():
        check_weights(data[entry["file"]], folder / entry["file"])
        count = encoded[model].shape[1]
        if kind_of(entry) == FLOW and entry["config"]["latents"] != count:
            raise BundleError(f"{folder / entry['file']}: {model} has {count} latents")
        priors[model] = _prior_entry(model, entry)
    return priors


def _prior_entry(model: str, entry: dict[str, Any]) -> PriorEntry:
    return PriorEntry(
        model=model,
        config=entry["config"],
        fields=tuple(Field(**field) for field in entry["fields"]),
        steps=entry["steps"],
        seconds=float(entry.get("seconds", 0)),
        default_guidance=float(entry["default_guidance"]),
        metrics=entry["metrics"],
        recipe=entry.get("recipe", {}),
        curve=tuple(entry.get("curve", ())),
        best_step=entry.get("best_step"),
        kind=kind_of(entry),
    )


def main_prior(priors: Iterable[PriorEntry]) -> PriorEntry | None:
    """The prior that draws where none is named: the first of code maps, else the first."""
    return min(priors, key=lambda entry: entry.kind != CODE_PRIOR, default=None)


def open_prior(entry: PriorEntry, path: Path) -> Prior:
    """The network of a verified file, in evaluation mode; raises BundleError where it does not fit.

    Loads torch at the first call.
    """
    from galaxy_explorer.models.inference import load_prior, prior_config

    try:
        return load_prior(prior_config(entry.kind, entry.config), path)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise BundleError(f"{path}: does not fit the prior of {entry.model}: {error}") from None
