"""Hubble types of clusters and selections: arrays to figures. Pure functions, no state.

The classes are those of the report: T = -3..6, nearest integer, outliers in the end classes.
Intervals are Wilson intervals of 95 % on the share of a class among galaxies with a T.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d, Whisker
from bokeh.plotting import figure
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.clustering.summary import ENOUGH_TTYPES, ordered
from galaxy_explorer.explorer.plots.palette import T_COLOURS, cluster_colours, describe
from galaxy_explorer.utils.resampling import share_interval

if TYPE_CHECKING:
    from galaxy_explorer.clustering.summary import ClusterSummary

T_VALUES = tuple(range(-3, 7))
T_NAMES = ("≤−3", "−2", "−1", "0", "1", "2", "3", "4", "5", "≥6")
T_SOURCE = "ttypes"
NO_T_PLACE = 8
MIDDLE_GREY = "#808891"
"""Legible on the light and on the dark page."""
STABLE = 0.5
"""Mean Jaccard similarity in bootstraps below which a cluster may not be there (Hennig 2007)."""


def wilson_interval(counts: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % Wilson interval of each class, as counts: n times the interval of its share of n.

    counts: (10,) galaxies per class; n is their sum. With n = 0 both ends are 0.
    """
    counts = np.asarray(counts)
    n = counts.sum()
    low, high = share_interval(counts, n)
    return np.nan_to_num(n * low), np.nan_to_num(n * high)


def histogram_columns(counts: ArrayLike, reference: ArrayLike | None = None) -> dict[str, Any]:
    """Columns of the data source of `t_histogram` for counts (10,) of T = -3..6.

    reference: counts (10,) of a larger sample, scaled here to as many galaxies.
    """
    counts = np.asarray(counts, np.int64)
    larger = np.full(len(counts), np.nan) if reference is None else np.asarray(reference, float)
    low, high = wilson_interval(counts)
    share = counts / max(1, counts.sum())
    return {
        "t": np.array(T_VALUES),
        "name": list(T_NAMES),
        "count": counts,
        "text": [f"{count:,}" if count else "" for count in counts],
        "share": [f"{100 * part:.1f} %" for part in share],
        "expected": larger * counts.sum() / np.maximum(1.0, larger.sum()),
        "low": low,
        "high": high,
        "interval": [f"{a:.1f} to {b:.1f}" for a, b in zip(low, high, strict=True)],
        "colour": list(T_COLOURS),
    }


def t_histogram(
    counts: ArrayLike, no_t: int, *, reference: ArrayLike | None = None, height: int = 200
) -> figure:
    """Histogram of the Hubble types of some galaxies, with its 95 % intervals.

    counts: (10,) galaxies with T = -3..6 (the ends hold what lies beyond); no_t: galaxies without a
    T, written as a number of their own. reference: counts (10,) of a larger sample, drawn as grey
    lines where it would lie with as many galaxies. `update_t_histogram` feeds the figure anew.
    """
    source = ColumnDataSource(histogram_columns(counts, reference), name=T_SOURCE)
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        x_range=Range1d(-3.7, NO_T_PLACE + 1.2),
        y_range=Range1d(0, 1),
        tools="",
        toolbar_location=None,
        outline_line_color=None,
    )
    describe(plot, "Histogram of the Hubble types T, with 95 % intervals")
    bars = plot.vbar("t", 0.86, "count", source=source, color="colour", line_color=None)
    ends = Whisker(base="t", lower="low", upper="high", source=source, line_color=MIDDLE_GREY)
    for head in (ends.upper_head, ends.lower_head):
        head.size, head.line_color = 5, MIDDLE_GREY
    plot.add_layout(ends)
    plot.rect("t", "expected", 0.96, 2, height_units="screen", source=source, color=MIDDLE_GREY)
    style = {"text_align": "center", "text_font_size": "11px", "text_color": MIDDLE_GREY}
    plot.text("t", "high", "text", source=source, y_offset=-3, text_baseline="bottom", **style)
    aside = ColumnDataSource({"x": [NO_T_PLACE], "y": [0], "text": [""]}, name="no_t")
    plot.text("x", "y", "text", source=aside, y_offset=-6, text_baseline="bottom", **style)
    hover = [("T", "@name"), ("galaxies", "@count"), ("share of those with T", "@share")]
    hover.append(("95 % interval (Wilson)", "@interval"))
    plot.add_tools(HoverTool(renderers=[bars], tooltips=hover, mode="vline"))
    plot.xaxis.ticker = FixedTicker(ticks=[*T_VALUES, NO_T_PLACE])
    names = dict(zip(T_VALUES, T_NAMES, strict=True))
    plot.xaxis.major_label_overrides = {**names, NO_T_PLACE: "no T"}
    plot.xaxis.major_label_text_font_size = "10px"  # narrow panels
    plot.xaxis.axis_label = "early  ←  Hubble type T  →  late"
    plot.xgrid.grid_line_color = None
    plot.yaxis.ticker.desired_num_ticks = 4
    plot.yaxis.ticker.min_interval = 1
    plot.yaxis.axis_label = "galaxies"
    plot.axis.axis_label_text_font_style = "normal"
    plot.min_border_right = 2
    update_t_histogram(plot, counts, no_t, reference=reference)
    return plot


def update_t_histogram(
    plot: figure, counts: ArrayLike, no_t: int, *, reference: ArrayLike | None = None
) -> None:
    """Show other galaxies in a figure made by `t_histogram`."""
    columns = histogram_columns(counts, reference)
    plot.select_one({"name": T_SOURCE}).data = columns
    plot.select_one({"name": "no_t"}).patch({"text": [(0, f"{no_t:,}")]})
    top = np.nanmax([columns["high"], columns["expected"]])
    plot.y_range.end = max(1.0, 1.18 * float(top))


def format_histogram(counts: ArrayLike, no_t: int) -> str:
    """A histogram in one sentence, for those who cannot see it."""
    counts = np.asarray(counts)
    parts = [f"{n} with T {name}" for n, name in zip(counts, T_NAMES, strict=True) if n]
    return ", ".join([*parts, f"{no_t} without T"])


def format_number(value: float) -> str:
    """A number with one decimal and a true minus; never "−0.0"."""
    return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")


def format_mean(cluster: ClusterSummary) -> str:
    """Mean T and spread: "1.3 ± 2.1"; a dash where no member has a T."""
    if not cluster.n_ttype:
        return "–"
    return f"{format_number(cluster.ttype_mean)} ± {format_number(cluster.ttype_std)}"


def panels(
    clusters: Sequence[ClusterSummary],
    *,
    share: bool = False,
    order: str = "mean T",
    picked: Mapping[int, int] | None = None,
    jaccard: Sequence[float | None] = (),
    names: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """What the small multiples draw (report, Figs. 13 and 14), one entry per cluster.

    share: bars as share of the cluster's galaxies with T instead of counts. The scale is the same
    in all panels: the highest bar of the clusters with enough T to tell is 1; higher ones, of
    clusters with fewer, are cut off there. picked: selected members of each cluster. jaccard: how
    well each cluster comes back in bootstraps; below STABLE it is marked. names: what each
    cluster is called.
    """
    heights = {c.id: _heights(c.histogram, share) for c in clusters}
    told = [heights[c.id].max() for c in clusters if c.n_ttype >= ENOUGH_TTYPES]
    top = float(max(told or [values.max() for values in heights.values()], default=0.0)) or 1.0
    picked, colours = picked or {}, cluster_colours(clusters)
    return [
        panel_values(
            cluster,
            np.minimum(heights[cluster.id] / top, 1.0),
            picked.get(cluster.id, 0),
            names[cluster.id] if names else "",
            colours[cluster.id],
        )
        | {"top": f"{100 * top:.0f} %" if share else f"{top:,.0f}"}
        | _stability(jaccard[cluster.id] if cluster.id < len(jaccard) else None)
        for cluster in ordered(clusters, order)
    ]


def _heights(histogram: ArrayLike, share: bool) -> NDArray[np.float64]:  # noqa: FBT001
    counts = np.asarray(histogram, np.float64)
    return counts / max(1.0, counts.sum()) if share else counts


def panel_values(
    cluster: ClusterSummary, heights: NDArray[np.float64], picked: int, name: str, colour: str
) -> dict[str, Any]:
    """What one of the small multiples draws."""
    return {
        "id": cluster.id,
        "count": cluster.count,
        "n": f"{cluster.count:,}",
        "bars": heights.round(4).tolist(),
        "tints": list(T_COLOURS),
        "colour": colour,
        "kind": "" if cluster.kind == "unknown" else cluster.kind,
        "mean": _mean_note(cluster),
        "picked": picked / cluster.count if cluster.count else 0.0,
        "name": name,
        "words": format_panel(cluster, picked, name),
    }


def _stability(jaccard: float | None) -> dict[str, Any]:
    """Whether a cluster may not be there, and why."""
    if jaccard is None:
        return {"unstable": False, "stability_words": ""}
    words = f"Jaccard {jaccard:.2f} in bootstraps"
    return {"unstable": jaccard < STABLE, "stability_words": words}


def _mean_note(cluster: ClusterSummary) -> str:
    if not cluster.count:
        return ""
    return f"T {format_number(cluster.ttype_mean)}" if cluster.n_ttype else "no T"


def format_panel(cluster: ClusterSummary, picked: int = 0, name: str = "") -> str:
    """One cluster in a sentence; name: what it is called."""
    if not cluster.count:
        return f"Cluster {cluster.id}: empty"
    called = f"{name}; " if name else ""
    words = f"Cluster {cluster.id}: {called}{cluster.count:,} galaxies,"
    words += f" {cluster.n_ttype:,} of them with T"
    if cluster.n_ttype:
        words += f", mean T {format_mean(cluster)}"
        words += "" if cluster.kind == "unknown" else f", {cluster.kind}"
    return f"{words}; {picked:,} selected" if picked else words
