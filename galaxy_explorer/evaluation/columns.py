"""Columns that clusters might follow instead of the Hubble type, of the test galaxies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.pipeline.cache import StageResult
from galaxy_explorer.survey.photometry import COLUMNS, measure_stamps

CLASS_COLUMN = "class_name"  # of Galaxy Zoo 1
KINDS = {"position_angle": "angle"}
NAMES = {
    "size": "apparent size",
    "axis_ratio": "axis ratio",
    "position_angle": "position angle",
    "signal_to_noise": "signal to noise",
    "neighbours": "neighbours",
}


@dataclass(frozen=True)
class Column:
    """values (n,) of the test galaxies; kind as `dependence` takes it."""

    name: str
    values: np.ndarray
    kind: str


def other_columns(context: Context) -> list[Column]:
    """Galaxy Zoo class where the survey has it, and what is measured on the stamps."""
    test = context.rows("test")
    measured = context.stage("photometry", {"columns": COLUMNS}, lambda: _measure(context, test))
    columns = [
        Column(NAMES[name], measured.arrays[name], KINDS.get(name, "continuous"))
        for name in COLUMNS
    ]
    if CLASS_COLUMN in context.survey.column_names:
        classes = context.survey.column(CLASS_COLUMN)[test]
        columns.insert(0, Column("Galaxy Zoo class", classes, "categorical"))
    return columns


def _measure(context: Context, rows: np.ndarray) -> StageResult:
    return StageResult(dict(measure_stamps(context.survey.model_input(rows))), {})
