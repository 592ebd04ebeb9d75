"""Everything that is measured of a finished bundle, stage by stage, and what is written into it.

Each stage leaves its result in the work folder beside the bundle under a key of its inputs: a
rerun resumes. Where further trainings lie in that folder, or were measured by an earlier
evaluation, figures are means over trainings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from galaxy_explorer.bundle.bundle import Bundle, SharedBundle, load_bundle
from galaxy_explorer.bundle.card import claims_text, model_card
from galaxy_explorer.bundle.evaluation import (
    ALL_STAGES,
    CLAIMS,
    EVALUATION,
    ClusterStability,
    Cost,
    Evaluation,
    EvaluationRow,
    NumberOfClusters,
    TrainingRow,
)
from galaxy_explorer.bundle.manifest import ExtraTraining, Manifest
from galaxy_explorer.bundle.novelty import NOVELTY, fit_novelty
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.evaluation.agreement import LabelScorer
from galaxy_explorer.evaluation.claims import judge_all
from galaxy_explorer.evaluation.context import (
    CLUSTERS,
    Context,
    EvaluatedModel,
    copied,
    find_models,
    peak_mib,
)
from galaxy_explorer.evaluation.encoding import orbits
from galaxy_explorer.evaluation.evidence import Evidence
from galaxy_explorer.evaluation.feature_runs import (
    Shipped,
    cell_rows,
    find_shipped,
    plan_runs,
    shipped_rows,
)
from galaxy_explorer.evaluation.number_of_clusters import (
    merger_tree,
    number_of_clusters,
    simulated_rows,
)
from galaxy_explorer.evaluation.reconstruction import morphology_rows, reconstruction_rows
from galaxy_explorer.evaluation.references import baseline_rows, ceiling_rows, judge_targets
from galaxy_explorer.evaluation.rows import RowKey, make_row
from galaxy_explorer.evaluation.trainings import (
    FROM_MANIFEST,
    further_trainings,
    taken_over,
    tradeoff,
    trained_rows,
    training_curves,
)
from galaxy_explorer.models.registry import AUTOENCODERS
from galaxy_explorer.pipeline.autoencoders import find_replicas
from galaxy_explorer.survey.store import SharedSurvey, Survey
from galaxy_explorer.utils.scheduler import once_a_process, run_tasks

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import AutoencoderConfig

__all__ = ["evaluate_bundle"]

Say = Callable[[str], None]
RECOMMENDED_RULE = (
    "On the validation galaxies, among candidates that repeat themselves (bootstrap ARI at least"
    " 0.70) and are about the galaxy (ARI at least 0.75 under rotation by 45 degrees, 0.80 under a"
    " shift of 1 pixel, 0.70 under other noise), the one whose clusters hold most of the variance"
    " of T beyond chance."
)


CEILING = "ceiling"


@dataclass(frozen=True)
class Measurement:
    """One measurement of an evaluation; what it finds is kept in the work folder.

    name: no other has it. words: what is said as it begins. measure: does it, and notes the rows.
    first: whether others build upon what it leaves.
    """

    name: str
    words: str
    measure: Callable[[], object]
    first: bool = False


class Evaluator:
    """One evaluation; `run` measures everything and returns it."""

    def __init__(
        self,
        context: Context,
        models_evaluated: list[EvaluatedModel],
        trainings: list[ExtraTraining],
        workers: int,
    ) -> None:
        self.context, self.models_evaluated, self.trainings = context, models_evaluated, trainings
        self.workers = workers
        self.judging = LabelScorer(context)
        self.shipped = find_shipped(context.bundle, models_evaluated)
        self.taken = taken_over(context.bundle, models_evaluated, context.grid_name)
        self.rows = [(one.row, one.seed) for one in self.taken]
        self.rows += trained_rows(trainings, self._known)
        self.stability: list[ClusterStability] = []
        self.chosen: list[NumberOfClusters] = []

    @classmethod
    def of(cls, context: Context, *, seeds: int | None, workers: int) -> Evaluator:
        """Of a bundle and its further trainings; arguments as `evaluate_bundle` has them."""
        bundle = context.bundle
        replicas = find_replicas(context.work.parent, context.survey, bundle.manifest.seed)
        models_evaluated = find_models(bundle, replicas, seeds)
        return cls(context, models_evaluated, further_trainings(bundle, replicas), workers)

    @property
    def recommended(self) -> Shipped:
        """The clustering that the bundle opens with."""
        key = self.context.bundle.manifest.default_clustering
        return next(shipped for shipped in self.shipped if shipped.clustering.key == key)

    def measurements(self) -> list[Measurement]:
        """Everything that is measured, in the order of the scoreboard."""
        baselines = "Baselines, and the ceiling of a supervised network"
        clusters = tuple(sorted({self.recommended.clustering.mixture.n_components, CLUSTERS}))
        return [
            *self._reconstruction(),
            *self._clusterings(),
            Measurement("baselines", baselines, self._rows(baseline_rows, self.judging, clusters)),
            Measurement(CEILING, "", self._rows(ceiling_rows, self.context)),
            *self._numbers(),
        ]

    def run(self, say: Say) -> Evaluation:
        """Measure what is not measured yet; put everything together."""
        start = time.monotonic()
        for one in self.measurements():
            if one.words:
                say(one.words)
            one.measure()
        trees = (merger_tree(self.context, self.recommended),)
        configs = self._configs()
        evidence = Evidence([row for row, _ in self.rows], [seed for _, seed in self.rows], configs)
        bundle, known = self.context.bundle, self._known
        shipped = {(one.name, one.seed) for one in self.models_evaluated if one.shipped}
        return Evaluation(
            settings={
                "bundle": bundle.name,
                "survey": bundle.manifest.survey.name,
                "software": bundle.manifest.software,
                "grid": self.context.grid_name,
                "trainings": str(len(known)),
                "of an earlier evaluation": str(len(known) - len(self.models_evaluated)),
                "seeds": str(len({seed for _, seed in known})),
                "test galaxies": str(len(self.context.rows("test"))),
                "of test galaxies in all": str(len(self.context.in_split("test"))),
                "with a type": str(len(self.context.rows("test", typed=True))),
            },
            recommended=self.recommended.clustering.key,
            recommended_rule=RECOMMENDED_RULE,
            rows=tuple(evidence.joined),
            claims=tuple(judge_all(evidence, self.chosen)),
            number_of_clusters=tuple(self.chosen),
            stability=tuple(self.stability),
            tradeoff=tuple(tradeoff(evidence.joined, configs)),
            training=tuple(training_curves(self.context.bundle, self.trainings)),
            trees=trees,
            targets=tuple(judge_targets(evidence.joined, self.recommended.subset)),
            costs=self._costs(time.monotonic() - start),
            # of those that do not ship, but for what the manifest says of them
            extra_trainings=tuple(
                TrainingRow(seed, row)
                for row, seed in self.rows
                if (row.model, seed) in known - shipped and row.note != FROM_MANIFEST
            ),
        )

    def _configs(self) -> dict[str, AutoencoderConfig]:
        """Of every model that was trained, also of those of which only figures are at hand."""
        told = {one.name: AUTOENCODERS[one.kind].config_of(one.config) for one in self.trainings}
        found = told | {one.name: one.config for one in self.models_evaluated}
        return {name: found[name] for name in sorted(found)}

    def _rows(
        self, measure: Callable[..., list[EvaluationRow]], *arguments: object, seed: int = 0
    ) -> Callable[[], None]:
        """What measures rows and notes them as of a training."""

        def noted() -> None:
            self.rows += [(row, seed) for row in measure(*arguments)]

        return noted

    def _reconstruction(self) -> Iterator[Measurement]:
        context = self.context
        for one in self.models_evaluated:
            noted = self._rows(reconstruction_rows, context, one, seed=one.seed)
            words = f"Reconstruction and vocabulary of {one.words}"
            yield Measurement(f"reconstruction of {one.words}", words, noted)
        if len(context.rows("test", typed=True)) < 2:
            return
        for one in self.models_evaluated:
            compared = one.fully_evaluated or not one.has_maps or not one.has_64_features
            if one.shipped and compared:
                arguments = (context, one, self.workers)
                noted = self._rows(morphology_rows, *arguments, seed=one.seed)
                yield Measurement(f"morphology of {one.words}", "", noted)

    @property
    def _known(self) -> set[tuple[str, int]]:
        """Name and seed of every training with figures."""
        measured = {(evaluated.name, evaluated.seed) for evaluated in self.models_evaluated}
        return measured | {(one.row.model, one.seed) for one in self.taken}

    def _clusterings(self) -> Iterator[Measurement]:
        full_grid = self.context.grid_name == "full"
        cells = [c for s in self.models_evaluated for c in plan_runs(s, full_grid=full_grid)]
        turned = [cell.evaluated for cell in cells if cell.transformed]
        turned += [shipped.evaluated for shipped in self.shipped]
        for one in {one.words: one for one in turned}.values():
            measure = partial(orbits, self.context, one)
            words = f"What {one.words} makes of galaxies turned, shifted and under other noise"
            yield Measurement(f"orbits of {one.words}", words, measure, first=True)
        other = "What else clusters might follow"
        yield Measurement("photometry", other, lambda: self.judging.columns, first=True)
        for number, cell in enumerate(cells, 1):
            name = f"{cell.evaluated.words}, {cell.features.name}"
            words = f"Clusters {number} of {len(cells)}: {name}"
            noted = self._rows(cell_rows, self.judging, cell, seed=cell.evaluated.seed)
            yield Measurement(f"clusters of {name}", words, noted)
        for shipped in self.shipped:
            words = f"Shipped clustering {shipped.clustering.key}"
            yield Measurement(words, words, partial(self._shipped, shipped))

    def _shipped(self, shipped: Shipped) -> None:
        rows, stability = shipped_rows(self.judging, shipped)
        self.rows += [(row, shipped.evaluated.seed) for row in rows]
        self.stability.append(stability)

    def _numbers(self) -> Iterator[Measurement]:
        words = "How many clusters: real galaxies, and simulated ones of known classes"
        mapped = [
            s
            for s in (self.recommended.evaluated, *self.models_evaluated)
            if s.shipped and s.has_maps
        ]
        if mapped:
            yield Measurement(
                "simulated", words, self._rows(simulated_rows, self.context, mapped[0])
            )
        for shipped in self.shipped:
            if shipped is self.recommended or shipped.evaluated.fully_evaluated:
                name = f"number of clusters of {shipped.clustering.key}"
                yield Measurement(name, "", partial(self._number, shipped))

    def _number(self, shipped: Shipped) -> None:
        found = number_of_clusters(self.context, shipped)
        self.chosen.append(found)
        row = make_row(
            RowKey(found.model, found.features, found.clusterer),
            "number of clusters",
            "recommended k",
            {"value": float(found.recommended or 1)},
            n=len(self.context.fit_rows),
            split="train",
            note="a continuum" if found.verdict == "continuum" else found.verdict,
        )
        self.rows.append((row, shipped.evaluated.seed))

    def _costs(self, seconds: float) -> tuple[Cost, ...]:
        """By group of stages, and all together; resumed stages count what they took then."""
        groups: dict[str, list[Cost]] = {}
        for cost in self.context.costs.values():
            # without its model: "k16-modern-8x8.0.clusters.codes" is about clusters
            first, *rest = cost.stage.split(".")
            if first in {"simulated", "baseline", "judge", "photometry"}:
                about = first
            else:
                about = f"shipped {rest[-1]}" if first == "shipped" else rest[1]
            groups.setdefault(about, []).append(cost)
        joined = [
            Cost(
                name,
                round(sum(cost.seconds for cost in costs), 2),
                max(cost.peak_mib for cost in costs),
            )
            for name, costs in groups.items()
        ]
        total = sum(cost.seconds for cost in joined)
        peak = max([peak_mib(), *(cost.peak_mib for cost in joined)])
        return (*joined, Cost(ALL_STAGES, round(max(total, seconds), 2), peak))


@dataclass(frozen=True)
class EvaluationPlan:
    """What a worker needs to measure; it must see the work folder too."""

    bundle: SharedBundle
    survey: SharedSurvey
    work: str
    grid: str
    seeds: int | None


@dataclass(frozen=True)
class MeasurementTask:
    """A measurement, by its name."""

    plan: EvaluationPlan
    name: str


def measure_task(task: MeasurementTask) -> None:
    """Measure, and leave the result in the work folder.

    Raises BundleError or SurveyError where the worker finds others than were meant.
    """
    plan = task.plan

    def opened() -> dict[str, Measurement]:
        bundle, survey = plan.bundle.opened(), plan.survey.opened()
        context = Context(bundle, survey, Path(plan.work), plan.grid)
        evaluator = Evaluator.of(context, seeds=plan.seeds, workers=1)
        return {one.name: one for one in evaluator.measurements()}

    measurements: dict[str, Measurement] = once_a_process("evaluation", plan, opened)
    with threadpool_limits(1):  # sums depend on how many threads share them
        measurements[task.name].measure()


def measure_ahead(evaluator: Evaluator, seeds: int | None, scheduler: str, say: Say) -> None:
    """Have the workers of a scheduler measure everything; the evaluator then finds it done.

    What others build upon is measured first. Raises as `utils.scheduler.run_tasks`.
    """
    context = evaluator.context
    plan = EvaluationPlan(
        bundle=SharedBundle.of(context.bundle),
        survey=SharedSurvey.of(context.survey),
        work=str(context.work.resolve()),
        grid=context.grid_name,
        seeds=seeds,
    )
    for first in (True, False):
        names = [one.name for one in evaluator.measurements() if one.first is first]
        names.sort(key=lambda name: name != CEILING)  # the longest, where it trains a judge
        tasks = [MeasurementTask(plan, name) for name in names]
        done = run_tasks(
            measure_task,
            tasks,
            scheduler=scheduler,
            total=len(tasks),
            words="Measuring what others build upon" if first else "Measuring",
            unit="measurements",
            said=say,
        )
        for _ in done:
            pass


def evaluate_bundle(
    path: Path,
    survey_path: Path,
    *,
    grid: str = "quick",
    seeds: int | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    out: Path | None = None,
    say: Say,
) -> Evaluation:
    """Measure a bundle and write evaluation.json, CLAIMS.md and the card into it.

    seeds: at most that many trainings of each model, from the bundle's work folder; None for all.
    workers: processes for the morphology. scheduler: as `utils.scheduler`: its workers measure.
    out: a copy of the bundle to write into instead. Raises BundleError, SurveyError or
    SettingError.
    """
    bundle, survey = load_bundle(path), Survey.open(survey_path)
    work = path.absolute().with_name(f"{path.absolute().name}.work")
    context = Context(bundle, survey, work / "evaluation", grid)
    evaluator = Evaluator.of(context, seeds=seeds, workers=workers)
    if all(evaluated.shipped for evaluated in evaluator.models_evaluated):
        say(f"No further trainings in {work}: figures are of one training each")
    if scheduler is None:
        evaluation = evaluator.run(say)
    else:
        measure_ahead(evaluator, seeds, scheduler, say)
        evaluation = evaluator.run(lambda _: None)  # all is there
    target = path if out is None else copied(path, out)
    say("Which error is usual for galaxies of some detail and noise")
    novelty = fit_novelty(bundle, survey)
    further = {} if novelty is None else {NOVELTY: novelty.to_bytes()}
    write_evaluation(load_bundle(target), evaluation, evaluator.trainings, further)
    return evaluation


def write_evaluation(
    bundle: Bundle,
    evaluation: Evaluation,
    trainings: list[ExtraTraining],
    further: Mapping[str, bytes] | None = None,
) -> None:
    """Put an evaluation, the claims, the trainings behind them and the new card into a bundle.

    further: other files by name.
    """
    files = {
        **(further or {}),
        EVALUATION: evaluation.to_bytes(),
        CLAIMS: claims_text(bundle.name, evaluation).encode(),
    }

    def card(manifest: Manifest) -> str:
        return model_card(manifest, evaluation=evaluation, emulation=bundle.emulation)

    add_files(bundle.path, files, card, trainings=trainings)
