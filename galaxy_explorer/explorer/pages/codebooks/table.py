"""The scoreboard: what each model reconstructs, and what its clusters know of the Hubble type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle import Score
from galaxy_explorer.explorer.wording import format_features, format_model

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, Clustering, ModelEntry

Cell = dict[str, Any]
CHANCE = "the number below it is its 95 % interval and what chance alone gives"


@dataclass(frozen=True)
class TableColumn:
    """One figure of the scoreboard: its name, what it means, whether less is better."""

    name: str
    explanation: str
    cell: Callable[[ModelEntry, Clustering | None], Cell]
    best: Callable[[list[float]], float] | None = None


def _metric(name: str, form: str) -> Callable[[ModelEntry, Clustering | None], Cell]:
    def cell(model: ModelEntry, _: Clustering | None) -> Cell:
        return _number(model.metrics.get(name), form)

    return cell


def used_share(model: ModelEntry, _: Clustering | None) -> Cell:
    """Share of the codebook that occurs."""
    share = model.metrics.get("used_share")
    made = _number(None if share is None else 100 * share, ".1f")
    return made if share is None else made | {"text": f"{made['text']} %"}


def perplexity(model: ModelEntry, _: Clustering | None) -> Cell:
    """Perplexity, and its share of the codebook."""
    value, codes = model.metrics.get("perplexity"), model.config.get("num_embeddings")
    note = "" if value is None or not codes else f"{100 * value / codes:.0f} % of {codes}"
    return _number(value, ".0f") | {"note": note}


def training_steps(model: ModelEntry, _: Clustering | None) -> Cell:
    """Training steps."""
    return _number(model.steps, ",")


def clusters_in_use(_: ModelEntry, clustering: Clustering | None) -> Cell:
    """Clusters that hold more than a few galaxies."""
    return _number(None if clustering is None else clustering.effective_clusters, ".0f")


def _score(name: str) -> Callable[[ModelEntry, Clustering | None], Cell]:
    def cell(_: ModelEntry, clustering: Clustering | None) -> Cell:
        score = Score() if clustering is None else clustering.agreement[name]
        made = _number(score.value, ".3f")
        if made["sort"] is not None:
            low, high, chance = (
                "–" if figure is None else f"{round(figure, 3) + 0.0:.3f}".replace("-", "−")
                for figure in (score.low, score.high, score.chance)
            )
            made["note"] = f"{low} to {high}, chance {chance}"
        return made

    return cell


def _number(value: float | None, form: str) -> Cell:
    if value is None or not np.isfinite(value):
        return {"text": "–", "sort": None, "note": ""}
    return {"text": format(value, form), "sort": float(value), "note": ""}


COLUMNS = (
    TableColumn(
        "NMSE",
        "Normalised mean squared error: the part of the stamps' variance that the reconstruction"
        " misses, on galaxies kept back from training. 0 is perfect; less is better.",
        _metric("nmse", ".4f"),
        min,
    ),
    TableColumn(
        "PSNR (dB)",
        "Peak signal-to-noise ratio of the reconstruction, in decibels. More is better.",
        _metric("psnr_db", ".2f"),
        max,
    ),
    TableColumn(
        "Perplexity",
        "How many codes are in use, weighted by how often: it is the number of codes if all are"
        " used equally often, and 1 if only one is. Below it: as a share of the codebook.",
        perplexity,
    ),
    TableColumn(
        "Codes used",
        "Share of the codebook that occurs at least once in galaxies kept back from training.",
        used_share,
    ),
    TableColumn(
        "AMI with T",
        "Adjusted mutual information of clusters and Hubble types: what a cluster tells about the"
        f" type, with chance taken off. 0 nothing, 1 everything; {CHANCE}.",
        _score("ami"),
        max,
    ),
    TableColumn(
        "Homogeneity",
        "Whether clusters hold one Hubble type only: 1 if each does, 0 if types are spread as in"
        " the whole sample. Many clusters raise it by themselves, so mind the chance level;"
        f" {CHANCE}.",
        _score("homogeneity"),
        max,
    ),
    TableColumn(
        "η² of T",
        "Share of the variance of T that lies between the clusters rather than inside them."
        f" 0 none, 1 all; {CHANCE}.",
        _score("eta2"),
        max,
    ),
    TableColumn(
        "Clusters in use",
        "Clusters that hold more than a tenth of an even share of the galaxies.",
        clusters_in_use,
    ),
    TableColumn("Steps", "Training steps, one batch of stamps each.", training_steps),
)
MODEL_COLUMN = {
    "name": "Model and clustering",
    "explanation": "Size and kind of the codebook, size of the code map; what was clustered.",
    "small": True,
}


def header() -> list[dict[str, Any]]:
    """Name and explanation of each column."""
    rest = [
        {"name": column.name, "explanation": column.explanation, "small": column.best is min}
        for column in COLUMNS
    ]
    return [MODEL_COLUMN, *rest]


def scoreboard(bundle: Bundle, left: str, right: str) -> list[dict[str, Any]]:
    """Rows of the table: every clustering, then the models without one; the best value marked.

    left, right: the keys that are compared, marked in the table.
    """
    rows = [row_values(bundle, key, left, right) for key in choices(bundle)]
    for place, column in enumerate(COLUMNS, 1):
        known = [row["cells"][place]["sort"] for row in rows]
        known = [value for value in known if value is not None]
        if column.best is None or len(set(known)) < 2:
            continue
        best = column.best(known)
        for row in rows:
            row["cells"][place]["best"] = row["cells"][place]["sort"] == best
    return rows


def choices(bundle: Bundle) -> list[str]:
    """What can be compared: keys of clusterings, then names of models without any."""
    clustered = {clustering.model for clustering in bundle.clusterings.values()}
    return [*bundle.clusterings, *(name for name in bundle.models if name not in clustered)]


def format_choice(bundle: Bundle, key: str) -> str:
    """A choice in words: "512 codes, modern, 8×8 map, by code vectors"."""
    clustering = bundle.clusterings.get(key)
    name = key if clustering is None else clustering.model
    words = format_model(name, bundle.models[name].config)
    if clustering is None:
        return f"{words}, not clustered"
    return f"{words}, {format_features(clustering)}"


def row_values(bundle: Bundle, key: str, left: str, right: str) -> dict[str, Any]:
    """One line of the table."""
    clustering = bundle.clusterings.get(key)
    model = bundle.models[key if clustering is None else clustering.model]
    words = format_choice(bundle, key)
    sides = [side for side, chosen in (("left", left), ("right", right)) if key == chosen]
    first = {"text": words, "sort": words, "note": ""}
    return {
        "side": "both" if len(sides) == 2 else "".join(sides),
        "cells": [first, *(dict(column.cell(model, clustering)) for column in COLUMNS)],
    }
