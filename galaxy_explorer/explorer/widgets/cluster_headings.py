"""Clusters in words: keys, headings and rules that the Clusters and Codebooks pages share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from galaxy_explorer.explorer.escape import escape
from galaxy_explorer.explorer.plots.palette import T_COLOURS, cluster_colour
from galaxy_explorer.explorer.plots.ttype_histogram import STABLE, format_mean

if TYPE_CHECKING:
    from galaxy_explorer.clustering.summary import ClusterSummary

KIND_RULE = (
    "Early: the 95 % interval of the cluster's share of T ≤ 0 lies above the share in"
    " the whole sample. Late: it lies below. Mixed: it holds it. No word: fewer than 8 members"
    " have a T."
)
TYPE_RULE = (
    "Bars run from T = −3 (early, left) to T = 6 (late, right) and have the colour of the cluster's"
    " mean T. The scale is the same in every panel, that of the highest bar among clusters with at"
    " least 20 members with a T. Galaxies without a T are counted, not drawn."
)

JACCARD_RULE = (
    "Mean Jaccard similarity of the cluster and its likeness in bootstraps of the galaxies: 1 if it"
    " comes back with the same members every time. Below 0.5 it is drawn faintly: it may not be"
    " there at all."
)

STYLES = """
:host { color: var(--panel-on-background-color); font-size: 13px; line-height: 1.4; }
.key { display: flex; flex-wrap: wrap; gap: 2px 16px; align-items: center; }
.key .ramp { display: inline-flex; vertical-align: -2px; margin: 0 6px; }
.key .ramp i { width: 12px; height: 12px; }
.soft { opacity: 0.72; }
.hint { text-decoration: underline dotted; cursor: help; text-underline-offset: 3px; }
h2 { margin: 0 0 2px; font-size: 17px; font-weight: 600; }
h2 .dot {
  display: inline-block; width: 12px; height: 12px; border-radius: 50%; margin-right: 7px;
}
h3 { margin: 0 0 2px; font-size: 14px; font-weight: 600; }
p { margin: 0; }
.facts { border-collapse: collapse; }
.facts th, .facts td { padding: 1px 16px 1px 0; text-align: left; font-weight: 400; }
.facts th { opacity: 0.72; font-size: 12px; }
"""


def hint(words: str, explanation: str) -> str:
    """Words with an explanation that shows when pointed at."""
    return f'<span class="hint" tabindex="0" title="{escape(explanation)}">{escape(words)}</span>'


def type_key(clusters: Iterable[ClusterSummary], jaccard: Sequence[float | None] = ()) -> str:
    """Key of the small multiples and the number of clusters of each kind, as HTML.

    jaccard: how well each cluster comes back in bootstraps; empty where that was not measured.
    """
    ramp = "".join(f'<i style="background:{colour}"></i>' for colour in T_COLOURS)
    clusters = list(clusters)
    kinds = Counter(cluster.kind for cluster in clusters if cluster.count)
    empty = sum(not cluster.count for cluster in clusters)
    parts = [f"{kinds[kind]} {kind}" for kind in ("early", "mixed", "late")]
    parts += [f"{kinds['unknown']} with too few T"] * bool(kinds["unknown"])
    parts += [f"{empty} empty"] * bool(empty)
    faint = sum(value is not None and value < STABLE for value in jaccard)
    steady = f"<span>{hint(f'faint: {faint} not stable', JACCARD_RULE)}</span>" if jaccard else ""
    return (
        f'<div class="key"><span>{hint("colour: mean T", TYPE_RULE)}'
        f' <span class="soft">early</span><span class="ramp">{ramp}</span>'
        f'<span class="soft">late</span></span>'
        f"<span>{hint(' · '.join(parts), KIND_RULE)}</span>{steady}</div>"
    )


def cluster_heading(cluster: ClusterSummary, jaccard: float | None = None) -> str:
    """One cluster in a heading and a line of figures, as HTML.

    jaccard: how well it comes back in bootstraps, None where that was not measured.
    """
    dot = f'<span class="dot" style="background:{cluster_colour(cluster.id)}"></span>'
    n, known = cluster.count, cluster.n_ttype
    kind = "too few T to call" if cluster.kind == "unknown" else cluster.kind
    parts = [f"<b>{n:,}</b> galaxies", f"<b>{known:,}</b> with T", f"{n - known:,} without"]
    if known:
        parts += [f"mean T <b>{format_mean(cluster)}</b>", _early_share(cluster)]
    if jaccard is not None:
        parts.append(hint(f"Jaccard {jaccard:.2f}", JACCARD_RULE))
    line = " · ".join(parts)
    return f"<h2>{dot}Cluster {cluster.id}: {hint(kind, KIND_RULE)}</h2><p>{line}</p>"


def _early_share(cluster: ClusterSummary) -> str:
    low, high = 100 * cluster.early_low, 100 * cluster.early_high
    share = f"{100 * cluster.early_fraction:.0f} % early ({low:.0f} to {high:.0f} %)"
    return hint(share, "Share of T ≤ 0 among members with a T, with its 95 % interval.")


def selection_heading(label: str, n: int, no_t: int) -> str:
    """A selection that is not one whole cluster, as HTML; no label: the whole sample is meant."""
    title, advice = f"Selection: {escape(label)}", ""
    if not label:
        title = "All galaxies"
        advice = "Choose a cluster on the left, or draw around galaxies on the map."
    counts = f"<b>{n:,}</b> galaxies · <b>{n - no_t:,}</b> with T · {no_t:,} without"
    return f'<h2>{title}</h2><p>{counts} <span class="soft">{advice}</span></p>'


BUTTONS = {"textTransform": "none", "py": "2px", "whiteSpace": "nowrap"}


def choice(words: str, parameter: Any, options: dict[str, str] | None = None) -> pn.Row:
    """A few buttons to choose one value of a parameter, with words before them."""
    extra = {} if options is None else {"options": options}
    buttons = pmui.RadioButtonGroup.from_param(
        parameter, label="", description="", size="small", margin=0,
        sx={"& .MuiToggleButton-root": BUTTONS}, **extra,
    )  # fmt: skip
    head = pn.pane.HTML(words, stylesheets=[STYLES], margin=(4, 8, 0, 0))
    return pn.Row(head, buttons, margin=0)
