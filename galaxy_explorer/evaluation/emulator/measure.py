"""Held-out galaxies, their reconstructions and samples, each measured in the same way.

In linear light, by the inverse of the survey's stretch: the arcsinh of a stamp takes away most of
what concentration and Gini tell of T. Noise is added before, in stretched units, where the sky's is
known. T and attributes are read by a network that has learnt them from real stamps, measured on
held-out ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.clustering.features import radial_profile_vectors
from galaxy_explorer.emulation.likeness import SkyNoise, left_out_noise
from galaxy_explorer.evaluation.context import LEAST_TYPED, Context
from galaxy_explorer.evaluation.emulator.comparison import Galaxies
from galaxy_explorer.evaluation.judge import judge_of
from galaxy_explorer.evaluation.reconstruction import light_morphology
from galaxy_explorer.models.conditions import Draw, Field, condition_of, read_columns
from galaxy_explorer.utils.files import StageResult
from galaxy_explorer.utils.progress import progress

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Prior
    from galaxy_explorer.models.ttype_regressor import TTypeRegressor


TTYPE = "ttype"
SEED = 0
BATCH = 64  # samples drawn at a time
JUDGED_TURNS = 4
MOST_TAUGHT = 3000


@dataclass(frozen=True)
class Source:
    """A prior with a key of its weights, for results that are kept."""

    key: str
    prior: Prior


@dataclass(frozen=True)
class Asked:
    """What samples are asked for.

    ttype (n,): NaN as of a galaxy whose T the catalogue does not know. numbers (n,): each sample
    and its noise are functions of its number and what is asked, however many others are drawn.
    noise: what is added, of sigma (n,).
    """

    ttype: np.ndarray
    numbers: np.ndarray
    noise: SkyNoise
    sigma: np.ndarray


class Measurer:
    """Galaxies of one bundle, survey and model, measured alike.

    workers: processes for the morphology. stage: what the names of its kept results begin with.
    """

    def __init__(
        self,
        context: Context,
        model: str,
        fields: tuple[Field, ...],
        workers: int,
        *,
        stage: str = "emulator",
    ) -> None:
        self.context, self.model, self.workers, self.stage = context, model, workers, stage
        self.fields = fields

    @property
    def asks_type(self) -> bool:
        """Whether the prior may be asked for a T."""
        return any(field.name == TTYPE for field in self.fields)

    @cached_property
    def judge(self) -> TTypeRegressor | None:
        """A network that has learnt T from real stamps; None where too few have a type."""
        return judge_of(self.context) if self.context.enough_typed else None

    def vectors(self, codes: np.ndarray) -> np.ndarray:
        """Code vectors (n, V) of code maps (n, ...), of both levels; latents are their own."""
        from galaxy_explorer.models.inference import code_features

        return code_features(self.context.bundle.load_model(self.model), codes)

    def galaxies(
        self, stamps: np.ndarray, codes: np.ndarray, ttype: np.ndarray, words: str
    ) -> Galaxies:
        """Stamps (n, C, S, S) with their noise, measured; words: what they are."""
        from galaxy_explorer.models.ttype_regressor import judge_stamps

        measured = light_morphology(self.context, stamps, self.workers, words)
        read: dict[str, np.ndarray] = {}
        features = None
        if self.judge is not None:
            found = judge_stamps(self.judge, stamps, turns=JUDGED_TURNS)
            read, features = (
                dict(zip(read_columns(self.judge.attributes), found.table.T, strict=True)),
                found.features,
            )
        return Galaxies(
            ttype=ttype,
            statistics=measured.values,
            features=radial_profile_vectors(stamps),
            vectors=self.vectors(codes),
            read=read,
            judge_features=features,
            failed=measured.failed_share,
        )

    def held_out(self, rows: np.ndarray, words: str) -> HeldOut:
        """Galaxies of the catalogue, as they are and as the model redraws them."""
        bundle = self.context.bundle
        stamps, codes = self.context.survey.model_input(rows), bundle.encoded(self.model)[rows]
        drawn = bundle.draw(self.model, codes)
        noise, ttype = left_out_noise(stamps, drawn), self.context.ttype[rows]
        reconstructions = drawn + noise.draw(noise.sigma, rows)
        return HeldOut(
            self.galaxies(stamps, codes, ttype, words),
            self.galaxies(reconstructions, codes, ttype, f"reconstructions of {words}"),
            noise,
        )

    def reconstructed(self, rows: np.ndarray, words: str) -> tuple[Galaxies, SkyNoise]:
        """Reconstructions alone, and the noise that was put back."""
        bundle = self.context.bundle
        codes = bundle.encoded(self.model)[rows]
        drawn = bundle.draw(self.model, codes)
        noise = left_out_noise(self.context.survey.model_input(rows), drawn)
        stamps = drawn + noise.draw(noise.sigma, rows)
        return self.galaxies(stamps, codes, self.context.ttype[rows], words), noise

    def sampled(self, source: Source, asked: Asked, guidance: float, words: str) -> Galaxies:
        """Samples of a prior, with noise, measured."""
        given: dict[str, np.ndarray] = {}
        if self.asks_type:  # T within the range that may be asked for; NaN stays
            field = next(field for field in self.fields if field.name == TTYPE)
            given = {TTYPE: np.asarray(np.clip(asked.ttype, field.low, field.high))}
        inputs = {"prior": source.key, "guidance": guidance, "model": self.model}
        inputs |= {"asked": asked.ttype.tolist(), "numbers": asked.numbers.tolist()}

        def draw() -> StageResult:
            from galaxy_explorer.models.sampler import drawn, sampler_of

            sampler, numbers, parts = sampler_of(source.prior), asked.numbers, []
            with progress(len(numbers), f"Drawing samples, guidance {guidance:g}") as advance:
                for start in range(0, len(numbers), BATCH):
                    part = slice(start, start + BATCH)
                    wanted = tuple(numbers[part].tolist())
                    known = {name: values[part] for name, values in given.items()}
                    condition = condition_of(self.fields, known, len(wanted))
                    parts.append(drawn(sampler, Draw(SEED, wanted, condition, guidance=guidance)))
                    advance(len(wanted))
            return StageResult({"codes": np.concatenate(parts)}, {})

        stage = f"{self.stage}.{words.replace(' ', '-')}.{guidance:g}"
        codes = np.asarray(self.context.stage(stage, inputs, draw).arrays["codes"])
        noise = asked.noise.draw(asked.sigma, asked.numbers, kind=1)
        stamps = self.context.bundle.draw(self.model, codes) + noise
        return self.galaxies(stamps, codes, asked.ttype, words)

    def training(self, seed: int = 0) -> Galaxies | None:
        """Training galaxies with a T, for a classifier alone; None where there are too few."""
        context = self.context
        rows = np.flatnonzero((context.splits == "train") & np.isfinite(context.ttype))
        if len(rows) < LEAST_TYPED:
            return None
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_TAUGHT])
        features = radial_profile_vectors(context.survey.model_input(rows))
        nothing = np.empty((len(rows), 0), np.float32)
        return Galaxies(context.ttype[rows], {}, features, nothing)

    def orbit(self, rows: np.ndarray, words: str) -> np.ndarray:
        """Code vectors (8 n, V) of galaxies in all eight orientations."""
        from galaxy_explorer.models.inference import encode_orbit

        bundle = self.context.bundle
        weights = bundle.manifest.files[bundle.models[self.model].weights].sha256
        inputs = {"weights": weights, "rows": rows.tolist()}

        def encode() -> StageResult:
            model = bundle.load_model(self.model)
            parts = []
            with progress(len(rows), f"Orientations of {words}") as advance:
                for start in range(0, len(rows), BATCH):
                    part = rows[start : start + BATCH]
                    parts.append(encode_orbit(model, self.context.survey.model_input(part)))
                    advance(len(part))
            return StageResult({"codes": np.concatenate(parts)}, {})

        stage = f"{self.stage}.orbit.{words.replace(' ', '-')}"
        codes = self.context.stage(stage, inputs, encode).arrays["codes"]  # (n, 8, h, w)
        return self.vectors(codes.reshape(-1, *codes.shape[2:]))


@dataclass(frozen=True)
class HeldOut:
    """Galaxies as they are, as the model redraws them, and the noise that was put back."""

    real: Galaxies
    reconstructions: Galaxies
    noise: SkyNoise
