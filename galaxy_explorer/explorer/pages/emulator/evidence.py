"""The evaluation of the emulator as HTML: figures with goals and controls, trends with T."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from galaxy_explorer.bundle.emulation import (
    KINDS,
    TESTED,
    EmulationFigure,
    EmulatorEvaluation,
    Histogram,
    PriorEvaluation,
    TypeTrend,
)
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.widgets.intervals import format_figure, format_interval

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

GROUP_WORDS = {
    "label": "Do samples follow the type?",
    "judge": "Do networks read the type that was asked for?",
    "distribution": "Are they distributed as real galaxies are?",
    "memory": "Are training galaxies copied?",
}
VERDICTS = {
    "reached": ("✓", "met"), "not reached": ("✗", "missed"), "within error": ("≈", "not-measured"),
    "at the floor": ("≈", "not-measured"), "no goal": ("", "not-measured"),
    "not measured": ("–", "not-measured"),
}  # fmt: skip
COLOURS = {
    "real": "#8b93a1", "reconstruction": "#2fa1da", "sample": "#ffb000", "control": "#db05b1",
}  # fmt: skip
KIND_WORDS = {
    "real": "real", "reconstruction": "reconstructed", "sample": "synthetic",
    "control": "control: labels of other galaxies",
}  # fmt: skip
WIDTH, HEIGHT = 220, 96
GROUP_HEADS = {
    "Figure": "", "goal": "", "reached": "", "95 % interval": "", "n": "", "verdict": "",
    "floor": "The same figure of real galaxies against real ones",
    "collapsed": "The same figure of an emulator that repeats 8 galaxies",
    "control": "The same figure where the labels are those of other galaxies",
}  # fmt: skip


def evidence_html(bundle: Bundle) -> Html:
    """Everything that was measured of the bundle's emulator; else how to measure it."""
    found: EmulatorEvaluation | None = bundle.emulation
    if found is None:
        return render("emulator.not_measured", path=bundle.path)
    names = dict.fromkeys(trend.statistic for trend in found.trends)
    trends = [
        trend_values(name, [trend for trend in found.trends if trend.statistic == name])
        for name in names
    ]
    key = [{"colour": COLOURS[kind], "words": KIND_WORDS[kind]} for kind in KINDS]
    shown = render("emulator.trends", kinds=key, curves=trends)
    heads = [{"name": name, "explanation": words} for name, words in GROUP_HEADS.items()]
    for group, words in GROUP_WORDS.items():
        figures = [figure_values(figure) for figure in found.figures if figure.group == group]
        if figures:
            shown += render("emulator.group", words=words, heads=heads, figures=figures)
    if found.histograms:
        drawn = [histogram_values(one) for one in found.histograms]
        shown += render("emulator.distributions", kinds=key, curves=drawn)
    if found.curve:
        points = [
            {
                "guidance": f"{point.guidance:g}"
                + " (default)" * (point.guidance == found.guidance),
                "figures": [
                    format_figure(value)
                    for value in (point.slope_ratio, point.distance, point.diversity, point.judged)
                ],
            }
            for point in found.curve
        ]
        shown += render("emulator.guidance", rule=found.guidance_rule, points=points)
    for other in found.others:
        shown += beside_html(found, other)
    run = ", ".join(f"{name}: {value}" for name, value in found.settings.items())
    return shown + render("emulator.how", settings=run)


def beside_html(found: EmulatorEvaluation, other: PriorEvaluation) -> Html:
    """Another prior, by the same figures, beside the one of this page."""
    figures = []
    for figure in other.figures:
        own = found.figure(figure)
        value, verdict = (None, "not measured") if own is None else (own.value, own.verdict)
        figures.append(
            figure_values(figure)
            | {"own_value": format_figure(value), "own_verdict": format_verdict(verdict)}
        )
    return render(
        "emulator.beside", model=other.words, own_model=found.words, figures=figures,
        prior=other.settings.get("prior", "prior"),
    )  # fmt: skip


def figure_values(figure: EmulationFigure) -> dict[str, Any]:
    """A figure as its row shows it: name, goal, value, interval, verdict, what it stands beside."""
    statistic = f", {_spaced(figure.statistic)}" if figure.statistic else ""
    others = [format_figure(v) for v in (figure.floor, figure.collapsed, figure.control)]
    return {
        "kind": VERDICTS[figure.verdict][1], "name": f"{figure.name}{statistic}",
        "note": figure.note, "goal": format_goal(figure.goal_low, figure.goal_high),
        "value": format_figure(figure.value), "n": f"{figure.n:,}",
        "interval": format_interval(figure.low, figure.high),
        "verdict": format_verdict(figure.verdict), "others": others, "control": others[-1],
    }  # fmt: skip


def format_verdict(verdict: str) -> str:
    """A verdict behind its sign."""
    return f"{VERDICTS[verdict][0]} {verdict}"


def format_goal(low: float | None, high: float | None) -> str:
    """What a figure shall reach, as "≥ 0.5"; a dash where there is no goal."""
    if low is None and high is None:
        return "–"
    if high is None:
        return f"≥ {format_figure(low)}"
    return f"≤ {format_figure(high)}" if low is None else format_interval(low, high)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def trend_values(name: str, trends: Sequence[TypeTrend]) -> dict[str, Any]:
    """The means of a statistic against T, one line a kind of galaxy, and their slopes."""
    means = [mean for trend in trends for mean in trend.means if mean is not None]
    low, high = (min(means), max(means)) if means else (0.0, 1.0)
    slopes = []
    for trend in trends:
        slope = f"{KIND_WORDS[trend.kind].split(':')[0]} {format_figure(trend.slope)} a type"
        tested = trend.format_p and trend.kind in TESTED
        slopes.append(f"{slope}, p (Holm) {trend.format_p}" if tested else slope)
    lines = [(trend.means, COLOURS[trend.kind]) for trend in trends]
    return {
        "range": f"{format_figure(low)} to {format_figure(high)}",
        "words": f"{_spaced(name)} against T, slopes: {'; '.join(slopes)}",
        "first": "T −3", "last": "6", "remark": "; ".join(slopes),
        **curve_values(name, lines, low, high),
    }  # fmt: skip


def histogram_values(one: Histogram) -> dict[str, Any]:
    """The distribution of a statistic, one line a kind of galaxy."""
    top = max((max(shares) for shares in one.shares.values() if shares), default=1.0) or 1.0
    lines = [(shares, COLOURS.get(kind, COLOURS["real"])) for kind, shares in one.shares.items()]
    return {
        "range": "", "remark": "",
        "words": f"Distribution of {_spaced(one.statistic)}: {', '.join(one.shares)}",
        "first": format_figure(one.edges[0]), "last": format_figure(one.edges[-1]),
        **curve_values(one.statistic, lines, 0.0, top),
    }  # fmt: skip


def curve_values(
    name: str, lines: Iterable[tuple[Sequence[float | None], str]], low: float, high: float
) -> dict[str, Any]:
    """A small drawing: its title, its size, and the points of its lines between low and high."""
    span = (high - low) or 1.0

    def points(values: Sequence[float | None]) -> str:
        last = max(1, len(values) - 1)
        return " ".join(
            f"{WIDTH * place / last:.1f},{HEIGHT * (1 - (value - low) / span):.1f}"
            for place, value in enumerate(values)
            if value is not None
        )

    return {
        "name": _spaced(name), "width": str(WIDTH), "height": str(HEIGHT),
        "box": f"-4 -4 {WIDTH + 8} {HEIGHT + 8}",
        "lines": [{"colour": colour, "points": points(values)} for values, colour in lines],
    }  # fmt: skip
