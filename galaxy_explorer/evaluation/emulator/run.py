"""The proof of a bundle's emulator, on held-out galaxies, and what is written into the bundle.

real -> reconstruction -> sample, beside a control whose labels are those of other galaxies,
a collapsed emulator and the floor of real galaxies. Every draw and every measured stamp is kept in
the work folder beside the bundle: the same command resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace as with_values
from pathlib import Path

import numpy as np
from msgspec.structs import asdict, replace

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.emulation import (
    CONTACT_SHEET,
    EMULATION,
    EmulatorEvaluation,
    GuidancePoint,
    PriorEvaluation,
)
from galaxy_explorer.bundle.manifest import JUDGE
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.light import units_of
from galaxy_explorer.errors import BundleError
from galaxy_explorer.evaluation.context import Context, copied
from galaxy_explorer.evaluation.emulator.comparison import Galaxies
from galaxy_explorer.evaluation.emulator.contact_sheet import contact_sheet
from galaxy_explorer.evaluation.emulator.figures import FEWEST, Sets, all_figures, fooling_figures
from galaxy_explorer.evaluation.emulator.measure import (
    Asked,
    HeldOut,
    Measurer,
    Source,
)
from galaxy_explorer.evaluation.emulator.trends import (
    OBEDIENCE,
    best_guidance,
    guidance_point,
    histograms,
    trends,
    with_p,
)
from galaxy_explorer.evaluation.judge import shipped_judge
from galaxy_explorer.labels.games import Game, games_path, read_games
from galaxy_explorer.labels.log import log_path
from galaxy_explorer.settings import read_settings
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import sha256_of

__all__ = ["evaluate_emulator"]

Say = Callable[[str], None]
SAMPLES = 1000
GUIDANCES = (1.0, 1.25, 1.5, 2.0, 3.0)
NO_GUIDANCE = "A {kind} has no guidance."
GUIDANCE_ROWS = 200  # validation galaxies with a T behind each point of the curve
FURTHER = 3  # a third as many samples more are asked for a known T, and at each guidance
EXTRA_ROUNDS = 1000  # numbers of the further samples lie beyond those of the others
RULE = (
    "On validation galaxies, of the guidances with which the judge reads the T that was asked"
    f" for as well as off reconstructions (r at least {OBEDIENCE:g} of theirs), the one with"
    " the smallest sum of two numbers: the mean miss of the slopes of C, Gini and M20 against"
    " T (sample over reconstruction, from 1), and the mean Wasserstein-1 distance over sigma"
    " from the reconstructions; of equal ones the smallest; where none obeys, the one that"
    " obeys best."
)


class PriorMeasurement:
    """One proof; `run` measures everything and returns it."""

    def __init__(
        self,
        context: Context,
        emulator: Emulator,
        samples: int,
        workers: int,
        say: Say,
        *,
        stage: str = "emulator",
        games: Sequence[Game] = (),
    ) -> None:
        self.context, self.emulator, self.samples, self.say = context, emulator, samples, say
        self.games = games
        self.guided = emulator.guided
        self.measurer = Measurer(context, emulator.model, emulator.fields, workers, stage=stage)
        bundle, file = context.bundle, context.bundle.priors[emulator.key].file
        self.source = Source(bundle.manifest.files[file].sha256, emulator.prior)

    def run(self) -> PriorEvaluation:
        """Measure what is not measured yet; put everything together."""
        curve = self._curve() if self.measurer.asks_type and self.guided else []
        guidance = best_guidance(curve) if curve else 1.0
        if self.guided:
            self.say(f"Guidance {guidance:g}, chosen on {curve[0].n if curve else 0} galaxies")
        sets = self._sets(guidance)
        self.say("Figures")
        bundle = self.context.bundle
        rule = RULE if self.guided else NO_GUIDANCE.format(kind=self.emulator.kind.short)
        return PriorEvaluation(
            model=self.emulator.model,
            settings={
                "bundle": bundle.name,
                "prior": self.emulator.kind.title,
                "survey": bundle.manifest.survey.name,
                "software": bundle.manifest.software,
                "light": units_of(bundle).unit,
                "held-out galaxies": str(len(sets.real)),
                "with a T": str(len(sets.real.typed)),
                "samples": str(len(sets.samples)),
                "asked for a T": str(len(sets.samples_with_ttype)),
                "control samples": str(0 if sets.control is None else len(sets.control)),
            },
            figures=(*all_figures(sets), *fooling_figures(self.games, self.source.key)),
            trends=tuple(trends(sets)),
            histograms=tuple(histograms(sets)),
            curve=tuple(curve),
            guidance=guidance,
            guidance_rule=rule,
            kind=self.emulator.kind.name,
        )

    def _rows(self, split: str, most: int, *, typed: bool = False) -> np.ndarray:
        """Catalogue rows of a split, at most so many, drawn at random, those with a T first."""
        unknown = np.isnan(self.context.ttype)
        chosen = (self.context.splits == split) & ~(unknown & typed)
        rows = np.random.default_rng(0).permutation(np.flatnonzero(chosen))
        return np.sort(rows[np.argsort(unknown[rows], kind="stable")][:most])

    def _training_rows_like(self, rows: np.ndarray) -> np.ndarray:
        """Training rows, as many with and without a T as there are of these, drawn at random."""
        unknown, parts = np.isnan(self.context.ttype), []
        train = np.random.default_rng(0).permutation(self.context.in_split("train"))
        for without in (False, True):
            most = np.count_nonzero(unknown[rows] == without)
            parts.append(train[unknown[train] == without][:most])
        return np.sort(np.concatenate(parts))

    def _curve(self) -> list[GuidancePoint]:
        """The guidance curve on validation galaxies with a T; empty where there are too few."""
        rows = self._rows("validation", min(GUIDANCE_ROWS, self.samples // FURTHER), typed=True)
        if len(rows) < FEWEST:
            return []
        reconstructions, noise = self.measurer.reconstructed(rows, "validation reconstructions")
        asked = Asked(reconstructions.ttype, rows, noise, noise.sigma)
        return [
            guidance_point(
                guidance,
                reconstructions,
                self.measurer.sampled(self.source, asked, guidance, "validation samples"),
            )
            for guidance in GUIDANCES
        ]

    def _sets(self, guidance: float) -> Sets:
        rows = self._rows("test", self.samples)
        held_out = self.measurer.held_out(rows, "test galaxies")
        asked = self._asked(held_out, rows, np.arange(self.samples) % len(rows))
        made = self.measurer.sampled(self.source, asked, guidance, "samples")
        typed = np.flatnonzero(np.isfinite(held_out.real.ttype))
        obeying, control = made.typed, None
        if self.measurer.asks_type and len(typed) >= FEWEST:
            more = np.resize(typed, max(len(typed), self.samples // FURTHER))
            extra = self._asked(held_out, rows, more, first_round=EXTRA_ROUNDS)
            obeying = obeying.joined(
                self.measurer.sampled(self.source, extra, guidance, "further samples")
            )
            control = self._control(extra, guidance)
        train = self._training_rows_like(rows)
        return Sets(
            real=held_out.real,
            reconstructions=held_out.reconstructions,
            samples=made,
            samples_with_ttype=obeying,
            control=control,
            training=self.measurer.training(),
            train=self.measurer.orbit(train, "train galaxies"),
            held_out=self.measurer.orbit(rows[: len(train)], "test galaxies"),
        )

    def _control(self, asked: Asked, guidance: float) -> Galaxies:
        """Samples that must not follow the T they are said to be asked for.

        Of a prior that was trained with the labels of the next batch; where a training takes hours,
        of the prior itself, asked for the T of another galaxy.
        """
        emulator, words = self.emulator, "control samples"
        if not emulator.kind.quick_control:
            self.say("Control: asked for the T of other galaxies")
            order = np.random.default_rng(0).permutation(len(asked.ttype))
            mixed = with_values(asked, ttype=asked.ttype[order])
            made = self.measurer.sampled(self.source, mixed, guidance, words)
            return with_values(made, ttype=asked.ttype)
        from galaxy_explorer.pipeline.prior import coded_bundle, train_prior

        self.say("Control: a prior trained with mismatched labels")
        entry = self.context.bundle.priors[emulator.key]
        name, seed = str(entry.recipe["name"]), int(entry.recipe.get("seed", 0))
        coded = coded_bundle(self.context.bundle, self.context.survey, emulator.model)
        trained = train_prior(coded, name, kind=entry.kind, seed=seed, control=True)
        source = Source(sha256_of(trained.weights), trained.load())
        return self.measurer.sampled(source, asked, guidance, words)

    def _asked(
        self, held_out: HeldOut, rows: np.ndarray, places: np.ndarray, first_round: int = 0
    ) -> Asked:
        """Samples for held-out galaxies: their T, their noise, a number of each one's own."""
        rounds = first_round + np.arange(len(places)) // len(np.unique(places))
        return Asked(
            ttype=held_out.real.ttype[places],
            numbers=rows[places] + rounds * len(self.context.splits),
            noise=held_out.noise,
            sigma=held_out.noise.sigma[places],
        )


def evaluate_emulator(
    path: Path,
    survey_path: Path,
    *,
    samples: int = SAMPLES,
    grid: str = "quick",
    workers: int = 1,
    out: Path | None = None,
    only: str | None = None,
    say: Say,
) -> EmulatorEvaluation:
    """Measure a bundle's priors; write figures, contact sheet, judge, card and guidance into it.

    only: measure the priors of this model, or the one "<model>/<kind>", and keep what was measured
    of the others. samples: how many are drawn, and at most how many held-out galaxies they are
    compared with. out: a copy of the bundle to write into instead. Games of "real or synthetic?"
    are those beside this machine's labels. Raises BundleError, SurveyError, SettingError.
    """
    bundle, survey = load_bundle(path), Survey.open(survey_path)
    main = Emulator.open(bundle).key
    names = [main, *(name for name in bundle.priors if name != main)]
    asked = [n for n in names if only in (None, n, bundle.priors[n].model)]
    if not asked:
        raise BundleError(f"{bundle.path}: no prior of {only}; there are {', '.join(names)}")
    proofs = {} if only is None else _kept(bundle, only, samples)
    if main not in (*asked, *proofs):
        what = f"{bundle.path}: the prior that draws first, {main}, was never measured"
        raise BundleError(f"{what}; leave --model {only} out")
    played = read_games(games_path(log_path(read_settings().labels)))
    work = path.absolute().with_name(f"{path.absolute().name}.work")
    context = Context(bundle, survey, work / "evaluation", grid)
    for name in asked:
        entry = bundle.priors[name]
        say(f"The prior {name}")
        stage = "emulator" if name == main else f"emulator-{name.replace('/', '.')}"
        emulator = Emulator.open(bundle, entry.model, entry.kind)
        one = PriorMeasurement(context, emulator, samples, workers, say, stage=stage, games=played)
        proofs[name] = one.run()
    others = tuple(proofs[name] for name in names[1:] if name in proofs)
    made = EmulatorEvaluation(**asdict(proofs[main]), others=others)
    target = path if out is None else copied(path, out)
    write_emulation(load_bundle(target), made, context, say)
    return made


def _kept(bundle: Bundle, only: str, samples: int) -> dict[str, PriorEvaluation]:
    """What was measured of the other priors; raises BundleError where it cannot stand beside."""
    found = bundle.emulation
    if found is None:
        what = f"{bundle.path}: its first prior was never measured"
        raise BundleError(f"{what}; leave --model {only} out")
    if (before := found.settings.get("samples")) != str(samples):
        raise BundleError(
            f"{bundle.path}: its first prior was measured with -n {before};"
            " take as many, or leave --model out"
        )
    first = PriorEvaluation(**{n: v for n, v in asdict(found).items() if n != "others"})
    proofs = (replace(p, trends=tuple(with_p(p.trends))) for p in (first, *found.others))
    return {_key_of(bundle, proof): proof for proof in proofs}


def _key_of(bundle: Bundle, proof: PriorEvaluation) -> str:
    """The prior that was measured; files of before do not name its kind."""
    return f"{proof.model}/{proof.kind}" if proof.kind else bundle.prior(proof.model).key


def write_emulation(
    bundle: Bundle, emulation: EmulatorEvaluation, context: Context, say: Say
) -> None:
    """Put a proof, judge, contact sheet, the guidance chosen and the new card into a bundle."""
    say("Judge")
    models = list(dict.fromkeys(prior.model for prior in context.bundle.priors.values()))
    judge = shipped_judge(context, models)
    say("Contact sheet")
    sheet = contact_sheet(context, Emulator.open(context.bundle), emulation.guidance)
    files = {EMULATION: emulation.to_bytes()}
    files |= {} if judge is None else {JUDGE: judge.data}
    files |= {} if sheet is None else {CONTACT_SHEET: sheet}
    add_files(
        bundle.path,
        files,
        lambda manifest: model_card(manifest, evaluation=bundle.evaluation, emulation=emulation),
        guidance={
            _key_of(bundle, proof): proof.guidance for proof in (emulation, *emulation.others)
        },
        ttype_regressor=None if judge is None else judge.entry,
    )
