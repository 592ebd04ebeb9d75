"""Stages of one autoencoder: train, round the weights, encode every galaxy, measure.

Of a hierarchical model also what it costs to take one level away; a model with the PSF layer needs
truth and PSFs, which simulations have. `galaxy-explorer train --seeds 3` leaves every model of the
trends trained three times: such replicas ship no weights. Their code maps, errors and curves stay
in the work folder beside the bundle, `<bundle>.work` for the first seed, `seed-1.work` in it and so
on for the others, and are opened here without training anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import Tensor

from galaxy_explorer.clustering.features import fit_pca, fit_vectors, index_features
from galaxy_explorer.deconvolution.observations import PEAK_SN, observe
from galaxy_explorer.errors import TrainingError
from galaxy_explorer.models.quantizer import perplexity
from galaxy_explorer.models.registry import AUTOENCODERS
from galaxy_explorer.pipeline.plan import Plan, config_of
from galaxy_explorer.pipeline.prior import CodedSurvey
from galaxy_explorer.pipeline.training_sample import (
    StoredStamps,
    sampled_rows,
    stretched_stamps,
    variance_of_bands,
)
from galaxy_explorer.survey.photometry import bands_of, colour_figures
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import (
    StageCache,
    StageResult,
    begun_from,
    exclusive,
    sha256_of,
    training_folder,
)
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.resampling import bootstrap

if TYPE_CHECKING:
    from galaxy_explorer.models.autoencoder_training import Observations
    from galaxy_explorer.models.protocols import Autoencoder, AutoencoderConfig
    from galaxy_explorer.models.psf import PSFVQVAE, PSFVQVAEConfig
    from galaxy_explorer.models.training import Recipe, TrainingResult


BATCH = 128
LEVELS = ("top", "bottom")


@torch.inference_mode()
def level_ablation(
    model: Autoencoder,
    stamps: NDArray[np.float32],
    codes: NDArray[np.uint16],
    *,
    variance: float,
    seed: int = 0,
) -> dict[str, float]:
    """NMSE of stamps (n, C, S, S) drawn with one level spoilt, given their codes (n, F).

    nmse_top_permuted: with the top map of another of the galaxies. nmse_top_mean: with every top
    vector replaced by the mean over the galaxies. The same for the bottom level. variance: of the
    training pixels. A level that is not used would leave the error of the intact codes. Raises
    TypeError for another kind of model.
    """
    if len(model.codebooks) != len(LEVELS):
        raise TypeError(f"{model.config.name} has no levels")
    indices = torch.from_numpy(codes.astype(np.int64))
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(codes)))
    kept: tuple[list[Tensor], ...] = ([], [])
    for part in torch.split(indices, BATCH):
        for parts, vectors in zip(kept, model.vectors(part), strict=True):
            parts.append(vectors.mean((2, 3), keepdim=True))
    means = [torch.cat(parts).mean(0, keepdim=True) for parts in kept]  # (1, D, 1, 1) each
    figures: dict[str, float] = {}
    for number, level in enumerate(LEVELS):
        totals = np.zeros(2)
        for start in range(0, len(codes), BATCH):
            rows = slice(start, start + BATCH)
            intact, other = model.vectors(indices[rows]), model.vectors(indices[order[rows]])
            for way, vectors in enumerate((other[number], means[number].expand_as(intact[number]))):
                spoilt = list(intact)
                spoilt[number] = vectors
                drawn = model.decode_vectors(*spoilt).float().cpu().numpy()
                totals[way] += np.square(drawn - stamps[rows], dtype=np.float64).sum()
        permuted, mean = totals / stamps.size / variance
        figures |= {f"nmse_{level}_permuted": float(permuted), f"nmse_{level}_mean": float(mean)}
    return figures


def measure(
    errors: np.ndarray, codes: np.ndarray, config: AutoencoderConfig, *, variance: float
) -> dict[str, float]:
    """Figures of a model on held-out galaxies: errors (n,), codes as its `encode_stamps` returns.

    mse: mean squared error in stretched units. nmse: mse / variance of the training pixels, with a
    95 % bootstrap interval over galaxies. psnr_db: for a peak of 1. perplexity: of the use of the
    codes over all n galaxies. used_share: of codes used at least once. Both are absent where there
    are no codes, and given again with `_top` for the top level of a hierarchical model.
    """
    mse = float(errors.mean(dtype=np.float64))
    nmse = bootstrap(lambda rows: float(errors[rows].mean()) / variance, len(errors))
    figures = {
        "mse": mse,
        "nmse": mse / variance,
        "nmse_low": nmse.low,
        "nmse_high": nmse.high,
        "psnr_db": -10 * math.log10(max(mse, 1e-12)),
    }
    for level, maps in config.code_maps(codes).items():
        counts = np.bincount(maps.ravel(), minlength=config.num_embeddings)
        figures[f"perplexity{level}"] = perplexity(counts)
        figures[f"used_share{level}"] = float((counts > 0).mean())
    return {**figures, "n_test": len(errors), "data_variance": variance}


NEEDED = ("truth", "psf")  # of a survey, by the model with the PSF layer


def truth_and_psf(survey: Survey, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Un-convolved light (n, S, S) and PSFs (n, P, P), float32, of galaxies of a survey.

    Raises TrainingError where the survey has none.
    """
    if missing := [name for name in NEEDED if name not in survey.extra_names]:
        raise TrainingError(
            f"{survey.path}: no {missing[0]}; the model with the PSF layer learns from galaxies"
            " with known truth: make them with galaxy-explorer simulate --like candels"
        )
    truth, psf = survey.truth(rows)[:, 0], survey.extra_array("psf", rows)
    return truth.astype(np.float32), psf.astype(np.float32)


def observations(survey: Survey, split: str) -> Observations:
    """The galaxies of a split with their truth."""
    from galaxy_explorer.models.autoencoder_training import Observations

    rows = np.flatnonzero(survey.column("split") == split)
    truth, psf = truth_and_psf(survey, rows)
    names = ("sky", "sky_sigma", "electrons_per_flux")
    columns = (survey.column(name)[rows].astype(np.float32) for name in names)
    return Observations(survey.stamps(rows)[:, 0], truth, psf, *columns)


def train_with_psf(
    config: PSFVQVAEConfig, survey: Survey, folder: Path, recipe: Recipe
) -> tuple[PSFVQVAE, TrainingResult]:
    """Train on the train split; measure on the validation split how far the light is from truth.

    Raises TrainingError for a survey without truth or with PSFs of another size.
    """
    from galaxy_explorer.deconvolution.network import measure_prior_error
    from galaxy_explorer.models.autoencoder_training import psf_recipe, train_model

    train, validation = observations(survey, "train"), observations(survey, "validation")
    size = train.psf.shape[-1]
    if size != config.psf_size:
        raise TrainingError(
            f"{survey.path}: PSFs of {size} pixels where {config.psf_size} are needed"
        )
    trained, result = train_model(config, train, validation, folder, psf_recipe(recipe))
    model = cast("PSFVQVAE", trained)
    sets = [
        (sn, observe(validation.truth, validation.psf, sn, seed=recipe.seed), validation.truth)
        for sn in PEAK_SN
    ]
    measure_prior_error(model.eval(), sets).store(model)
    return model, result


BLOCK_ROWS = 512
PCA_COMPONENTS = 20
PCA_ROWS = 20_000


@dataclass(frozen=True)
class Products:
    """What the later stages need of one trained model.

    codes (N, h, w) uint16, errors (N,) float32. training: steps, seconds and the like.
    """

    config: AutoencoderConfig
    weights: Path
    codes: np.ndarray
    errors: np.ndarray
    training: dict[str, Any]
    metrics: dict[str, float]


class Autoencoders:
    """Runs the stages of each model of a plan; everything is cached in the work folder."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cache = StageCache(plan.work / "stages")

    @cached_property
    def splits(self) -> np.ndarray:
        """Split of each galaxy, (N,) text."""
        return self.plan.survey.column("split")

    def rows(self, split: str) -> np.ndarray:
        """Rows of a split, ascending."""
        return np.flatnonzero(self.splits == split)

    @cached_property
    def _train_stamps(self) -> np.ndarray | StoredStamps:
        return self._stamps("train")

    @cached_property
    def _validation_stamps(self) -> np.ndarray | StoredStamps:
        return self._stamps("validation")

    def _stamps(self, split: str) -> np.ndarray | StoredStamps:
        survey = self.plan.survey
        folder = self.plan.work / "stamps"
        return stretched_stamps(survey, sampled_rows(survey, split), folder, split)

    def products(self, config: AutoencoderConfig) -> Products:
        """Run or resume all stages of one model."""
        weights = self.plan.work / "weights" / f"{config.name}.safetensors"
        stage, given = f"{config.name}.training", self._training_inputs(config)
        result = self.cache.get(stage, given, lambda: self._train(config, weights))
        if not weights.is_file() or sha256_of(weights) != result.facts["sha256"]:
            result = self._train(config, weights)
        training = dict(result.facts)

        def encode() -> StageResult:
            from galaxy_explorer.models.inference import encode_stamps, reconstruction_errors

            model, count = self._model(config, weights), len(self.plan.survey)
            codes = np.empty((count, *config.code_shape), config.code_dtype)
            errors = np.empty(count, np.float32)
            for block, stamps in self.blocks(f"Encoding with {config.name}"):
                codes[block] = encode_stamps(model, stamps)
                errors[block] = reconstruction_errors(model, stamps, codes[block])
            return StageResult({"codes": codes, "errors": errors}, {})

        inputs = {"weights": training["sha256"], "survey": self.plan.survey.training_key}
        encoded = self.cache.get(f"{config.name}.encoded", inputs, encode)
        codes, errors = encoded.arrays["codes"], encoded.arrays["errors"]
        test = self.rows("test")
        metrics = measure(errors[test], codes[test], config, variance=training["variance"])
        if len(config.code_counts) > 1:
            metrics |= self._levels(config, weights, codes, training)
        if config.channels > 1:
            metrics |= self._colours(config, weights, codes, training)
        return Products(config, weights, codes, errors, training, metrics)

    def coded(self, products: Products) -> CodedSurvey:
        """The survey as one model encodes it, for a prior."""
        config = products.config
        return CodedSurvey(
            survey=self.plan.survey,
            model=config.name,
            weights=products.training["sha256"],
            codes=products.codes,
            config=config,
            load=lambda: self._model(config, products.weights),
            work=self.plan.work,
        )

    def is_trained(self, config: AutoencoderConfig) -> bool:
        """Whether the model's weights lie in the work folder already."""
        return self.cache.has(f"{config.name}.training", self._training_inputs(config))

    def _training_inputs(self, config: AutoencoderConfig) -> dict[str, Any]:
        stored = {"weights": "eight bits"} if config.eight_bit else {}
        return self.plan.inputs(config=config.to_dict(), **stored)

    def _train(self, config: AutoencoderConfig, weights: Path) -> StageResult:
        """Train, then round and write the weights: from here on the rounded weights are it."""
        from galaxy_explorer.models.autoencoder_training import data_variance
        from galaxy_explorer.models.inference import save_weights
        from galaxy_explorer.models.processes import told

        plan, train, validation = self.plan, self._train_stamps, self._validation_stamps
        with exclusive(plan.work / "models" / f"{config.name}.lock"):
            folder = self.training_folder(config)
            told(f"{plan.seed} {config.name}")
            model, result = self.network(config, folder)
            save_weights(model, weights)
        facts = {
            "steps": result.steps,
            "best_step": result.best_step,
            "rule_step": result.early_stop_step,
            "curve": result.curve,
            "starts": result.starts,
            "seconds": round(result.seconds, 1),
            "precision": result.precision,
            "variance": data_variance(train),
            "sha256": sha256_of(weights),
        }
        return StageResult({"rows": np.array([len(train), len(validation)])}, facts)

    def network(
        self, config: AutoencoderConfig, folder: Path
    ) -> tuple[Autoencoder, TrainingResult]:
        """Train or resume in `folder`: by all processes of a torchrun, each of which calls this."""
        from galaxy_explorer.models.autoencoder_training import train_model

        plan = self.plan
        if AUTOENCODERS[config.kind].has_psf_layer:
            psf_config = cast("PSFVQVAEConfig", config)
            return train_with_psf(psf_config, plan.survey, folder, plan.recipe)
        return train_model(config, self._train_stamps, self._validation_stamps, folder, plan.recipe)

    def training_folder(self, config: AutoencoderConfig) -> Path:
        """The model's own training folder, emptied where it belongs to other stamps or splits."""
        survey = {"survey": self.plan.survey.training_key}
        return training_folder(self.plan.work / "models" / config.name, survey)

    def blocks(self, description: str) -> Iterator[tuple[slice, np.ndarray]]:
        """Stamps of all galaxies, block by block, with progress."""
        survey = self.plan.survey
        with progress(len(survey), description) as advance:
            for start in range(0, len(survey), BLOCK_ROWS):
                rows = np.arange(start, min(start + BLOCK_ROWS, len(survey)))
                yield slice(start, start + len(rows)), survey.model_input(rows)
                advance(len(rows))

    def _model(self, config: AutoencoderConfig, weights: Path) -> Autoencoder:
        from galaxy_explorer.models.inference import load_weights

        return load_weights(config, weights)

    def _levels(
        self, config: AutoencoderConfig, weights: Path, codes: np.ndarray, training: dict[str, Any]
    ) -> dict[str, float]:
        """Errors of a hierarchical model with one level spoilt, on the test split."""
        inputs = {"weights": training["sha256"], "survey": self.plan.survey.training_key}

        def spoil() -> StageResult:

            model, test = self._model(config, weights), sampled_rows(self.plan.survey, "test")
            figures = level_ablation(
                model, self._stamps("test")[:], codes[test], variance=training["variance"]
            )
            return StageResult({"rows": test}, figures)

        return dict(self.cache.get(f"{config.name}.levels", inputs, spoil).facts)

    def _colours(
        self, config: AutoencoderConfig, weights: Path, codes: np.ndarray, training: dict[str, Any]
    ) -> dict[str, float]:
        """What is kept of each band and of the colour, on the test split."""
        plan, test = self.plan, sampled_rows(self.plan.survey, "test")
        survey = {"survey": plan.survey.training_key, "catalog": plan.catalog}
        inputs = {"weights": training["sha256"], **survey}

        def compare() -> StageResult:
            from galaxy_explorer.models.inference import decode_codes

            drawn = decode_codes(self._model(config, weights), codes[test])
            bands = bands_of(plan.survey.meta["band"])
            if len(bands) != config.channels:
                bands = [str(plane) for plane in range(config.channels)]
            variance = variance_of_bands(self._train_stamps)
            ttype = plan.survey.column("ttype")[test]
            figures = colour_figures(self._stamps("test")[:], drawn, ttype, bands, variance)
            return StageResult({"rows": test}, figures)

        return dict(self.cache.get(f"{config.name}.colours", inputs, compare).facts)

    def features(self, products: Products, kind: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Features (N, P) of a model, and the arrays by which the bundle makes them again.

        index: the map of code indices, of which nothing is kept. codes: code vectors averaged over
        the eight orientations, as principal components. latents: those of an autoencoder without
        codes, as standardised principal components.
        """
        if kind == "index":
            return index_features(products.codes), {}
        if kind == "latents":
            latents = products.codes.astype(np.float32)
            fitted = fit_vectors(
                latents, self.rows("train"), n=latents.shape[1], seed=self.plan.seed
            )
            return fitted.apply(latents), fitted.arrays()
        arrays = dict(self.code_features(products).arrays)
        return arrays["features"].astype(np.float64), arrays

    def code_features(self, products: Products) -> StageResult:
        """Orbit-mean code vectors reduced to principal components fitted on the train split.

        Half precision, in the bundle too: mixtures see what is stored.
        """
        inputs = {
            "weights": products.training["sha256"],
            "survey": self.plan.survey.training_key,
            "components": PCA_COMPONENTS,
            "precision": "float16",
            "scale": "first component of unit variance",
            "seed": self.plan.seed,
        }
        config = products.config

        def reduce() -> StageResult:
            from galaxy_explorer.models.inference import orbit_mean_vectors

            model = self._model(config, products.weights)
            width = orbit_mean_vectors(model, self._train_stamps[:1]).shape[1]
            # On disk, not in memory: 100,000 galaxies have 1.6 GB of code vectors.
            path = self.plan.work / f"{config.name}.vectors.npy"
            shape = (len(self.plan.survey), width)
            vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
            for block, stamps in self.blocks(f"Code vectors of {config.name}"):
                vectors[block] = orbit_mean_vectors(model, stamps)
            train = self.rows("train")
            rng = np.random.default_rng(self.plan.seed)
            chosen = np.sort(rng.permutation(train)[:PCA_ROWS])
            pca = fit_pca(vectors[chosen], PCA_COMPONENTS, seed=self.plan.seed)
            features = np.empty((len(vectors), len(pca.components)), np.float16)
            for start in range(0, len(vectors), BLOCK_ROWS):
                part = slice(start, start + BLOCK_ROWS)
                features[part] = pca.apply(vectors[part])
            path.unlink()
            return StageResult({**pca.arrays(), "features": features}, {})

        return self.cache.get(f"{config.name}.features", inputs, reduce)


TRAINED = ".training.safetensors"
SEED_FOLDER = re.compile(r"seed-(\d+)\.work")
CODEBOOK = "quantizer.codebook"


@dataclass(frozen=True)
class Replica:
    """One finished training, with N galaxies in the order of the survey.

    training: steps, best_step, rule_step, seconds, precision, variance (of the training pixels)
    and the curve, a list of {step, nmse, perplexity, used_share, codes_changed}. weights: the file
    with the rounded weights. Arrays are read at first use.
    """

    name: str
    seed: int
    config: AutoencoderConfig
    training: dict[str, Any]
    weights: Path
    _cache: StageCache
    _splits: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """Code maps (N, h, w) uint16, or latents (N, 64) float16 where there is no codebook."""
        return self._encoded.arrays["codes"]

    @property
    def errors(self) -> np.ndarray:
        """Mean squared error (N,) float32 of each reconstruction, in stretched units."""
        return self._encoded.arrays["errors"]

    @cached_property
    def codebook(self) -> np.ndarray | None:
        """Code vectors (K, D) float32; None where there is no codebook, or more than one."""
        stored = load_file(self.weights).get(CODEBOOK)
        return None if stored is None else stored.astype(np.float32)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Figures on the held-out test split, as `measures.measure` defines them."""
        test = self._splits == "test"
        variance = self.training["variance"]
        return measure(self.errors[test], self.codes[test], self.config, variance=variance)

    @cached_property
    def _encoded(self) -> StageResult:
        stored = self._cache.peek(f"{self.name}.encoded")
        if stored is None:
            raise TrainingError(f"{self.weights}: not encoded; run galaxy-explorer train again")
        return stored

    def load(self) -> Autoencoder:
        """The model itself, in evaluation mode."""
        from galaxy_explorer.models.inference import load_weights

        return load_weights(self.config, self.weights)


def find_replicas(work: Path, survey: Survey, seed: int = 0) -> list[Replica]:
    """All finished models of `work` trained on `survey`, by name, then seed; none if none.

    seed: of those that lie in the folder itself, the bundle's own. Models whose weights were
    altered, or which saw other pixels or splits, are left out.
    """
    folders = {seed: work}
    if work.is_dir():
        found = {int(m[1]): p for p in work.iterdir() if (m := SEED_FOLDER.fullmatch(p.name))}
        folders |= found
    replicas = [r for number, folder in folders.items() for r in _finished(folder, number, survey)]
    return sorted(replicas, key=lambda replica: (replica.name, replica.seed))


def training_entry(made: Products | Replica) -> dict[str, Any]:
    """What a manifest says of a training: figures, curve, where it stopped."""
    kept = ("steps", "best_step", "rule_step", "seconds")
    starts = made.training.get("starts", 1)  # an earlier version did not say
    curve = [{k: v for k, v in row.items() if k != "score"} for row in made.training["curve"]]
    return {
        "name": made.config.name,
        "kind": made.config.kind,
        "config": made.config.to_dict(),
        **{field: made.training[field] for field in kept},
        **({"starts": starts} if starts > 1 else {}),
        "metrics": made.metrics,
        "curve": curve,
    }


def _finished(work: Path, seed: int, survey: Survey) -> list[Replica]:
    cache, splits = StageCache(work / "stages"), survey.column("split")
    replicas = []
    for path in sorted(cache.folder.glob(f"*{TRAINED}")):
        name = path.name.removesuffix(TRAINED)
        weights, folder = work / "weights" / f"{name}.safetensors", work / "models" / name
        stored = cache.peek(f"{name}.training")
        if stored is None or not weights.is_file() or cache.peek(f"{name}.encoded") is None:
            continue
        if not begun_from(folder, {"survey": survey.training_key}):
            continue
        if sha256_of(weights) != stored.facts["sha256"]:
            continue
        config = config_of(name, survey.meta)
        replicas.append(Replica(name, seed, config, dict(stored.facts), weights, cache, splits))
    return replicas
