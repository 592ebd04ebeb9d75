"""A bundle as one HTML page for a paper's supplement: read-only, self-contained, no script.

Clusters with their Hubble types and their most typical members as the decoder draws them, models
with what they reconstruct, agreement with T. The page forbids itself every request by its own
Content-Security-Policy.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.clustering.summary import ordered
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    as_shown,
    encode_sheet,
    render_stamps,
)
from galaxy_explorer.explorer.plots.palette import T_COLOURS, cluster_colours
from galaxy_explorer.explorer.plots.ttype_histogram import T_NAMES, format_histogram, format_mean
from galaxy_explorer.explorer.wording import format_clustering, format_model, format_survey
from galaxy_explorer.tables import PAPER, SOFTWARE

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, Clustering
    from galaxy_explorer.clustering.naming import ClusterName
    from galaxy_explorer.clustering.summary import ClusterSummary

MEMBERS = 8
SCORES = {"ami": "AMI with T", "homogeneity": "homogeneity", "eta2": "η² of T"}
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
METRICS = {"nmse": "NMSE", "psnr_db": "PSNR (dB)", "perplexity": "perplexity"}
LEGEND = (
    "Bars: members with T = −3 (early) to 6 (late), each panel on its own scale; the highest"
    f" bar is labelled. Beside them the {MEMBERS} most typical members. A word of a name holds of"
    " most of the members of whom it is known, by the 95 % interval, and is known of at least 30 %."
)


def report(
    bundle: Bundle, clustering: str | None = None, advance: Callable[[int], None] = lambda _: None
) -> Html:
    """The page as HTML; draws the members by the decoder, which loads torch.

    clustering: key, else the bundle's default. advance: called with 1 after each cluster. Raises
    KeyError for an unknown clustering.
    """
    key = clustering or bundle.manifest.default_clustering
    colours = cluster_colours(bundle.clusterings[key].clusters)
    chosen, names, clusters = bundle.clusterings[key], bundle.cluster_names(key), []
    for cluster in ordered(chosen.clusters, "mean T"):
        if cluster.count:
            clusters.append(
                cluster_section(bundle, cluster, names[cluster.id], colours[cluster.id])
            )
        advance(1)
    known = int(np.isfinite(bundle.column("ttype")).sum())
    about = (
        f"{len(bundle):,} galaxies of {format_survey(bundle.manifest)}, {known:,} of them with a"
        " Hubble type. The models were never told a type. Shown:"
        f" {clustering_words(bundle, chosen)}. Pictures are drawn by the model from its"
        " codes; they hold no survey pixels."
    )
    return render(
        "report.page",
        title=f"{bundle.name}: {len(bundle):,} galaxies in {len(clusters)} clusters",
        about=about, source=f"{SOFTWARE}, bundle {bundle.name}, SHA-256 {bundle.hash}",
        models=models_table(bundle), clusterings=clusterings_table(bundle), legend=LEGEND,
        clusters=clusters, paper=PAPER, policy=POLICY,
    )  # fmt: skip


def clustering_words(bundle: Bundle, one: Clustering) -> str:
    """A clustering in words: "512 codes, modern, by code vectors"."""
    return format_clustering(one, bundle.models[one.model].config)


def models_table(bundle: Bundle) -> dict[str, Any]:
    """Heads and rows: what each model reconstructs."""
    rows = []
    for name, entry in bundle.models.items():
        cells = (number(entry.metrics.get(metric)) for metric in METRICS)
        rows.append([format_model(name, entry.config), f"{entry.steps:,}", *cells])
    heads = ["Model", "training steps", *(f"{word}, test split" for word in METRICS.values())]
    return {"heads": heads, "rows": rows}


def clusterings_table(bundle: Bundle) -> dict[str, Any]:
    """Heads and rows: what the clusters of each clustering know of the Hubble type."""
    rows = []
    for one in bundle.clusterings.values():
        cells = []
        for score in (one.agreement[name] for name in SCORES if name in one.agreement):
            figures = (score.value, score.low, score.high, score.chance)
            value, low, high, chance = (number(figure, ".3f") for figure in figures)
            cells.append(f"{value} ({low} to {high}); chance {chance}")
        rows.append([clustering_words(bundle, one), str(one.effective_clusters), *cells])
    heads = ["Clustering", "clusters in use", *(f"{word} (95 %)" for word in SCORES.values())]
    return {"heads": heads, "rows": rows}


def number(value: float | None, digits: str = ".4g") -> str:
    """A figure, with four significant digits if not said otherwise; a dash where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value:{digits}}".replace("-", "−")


def cluster_section(
    bundle: Bundle, cluster: ClusterSummary, name: ClusterName, colour: str
) -> Html:
    """A cluster: its name and what that rests on, its Hubble types, its most typical members."""
    rows, members = np.array(cluster.typical[:MEMBERS], np.int64), None
    if len(rows):
        stamps = as_shown(bundle.decode(bundle.manifest.display_model, rows))
        sheet = encode_sheet(render_stamps(stamps, DisplaySettings()), MEMBERS)
        ids = ", ".join(str(bundle.column("galaxy_id")[row]) for row in rows)
        members = {"data": base64.b64encode(sheet).decode("ascii"), "ids": ids}
    return render(
        "report.cluster", colour=colour,
        title=f"Cluster {cluster.id}: {name.name}", evidence=name.sentences,
        words=f"{cluster.count:,} galaxies, {cluster.n_ttype:,} with T",
        mean=format_mean(cluster) if cluster.n_ttype else "",
        histogram=histogram_svg(cluster), members=members,
    )  # fmt: skip


def histogram_svg(cluster: ClusterSummary) -> Html:
    """The Hubble types of a cluster as an SVG of ten bars."""
    counts = np.asarray(cluster.histogram)
    top = max(1, int(counts.max()))
    bars = []
    for place, count in enumerate(counts.tolist()):
        height, x = 44 * count / top, 18 * place
        bars.append(
            {
                "left": str(x + 1), "top": f"{56 - height:.1f}", "height": f"{height:.1f}",
                "colour": T_COLOURS[place], "middle": str(x + 9), "name": T_NAMES[place],
                "above": f"{53 - height:.1f}", "count": str(count) if count == top else "",
            }
        )  # fmt: skip
    words = f"Hubble types: {format_histogram(counts, cluster.count - cluster.n_ttype)}"
    return render("report.histogram", words=words, bars=bars)
