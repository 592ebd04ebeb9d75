"""How well the code features of a model tell who made a galaxy's picture, among galaxies alike.

    python benchmarks/rendering.py trained/sdss surveys/sdss

Two renderings at a time: as many galaxies of each in every class of T, or of the survey's own
classes where one has no T; a logistic regression on 60 principal components of the ring features
says of galaxies that it has not seen which rendering they are of. Of the area under its ROC curve,
0.5 where nothing is told, the interval is a bootstrap over galaxies. Beside it the same from the
aligned features that map and clusters use, where the bundle has them, and from the mean, the
scatter and the faintest light of each band, which need no model.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from galaxy_explorer import load_bundle
from galaxy_explorer.clustering.features import ring_vectors
from galaxy_explorer.models.inference import encode_orbit
from galaxy_explorer.models.protocols import Autoencoder
from galaxy_explorer.survey.store import RENDERING_COLUMN, Survey
from galaxy_explorer.utils.resampling import bootstrap

MODEL = "k512-modern-16x16"
EARLY, LATE = (("round", "in_between"), ("spiral", "edge_on"))  # of Galaxy Zoo 2's classes
FIRST_LATE = 1  # T
MOST = 800  # galaxies of a rendering
FEWEST = 100
COMPONENTS = 60
BLOCK = 256


def alike(survey: Survey, one: str, other: str) -> tuple[np.ndarray, str]:
    """Rows of both renderings, as many of each kind of galaxy, and what the kinds are."""
    rendering, ttype = survey.column(RENDERING_COLUMN), survey.column("ttype_class").astype(int)
    kinds, words = ttype, "class of T"
    if any((ttype[rendering == name] < 0).all() for name in (one, other)):
        stage = survey.column("ttype")
        kinds = np.where(np.isnan(stage), -1, (stage >= FIRST_LATE).astype(int))
        named = survey.column("class")
        kinds = np.where(np.isin(named, EARLY), 0, np.where(np.isin(named, LATE), 1, kinds))
        words = "early or late"
    rng, rows = np.random.default_rng(0), []
    for kind in np.unique(kinds[kinds >= 0]):
        both = [np.flatnonzero((rendering == name) & (kinds == kind)) for name in (one, other)]
        count = min(len(part) for part in both)
        rows += [np.stack([rng.permutation(part)[:count] for part in both])]
    pairs = np.concatenate(rows, axis=1)
    return pairs[:, rng.permutation(pairs.shape[1])[:MOST]], words


def rings(model: Autoencoder, stamps: np.ndarray) -> np.ndarray:
    """Ring features (n, F) of stretched stamps."""
    codebook = model.codebooks[0].cpu().numpy()
    parts = [stamps[at : at + BLOCK] for at in range(0, len(stamps), BLOCK)]
    return np.concatenate([ring_vectors(encode_orbit(model, part), codebook) for part in parts])


def levels(stamps: np.ndarray) -> np.ndarray:
    """Mean, scatter and tenth percentile of each band, (n, 3 C)."""
    flat = stamps.reshape(*stamps.shape[:2], -1)
    low = np.percentile(flat, 10, axis=2)
    return np.concatenate([flat.mean(2), flat.std(2), low], axis=1)


def told_apart(features: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """AUC with its 95 % interval; second (n,): whether a galaxy is of the second rendering."""
    parts = [StandardScaler()]
    if features.shape[1] > COMPONENTS:
        parts = [PCA(COMPONENTS, random_state=0), *parts]
    reader = make_pipeline(*parts, LogisticRegression(C=0.1, max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    said = cross_val_predict(reader, features, second, cv=folds, method="decision_function")
    found = bootstrap(lambda rows: float(roc_auc_score(second[rows], said[rows])), len(second))
    return float(roc_auc_score(second, said)), found.low, found.high


def main(bundle_path: Path, survey_path: Path) -> None:
    """Print a line for each two renderings."""
    survey, bundle = Survey.open(survey_path), load_bundle(bundle_path)
    model = bundle.load_model(MODEL)
    aligned = bundle.clusterings.get(f"{MODEL}/aligned")
    for one, other in combinations(np.unique(survey.column(RENDERING_COLUMN)), 2):
        pairs, words = alike(survey, one, other)
        if pairs.shape[1] < FEWEST:
            print(f"{one} {other}: {pairs.shape[1]} galaxies alike; {FEWEST} are needed")
            continue
        rows = pairs.ravel()
        order = np.argsort(rows)  # stamps are read in the order of the survey
        stamps = np.empty((len(rows), *survey.model_input(rows[:1]).shape[1:]), np.float32)
        stamps[order] = survey.model_input(rows[order])
        second = np.repeat([False, True], pairs.shape[1])
        told = {"rings": rings(model, stamps), "levels": levels(stamps)}
        if aligned is not None:
            told["aligned"] = aligned.feature_values[rows]
        for name, features in told.items():
            auc, low, high = told_apart(features, second)
            print(
                f"{one} {other}, {pairs.shape[1]} each, same {words}: {name} AUC {auc:.3f}"
                f" [{low:.3f}, {high:.3f}]",
                flush=True,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
