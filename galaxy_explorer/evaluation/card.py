"""The model card's part on the evaluation: goals, figures, claims, and the command for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from galaxy_explorer.bundle.card import model_card, table
from galaxy_explorer.bundle.emulation import EmulatorEvaluation
from galaxy_explorer.bundle.evaluation import Evaluation, EvaluationRow, TrainingCurve
from galaxy_explorer.bundle.manifest import Manifest
from galaxy_explorer.evaluation.emulator.card import emulator_section
from galaxy_explorer.evaluation.references import BASELINE, JUDGE
from galaxy_explorer.evaluation.rows import find_row

RECONSTRUCTION = ("NMSE", "SSIM", "fine structure kept", "C kept", "Gini kept", "M20 kept")
AGREEMENT = (
    *("AMI", "eta^2", "R^2 by cluster means", "two-class accuracy"),
    *("early clusters", "late clusters"),
)
LIKE_FOR_LIKE = (("index", "gmm"), ("codes", "kmeans"), ("rings", "kmeans"), ("latents", "kmeans"))


def card_of(
    manifest: Manifest, evaluation: Evaluation | None, emulation: EmulatorEvaluation | None
) -> str:
    """The card of a bundle with whatever has been measured of it."""
    card = model_card(manifest) if evaluation is None else evaluated_card(manifest, evaluation)
    if emulation is None:
        return card
    section = emulator_section(manifest.name, emulation, manifest.ttype_regressor)
    return f"{card.rstrip()}\n{section}"


def evaluated_card(manifest: Manifest, evaluation: Evaluation) -> str:
    """The card of a bundle with its evaluation."""
    parts = (_goals, _reconstruction, _agreement, _numbers, _step_rule, _claims, _cost)
    sections = "\n".join(part(evaluation) for part in parts)
    survey = evaluation.settings["survey"]
    command = f"`galaxy-explorer evaluate trained/{manifest.name} --survey surveys/{survey}`"
    return f"""{model_card(manifest)}
# Evaluation

Everything below, and all of `evaluation.json` and `CLAIMS.md`, is made by {command}
(grid `{evaluation.settings["grid"]}`), on the test split unless it says otherwise. Values are means
over trainings where there are several (column n of trainings); brackets are 95 % intervals over
galaxies and trainings. The whole scoreboard is on the page Scoreboard.
{sections}"""


def _goals(evaluation: Evaluation) -> str:
    rows = [
        [
            f"{t.name}{f' ({t.note})' if t.note else ''}",
            f"{t.goal:.3f}",
            _value(t.value, t.low, t.high),
            {1: "yes", 0: "no", None: "not measured"}[t.met],
        ]
        for t in evaluation.targets
    ]
    return f"""
## Goals of the recommended clustering

`{evaluation.recommended}`. {evaluation.recommended_rule}

{table(["figure", "goal", "measured", "reached"], rows)}
"""


def _value(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{interval}"


def _cell(row: EvaluationRow | None) -> str:
    if row is None:
        return "-"
    chance = "" if row.chance is None else f", chance {row.chance:.3f}"
    return _value(row.value, row.low, row.high) + chance


def _names(rows: Iterable[EvaluationRow]) -> list[str]:
    return list(dict.fromkeys(row.model for row in rows))


def _reconstruction(evaluation: Evaluation) -> str:
    kept = [row for row in evaluation.rows if row.question == "reconstruction"]
    rows = []
    for model in _names(kept):
        found = [find_row(kept, model=model, figure=figure) for figure in RECONSTRUCTION]
        seeds = next((row.seed_count for row in found if row), 1)
        rows.append([model, str(seeds), *map(_cell, found)])
    return f"""
## Reconstruction

SSIM and the slopes of C, Gini and M20 against T, reconstruction over original, in stretched units,
original and reconstruction alike: not comparable with linear flux.

{table(["model", "trainings", *RECONSTRUCTION], rows)}
"""


def _agreement(evaluation: Evaluation) -> str:
    rows: list[Sequence[str]] = []
    for model in _names(row for row in evaluation.rows if row.question == "agreement"):
        for features, clusterer in (*LIKE_FOR_LIKE, *_others(evaluation, model)):
            wanted = {"model": model, "features": features, "clusterer": clusterer}
            found = [find_row(evaluation.rows, figure=f, **wanted) for f in AGREEMENT]
            if found[0] is not None:
                name = f"{clusterer} {found[0].clusters}"
                rows.append([model, features, name, str(found[0].seed_count), *map(_cell, found)])
    network = [row for row in evaluation.rows if row.model == JUDGE.model]
    ceiling = "; ".join(f"{row.figure} {_cell(row)}" for row in network)
    return f"""
## Agreement with the Hubble type

What a supervised network reads of T in the same stamps: {ceiling or "not measured"}.

{table(["model", "features", "clusterer", "trainings", *AGREEMENT], rows)}
"""


def _others(evaluation: Evaluation, model: str) -> list[tuple[str, str]]:
    """Shipped clusterings and baselines of a model, by features and clusterer."""
    rows = [row for row in evaluation.rows if row.model == model and row.figure == "AMI"]
    kept = [row for row in rows if model == BASELINE or "as shipped" in row.clusterer]
    return list(dict.fromkeys((row.features, row.clusterer) for row in kept))


def _numbers(evaluation: Evaluation) -> str:
    rows = [
        [
            row.model,
            row.features,
            row.figure,
            _value(row.value, row.low, row.high),
            str(row.n),
            row.note,
        ]
        for row in evaluation.rows
        if row.question == "number of clusters"
    ]
    return f"""
## How many clusters

{table(["model", "features", "figure", "value", "n", "note"], rows)}
"""


def _step_rule(evaluation: Evaluation) -> str:
    rows = [_step(curve) for curve in evaluation.training]
    head = ["model", "seed", "best step", "rule met at", "NMSE lost by stopping there"]
    return f"""
## The training step

The rule asks that between checks 5 % of the training apart the error falls by less than 0.5 %, the
perplexity changes by less than 2 %, and less than 2 % of the held-out codes change.

{table(head, rows)}
"""


def _step(curve: TrainingCurve) -> list[str]:
    cost = "-" if curve.cost is None else f"{100 * curve.cost:.1f} %"
    rule = "never" if curve.early_stop_step is None else f"{curve.early_stop_step:,}"
    return [curve.model, str(curve.seed), f"{curve.best_step:,}", rule, cost]


def _claims(evaluation: Evaluation) -> str:
    rows = [[claim.words, claim.section, claim.verdict] for claim in evaluation.claims]
    return f"""
## The report's claims

Tests, figures and rules: `CLAIMS.md`.

{table(["claim", "section", "verdict"], rows)}
"""


def _cost(evaluation: Evaluation) -> str:
    rows = [[c.stage, f"{c.seconds:.0f}", f"{c.peak_mib:.0f}"] for c in evaluation.costs]
    return f"""
## What the evaluation takes

{table(["stages", "seconds", "peak memory so far, MiB"], rows)}
"""
