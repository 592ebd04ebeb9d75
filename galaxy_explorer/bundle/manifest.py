"""What a manifest says: every field that the package relies on, with its type and limits.

`parse_manifest` makes a `Manifest` of JSON values. Format 3 is format 2 with the large arrays of
many galaxies in files that are hashed in parts and read when they are used. Keys on disk are those
of format 2; where the field's word has changed since, the annotation names the key. Fields that are
not listed here are kept when a bundle is written again, and read by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from galaxy_explorer.bundle.clusterings import ClusteringEntry, check_clusterings
from galaxy_explorer.bundle.files import CARD, CATALOG, FILE_NAME, MANIFEST, SHA256, FileEntry
from galaxy_explorer.bundle.json_values import (
    Count,
    FieldError,
    Name,
    Numbers,
    Text,
    build,
    check_known,
    one_of,
)
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.conditions import ATTRIBUTES, Field
from galaxy_explorer.models.registry import AUTOENCODERS, DEFAULT_PRIOR, PRIORS, Limits

FORMAT, PARTED = 2, 3
MAX_GALAXIES = 50_000_000
MAX_CURVE = 1000
JUDGE = "judge.safetensors"
ATTRIBUTE_NAMES = tuple(name for name, _, _ in ATTRIBUTES)
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")

ModelName = Annotated[str, Meta(pattern=rf"\A{MODEL_NAME.pattern}\Z")]
Limited = Annotated[float, Meta(ge=-1e9, le=1e9)]
Curve = Annotated[tuple[Numbers, ...], Meta(max_length=MAX_CURVE)]


class SurveyEntry(Struct, frozen=True):
    """The survey that a bundle was trained on: its stamps (C, S, S), how they were stretched.

    counts, splits: galaxies; sources: what each file of the survey gave. orientation: how rows lie,
    "" of bundles that do not say, whose FITS rows lie as stored. frame: "measured" where galaxies
    were framed by their size. fingerprint: SHA-256 of ids and pixels.
    """

    stamp_size: Annotated[int, Meta(ge=8, le=4096)]
    channels: Annotated[int, Meta(ge=1, le=16)]
    stretch: dict[str, Any]
    name: Text = ""
    band: Text | None = None
    pixel_scale_arcsec: float | None = None
    fingerprint: Text = ""
    counts: dict[str, Any] = {}
    splits: dict[str, int] = {}
    sources: tuple[dict[str, Any], ...] = ()
    orientation: Text = ""
    frame: Annotated[str, one_of(("", "measured"))] = ""


class _Training(Struct, frozen=True, kw_only=True):
    """How a network was trained.

    steps, seconds: what the training ran. metrics: measured on the held-out test split. curve:
    figures on the validation split every 5 % of the steps. best_step: whose weights are kept.
    starts: networks that were begun, of which all but the last died; unset where the first lived.
    early_stop_step: where the stop rule was first met, None if never.
    """

    name: ModelName
    kind: Name
    config: dict[str, Any]
    steps: Count
    best_step: Count | None = None
    early_stop_step: Count | None = field(default=None, name="rule_step")
    seconds: float = 0.0
    starts: Count | UnsetType = UNSET
    metrics: Numbers
    curve: Curve = ()


class AutoencoderEntry(_Training, frozen=True, kw_only=True):
    """A trained autoencoder, whether or not it ships."""

    @property
    def early_stop_cost(self) -> float | None:
        """By how much the error would have been larger had the training ended by the rule.

        A share of the error of the best step; None where the rule was never met.
        """
        at = {row["step"]: row["nmse"] for row in self.curve}
        if self.early_stop_step is None or self.early_stop_step not in at:
            return None
        return at[self.early_stop_step] / min(at.values()) - 1


class ModelEntry(AutoencoderEntry, frozen=True, kw_only=True):
    """One trained autoencoder.

    kind: a key of `models.registry.AUTOENCODERS`. metrics:
    mse, nmse, psnr_db, n_test; with codes also perplexity and used_share. weights, codes, latents:
    names of its files.
    """

    weights: Name
    codes: Name | None = None
    latents: Name | None = None

    @property
    def has_latents(self) -> bool:
        """Whether it encodes galaxies to latents, not to codes."""
        return not AUTOENCODERS[self.kind].maps


class ExtraTraining(AutoencoderEntry, frozen=True, kw_only=True):
    """A trained autoencoder that does not ship: of it the figures alone are kept."""

    seed: Count


class PriorField(Field, frozen=True, forbid_unknown_fields=True):
    """A field that a prior may be asked for, nothing of it left to a default."""

    name: Name
    label: Name
    unit: Text
    low: Limited
    high: Limited
    default: Limited
    column: Name
    over: Text
    log: bool
    mean: Limited
    spread: Annotated[float, Meta(gt=0, le=1e9)]

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high or (self.log and self.low <= 0):
            raise ValueError("low, default and high contradict each other")


class PriorEntry(_Training, frozen=True, kw_only=True):
    """One prior over the code maps or latents of one model, which may have one of each kind.

    kind: "pixelcnn" of code maps, "hierarchical" of two of them, "rectified" of code maps by way of
    vectors, "flow" of latents; older bundles, which name none, have priors of code maps alone.
    fields: what it may be asked for. default_guidance: 1 until `evaluate --emulator` chooses it.
    metrics: of the held-out galaxies with a known T: nll, nats a galaxy asked for all that is
    known, of a flow a density over latents, which may be below 0; bits, the same a code;
    nll_gaussian, of a Gaussian in place of the flow; nll_first, asked for T alone; nll_withheld,
    for nothing; label_gain, the nats that
    shuffling T costs nll_first, and its error; n_known, how many they are. curve: the same on the
    validation split every 5 % of the steps.
    """

    kind: Name = DEFAULT_PRIOR
    fields: tuple[PriorField, ...]
    recipe: dict[str, Any] = {}
    default_guidance: Annotated[float, Meta(ge=1, le=5)]
    precision: Text = ""
    file: Name

    @property
    def model(self) -> str:
        """The model whose code maps or latents it draws."""
        return self.name

    @property
    def key(self) -> str:
        """Its name among the priors of a bundle, "<model>/<kind>"."""
        return f"{self.model}/{self.kind}"


Correlation = Annotated[float, Meta(ge=-1, le=1)]


class Reading(Struct, frozen=True):
    """How well T, or an attribute, is read: r, its correlation with the catalogue; errors.

    rms: root mean square error. bias: mean error, below 0 where T is read too early. Both in stages
    of T, or of an attribute from 0 to 1. low, high: 95 % interval of r over galaxies, None in
    bundles of before.
    """

    r: Correlation
    rms: Annotated[float, Meta(ge=0, le=1000)]
    bias: Annotated[float, Meta(ge=-1000, le=1000)]
    low: Correlation | None = None
    high: Correlation | None = None

    @property
    def words(self) -> str:
        """All three."""
        mean = f"{self.bias:+.2g}".replace("-", "−")
        return f"r {self.r:.2f}, rms error {self.rms:.2g}, mean error {mean}"


class ReadingsEntry(Struct, frozen=True, kw_only=True):
    """How well something is read of n held-out galaxies.

    real: from their stamps. drawn: by the name of a model, from what it draws of their codes or
    latents, under noise as of real stamps.
    """

    n: Annotated[int, Meta(ge=1, le=1 << 40)]
    real: Reading
    drawn: dict[str, Reading]

    def drawn_by(self, model: str) -> Reading:
        """Of what a model draws; of real stamps where that was not measured."""
        return self.drawn.get(model, self.real)

    def of(self, model: str) -> str:
        """What is known of the errors, on what a model draws, in words."""
        kinds = {f"{self.n} held-out real galaxies": self.real}
        if model in self.drawn:
            kinds["the same galaxies as the model draws them"] = self.drawn[model]
        return "; ".join(f"{kind}: {reading.words}" for kind, reading in kinds.items())


class RegressorEntry(ReadingsEntry, frozen=True, kw_only=True):
    """The network that reads T and attributes from a stamp, measured with the weights that ship.

    It has learnt from real stamps of the train split, independent of whatever draws the galaxies
    that it judges. n, real, drawn: of T. sources: of T, by whose T it is, where the catalogue says.
    attributes: what else it reads, in the order of its outputs; none in bundles of before.
    """

    file: Name
    sources: dict[Text, ReadingsEntry] = {}
    attributes: dict[Name, ReadingsEntry] = {}


class CardFigure(Struct, frozen=True):
    """A figure of the model card that was measured on the finished bundle, and by which command."""

    what: Text
    value: Text
    command: Text


class ExcerptEntry(Struct, frozen=True):
    """The bundle that the networks are from: its name, galaxies, hash and survey's fingerprint.

    Everything but the catalogue, the code maps and the counts of the clusters is that of it.
    survey: name of the survey that was encoded, "" of an excerpt of its own galaxies.
    """

    of: Name
    n_galaxies: Annotated[int, Meta(ge=1, le=MAX_GALAXIES)]
    sha256: Annotated[str, Meta(pattern=rf"\A{SHA256.pattern}\Z")]
    fingerprint: Text
    survey: Text = ""


class Manifest(Struct, frozen=True, kw_only=True):
    """A manifest. Tables are by name, clusterings by "<model>/<features>", priors by
    "<model>/<kind>".

    recipe: of the autoencoders' training. hardware: the class of machine. extra_trainings: models
    of which only the figures are kept. ttype_regressor: the network that judges samples. excerpt:
    of which bundle it has the networks, with a part of its galaxies or others; None where they
    were trained on these.
    """

    format: int
    n_galaxies: Annotated[int, Meta(ge=1, le=MAX_GALAXIES)]
    name: Name
    software: Text = ""
    created: Text = ""
    recipe: dict[str, Any] = {}
    hardware: Text = ""
    survey: SurveyEntry
    models: dict[ModelName, ModelEntry]
    clusterings: dict[str, ClusteringEntry]
    default_clustering: Name
    display_model: Name
    extra_trainings: tuple[ExtraTraining, ...] = field(default=(), name="trainings")
    priors: dict[str, PriorEntry] = {}
    ttype_regressor: RegressorEntry | None = field(default=None, name="judge")
    figures: tuple[CardFigure, ...] = ()
    excerpt: ExcerptEntry | None = None
    files: dict[str, FileEntry]

    @property
    def in_parts(self) -> frozenset[str]:
        """Names of the files that are mapped, and checked part by part when they are read."""
        if self.format != PARTED:
            return frozenset()
        encoded = (model.latents or model.codes for model in self.models.values())
        values = (one.values for one in self.clusterings.values())
        return frozenset(name for name in (*encoded, *values) if name is not None)

    @property
    def has_other_galaxies(self) -> bool:
        """Whether its galaxies are of a survey that the networks are not from."""
        return self.excerpt is not None and bool(self.excerpt.survey)

    @property
    def seed(self) -> int:
        """The seed of the models that ship."""
        return int(self.recipe.get("seed", 0))


def parse_manifest(values: dict[str, Any], path: Path) -> Manifest:
    """The manifest of JSON values; raises BundleError naming the first missing or wrong field."""
    try:
        if values.get("format") not in (FORMAT, PARTED):
            known = f"only {FORMAT} and {PARTED} are known"
            raise FieldError("format", f"{values.get('format')!r}: {known}")
        named = with_prior_keys(values)
        for table in ("models", "priors"):
            if isinstance(entries := named.get(table), dict):  # each entry knows its own model
                named[table] = {
                    name: {**entry, "name": name.split("/")[0]}
                    if isinstance(entry, dict)
                    else entry
                    for name, entry in entries.items()
                }
        manifest = build(named, Manifest)
        for name in (CATALOG, CARD):
            if name not in manifest.files:
                raise FieldError("files", f"{name} is missing")
        for name in manifest.files:
            if not FILE_NAME.fullmatch(name) or name == MANIFEST:
                raise FieldError("files", f"{name!r} is not a plain file name")
        _check_models(manifest)
        _check_priors(manifest)
        check_clusterings(
            manifest.clusterings, manifest.models, manifest.files, manifest.n_galaxies
        )
        check_known(manifest.default_clustering, manifest.clusterings, "default_clustering")
    except FieldError as error:
        raise BundleError(f"{path}: {error}") from None
    return manifest


def with_prior_keys(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values of a manifest with its priors by "<model>/<kind>".

    Older bundles have one prior a model at most, by the name of the model.
    """
    if not isinstance(priors := values.get("priors"), dict):
        return dict(values)
    kinds = {
        key: entry.get("kind", DEFAULT_PRIOR)
        for key, entry in priors.items()
        if isinstance(entry, dict) and "/" not in key
    }
    return values | {
        "priors": {
            f"{key}/{kinds[key]}" if key in kinds else key: entry for key, entry in priors.items()
        }
    }


def main_prior(priors: Iterable[PriorEntry]) -> PriorEntry | None:
    """The prior that draws where none is named: the first of the kind with the highest rank."""
    return min(priors, key=lambda entry: -PRIORS[entry.kind].rank, default=None)


def _check_training(entry: _Training, place: str, sizes: Limits, score: str) -> None:
    for name, (low, high) in sizes.items():
        value = entry.config.get(name)
        if type(value) is not int or not low <= value <= high:
            raise FieldError(
                f"{place}.config.{name}", f"a whole number {low} to {high} is expected"
            )
    for number, row in enumerate(entry.curve):
        if not {"step", score} <= row.keys():
            raise FieldError(f"{place}.curve[{number}]", f"step and {score} are expected")


def _check_models(manifest: Manifest) -> None:
    """Models that ship and that do not, and the network that judges what they draw."""
    for name, entry in manifest.models.items():
        place = f"models.{name}"
        check_known(entry.kind, AUTOENCODERS, f"{place}.kind")
        encoded = AUTOENCODERS[entry.kind].encoded
        _check_training(entry, place, AUTOENCODERS[entry.kind].sizes, "nmse")
        check_known(entry.weights, manifest.files, f"{place}.weights")
        check_known(getattr(entry, encoded), manifest.files, f"{place}.{encoded}")
    for number, training in enumerate(manifest.extra_trainings):
        _check_training(training, f"trainings[{number}]", {}, "nmse")
    if manifest.ttype_regressor is not None:
        check_known(manifest.ttype_regressor.file, manifest.files, "judge.file")
        for name in manifest.ttype_regressor.drawn:
            check_known(name, manifest.models, f"judge.drawn.{name}")
        for name in manifest.ttype_regressor.attributes:
            check_known(name, ATTRIBUTE_NAMES, f"judge.attributes.{name}")
    check_known(manifest.display_model, manifest.models, "display_model")


def _check_priors(manifest: Manifest) -> None:
    """Each prior draws what its model encodes galaxies to."""
    for key, entry in manifest.priors.items():
        place, name = f"priors.{key}", entry.model
        check_known(name, manifest.models, place)
        check_known(entry.kind, PRIORS, f"{place}.kind")
        if key != entry.key:
            raise FieldError(f"{place}.kind", f"{entry.kind!r} is not the kind in its name")
        kind = PRIORS[entry.kind]
        _check_training(entry, place, kind.sizes, "nll")
        model, config = manifest.models[name], entry.config
        if misfit := kind.misfit(config, AUTOENCODERS[model.kind], model.config):
            raise FieldError(f"{place}.{misfit[0]}", misfit[1].format(model=name))
        check_known(entry.file, manifest.files, f"{place}.file")
        if len(entry.fields) != config["n_fields"]:
            raise FieldError(f"{place}.fields", f"{config['n_fields']} are expected")
