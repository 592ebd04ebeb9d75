"""Stages of the prior over one model's code maps or latents: orientations, training, figures.

The codes come from the rounded weights that ship. Of each training galaxy all eight orientations
are encoded: a code map turned by itself is not the code map of the turned stamp.

A finished bundle may get one, too: trained on its own code maps, then put into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.remaking import card_of
from galaxy_explorer.bundle.survey_check import check_survey
from galaxy_explorer.bundle.writer import add_prior_files
from galaxy_explorer.errors import TrainingError
from galaxy_explorer.models.conditions import Field, catalogued_errors, condition_of, fit_fields
from galaxy_explorer.models.registry import AUTOENCODERS, DEFAULT_PRIOR, PRIORS, PriorKind, load
from galaxy_explorer.pipeline.plan import best_for_prior
from galaxy_explorer.pipeline.training_sample import mapped_stamps, sampled_rows
from galaxy_explorer.survey.preprocessing import ttype_class
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import (
    StageCache,
    StageResult,
    exclusive,
    sha256_of,
    training_folder,
)
from galaxy_explorer.utils.progress import progress

if TYPE_CHECKING:
    from galaxy_explorer.bundle.manifest import PriorEntry
    from galaxy_explorer.models.prior_training import PriorData, PriorTask
    from galaxy_explorer.models.protocols import Autoencoder, AutoencoderConfig, Prior


# Guidance of a request that names none, until `evaluate --emulator` chooses one on the validation
# split and writes it into the bundle.
DEFAULT_GUIDANCE = 1.0
TYPE_ERROR = 0.4  # stages; the catalogue's types are whole numbers, each at least so uncertain
OTHER_ERROR = 0.1  # of the spread of any other field
TYPED_SHARE = 0.6  # of the galaxies drawn in training that have a type
EVENNESS = 0.5  # 0: every type as often as in the survey, 1: all ten classes equally often
CONTROL_SHARE = 0.5  # of the steps: enough for a control that learns no label at all
BLOCK = 512


@dataclass(frozen=True)
class CodedSurvey:
    """A survey as one trained model encodes it.

    weights: SHA-256 of the model's stored weights. codes: maps (N, h, w), both maps (N, F) or
    latents (N, D) of every galaxy. config: of the model; load: opens it. work: folder of stages and
    trainings.
    """

    survey: Survey
    model: str
    weights: str
    codes: np.ndarray
    config: AutoencoderConfig
    load: Callable[[], Autoencoder]
    work: Path

    def rows(self, split: str) -> np.ndarray:
        """Rows of a split, ascending; of very many a sample."""
        return sampled_rows(self.survey, split)


@dataclass(frozen=True)
class EarlierTraining:
    """A prior that a training goes on from: its entry in the manifest, SHA-256 of its weights."""

    entry: PriorEntry
    weights: str
    load: Callable[[], Prior]


@dataclass(frozen=True)
class PriorProducts:
    """A trained prior: its entry in the manifest, its stored weights."""

    entry: dict[str, Any]
    weights: Path

    def load(self) -> Prior:
        """The network itself, in evaluation mode."""
        from galaxy_explorer.models.inference import load_prior, prior_config

        config = prior_config(self.entry.get("kind", DEFAULT_PRIOR), self.entry["config"])
        return load_prior(config, self.weights)


def train_prior(
    coded: CodedSurvey,
    recipe: str,
    *,
    kind: str | None = None,
    seed: int = 0,
    control: bool = False,
    steps: int | None = None,
    earlier: EarlierTraining | None = None,
) -> PriorProducts:
    """Train or resume the prior of a coded survey, round its weights, measure it.

    kind: of prior, by default the one of the kind of model.
    control: a prior whose labels are those of the next batch, as in the report's own code; half
    as long. It must not follow the type: what it measures is the noise of the other figures.
    steps: in place of the recipe's. earlier: the prior to go on from; its steps are counted on,
    and it is asked for the same fields. Raises TrainingError where that one has another shape.
    """
    known = PRIORS[AUTOENCODERS[coded.config.kind].prior if kind is None else kind]
    made = _Prior(coded, known, recipe, seed, control=control, steps=steps, earlier=earlier)
    result = made.cache.get(made.stage, made.inputs, made.train)
    if not made.weights.is_file() or sha256_of(made.weights) != result.facts["sha256"]:
        result = made.train()
    entry = {**result.facts["entry"], "default_guidance": DEFAULT_GUIDANCE}
    return PriorProducts(entry, made.weights)


class _Prior:
    """One prior between its inputs and its figures."""

    def __init__(
        self,
        coded: CodedSurvey,
        kind: PriorKind,
        recipe: str,
        seed: int,
        *,
        control: bool,
        steps: int | None,
        earlier: EarlierTraining | None,
    ) -> None:
        self.coded, self.kind, self.control, self.earlier = coded, kind, control, earlier
        self.cache = StageCache(coded.work / "stages")
        default = kind.name == AUTOENCODERS[coded.config.kind].prior
        self.stage = f"{coded.model}.{'prior' if default else kind.name}"
        self.stage += "-control" if control else ""
        self.weights = coded.work / "weights" / f"{self.stage}.safetensors"
        survey = coded.survey
        train = survey.column("split") == "train"
        self.fields: Sequence[Field] = (
            fit_fields(survey.column, survey.column_names, train)
            if earlier is None
            else earlier.entry.fields
        )
        shape, codes = coded.codes.shape[1:], coded.config.num_embeddings
        self.config, self.recipe = load(kind.plan)(recipe, shape, codes, len(self.fields))
        steps = self.recipe.steps if steps is None else steps
        steps = int(steps * CONTROL_SHARE) if control else steps
        # A training that goes on must not see the batches of the earlier one again.
        seed += 0 if earlier is None else earlier.entry.steps
        self.recipe = replace(self.recipe, steps=steps, seed=seed)
        if earlier is not None and earlier.entry.config != self.config.to_dict():
            raise TrainingError(
                f"--go-on: the prior of {coded.model} has another shape than --recipe {recipe}"
                f" makes; choose --recipe {earlier.entry.recipe.get('name', '')}"
            )
        given = {field.name: field.values(survey.column) for field in self.fields}
        self.condition = condition_of(self.fields, given, len(survey))

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that decides the result."""
        goes_on = {} if self.earlier is None else {"earlier": self.earlier.weights}
        return goes_on | {
            "weights": self.coded.weights,
            "survey": self.coded.survey.training_key,
            "config": self.config.to_dict(),
            "recipe": self.recipe.to_dict(),
            "fields": [field.to_dict() for field in self.fields],
            "condition": [sha256(part.tobytes()).hexdigest() for part in self.condition],
            "errors": sha256(self._errors(self.coded.rows("train")).tobytes()).hexdigest(),
            "drawn": [TYPED_SHARE, EVENNESS],
            "control": self.control,
        }

    def train(self) -> StageResult:
        """Train or resume, round the weights, measure them; what the manifest says of it."""
        from galaxy_explorer.models.inference import save_weights
        from galaxy_explorer.models.prior_training import likelihood
        from galaxy_explorer.models.training import train

        with exclusive(self.coded.work / "models" / f"{self.stage}.lock"):
            task = self._task()
            folder = training_folder(self.coded.work / "models" / self.stage, self.inputs)
            result = train(task, self.recipe, folder, name=f"prior of {self.coded.model}")
            prior = task.model.cpu()
            save_weights(prior, self.weights)
        before = self.earlier.entry if self.earlier else None
        steps, seconds = (before.steps, before.seconds) if before else (0, 0.0)
        curve = [*before.curve] if before else []
        for row in result.curve:
            known = {name: value for name, value in row.items() if name != "score"}
            curve.append({**known, "step": row["step"] + steps})
        entry = {
            "kind": self.config.kind,
            "config": self.config.to_dict(),
            "fields": [field.to_dict() for field in self.fields],
            "recipe": self.recipe.to_dict(),
            # of the rounded weights
            "metrics": likelihood(prior, self._data(self.coded.rows("test")), seed=0),
            "steps": steps + result.steps,
            "best_step": steps + result.best_step,
            "seconds": round(seconds + result.seconds, 1),
            "precision": result.precision,
            "curve": curve,
        }
        return StageResult(
            {"rows": self.coded.rows("train")}, {"entry": entry, "sha256": sha256_of(self.weights)}
        )

    def _task(self) -> PriorTask:
        from galaxy_explorer.models.inference import build_prior
        from galaxy_explorer.models.prior_training import PriorTask

        model, train = self.coded.load(), self.coded.rows("train")
        views: Any = (
            load(self.kind.views)(model, self._mapped(train))
            if self.kind.views
            else self._orbit(model).arrays["codes"]
        )
        data = self._data(train, views)
        prior = build_prior(self.config, self.recipe.seed)
        if self.earlier is None:
            prior.begin(model, data.codes)
        else:
            prior.go_on_from(self.earlier.load())
        return PriorTask(
            prior,
            data,
            self._data(self.coded.rows("validation")),
            self.recipe,
            jitter=self._errors(train),
            mismatched=self.control,
        )

    def _errors(self, rows: np.ndarray) -> np.ndarray:
        """Errors (n, F) of the fields of galaxies, standardised: the catalogue's, at least ours."""
        survey = self.coded.survey
        errors = np.empty((len(rows), len(self.fields)))
        for number, field in enumerate(self.fields):
            least = TYPE_ERROR / field.spread if field.name == "ttype" else OTHER_ERROR
            known = catalogued_errors(field, survey.column, survey.column_names)
            stated = np.full(len(rows), np.nan) if known is None else known[rows] / field.spread
            errors[:, number] = np.fmax(stated, least)
        return errors

    def _mapped(self, rows: np.ndarray) -> np.ndarray:
        """Stretched stamps (n, C, S, S) in half precision, in a file of the work folder."""
        return mapped_stamps(self.coded.survey, rows, self.coded.work / "stamps", "train")

    def _orbit(self, model: Autoencoder) -> StageResult:
        """Codes (n, 8, ...) of the training galaxies in their eight orientations."""
        rows, survey = self.coded.rows("train"), self.coded.survey

        def encode() -> StageResult:
            from galaxy_explorer.models.inference import encode_orbit

            shape = (len(rows), 8, *self.coded.codes.shape[1:])
            codes = np.empty(shape, self.coded.config.code_dtype)
            words = f"Orientations of {self.coded.model}"
            with progress(len(rows), words) as advance:
                for start in range(0, len(rows), BLOCK):
                    part = rows[start : start + BLOCK]
                    codes[start : start + BLOCK] = encode_orbit(model, survey.model_input(part))
                    advance(len(part))
            return StageResult({"codes": codes}, {})

        inputs = {"weights": self.coded.weights, "survey": survey.training_key}
        return self.cache.get(f"{self.coded.model}.orbit", inputs, encode)

    def _data(self, rows: np.ndarray, views: Any = None) -> PriorData:
        from galaxy_explorer.models.prior_training import PriorData

        codes = self.coded.codes[rows][:, None] if views is None else views
        classes = ttype_class(self.coded.survey.column("ttype")[rows])
        return PriorData(codes, self.condition.rows(rows), draw_weights(classes))


def draw_weights(classes: np.ndarray) -> np.ndarray:
    """How often each galaxy of classes (N,), -1 unknown, is drawn in training, relative to others.

    The report drew all ten classes equally often; here `EVENNESS` is the way between that and the
    survey's own shares, and galaxies with a type are `TYPED_SHARE` of a batch.
    """
    weights, typed = np.ones(len(classes)), classes >= 0
    share = float(typed[0]) if typed.all() or not typed.any() else TYPED_SHARE
    counts = np.bincount(classes[typed], minlength=1).astype(float)
    weights[typed] = counts[classes[typed]] ** -EVENNESS
    weights[typed] *= share / max(weights[typed].sum(), 1e-12)
    weights[~typed] *= (1 - share) / max(weights[~typed].sum(), 1e-12)
    return weights


def add_prior(
    bundle_path: Path,
    survey_path: Path,
    *,
    model: str | None = None,
    recipe: str = "modern",
    kind: str | None = None,
    steps: int | None = None,
    go_on: bool = False,
) -> str:
    """Train or resume a prior over a model's code maps or latents and put it into the bundle.

    Returns the model's name; by default it is the one that `galaxy-explorer train` gives a prior,
    for a kind that is named the one whose pictures are shown. Priors of other models and of
    other kinds stay. steps: in place of the recipe's. go_on: from the weights of the bundle's own
    prior of that kind. What `evaluate --emulator` measured of a prior goes with it. The training
    lies in BUNDLE.work. Raises SurveyError where the survey is not the bundle's, TrainingError for
    an unknown model, kind or recipe, and where they do not fit.
    """
    if kind is not None and kind not in PRIORS:
        raise TrainingError(f"--kind {kind}: unknown; choose {', '.join(PRIORS)}")
    known = dict.fromkeys(name for kind in PRIORS.values() for name in load(kind.recipes))
    if recipe not in known:
        raise TrainingError(f"--recipe {recipe}: unknown; choose {', '.join(known)}")
    bundle, survey = load_bundle(bundle_path), Survey.open(survey_path)
    name = bundle.manifest.display_model if model is None and kind is not None else model
    if name is None:
        from galaxy_explorer.models.inference import config_from

        configs = [config_from(entry.kind, entry.config) for entry in bundle.models.values()]
        best = best_for_prior(configs)
        if best is None:
            raise TrainingError(
                f"{bundle.path}: no model with maps of 8 x 8 codes or a PSF layer; name another by"
                " --model, or take --kind rectified"
            )
        name = best.name
    coded = coded_bundle(bundle, survey, name)
    autoencoder = AUTOENCODERS[coded.config.kind]
    prior = PRIORS[autoencoder.prior if kind is None else kind]
    if prior.name != autoencoder.prior and autoencoder.name not in prior.over:
        raise TrainingError(
            f"--kind {prior.name}: a {prior.title} does not draw what {name} encodes to; choose"
            f" {autoencoder.prior}"
        )
    if recipe not in (own := load(prior.recipes)):
        raise TrainingError(
            f"--recipe {recipe}: not of a {prior.short}; for the {autoencoder.encoded} of {name}"
            f" choose {', '.join(own)}"
        )
    earlier = None
    if go_on:
        if f"{name}/{prior.name}" not in bundle.priors:
            raise TrainingError(f"--go-on: {bundle.path} has no {prior.short} of {name} yet")
        entry = bundle.prior(name, prior.name)
        stored = bundle.manifest.files[entry.file].sha256
        load_earlier = partial(bundle.load_prior, name, prior.name)
        earlier = EarlierTraining(entry, stored, load_earlier)
    made = train_prior(coded, recipe, kind=prior.name, steps=steps, earlier=earlier)
    _put(made, load_bundle(bundle_path), name, prior.name)
    return name


def _put(made: PriorProducts, bundle: Bundle, model: str, kind: str) -> None:
    """Put a prior into a bundle, and out of it what was measured of the one in its place."""
    key, emulation = f"{model}/{kind}", bundle.emulation
    if key in bundle.priors:
        stored = bundle.manifest.files[bundle.priors[key].file].sha256
        if stored == sha256_of(made.weights):
            return
        emulation = None if emulation is None else emulation.without(model, kind)
    card = card_of(replace(bundle, emulation=emulation))
    weights = made.weights.read_bytes()
    add_prior_files(bundle.path, model, made.entry, weights, card, emulation=emulation)


def coded_bundle(bundle: Bundle, survey: Survey, model: str) -> CodedSurvey:
    """The survey as a model of the bundle encodes it; work is kept in BUNDLE.work."""
    check_survey(bundle, survey)
    if model not in bundle.models:
        raise TrainingError(f"--model {model}: unknown; there are {', '.join(bundle.models)}")
    from galaxy_explorer.models.inference import config_from

    entry = bundle.models[model]
    return CodedSurvey(
        survey=survey,
        model=model,
        weights=bundle.manifest.files[entry.weights].sha256,
        codes=np.asarray(bundle.encoded(model)),
        config=config_from(entry.kind, entry.config),
        load=lambda: bundle.load_model(model),
        work=bundle.path.absolute().with_name(f"{bundle.path.absolute().name}.work"),
    )
