"""The model card's part on the emulator: each figure with goal, verdict, interval and controls."""

from __future__ import annotations

from galaxy_explorer.bundle.card import table
from galaxy_explorer.bundle.emulation import (
    KINDS,
    TESTED,
    EmulationFigure,
    EmulatorEvaluation,
    PriorEvaluation,
)
from galaxy_explorer.bundle.manifest import RegressorEntry
from galaxy_explorer.evaluation.emulator.figures import LEADING


def emulator_section(
    name: str, emulation: EmulatorEvaluation, judge: RegressorEntry | None = None
) -> str:
    """Markdown text; name: the bundle's; judge: the entry in its manifest."""
    survey = emulation.settings["survey"]
    command = f"`galaxy-explorer evaluate trained/{name} --survey surveys/{survey} --emulator`"
    settings = ", ".join(
        f"{word}: {emulation.settings[word]}"
        for word in ("held-out galaxies", "with a T", "samples", "asked for a T", "control samples")
    )
    return f"""
# Emulator

The prior over the code maps of `{emulation.model}`, by {command}. Real galaxies, reconstructions
and samples are measured under the same noise, sky and segmentation, in linear light by the inverse
of the survey's stretch ({emulation.settings["light"]}); {settings}.
Control: a prior trained with the labels of the next batch, which must not follow T. Collapsed: the
first eight samples again and again (of nearest neighbours: an emulator that copies training
galaxies). Floor: real against real, with as many galaxies. "Within error": the 95 % interval
reaches the goal, the value does not; "at the floor": the goal is below the floor and the interval
is not.

{_figures(emulation)}

## The chain: slope against T

A stage of T; in brackets the 95 % interval over galaxies. Asymmetry and smoothness are dominated by
noise. p (Holm): of no slope, two-sided, from the slope over its error, corrected over all
statistics (Holm 1979). Stamps that could not be measured: {_failed(emulation)}.

{_chain(emulation)}

## Guidance

{emulation.guidance:g} is the default. {emulation.guidance_rule}

{_curve(emulation)}
{_judge(judge)}{"".join(_beside(emulation, other) for other in emulation.others)}"""


def _judge(judge: RegressorEntry | None) -> str:
    if judge is None:
        return ""
    drawn = {f"`{name}`, noise added": values for name, values in judge.drawn.items()}
    kinds = {"real stamps": judge.real, **drawn}
    rows = [[kind, f"{v.r:.3f}", f"{v.rms:.2f}", f"{v.bias:.2f}"] for kind, v in kinds.items()]
    return f"""
## The judge

`{judge.file}` reads T: a network trained on real stamps of the train split. Of {judge.n}
held-out galaxies with a T, with the weights that ship:

{table(["stamps", "r with T", "rms error, stages", "mean error, stages"], rows)}
"""


def _beside(emulation: EmulatorEvaluation, other: PriorEvaluation) -> str:
    """Another prior by the same figures, those of the first beside them."""
    settings = other.settings
    return f"""
## Beside it: the prior of `{other.model}`

A {settings.get("prior", "prior")}, measured by the same figures on the same held-out galaxies,
against the reconstructions of its own model; last, the same figure of `{emulation.model}`.
Samples: {settings["samples"]}, asked for a T: {settings["asked for a T"]}, control samples:
{settings["control samples"]}; {other.guidance_rule} Stamps that could not be measured:
{_failed(other)}.

{_figures(other, emulation)}

{_chain(other)}
"""


def _figures(emulation: PriorEvaluation, beside: PriorEvaluation | None = None) -> str:
    head = ["figure", "goal", "measured", "verdict", "n", "floor", "collapsed", "control", "note"]
    rows = [
        [
            f"{f.name}{f', {f.statistic}' if f.statistic else ''}",
            goal_text(f),
            _value(f.value, f.low, f.high),
            f.verdict,
            str(f.n),
            _value(f.floor),
            _value(f.collapsed),
            _value(f.control),
            f.note + (f"; {f.reference:.3f}" if f.reference is not None else ""),
        ]
        for f in emulation.figures
    ]
    if beside is not None:
        head.append(beside.model)
        for row, figure in zip(rows, emulation.figures, strict=True):
            same = beside.figure(figure)
            row.append("-" if same is None else _value(same.value, same.low, same.high))
    return table(head, rows)


def goal_text(figure: EmulationFigure) -> str:
    """The range asked for, in words."""
    low, high = figure.goal_low, figure.goal_high
    if low is None:
        return "" if high is None else f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _value(value: float | None, low: float | None = None, high: float | None = None) -> str:
    if value is None:
        return "-"
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{interval}"


def _chain(emulation: PriorEvaluation) -> str:
    names = list(dict.fromkeys(trend.statistic for trend in emulation.trends))
    names.sort(key=lambda name: name not in LEADING)
    rows = []
    for name in names:
        found = [emulation.trend(name, kind) for kind in KINDS]
        cells = ["-" if t is None else f"{_value(t.slope, t.low, t.high)}" for t in found]
        tested = [emulation.trend(name, kind) for kind in TESTED]
        rows.append([name, *cells, *("-" if t is None else t.format_p or "-" for t in tested)])
    return table(["statistic", *KINDS, *(f"p (Holm), {kind}" for kind in TESTED)], rows)


def _failed(emulation: PriorEvaluation) -> str:
    shares = {trend.kind: trend.failed for trend in emulation.trends}
    return ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in shares.items()) or "none"


def _curve(emulation: PriorEvaluation) -> str:
    head = ["guidance", "slope ratio", "W1 / sigma", "diversity", "r of judged T", "cost", "n"]
    rows = [
        [
            f"{p.guidance:g}",
            f"{p.slope_ratio:.3f}",
            f"{p.distance:.3f}",
            f"{p.diversity:.3f}",
            _value(p.judged),
            f"{p.cost:.3f}",
            str(p.n),
        ]
        for p in emulation.curve
    ]
    return table(head, rows)
