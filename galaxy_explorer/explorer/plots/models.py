"""Models compared: reconstruction against distinction, one point a model, ready to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from galaxy_explorer.bundle.evaluation import TradeoffPoint
from galaxy_explorer.explorer.plots.palette import category_colours
from galaxy_explorer.explorer.wording import (
    CLUSTERER_WORDS,
    FEATURE_WORDS,
    config_of,
    format_entry,
    format_series,
)

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle

DISTINCTIONS = {"η² of T": "eta2", "AMI with T": "ami"}
MARKERS = "os^dv*"
"""Shapes for kinds of features, by names that Bokeh (through HoloViews) and matplotlib share."""
CURVE_WORDS = {
    "NMSE": "nmse",
    "Perplexity": "perplexity",
    "Codes that changed": "codes_changed",
}
"""Words for the figures of a training curve."""


def tradeoff_points(bundle: Bundle) -> list[TradeoffPoint]:
    """One point a model: from the evaluation, else from what the manifest holds of seed 0."""
    if bundle.evaluation is not None and bundle.evaluation.tradeoff:
        return list(bundle.evaluation.tradeoff)
    keys = [key for key, one in bundle.clusterings.items() if one.steering is None]
    return [manifest_point(bundle, key) for key in keys]


def manifest_point(bundle: Bundle, key: str) -> TradeoffPoint:
    """The point of a clustering, from what its training and its agreement measured."""
    clustering = bundle.clusterings[key]
    entry = bundle.models[clustering.model]
    scores = {
        f"{name}{end}": value
        for name, score in clustering.agreement.items()
        if name in {"eta2", "ami"}
        for end, value in (("", score.value), ("_low", score.low), ("_high", score.high))
    }
    return TradeoffPoint(
        model=clustering.model, features=clustering.features, clusterer="mixture",
        codes=entry.config.get("num_embeddings"), nmse=entry.metrics.get("nmse"), nmse_low=None,
        nmse_high=None, seed_count=1, **scores,
    )  # fmt: skip


def tradeoff_columns(
    bundle: Bundle, points: Sequence[TradeoffPoint], distinction: str
) -> dict[str, Any]:
    """Columns of the trade-off plot; points without one of the two figures are left out.

    distinction: "eta2" or "ami".
    """
    known = [p for p in points if p.nmse is not None and getattr(p, distinction) is not None]
    kinds = list(dict.fromkeys(p.features for p in known))
    recipes = list(dict.fromkeys(_recipe(bundle, p) for p in known))
    colours = category_colours(len(recipes))
    return {
        "x": [p.nmse for p in known],
        "y": [getattr(p, distinction) for p in known],
        "left": [_end(p.nmse_low, p.nmse) for p in known],
        "right": [_end(p.nmse_high, p.nmse) for p in known],
        "low": [_end(getattr(p, f"{distinction}_low"), getattr(p, distinction)) for p in known],
        "high": [_end(getattr(p, f"{distinction}_high"), getattr(p, distinction)) for p in known],
        "marker": [MARKERS[kinds.index(p.features) % len(MARKERS)] for p in known],
        "colour": [colours[recipes.index(_recipe(bundle, p))] for p in known],
        "short": _ends(known, [_kind(bundle, p) for p in known]),
        "codes": [p.codes or 0 for p in known],
        "words": [format_point(bundle, p) for p in known],
        "seeds": [p.seed_count for p in known],
        "kind": [_kind(bundle, p) for p in known],
    }


def _ends(points: Sequence[TradeoffPoint], kinds: Sequence[str]) -> list[str]:
    """Numbers of codes where a series begins and ends: those between would hide each other."""
    sizes: dict[str, set[int]] = {}
    for point, kind in zip(points, kinds, strict=True):
        sizes.setdefault(kind, set()).add(point.codes or 0)
    ends = {kind: (min(own), max(own)) for kind, own in sizes.items()}
    return [
        str(point.codes) if point.codes and point.codes in ends[kind] else ""
        for point, kind in zip(points, kinds, strict=True)
    ]


def _end(bound: float | None, value: float | None) -> float | None:
    return value if bound is None else bound


def _recipe(bundle: Bundle, point: TradeoffPoint) -> str:
    """What a series of points has in common: the quantizer, or the design without a codebook."""
    return format_series(point.model, config_of(bundle, point.model)) or "–"


def _kind(bundle: Bundle, point: TradeoffPoint) -> str:
    """A series in the legend: without a codebook there is one kind of features only."""
    recipe = _recipe(bundle, point)
    return f"{recipe}, {_features(point)}" if point.codes else recipe


def _features(point: TradeoffPoint) -> str:
    return FEATURE_WORDS.get(point.features, point.features)


def format_point(bundle: Bundle, point: TradeoffPoint) -> str:
    """A point in words: its model and its features."""
    clusterer = CLUSTERER_WORDS.get(point.clusterer, point.clusterer)
    return f"{format_entry(bundle, point.model)}, {_features(point)}, {clusterer}"
