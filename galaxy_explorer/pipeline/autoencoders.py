"""Stages of one autoencoder: train, round the weights, encode every galaxy, measure."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.clustering.features import fit_pca, fit_vectors, index_features
from galaxy_explorer.files import atomic_write_text, sha256_of
from galaxy_explorer.pipeline.cache import StageCache, StageResult
from galaxy_explorer.pipeline.lock import exclusive
from galaxy_explorer.pipeline.measures import measure
from galaxy_explorer.pipeline.plan import PIXELS_MARK, Plan
from galaxy_explorer.pipeline.prior import CodedSurvey
from galaxy_explorer.pipeline.psf import train_with_psf
from galaxy_explorer.progress import progress
from galaxy_explorer.survey.colours import bands_of, colour_figures

if TYPE_CHECKING:
    from galaxy_explorer.models.kinds import Config, Model
    from galaxy_explorer.models.training import TrainingResult

BLOCK_ROWS = 512
PCA_COMPONENTS = 20
PCA_ROWS = 20_000


@dataclass(frozen=True)
class Products:
    """What the later stages need of one trained model.

    codes (N, h, w) uint16, errors (N,) float32. training: steps, seconds and the like.
    """

    config: Config
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
    def _train_stamps(self) -> np.ndarray:
        return self._stamps(self.rows("train"))

    @cached_property
    def _validation_stamps(self) -> np.ndarray:
        return self._stamps(self.rows("validation"))

    def _stamps(self, rows: np.ndarray) -> np.ndarray:
        meta = self.plan.survey.meta
        size = meta["stamp_size"]
        stamps = np.empty((len(rows), meta["channels"], size, size), np.float32)
        for start in range(0, len(rows), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            stamps[part] = self.plan.survey.model_input(rows[part])
        return stamps

    def products(self, config: Config) -> Products:
        """Run or resume all stages of one model."""
        weights = self.plan.work / "weights" / f"{config.name}.safetensors"
        training = self._trained(config, weights)
        inputs = {"weights": training["sha256"], "pixels": self.plan.pixels}
        encoded = self.cache.get(
            f"{config.name}.encoded", inputs, lambda: self._encode(config, weights)
        )
        codes, errors = encoded.arrays["codes"], encoded.arrays["errors"]
        test = self.rows("test")
        metrics = measure(errors[test], codes[test], config, variance=training["variance"])
        if config.kind == "vqvae2":
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
            num_embeddings=config.num_embeddings,
            load=lambda: self._model(config, products.weights),
            work=self.plan.work,
        )

    def is_trained(self, config: Config) -> bool:
        """Whether the model's weights lie in the work folder already."""
        return self.cache.has(f"{config.name}.training", self._training_inputs(config))

    def _training_inputs(self, config: Config) -> dict[str, Any]:
        stored = {"weights": "eight bits"} if config.eight_bit else {}
        return self.plan.inputs(config=config.to_dict(), **stored)

    def _trained(self, config: Config, weights: Path) -> dict[str, Any]:
        """Train, then round and write the weights: from here on the rounded weights are it."""
        stage, inputs = f"{config.name}.training", self._training_inputs(config)
        result = self.cache.get(stage, inputs, lambda: self._train(config, weights))
        if not weights.is_file() or sha256_of(weights) != result.facts["sha256"]:
            result = self._train(config, weights)
        return dict(result.facts)

    def _train(self, config: Config, weights: Path) -> StageResult:
        from galaxy_explorer.models.inference import save_weights
        from galaxy_explorer.models.stamp_task import data_variance

        train, validation = self._train_stamps, self._validation_stamps
        with exclusive(self.plan.work / "models" / f"{config.name}.lock"):
            folder = self._training_folder(config)
            model, result = self._run(config, folder)
            save_weights(model, weights)
        facts = {
            "steps": result.steps,
            "best_step": result.best_step,
            "rule_step": result.rule_step,
            "curve": result.curve,
            "seconds": round(result.seconds, 1),
            "precision": result.precision,
            "variance": data_variance(train),
            "sha256": sha256_of(weights),
        }
        return StageResult({"rows": np.array([len(train), len(validation)])}, facts)

    def _run(self, config: Config, folder: Path) -> tuple[Model, TrainingResult]:
        from galaxy_explorer.models.autoencoder_training import train_model
        from galaxy_explorer.models.psf_vqvae import PSFVQVAEConfig

        if isinstance(config, PSFVQVAEConfig):
            return train_with_psf(config, self.plan.survey, folder, self.plan.recipe)
        train, validation = self._train_stamps, self._validation_stamps
        return train_model(config, train, validation, folder, self.plan.recipe)

    def _training_folder(self, config: Config) -> Path:
        """The model's own training folder, emptied where it belongs to other stamps."""
        folder = self.plan.work / "models" / config.name
        mark = folder / PIXELS_MARK
        if mark.is_file() and mark.read_text().strip() != self.plan.pixels:
            shutil.rmtree(folder)
        atomic_write_text(mark, f"{self.plan.pixels}\n")
        return folder

    def blocks(self, description: str) -> Iterator[tuple[slice, np.ndarray]]:
        """Stamps of all galaxies, block by block, with progress."""
        survey = self.plan.survey
        with progress(len(survey), description) as advance:
            for start in range(0, len(survey), BLOCK_ROWS):
                rows = np.arange(start, min(start + BLOCK_ROWS, len(survey)))
                yield slice(start, start + len(rows)), survey.model_input(rows)
                advance(len(rows))

    def _model(self, config: Config, weights: Path) -> Model:
        from galaxy_explorer.models.inference import load_weights

        return load_weights(config, weights)

    def _encode(self, config: Config, weights: Path) -> StageResult:
        from galaxy_explorer.models.inference import encode_stamps, reconstruction_errors

        model = self._model(config, weights)
        count = len(self.plan.survey)
        codes = np.empty((count, *config.code_shape), config.code_dtype)
        errors = np.empty(count, np.float32)
        for block, stamps in self.blocks(f"Encoding with {config.name}"):
            codes[block] = encode_stamps(model, stamps)
            errors[block] = reconstruction_errors(model, stamps, codes[block])
        return StageResult({"codes": codes, "errors": errors}, {})

    def _levels(
        self, config: Config, weights: Path, codes: np.ndarray, training: dict[str, Any]
    ) -> dict[str, float]:
        """Errors of a hierarchical model with one level spoilt, on the test split."""
        inputs = {"weights": training["sha256"], "pixels": self.plan.pixels}

        def spoil() -> StageResult:
            from galaxy_explorer.models.ablation import level_ablation

            model, test = self._model(config, weights), self.rows("test")
            figures = level_ablation(
                model, self._stamps(test), codes[test], variance=training["variance"]
            )
            return StageResult({"rows": test}, figures)

        return dict(self.cache.get(f"{config.name}.levels", inputs, spoil).facts)

    def _colours(
        self, config: Config, weights: Path, codes: np.ndarray, training: dict[str, Any]
    ) -> dict[str, float]:
        """What is kept of each band and of the colour, on the test split."""
        plan, test = self.plan, self.rows("test")
        inputs = {"weights": training["sha256"], "pixels": plan.pixels, "catalog": plan.catalog}

        def compare() -> StageResult:
            from galaxy_explorer.models.inference import decode_codes

            drawn = decode_codes(self._model(config, weights), codes[test])
            bands = bands_of(plan.survey.meta["band"])
            if len(bands) != config.channels:
                bands = [str(plane) for plane in range(config.channels)]
            variance = self._train_stamps.var(axis=(0, 2, 3), dtype=np.float64)
            ttype = plan.survey.column("ttype")[test]
            figures = colour_figures(self._stamps(test), drawn, ttype, bands, variance)
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
            "pixels": self.plan.pixels,
            "components": PCA_COMPONENTS,
            "precision": "float16",
            "scale": "first component of unit variance",
            "seed": self.plan.seed,
        }
        stage = f"{products.config.name}.features"
        return self.cache.get(stage, inputs, lambda: self._reduce(products))

    def _reduce(self, products: Products) -> StageResult:
        from galaxy_explorer.models.inference import orbit_mean_vectors

        config = products.config
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
