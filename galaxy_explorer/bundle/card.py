"""The model card of a bundle, and CLAIMS.md: Markdown written from what the bundle holds.

The text is in `templates/`. Whatever comes from a file of the bundle is a guest in it: it stays in
its cell of a table and on its line, and does not open a tag.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from galaxy_explorer.bundle.clusterings import SAME_SURVEY, VIEWS
from galaxy_explorer.bundle.emulation import (
    KINDS,
    TESTED,
    EmulationFigure,
    EmulatorEvaluation,
    PriorEvaluation,
    headline,
)
from galaxy_explorer.bundle.evaluation import Evaluation, EvaluationRow
from galaxy_explorer.bundle.manifest import Manifest, PriorEntry, ReadingsEntry, RegressorEntry
from galaxy_explorer.models.conditions import ATTRIBUTES
from galaxy_explorer.models.registry import AUTOENCODERS, PRIORS, PriorKind

if TYPE_CHECKING:
    from jinja2 import Environment

CREDITS = {
    "sdss_ngc": "Pixels: SDSS DR7. Types: EFIGI (Baillard et al. 2011), else OpenNGC"
    " (CC-BY-SA-4.0), whose Hubble types come from HyperLEDA (Makarov et al. 2014).",
    "gz1": "Pixels: SDSS. Objects: Galaxy Zoo 1 (Lintott et al. 2011).",
    "efigi": "Pixels: SDSS DR4, as EFIGI renders them. Types and attributes: EFIGI 1.6.2"
    " (Baillard et al. 2011).",
    "gz2_5class": "Pixels: SDSS DR7. Classes: Galaxy Zoo 2 (Willett et al. 2013), of the images of"
    " the Galaxy Zoo challenge (Zenodo 3565489, CC BY 4.0).",
}
LICENCES = {"sdss_ngc": "cc-by-sa-4.0", "gz2_5class": "cc-by-4.0"}
"""Of what the catalogue takes from a source; weights, code maps and clusters have the package's."""
OWN_LICENCE = "bsd-3-clause"
TAGS = (
    *("astronomy", "galaxies", "galaxy-morphology", "hubble-sequence", "vq-vae", "clustering"),
    *("representation-learning", "safetensors"),
)
PRIOR_HEAD = "Prior of the emulator"
SCORES = {"ami": "AMI", "homogeneity": "homogeneity", "eta2": "η²"}
NETWORK = "supervised network"  # the ceiling's name in an evaluation
BASELINE = "baseline"
RECONSTRUCTION = ("NMSE", "blur", "SSIM", "fine structure kept", "C kept", "Gini kept", "M20 kept")
AGREEMENT = (
    *("AMI", "eta^2", "R^2 by cluster means", "two-class accuracy"),
    *("early clusters", "late clusters"),
)
LIKE_FOR_LIKE = (("index", "gmm"), ("codes", "kmeans"), ("rings", "kmeans"), ("latents", "kmeans"))
STEERED_HEAD = "Steered by labels"
READINGS_HEAD = ("what", "stamps", "n", "r", "rms error", "mean error")
LEADING = ("concentration", "gini", "m20")  # A and S are dominated by noise: behind
TAG = re.compile(r"<(?=[A-Za-z/!?])")  # what opens HTML in CommonMark


class Markdown(str):
    """Text that is Markdown already: made here, of parts that were escaped."""

    __slots__ = ()


def escape(value: Any) -> str:
    """Any value as a text that neither breaks a table or a paragraph nor becomes HTML."""
    if isinstance(value, Markdown):
        return value
    if isinstance(value, float) and math.isnan(value):
        return "-"
    text = str(value).replace("|", "/").replace("\r", " ").replace("\n", " ")
    return TAG.sub("&lt;", text)


def model_card(
    manifest: Manifest,
    *,
    evaluation: Evaluation | None = None,
    emulation: EmulatorEvaluation | None = None,
    deconvolution: Any = None,
    command: str = "",
) -> str:
    """Markdown of the card: data, models, figures with intervals, limits, credits.

    It begins with a header of metadata in YAML (licence, tags, data, metrics), as hubs read it.
    Then whatever has been measured since: the evaluation, the emulator, the content of
    `deconvolution.json` with the command that made it.
    """
    parts = [_render("header", manifest=manifest)]
    made_by = train_command(manifest)
    parts.append(_render("model", manifest=manifest, heading=PRIOR_HEAD, made_by=made_by))
    if evaluation is not None:
        parts.append(_render("evaluation", manifest=manifest, evaluation=evaluation))
    if emulation is not None:
        parts.append(_render("emulator", manifest=manifest, emulation=emulation))
    if manifest.ttype_regressor is not None:
        parts.append(_render("judge", manifest=manifest, judge=manifest.ttype_regressor))
    if deconvolution is not None:
        parts.append(_render("deconvolution", found=deconvolution, command=command))
    return "\n".join(parts)


def card_text(card: str) -> str:
    """A card without its header of metadata, which is for machines."""
    _, _, text = card.removeprefix("---\n").partition("\n---\n")
    return text.lstrip("\n") if card.startswith("---\n") and text else card


def licences(manifest: Manifest) -> list[str]:
    """Licences of what is in a bundle, by the names that hubs use: the package's, then others'."""
    sources = [str(one.get("source")) for one in manifest.survey.sources]
    return [OWN_LICENCE, *dict.fromkeys(LICENCES[one] for one in sources if one in LICENCES)]


def tags(manifest: Manifest) -> list[str]:
    """What a bundle is about, in the words that one looks for on a hub."""
    deconvolves = any(AUTOENCODERS[one.kind].has_psf_layer for one in manifest.models.values())
    more = {"image-generation": bool(manifest.priors), "deconvolution": deconvolves}
    return [*TAGS, *(tag for tag, there in more.items() if there)]


def train_command(manifest: Manifest) -> str:
    """The command that makes the models and clusterings of a bundle."""
    recipe, seed = manifest.recipe, manifest.seed
    name = manifest.name if manifest.excerpt is None else manifest.excerpt.of
    words = [f"galaxy-explorer train surveys/{manifest.survey.name} --out trained/{name}"]
    words.append(f"--models {','.join(manifest.models)} --recipe {recipe.get('name', '?')}")
    words += [f"--steps {recipe['steps']}"] if "steps" in recipe else []
    words += [f"--seed {seed}"] if seed else []
    last = max((one.seed for one in manifest.extra_trainings), default=seed)
    words += [f"--seeds {last - seed + 1}"] if last > seed else []
    looks = (one.alignment.get("looks", ()) for one in manifest.clusterings.values())
    named = dict.fromkeys(look["name"] for found in looks for look in found)
    words += [f"--aligned-with surveys/{one}" for one in named if one not in {VIEWS, SAME_SURVEY}]
    return " ".join(words)


def measured_by(card: str) -> str:
    """The command that a card names as that of its figures of deconvolution; "" where none is."""
    command = r"^Measured by `(galaxy-explorer evaluate-deconvolution [^`\n]*)`"
    found = re.search(command, card, re.MULTILINE)
    return found[1] if found else ""


def claims_text(name: str, evaluation: Evaluation) -> str:
    """Markdown of all claims; nothing in it is typed by hand."""
    return _render("claims", name=name, evaluation=evaluation)


def _render(template: str, **values: Any) -> str:
    text = _environment().get_template(f"{template}.md.jinja").render(**values)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("galaxy_explorer.bundle"),
        # Jinja's own autoescape is HTML's; Markdown has other things to be escaped.
        autoescape=False,  # noqa: S701
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"fixed": fixed, "thousands": "{:,}".format, "markdown": Markdown}
    environment.filters["steered"] = lambda entries: {
        key: entry.steering for key, entry in entries.items() if entry.steering
    }
    environment.globals |= {
        "credits": CREDITS,
        "licences": licences,
        "tags": tags,
        "steered_heading": STEERED_HEAD,
        "scores": SCORES,
        "network": NETWORK,
        "interval": format_interval,
        "value": format_value,
        "prior_kinds": prior_kinds,
        "spread": format_spread,
        "failed": format_failed,
        "reconstruction_table": reconstruction_table,
        "agreement_table": agreement_table,
        "figure_table": figure_table,
        "chain_table": chain_table,
        "readings_table": readings_table,
        "headline": headline,
    }
    return environment


def prior_kinds(manifest: Manifest) -> list[tuple[PriorKind, dict[str, PriorEntry]]]:
    """The priors by what the card says of their kind; kinds may share words."""
    found: dict[str, tuple[PriorKind, dict[str, PriorEntry]]] = {}
    for kind in PRIORS.values():
        alike = {n: p for n, p in manifest.priors.items() if PRIORS[p.kind].card == kind.card}
        if alike:
            found[kind.card] = (kind, alike)
    return list(found.values())


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markdown:
    """A Markdown table; text from outside cannot break its cells."""
    lines = [head, ["---"] * len(head), *rows]
    return Markdown("\n".join("| " + " | ".join(map(escape, line)) + " |" for line in lines))


def fixed(value: Any, digits: int) -> str:
    """A number with so many decimals; "-" for none."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "-"


def format_interval(low: Any, high: Any, digits: int = 4) -> str:
    """Low to high, in words; "-" where there is no interval."""
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        return "-"
    return f"{low:.{digits}f} to {high:.{digits}f}"


def format_value(row: Any, *, chance: bool = True) -> str:
    """The value of a row with its interval in brackets, and its chance level where it has one."""
    if row is None or row.value is None:
        return "-"
    return _bracketed(row.value, row.low, row.high) + (
        f", chance {row.chance:.3f}" if chance and getattr(row, "chance", None) is not None else ""
    )


def _bracketed(value: float | None, low: float | None = None, high: float | None = None) -> str:
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{interval}"


def format_spread(values: Sequence[float]) -> Markdown:
    """Two cells: median of figures of stamps, and the range that holds 90 % of them."""
    import numpy as np

    low, middle, high = np.percentile(values, [5, 50, 95])
    return Markdown(f"{middle:.2f} | {low:.2f} to {high:.2f}")


def format_failed(emulation: PriorEvaluation) -> str:
    """Share of the stamps of each kind that could not be measured."""
    shares = {trend.kind: trend.failed for trend in emulation.trends}
    return ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in shares.items()) or "none"


def format_goal(figure: EmulationFigure) -> str:
    """The range asked for, in words."""
    low, high = figure.goal_low, figure.goal_high
    if low is None:
        return "" if high is None else f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _row(rows: Iterable[EvaluationRow], **wanted: object) -> EvaluationRow | None:
    fields = wanted.items()
    return next((r for r in rows if all(getattr(r, name) == v for name, v in fields)), None)


def _models(rows: Iterable[EvaluationRow], question: str) -> list[str]:
    return list(dict.fromkeys(row.model for row in rows if row.question == question))


def reconstruction_table(evaluation: Evaluation) -> Markdown:
    """How each model reconstructs."""
    kept = [row for row in evaluation.rows if row.question == "reconstruction"]
    rows = []
    for model in _models(kept, "reconstruction"):
        found = [_row(kept, model=model, figure=figure) for figure in RECONSTRUCTION]
        seeds = next((row.seed_count for row in found if row), 1)
        cells = [format_value(row) for row in found]
        for place, row in enumerate(found):
            if row is not None and row.seed_count != seeds:
                cells[place] += f", of {row.seed_count}"
        rows.append([model, seeds, *cells])
    return table(["model", "trainings", *RECONSTRUCTION], rows)


def agreement_table(evaluation: Evaluation) -> Markdown:
    """How clusters agree with the Hubble type.

    Of each model the clusterings that all models have, those that ship, and the baselines.
    """
    rows = []
    for model in _models(evaluation.rows, "agreement"):
        scored = [row for row in evaluation.rows if (row.model, row.figure) == (model, "AMI")]
        others = [
            (row.features, row.clusterer)
            for row in scored
            if model == BASELINE or "as shipped" in row.clusterer
        ]
        for features, clusterer in (*LIKE_FOR_LIKE, *dict.fromkeys(others)):
            wanted = {"model": model, "features": features, "clusterer": clusterer}
            found = [_row(evaluation.rows, figure=f, **wanted) for f in AGREEMENT]
            if found[0] is not None:
                name = f"{clusterer} {found[0].clusters}"
                cells = map(format_value, found)
                rows.append([model, features, name, found[0].seed_count, *cells])
    return table(["model", "features", "clusterer", "trainings", *AGREEMENT], rows)


def figure_table(emulation: PriorEvaluation, beside: PriorEvaluation | None = None) -> Markdown:
    """Figures of a prior with goals, verdicts and controls; last, those of another prior."""
    head = ["figure", "goal", "measured", "verdict", "n", "floor", "collapsed", "control", "note"]
    rows = []
    for f in emulation.figures:
        reference = "" if f.reference is None else f"; {f.reference:.3f}"
        row = [
            f"{f.name}, {f.statistic}" if f.statistic else f.name,
            format_goal(f),
            _bracketed(f.value, f.low, f.high),
            f.verdict,
            f.n,
            *map(_bracketed, (f.floor, f.collapsed, f.control)),
            f.note + reference,
        ]
        if beside is not None:
            row.append(format_value(beside.figure(f)))
        rows.append(row)
    return table([*head, *([] if beside is None else [beside.words])], rows)


def readings_table(judge: RegressorEntry) -> Markdown:
    """How well the judge reads T and attributes, of real stamps and of what models draw."""
    return table(READINGS_HEAD, readings_rows(judge))


def readings_rows(judge: RegressorEntry) -> list[list[Any]]:
    """A row for T, for T by whose it is, and for each attribute, of each kind of stamps."""
    labels = {name: label for name, label, _ in ATTRIBUTES}
    read: dict[str, ReadingsEntry] = {"T": judge}
    read |= {f"T of {source}": entry for source, entry in judge.sources.items()}
    read |= {labels[name]: entry for name, entry in judge.attributes.items()}
    return [
        [
            what, stamps, entry.n, _bracketed(one.r, one.low, one.high),
            fixed(one.rms, 2), fixed(one.bias, 2),
        ]
        for what, entry in read.items()
        for stamps, one in {"real": entry.real, **entry.drawn}.items()
    ]  # fmt: skip


def chain_table(emulation: PriorEvaluation) -> Markdown:
    """Slope of each statistic against T: real, reconstruction, sample, control."""
    names = list(dict.fromkeys(trend.statistic for trend in emulation.trends))
    names.sort(key=lambda name: name not in LEADING)
    rows = []
    for name in names:
        found = [emulation.trend(name, kind) for kind in KINDS]
        slopes = ["-" if t is None else _bracketed(t.slope, t.low, t.high) for t in found]
        tested = [emulation.trend(name, kind) for kind in TESTED]
        rows.append([name, *slopes, *("-" if t is None else t.format_p or "-" for t in tested)])
    return table(["statistic", *KINDS, *(f"p (Holm), {kind}" for kind in TESTED)], rows)
