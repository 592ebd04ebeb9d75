"""The scoreboard: figures of an evaluation, filtered and in groups, for the page and for files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from galaxy_explorer.bundle_evaluation import QUESTIONS, ROW_FIELDS, Evaluation, Row
from galaxy_explorer.explorer.evaluation_words import (
    CLUSTERER_WORDS,
    QUESTION_WORDS,
    entry_words,
    explanation,
    figure_title,
)
from galaxy_explorer.explorer.intervals import (
    Axis,
    common_axis,
    figure_words,
    interval_html,
    interval_words,
)

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle

ALL = ""
"""The choice that filters nothing."""
FILTERS = ("question", "model", "features", "clusterer")
BETTER = {"higher": "more is better", "lower": "less is better", "": ""}


def matching(rows: Iterable[Row], chosen: dict[str, str]) -> list[Row]:
    """Rows that have every chosen value; ALL accepts any."""
    wanted = {name: value for name, value in chosen.items() if value != ALL}
    return [row for row in rows if all(getattr(row, n) == v for n, v in wanted.items())]


def values_of(rows: Iterable[Row], name: str) -> list[str]:
    """Values of a column that occur, in the order of the questions or of first appearance."""
    found = dict.fromkeys(getattr(row, name) for row in rows)
    return [q for q in QUESTIONS if q in found] if name == "question" else [v for v in found if v]


def groups(bundle: Bundle, rows: Sequence[Row], recommended: str) -> list[dict[str, Any]]:
    """One group for each figure: its heading, its axis, and its rows, the best first.

    recommended: "<model>/<features>" of the clustering that the bundle recommends.
    """
    by_figure: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: QUESTIONS.index(row.question)):
        by_figure.setdefault((row.question, row.figure), []).append(row)
    return [
        _group(bundle, question, figure, own, recommended)
        for (question, figure), own in by_figure.items()
    ]


def _group(
    bundle: Bundle, question: str, figure: str, rows: list[Row], recommended: str
) -> dict[str, Any]:
    parts = ("value", "low", "high", "chance", "ceiling")
    axis = common_axis(getattr(row, part) for row in rows for part in parts)
    first = rows[0]
    notes = [first.unit, BETTER.get(first.better, ""), f"split: {first.split}"]
    return {
        "question": QUESTION_WORDS[question],
        "figure": figure_title(figure),
        "explanation": explanation(figure),
        "note": " · ".join(note for note in notes if note),
        "axis": [figure_words(axis[0]), figure_words(axis[1])],
        "rows": [_row(bundle, row, axis, recommended) for row in _best_first(rows)],
    }


def _best_first(rows: list[Row]) -> list[Row]:
    sign = 1 if rows[0].better == "lower" else -1
    return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0.0)))


def _row(bundle: Bundle, row: Row, axis: Axis, recommended: str) -> dict[str, Any]:
    marks = interval_html(
        row.value, row.low, row.high, axis=axis, chance=row.chance, ceiling=row.ceiling
    )
    return {
        "cells": [
            entry_words(bundle, row.model),
            row.features or "–",
            CLUSTERER_WORDS.get(row.clusterer, row.clusterer) or "–",
            "" if row.clusters is None else str(row.clusters),
            figure_words(row.value),
        ],
        "sort": [row.model, row.features, row.clusterer, row.clusters, row.value],
        "interval": interval_words(row.low, row.high),
        "marks": marks,
        "words": _words(row),
        "recommended": f"{row.model}/{row.features}" == recommended and bool(row.clusterer),
    }


def _words(row: Row) -> str:
    """What a row rests on, in a line."""
    parts = [f"{row.n:,} galaxies or runs", f"{row.seed_count} training(s)"]
    parts += [f"chance {figure_words(row.chance)}"] * (row.chance is not None)
    parts += [f"ceiling {figure_words(row.ceiling)}"] * (row.ceiling is not None)
    return " · ".join([*parts, *([row.note] if row.note else [])])


def csv_bytes(rows: Sequence[Row]) -> bytes:
    """The rows as comma-separated values with a header; an absent number is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(ROW_FIELDS)
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue().encode()


def ecsv_bytes(rows: Sequence[Row], evaluation: Evaluation, bundle: Bundle) -> bytes:
    """The rows as an ECSV table (astropy), with bundle and settings in its header."""
    from astropy.table import MaskedColumn, Table

    table = Table(meta={"bundle": bundle.name, "hash": bundle.hash, **evaluation.settings})
    for name in ROW_FIELDS:
        values = [getattr(row, name) for row in rows]
        missing = [value is None for value in values]
        filled = [0 if value is None else value for value in values]
        table[name] = MaskedColumn(filled, mask=missing) if any(missing) else filled
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue().encode()
