"""Everything that is measured of a finished bundle, stage by stage, and what is written into it.

Each stage leaves its result in the work folder beside the bundle under a key of its inputs: a
rerun resumes. Where further trainings lie in that folder, or were measured by an earlier
evaluation, figures are means over trainings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.card import claims_text, model_card
from galaxy_explorer.bundle.evaluation import (
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
from galaxy_explorer.pipeline.autoencoders import find_replicas
from galaxy_explorer.survey.store import Survey

__all__ = ["evaluate_bundle"]

Say = Callable[[str], None]
RECOMMENDED_RULE = (
    "On the validation galaxies, among candidates that repeat themselves (bootstrap ARI at least"
    " 0.70) and are about the galaxy (ARI at least 0.75 under rotation by 45 degrees, 0.80 under a"
    " shift of 1 pixel, 0.70 under other noise), the one whose clusters hold most of the variance"
    " of T beyond chance."
)


class Evaluator:
    """One evaluation; `run` measures everything and returns it."""

    def __init__(
        self,
        context: Context,
        models_evaluated: list[EvaluatedModel],
        trainings: list[ExtraTraining],
        workers: int,
        say: Say,
    ) -> None:
        self.context, self.models_evaluated, self.trainings = context, models_evaluated, trainings
        self.workers, self.say = workers, say
        self.judging = LabelScorer(context)
        self.shipped = find_shipped(context.bundle, models_evaluated)
        self.taken = taken_over(context.bundle, models_evaluated, context.grid_name)
        self.rows = [(one.row, one.seed) for one in self.taken]
        self.stability: list[ClusterStability] = []

    @property
    def recommended(self) -> Shipped:
        """The clustering that the bundle opens with."""
        key = self.context.bundle.manifest.default_clustering
        return next(shipped for shipped in self.shipped if shipped.clustering.key == key)

    def run(self) -> Evaluation:
        """Measure what is not measured yet; put everything together."""
        start = time.monotonic()
        self._reconstruction()
        self._clusterings()
        self.say("Baselines, and the ceiling of a supervised network")
        clusters = {self.recommended.clustering.mixture.n_components, CLUSTERS}
        self._add(baseline_rows(self.judging, tuple(sorted(clusters))))
        self._add(ceiling_rows(self.context))
        chosen = self._numbers()
        trees = (merger_tree(self.context, self.recommended),)
        evidence = Evidence(
            [row for row, _ in self.rows], [seed for _, seed in self.rows], self.models_evaluated
        )
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
            claims=tuple(judge_all(evidence, chosen)),
            number_of_clusters=tuple(chosen),
            stability=tuple(self.stability),
            tradeoff=tuple(tradeoff(evidence.joined, self.models_evaluated)),
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

    def _add(self, rows: list[EvaluationRow], seed: int = 0) -> None:
        self.rows += [(row, seed) for row in rows]

    def _reconstruction(self) -> None:
        self.say(f"Reconstruction and vocabulary of {len(self.models_evaluated)} trainings")
        for evaluated in self.models_evaluated:
            self._add(reconstruction_rows(self.context, evaluated), evaluated.seed)
        self.rows += trained_rows(self.trainings, self._known)
        if len(self.context.rows("test", typed=True)) < 2:
            return
        for evaluated in self.models_evaluated:
            if evaluated.shipped and (
                evaluated.fully_evaluated or not evaluated.has_maps or not evaluated.has_64_features
            ):
                self._add(morphology_rows(self.context, evaluated, self.workers), evaluated.seed)

    @property
    def _known(self) -> set[tuple[str, int]]:
        """Name and seed of every training with figures."""
        measured = {(evaluated.name, evaluated.seed) for evaluated in self.models_evaluated}
        return measured | {(one.row.model, one.seed) for one in self.taken}

    def _clusterings(self) -> None:
        full_grid = self.context.grid_name == "full"
        cells = [c for s in self.models_evaluated for c in plan_runs(s, full_grid=full_grid)]
        for number, cell in enumerate(cells, 1):
            name = f"{cell.evaluated.name} (seed {cell.evaluated.seed}), {cell.features.name}"
            self.say(f"Clusters {number} of {len(cells)}: {name}")
            self._add(cell_rows(self.judging, cell), cell.evaluated.seed)
        for shipped in self.shipped:
            self.say(f"Shipped clustering {shipped.clustering.key}")
            rows, stability = shipped_rows(self.judging, shipped)
            self._add(rows, shipped.evaluated.seed)
            self.stability.append(stability)

    def _numbers(self) -> list[NumberOfClusters]:
        self.say("How many clusters: real galaxies, and simulated ones of known classes")
        mapped = [
            s
            for s in (self.recommended.evaluated, *self.models_evaluated)
            if s.shipped and s.has_maps
        ]
        if mapped:
            self._add(simulated_rows(self.context, mapped[0]))
        chosen = []
        for shipped in self.shipped:
            if shipped is self.recommended or shipped.evaluated.fully_evaluated:
                found = number_of_clusters(self.context, shipped)
                chosen.append(found)
                row = make_row(
                    RowKey(found.model, found.features, found.clusterer),
                    "number of clusters",
                    "recommended k",
                    {"value": float(found.recommended or 1)},
                    n=len(self.context.fit_rows),
                    split="train",
                    note="a continuum" if found.verdict == "continuum" else found.verdict,
                )
                self._add([row])
        return chosen

    def _costs(self, seconds: float) -> tuple[Cost, ...]:
        """By group of stages, and all together; resumed stages count what they took then."""
        groups: dict[str, list[Cost]] = {}
        for cost in self.context.costs:
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
        return (*joined, Cost("all stages", round(max(total, seconds), 2), peak))


def evaluate_bundle(
    path: Path,
    survey_path: Path,
    *,
    grid: str = "quick",
    seeds: int | None = None,
    workers: int = 1,
    out: Path | None = None,
    say: Say,
) -> Evaluation:
    """Measure a bundle and write evaluation.json, CLAIMS.md and the card into it.

    seeds: at most that many trainings of each model, from the bundle's work folder; None for all.
    out: a copy of the bundle to write into instead. Raises BundleError, SurveyError or
    SettingError.
    """
    bundle, survey = load_bundle(path), Survey.open(survey_path)
    work = path.absolute().with_name(f"{path.absolute().name}.work")
    context = Context(bundle, survey, work / "evaluation", grid)
    replicas = find_replicas(work, survey)
    models_evaluated = find_models(bundle, replicas, seeds)
    trainings = further_trainings(bundle, replicas)
    if all(evaluated.shipped for evaluated in models_evaluated):
        say(f"No further trainings in {work}: figures are of one training each")
    evaluation = Evaluator(context, models_evaluated, trainings, workers, say).run()
    target = path if out is None else copied(path, out)
    say("Which error is usual for galaxies of some detail and noise")
    novelty = fit_novelty(bundle, survey)
    further = {} if novelty is None else {NOVELTY: novelty.to_bytes()}
    write_evaluation(load_bundle(target), evaluation, trainings, further)
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
