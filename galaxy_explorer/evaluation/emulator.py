"""The proof of a bundle's emulator, on held-out galaxies, and what is written into the bundle.

real -> reconstruction -> sample, beside a control prior whose labels were mismatched in training,
a collapsed emulator and the floor of real galaxies. Every draw and every measured stamp is kept in
the work folder beside the bundle: the same command resumes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.bundle import Bundle, load_bundle
from galaxy_explorer.bundle_emulation import EMULATION, Emulation, GuidancePoint
from galaxy_explorer.bundle_writer import add_files
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.proof import FEWEST, Sets, all_figures
from galaxy_explorer.emulation.sets import Galaxies
from galaxy_explorer.emulation.trends import best_guidance, guidance_point, histograms, trends
from galaxy_explorer.evaluation import copied
from galaxy_explorer.evaluation.card import card_of
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.emulator_sets import HeldOut, Measurer, Source
from galaxy_explorer.survey.store import Survey

if TYPE_CHECKING:
    from galaxy_explorer.pipeline.prior import CodedSurvey

__all__ = ["evaluate_emulator"]

Say = Callable[[str], None]
SAMPLES = 1000
GUIDANCES = (1.0, 1.25, 1.5, 2.0, 3.0)
GUIDANCE_ROWS = 200  # validation galaxies with a T behind each point of the curve
FURTHER = 3  # a third as many samples more are asked for a known T, and at each guidance
RULE = (
    "On validation galaxies, the guidance with the smallest sum of two numbers: the mean miss of"
    " the slopes of C, Gini and M20 against T (sample over reconstruction, from 1) and of the"
    " correlation with the judge's T (sample over reconstruction, below 1), and the mean"
    " Wasserstein-1 distance over sigma from the reconstructions; of equal ones the smallest."
)


class EmulatorEvaluation:
    """One proof; `run` measures everything and returns it."""

    def __init__(
        self, context: Context, emulator: Emulator, samples: int, workers: int, say: Say
    ) -> None:
        self.context, self.emulator, self.samples, self.say = context, emulator, samples, say
        self.measurer = Measurer(context, emulator.model, emulator.fields, workers)
        bundle, file = context.bundle, context.bundle.manifest["priors"][emulator.model]["file"]
        self.source = Source(
            bundle.manifest["files"][file]["sha256"], bundle.load_prior(emulator.model)
        )

    def run(self) -> Emulation:
        """Measure what is not measured yet; put everything together."""
        curve = self._curve() if self.measurer.asks_type else []
        guidance = best_guidance(curve) if curve else 1.0
        self.say(f"Guidance {guidance:g}, chosen on {curve[0].n if curve else 0} galaxies")
        sets = self._sets(guidance)
        self.say("Figures")
        return Emulation(
            model=self.emulator.model,
            settings=self._settings(sets),
            figures=tuple(all_figures(sets)),
            trends=tuple(trends(sets)),
            histograms=tuple(histograms(sets)),
            curve=tuple(curve),
            guidance=guidance,
            guidance_rule=RULE,
        )

    def _rows(self, split: str, most: int, *, typed: bool = False) -> np.ndarray:
        """Catalogue rows of a split, at most so many, drawn at random, those with a T first."""
        unknown = np.isnan(self.context.ttype)
        chosen = (self.context.splits == split) & ~(unknown & typed)
        rows = np.random.default_rng(0).permutation(np.flatnonzero(chosen))
        return np.sort(rows[np.argsort(unknown[rows], kind="stable")][:most])

    def _curve(self) -> list[GuidancePoint]:
        """The guidance curve on validation galaxies with a T; empty where there are too few."""
        rows = self._rows("validation", min(GUIDANCE_ROWS, self.samples // FURTHER), typed=True)
        if len(rows) < FEWEST:
            return []
        redrawn, noise = self.measurer.reconstructed(rows, "validation reconstructions")
        return [
            guidance_point(
                guidance,
                redrawn,
                self.measurer.sampled(
                    self.source,
                    redrawn.ttype,
                    (noise, noise.sigma),
                    guidance,
                    words="validation samples",
                ),
            )
            for guidance in GUIDANCES
        ]

    def _sets(self, guidance: float) -> Sets:
        rows = self._rows("test", self.samples)
        held_out = self.measurer.held_out(rows, "test galaxies")
        made = self._made(held_out, np.arange(self.samples) % len(rows), guidance, "samples")
        typed = np.flatnonzero(np.isfinite(held_out.real.ttype))
        asked, control = made.typed, None
        if self.measurer.asks_type and len(typed) >= FEWEST:
            more = np.resize(typed, max(len(typed), self.samples // FURTHER))
            further = self._made(held_out, more, guidance, "further samples", first=self.samples)
            asked, control = asked.joined(further), self._control(held_out, more, guidance)
        train = self._rows("train", len(rows))
        return Sets(
            real=held_out.real,
            redrawn=held_out.redrawn,
            made=made,
            asked=asked,
            control=control,
            taught=self.measurer.taught(),
            train=self.measurer.orbit(train, "train galaxies"),
            held_out=self.measurer.orbit(rows[: len(train)], "test galaxies"),
        )

    def _made(
        self, held_out: HeldOut, places: np.ndarray, guidance: float, words: str, first: int = 0
    ) -> Galaxies:
        """Samples asked for the T of held-out galaxies, with the noise of the same."""
        noise = (held_out.noise, held_out.noise.sigma[places])
        ttype = held_out.real.ttype[places]
        return self.measurer.sampled(self.source, ttype, noise, guidance, first=first, words=words)

    def _control(self, held_out: HeldOut, places: np.ndarray, guidance: float) -> Galaxies:
        """Samples of a prior that was trained with the labels of the next batch."""
        from galaxy_explorer.pipeline.prior import train_prior

        recipe = self.context.bundle.priors[self.emulator.model].recipe
        self.say("Control: a prior trained with mismatched labels")
        made = train_prior(
            self._coded(), str(recipe["name"]), seed=int(recipe.get("seed", 0)), control=True
        )
        source = Source(made.weights.name + str(made.entry["metrics"]), made.load())
        noise = (held_out.noise, held_out.noise.sigma[places])
        ttype = held_out.real.ttype[places]
        return self.measurer.sampled(source, ttype, noise, guidance, words="control samples")

    def _coded(self) -> CodedSurvey:
        from galaxy_explorer.pipeline.prior import CodedSurvey

        bundle, name = self.context.bundle, self.emulator.model
        weights = bundle.manifest["models"][name]["weights"]
        return CodedSurvey(
            survey=self.context.survey,
            model=name,
            weights=bundle.manifest["files"][weights]["sha256"],
            codes=bundle.codes(name),
            num_embeddings=self.emulator.num_embeddings,
            load=lambda: bundle.load_model(name),
            work=self.context.work.parent,
        )

    def _settings(self, sets: Sets) -> dict[str, str]:
        bundle = self.context.bundle
        return {
            "bundle": bundle.name,
            "survey": str(bundle.manifest["survey"]["name"]),
            "software": str(bundle.manifest["software"]),
            "held-out galaxies": str(len(sets.real)),
            "with a T": str(len(sets.real.typed)),
            "samples": str(len(sets.made)),
            "asked for a T": str(len(sets.asked)),
            "control samples": str(0 if sets.control is None else len(sets.control)),
        }


def evaluate_emulator(
    path: Path,
    survey_path: Path,
    *,
    samples: int = SAMPLES,
    grid: str = "quick",
    workers: int = 1,
    out: Path | None = None,
    say: Say,
) -> Emulation:
    """Measure a bundle's emulator; write emulation.json, the card and the guidance into it.

    samples: how many are drawn, and at most how many held-out galaxies they are compared with.
    out: a copy of the bundle to write into instead. Raises BundleError, SurveyError, SettingError.
    """
    bundle, survey = load_bundle(path), Survey.open(survey_path)
    emulator = Emulator.open(bundle)
    work = path.absolute().with_name(f"{path.absolute().name}.work")
    context = Context(bundle, survey, work / "evaluation", grid)
    made = EmulatorEvaluation(context, emulator, samples, workers, say).run()
    target = path if out is None else copied(path, out)
    write_emulation(load_bundle(target), made)
    return made


def write_emulation(bundle: Bundle, emulation: Emulation) -> None:
    """Put a proof, the guidance that it chose and the new card into a bundle."""
    add_files(
        bundle.path,
        {EMULATION: emulation.to_bytes()},
        lambda manifest: card_of(manifest, bundle.evaluation, emulation),
        guidance={emulation.model: emulation.guidance},
    )
