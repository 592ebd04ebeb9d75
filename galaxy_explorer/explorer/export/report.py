"""A bundle as one HTML page for a paper's supplement: read-only, self-contained, no script.

Clusters with their Hubble types and their most typical members as the decoder draws them, models
with what they reconstruct, agreement with T. The page forbids itself every request by its own
Content-Security-Policy; all text of the bundle is escaped.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.clustering.summary import ordered
from galaxy_explorer.explorer.escape import escape
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    as_shown,
    encode_sheet,
    render,
)
from galaxy_explorer.explorer.plots.palette import T_COLOURS, cluster_colour
from galaxy_explorer.explorer.plots.ttype_histogram import T_NAMES, format_histogram, format_mean
from galaxy_explorer.explorer.wording import format_clustering, format_model
from galaxy_explorer.tables import PAPER, SOFTWARE

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, Clustering, Score
    from galaxy_explorer.clustering.summary import ClusterSummary

MEMBERS = 8
SCORES = {"ami": "AMI with T", "homogeneity": "homogeneity", "eta2": "η² of T"}
METRICS = {"nmse": "NMSE", "psnr_db": "PSNR (dB)", "perplexity": "perplexity"}
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, CanvasText 22%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 32px auto;
  padding: 0 16px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 32px 0 8px; }
h3 { font-size: 15px; margin: 0; } .soft { opacity: 0.75; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); }
td.number { text-align: right; }
.hash { font-family: ui-monospace, monospace; font-size: 12px; overflow-wrap: anywhere; }
.cluster { display: grid; grid-template-columns: 210px 190px 1fr; gap: 6px 18px; padding: 12px 0;
  border-bottom: 1px solid var(--line); align-items: center; break-inside: avoid; }
.cluster p { margin: 0; font-size: 13px; }
.cluster img { width: 100%; max-width: 560px; height: auto; border-radius: 4px; display: block; }
.dot { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 6px; }
svg text { fill: CanvasText; font: 8px system-ui, sans-serif; }
@media (max-width: 760px) { .cluster { grid-template-columns: 1fr; } }
"""


def report(
    bundle: Bundle, clustering: str | None = None, advance: Callable[[int], None] = lambda _: None
) -> str:
    """The page as HTML; draws the members by the decoder, which loads torch.

    clustering: key, else the bundle's default. advance: called with 1 after each cluster. Raises
    KeyError for an unknown clustering.
    """
    key = clustering or bundle.manifest.default_clustering
    chosen = bundle.clusterings[key]
    sections = []
    for cluster in ordered(chosen.clusters, "mean T"):
        sections.append(_cluster(bundle, cluster) if cluster.count else "")
        advance(1)
    title = f"{bundle.name}: {len(bundle):,} galaxies in {_filled(chosen)} clusters"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{_introduction(bundle, chosen)}"
        f"<h2>Models</h2>{_models(bundle)}<h2>Clusterings</h2>{_clusterings(bundle)}"
        f"<h2>Clusters, early to late</h2><p class='soft'>{_legend()}</p>{''.join(sections)}"
        f"<h2>To cite</h2><p>{escape(PAPER)}</p></body></html>\n"
    )


def _filled(clustering: Clustering) -> int:
    return sum(cluster.count > 0 for cluster in clustering.clusters)


def _introduction(bundle: Bundle, clustering: Clustering) -> str:
    survey = bundle.manifest.survey
    known = int(np.isfinite(bundle.column("ttype")).sum())
    words = format_clustering(
        clustering.model, bundle.models[clustering.model].config, clustering.features
    )
    band = f" in the {escape(survey.band)} band" if survey.band else ""
    return (
        f"<p>{len(bundle):,} galaxies{band}, {known:,} of them with a Hubble type. The models were"
        f" never told a type. Shown: {escape(words)}. Pictures are drawn by the model from its"
        f" codes; they hold no survey pixels.</p><p class='hash'>{escape(SOFTWARE)}, bundle"
        f" {escape(bundle.name)}, SHA-256 {escape(bundle.hash)}</p>"
    )


def _models(bundle: Bundle) -> str:
    lines = []
    for name, entry in bundle.models.items():
        cells = (number(entry.metrics.get(metric)) for metric in METRICS)
        lines.append([escape(format_model(name, entry.config)), f"{entry.steps:,}", *cells])
    heads = ["Model", "training steps", *(f"{word}, test split" for word in METRICS.values())]
    return _table(heads, lines)


def _clusterings(bundle: Bundle) -> str:
    lines = []
    for one in bundle.clusterings.values():
        words = format_clustering(one.model, bundle.models[one.model].config, one.features)
        cells = [_score(one.agreement[score]) for score in SCORES if score in one.agreement]
        lines.append([escape(words), str(one.effective_clusters), *cells])
    heads = ["Clustering", "clusters in use", *(f"{word} (95 %)" for word in SCORES.values())]
    return _table(heads, lines)


def _score(score: Score) -> str:
    figures = (score.value, score.low, score.high, score.chance)
    value, low, high, chance = (number(figure, ".3f") for figure in figures)
    return f"{value} ({low} to {high}); chance {chance}"


def number(value: float | None, digits: str = ".4g") -> str:
    """A figure, with four significant digits if not said otherwise; a dash where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value:{digits}}".replace("-", "−")


def _table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{word}</th>" for word in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _legend() -> str:
    return (
        "Bars: members with T = −3 (early) to 6 (late), each panel on its own scale; the highest"
        f" bar is labelled. Beside them the {MEMBERS} most typical members. Early, mixed or late by"
        " the 95 % interval of the share of T ≤ 0 against the whole sample."
    )


def _cluster(bundle: Bundle, cluster: ClusterSummary) -> str:
    kind = "too few T to call" if cluster.kind == "unknown" else cluster.kind
    dot = f'<span class="dot" style="background:{cluster_colour(cluster.id)}"></span>'
    words = f"{cluster.count:,} galaxies, {cluster.n_ttype:,} with T"
    mean = f"<br>mean T {format_mean(cluster)}" if cluster.n_ttype else ""
    return (
        f'<section class="cluster"><div><h3>{dot}Cluster {cluster.id}: {escape(kind)}</h3>'
        f"<p>{words}{mean}</p></div>{histogram_svg(cluster)}{_members(bundle, cluster)}</section>"
    )


def histogram_svg(cluster: ClusterSummary) -> str:
    """The Hubble types of a cluster as an SVG of ten bars."""
    counts = np.asarray(cluster.histogram)
    top = max(1, int(counts.max()))
    bars = []
    for place, count in enumerate(counts.tolist()):
        height, x = 44 * count / top, 18 * place
        bars.append(
            f'<rect x="{x + 1}" y="{56 - height:.1f}" width="16" height="{height:.1f}"'
            f' fill="{T_COLOURS[place]}"/><text x="{x + 9}" y="66" text-anchor="middle">'
            f"{T_NAMES[place]}</text>"
        )
        if count == top:
            bars.append(
                f'<text x="{x + 9}" y="{53 - height:.1f}" text-anchor="middle">{count}</text>'
            )
    words = format_histogram(counts, cluster.count - cluster.n_ttype)
    return (
        f'<svg viewBox="0 0 182 70" role="img" aria-label="Hubble types: {escape(words)}">'
        f'<line x1="0" x2="182" y1="56" y2="56" stroke="currentColor" stroke-width="0.5"/>'
        f"{''.join(bars)}</svg>"
    )


def _members(bundle: Bundle, cluster: ClusterSummary) -> str:
    rows = np.array(cluster.typical[:MEMBERS], np.int64)
    if not len(rows):
        return "<div></div>"
    stamps = as_shown(bundle.decode(bundle.manifest.display_model, rows))
    sheet = encode_sheet(render(stamps, DisplaySettings()), MEMBERS)
    ids = ", ".join(str(bundle.column("galaxy_id")[row]) for row in rows)
    data = base64.b64encode(sheet).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{data}" alt="Most typical members: {escape(ids)}">'
