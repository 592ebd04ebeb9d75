"""The trained result, in numbers, each file under its SHA-256.

What others use of it; none of it loads torch.
"""

from galaxy_explorer.bundle.bundle import Bundle, SharedBundle, load_bundle, read_deconvolution
from galaxy_explorer.bundle.clusterings import Clustering, Score
from galaxy_explorer.bundle.emulation import EmulatorEvaluation
from galaxy_explorer.bundle.evaluation import DeconvolutionMeasures, Evaluation
from galaxy_explorer.bundle.manifest import (
    ExtraTraining,
    Manifest,
    ModelEntry,
    PriorEntry,
    ReadingsEntry,
    RegressorEntry,
)
from galaxy_explorer.bundle.writer import BundleContents, add_files, add_prior_files, save_bundle

__all__ = [
    "Bundle",
    "BundleContents",
    "Clustering",
    "DeconvolutionMeasures",
    "EmulatorEvaluation",
    "Evaluation",
    "ExtraTraining",
    "Manifest",
    "ModelEntry",
    "PriorEntry",
    "ReadingsEntry",
    "RegressorEntry",
    "Score",
    "SharedBundle",
    "add_files",
    "add_prior_files",
    "load_bundle",
    "read_deconvolution",
    "save_bundle",
]
