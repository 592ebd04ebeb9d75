"""How the settings of the mixtures over code vectors were chosen: on the validation split only.

    python benchmarks/choose_mixture.py surveys/report trained/report.work

Fits mixtures to the train split's features with several settings, then lets the mean T of each
cluster's training members predict the T of the validation galaxies (R2: 1 is perfect, 0 is the
mean). The test split is not read.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from sklearn.metrics import adjusted_mutual_info_score

from galaxy_explorer.clustering.mixture import effective_number, fit_mixture
from galaxy_explorer.survey.store import Survey

COVARIANCES = ("full", "diag")
FLOORS = (1e-5, 1e-3, 3e-3, 1e-2, 3e-2)
COMPONENTS = 64


def predicted(ttype: np.ndarray, labels: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Mean T of the training members of each galaxy's cluster, (N,)."""
    known = train & ~np.isnan(ttype)
    counts = np.bincount(labels[known], minlength=COMPONENTS)
    sums = np.bincount(labels[known], weights=ttype[known], minlength=COMPONENTS)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), ttype[known].mean())
    return means[labels]


def main(survey_path: Path, work: Path) -> None:
    """Print one line for each model and setting."""
    survey = Survey.open(survey_path)
    split, ttype = survey.column("split"), survey.column("ttype")
    train, held = split == "train", (split == "validation") & ~np.isnan(ttype)
    classes = survey.column("ttype_class")[held]
    spread = np.square(ttype[held] - ttype[held].mean()).sum()
    print(f"{held.sum()} validation galaxies with a type")
    print("model covariance floor clusters R2 AMI")
    for path in sorted((work / "stages").glob("*.features.safetensors")):
        features = load_file(path)["features"].astype(np.float64)
        for covariance, floor in itertools.product(COVARIANCES, FLOORS):
            mixture = fit_mixture(
                features[train],
                covariance_type=covariance,
                reg_covar=floor * features[train].var(0).max(),
            )
            labels = mixture.predict(features)
            error = np.square(predicted(ttype, labels, train)[held] - ttype[held]).sum()
            ami = adjusted_mutual_info_score(classes, labels[held])
            number = effective_number(labels, COMPONENTS)
            name = path.name.partition(".")[0]
            print(f"{name} {covariance} {floor:g} {number} {1 - error / spread:.3f} {ami:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
