"""What a bundle is worth: figures on held-out galaxies, and verdicts on claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.evaluation.claims import CLAIMS, ClaimEntry, judge_all
    from galaxy_explorer.evaluation.context import Context, EvaluatedModel, find_models
    from galaxy_explorer.evaluation.deconvolution import (
        DeconvolutionEvaluation,
        evaluate_deconvolution,
    )
    from galaxy_explorer.evaluation.emulator.run import evaluate_emulator
    from galaxy_explorer.evaluation.evidence import Evidence
    from galaxy_explorer.evaluation.rows import RowKey, find_row, make_row
    from galaxy_explorer.evaluation.run import evaluate_bundle
    from galaxy_explorer.evaluation.trainings import further_trainings

__all__ = [
    "CLAIMS",
    "ClaimEntry",
    "Context",
    "DeconvolutionEvaluation",
    "EvaluatedModel",
    "Evidence",
    "RowKey",
    "evaluate_bundle",
    "evaluate_deconvolution",
    "evaluate_emulator",
    "find_models",
    "find_row",
    "further_trainings",
    "judge_all",
    "make_row",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "claims": (
            "CLAIMS",
            "ClaimEntry",
            "judge_all",
        ),
        "deconvolution": (
            "DeconvolutionEvaluation",
            "evaluate_deconvolution",
        ),
        "emulator.run": ("evaluate_emulator",),
        "context": (
            "Context",
            "EvaluatedModel",
            "find_models",
        ),
        "evidence": ("Evidence",),
        "rows": (
            "RowKey",
            "find_row",
            "make_row",
        ),
        "run": ("evaluate_bundle",),
        "trainings": ("further_trainings",),
    },
)
