"""Clusters in words: keys, headings and rules that the Clusters and Codebooks pages share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui

from galaxy_explorer.bundle.clusterings import SAME_SURVEY, VIEWS
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.plots.palette import ORDER_COLOURS
from galaxy_explorer.explorer.plots.ttype_histogram import STABLE, format_mean
from galaxy_explorer.explorer.widgets.components import HtmlPane

if TYPE_CHECKING:
    from galaxy_explorer.clustering.naming import ClusterName
    from galaxy_explorer.clustering.summary import ClusterSummary

KIND_RULE = (
    "Early: the 95 % interval of the cluster's share of T ≤ 0 lies above one half and above the"
    " share in the whole sample. Late: it lies below both. Mixed: neither. No word: fewer than 30 %"
    " of the members, or fewer than 8, have a T."
)
NAME_RULE = (
    "A word stands here if the 95 % interval (Wilson) of the share of members of whom it holds lies"
    " above one half, of those of whom it is known: at least 30 % of the cluster. Hubble types are"
    " those of the middle half. Clusters of one name are told apart by what is more frequent in"
    " one of them."
)
TYPE_RULE = (
    "Bars run from T = −3 (early, left) to T = 6 (late, right), as shares of the members with a T."
    " The scale is the same in every panel, that of the highest bar among clusters with at"
    " least 20 members with a T. Galaxies without a T are counted, not drawn."
)
ORDER_RULE = (
    "Dots, and the names on the map, have the colour of the cluster's place in the order of mean T,"
    " from the earliest to the latest; grey where fewer than 8 members have a T."
)
EARLY_RULE = "Share of T ≤ 0 among members with a T, with its 95 % interval."
JACCARD_RULE = (
    "Mean Jaccard similarity of the cluster and its likeness in bootstraps of the galaxies: 1 if it"
    " comes back with the same members every time. Below 0.5 its frame is dotted: it may not be"
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


def hint(words: str, explanation: str) -> Html:
    """Words with an explanation that shows when pointed at."""
    return render("parts.hint", words=words, explanation=explanation)


def type_key(
    clusters: Iterable[ClusterSummary], jaccard: Sequence[float | None] = (), top: str = ""
) -> Html:
    """Key of the small multiples and the number of clusters of each kind, as HTML.

    jaccard: how well each cluster comes back in bootstraps; empty where that was not measured.
    top: what the full height of a panel is.
    """
    clusters = list(clusters)
    kinds = Counter(cluster.kind for cluster in clusters if cluster.count)
    empty = sum(not cluster.count for cluster in clusters)
    parts = [f"{kinds[kind]} {kind}" for kind in ("early", "mixed", "late")]
    parts += [f"{kinds['unknown']} with too few T"] * bool(kinds["unknown"])
    parts += [f"{empty} empty"] * bool(empty)
    dotted = sum(value is not None and value < STABLE for value in jaccard)
    return render(
        "parts.type_key", bars=f"bars: T, to {top}" if top else "bars: T", type_rule=TYPE_RULE,
        order=ORDER_COLOURS, order_rule=ORDER_RULE,
        kinds=" · ".join(parts), kind_rule=KIND_RULE,
        dotted=f"dotted: {dotted} not stable" if dotted else "", dotted_rule=JACCARD_RULE,
    )  # fmt: skip


def cluster_heading(
    cluster: ClusterSummary,
    name: ClusterName,
    colour: str,
    jaccard: float | None = None,
    *,
    by: str = "",
) -> Html:
    """One cluster in a heading, a line of figures and what its name rests on, as HTML.

    colour: of the cluster. jaccard: how well it comes back in bootstraps, None where that was not
    measured. by: who gave the name, where somebody did.
    """
    n, known = cluster.count, cluster.n_ttype
    figures = [
        render("parts.counted", count=f"{n:,}", words="galaxies"),
        render("parts.counted", count=f"{known:,}", words="with T"),
        f"{n - known:,} without",
    ]
    if known:
        figures.append(render("parts.valued", words="mean T", value=format_mean(cluster)))
        low, high = 100 * cluster.early_low, 100 * cluster.early_high
        share = f"{100 * cluster.early_fraction:.0f} % early ({low:.0f} to {high:.0f} %)"
        figures.append(hint(share, EARLY_RULE))
    if jaccard is not None:
        figures.append(hint(f"Jaccard {jaccard:.2f}", JACCARD_RULE))
    return render(
        "parts.cluster", colour=colour, name=name.name, name_rule=NAME_RULE,
        figures=figures, by=by, evidence=name.sentences,
    )  # fmt: skip


def several_clusters(k: int, n: int) -> Html:
    """Several clusters with n galaxies in all, that are chosen together, as HTML."""
    return render("parts.heading", words=f"{k} clusters, {n:,} galaxies")


LOOKS = {
    VIEWS: "its own picture, resized, shifted, brighter, blurred or noisier",
    SAME_SURVEY: "a second entry in the survey",
}


def seen_twice(alignment: Mapping[str, Any]) -> Html | str:
    """How many galaxies that were seen again stay in their cluster, as HTML.

    alignment: of a clustering of aligned features, as the manifest has it; "" where there is none.
    """
    rows = []
    for look in alignment.get("looks", ()):
        if after := look.get("after"):
            shares = [
                " to ".join(f"{100 * when[end]:.0f}" for end in ends) + " %"
                for when in (after, look["before"])
                for ends in (("same_cluster",), ("same_cluster_low", "same_cluster_high"))
            ]
            found = f"{shares[0]} ({shares[1]})", f"{shares[2]} ({shares[3]})"
            words = LOOKS.get(look["name"], f"its picture in {look['name']}")
            counts = f"{look['held']:,}", f"{look['used']:,}"
            rows.append([words, *found, f"{100 * after['chance']:.0f} %", *counts])
    heads = ("seen again by", "stay", "before", "by chance", "galaxies", "aligned on")
    return render("parts.seen_twice", heads=heads, rows=rows) if rows else ""


BUTTONS = {"textTransform": "none", "py": "2px", "whiteSpace": "nowrap"}


def choice(words: str, parameter: Any, options: dict[str, str] | None = None) -> pn.Row:
    """A few buttons to choose one value of a parameter, with words before them."""
    extra = {} if options is None else {"options": options}
    buttons = pmui.RadioButtonGroup.from_param(
        parameter, label="", description="", size="small", margin=0,
        sx={"& .MuiToggleButton-root": BUTTONS}, **extra,
    )  # fmt: skip
    head = HtmlPane(words, stylesheets=[STYLES], margin=(4, 8, 0, 0))
    return pn.Row(head, buttons, margin=0)
