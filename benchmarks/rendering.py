"""How well the code features of a model tell who made a galaxy's picture, among galaxies alike.

    python benchmarks/rendering.py trained/sdss surveys/sdss surveys/repeats

Two renderings at a time: as many galaxies of each in every class of T, or of the survey's own
classes where one has no T; a logistic regression on 60 principal components of the ring features
says of galaxies that it has not seen which rendering they are of. Of the area under its ROC curve,
0.5 where nothing is told, the interval is a bootstrap over galaxies. Beside it the same from the
aligned features that map and clusters use, where the bundle has them, and from the mean, the
scatter and the faintest light of each band, which need no model.

Galaxies of one class may still differ, in distance and so in size and sharpness, which is no fault
of a rendering. So the same is asked of the same galaxies in two renderings: those that the survey
has twice, and those that further surveys show again; once of all pairs, and once of those that the
alignment did not see, whose galaxies are not in the training split. Of these, too, how many have a
T within one stage in both as the bundle's judge reads it: of the pictures as they are, and with the
second brought into the tones of the first, as `ingest --repeats` does, learnt from the other pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from galaxy_explorer import Bundle, load_bundle
from galaxy_explorer.clustering.features import ring_vectors
from galaxy_explorer.models.inference import encode_orbit
from galaxy_explorer.models.protocols import Autoencoder
from galaxy_explorer.models.ttype_regressor import judge_stamps
from galaxy_explorer.survey.photometry import fit_tone
from galaxy_explorer.survey.repeats import shared_galaxies
from galaxy_explorer.survey.store import RENDERING_COLUMN, Survey
from galaxy_explorer.utils.resampling import bootstrap, share_interval

MODEL = "k512-modern-16x16"
EARLY, LATE = (("round", "in_between"), ("spiral", "edge_on"))  # of Galaxy Zoo 2's classes
FIRST_LATE = 1  # T
MOST = 800  # galaxies of a rendering
FEWEST = 40  # galaxies
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


def told_apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    """AUC with its 95 % interval, of features (n, P) of galaxies and of their partners.

    A galaxy and its partner are never on both sides, of what the reader learns and is asked.
    """
    features, pair = np.concatenate([one, other]), np.tile(np.arange(len(one)), 2)
    second = np.repeat([False, True], len(one))
    parts = [StandardScaler()]
    if features.shape[1] > COMPONENTS:
        parts = [PCA(COMPONENTS, random_state=0), *parts]
    reader = make_pipeline(*parts, LogisticRegression(C=0.1, max_iter=2000))
    said = cross_val_predict(
        reader, features, second, cv=GroupKFold(5), groups=pair, method="decision_function"
    ).reshape(2, -1)

    def area(pairs: NDArray[np.int64]) -> float:
        return float(roc_auc_score(np.repeat([False, True], len(pairs)), said[:, pairs].ravel()))

    found = bootstrap(area, len(one))
    return f"{area(np.arange(len(one))):.3f} [{found.low:.3f}, {found.high:.3f}]"


class Features:
    """Features of galaxies by a bundle's model, and without one."""

    def __init__(self, bundle: Bundle) -> None:
        self.model = bundle.load_model(MODEL)
        clustering = bundle.clusterings.get(f"{MODEL}/aligned")
        self.align = clustering and clustering.feature_map

    def of(self, survey: Survey, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Features (n, P) by their name, of rows of a survey."""
        order = np.argsort(rows)  # stamps are read in the order of the survey
        stamps = survey.model_input(rows[order])[np.argsort(order)]
        found = {"rings": rings(self.model, stamps), "levels": levels(stamps)}
        if self.align is not None:
            found["aligned"] = self.align.apply(found["rings"])
        return found

    def compare(self, words: str, one: Seen, other: Seen) -> None:
        """Print a line for each kind of features."""
        found = self.of(*one), self.of(*other)
        for name, features in found[0].items():
            told = told_apart(features, found[1][name])
            print(f"{words}, {len(one[1])} each: {name} AUC {told}", flush=True)


Seen = tuple[Survey, NDArray[np.int64]]


def seen_twice(survey: Survey, further: list[Survey]) -> Iterator[tuple[str, Seen, Seen]]:
    """Rendering and further rendering, and rows of the same galaxies in both, in any survey."""
    for other in (survey, *further):
        first, second = shared_galaxies(survey, other).rows.T
        ours, theirs = survey.column(RENDERING_COLUMN), other.column(RENDERING_COLUMN)
        named = np.array([f"{a} {b}" for a, b in zip(ours[first], theirs[second], strict=True)])
        for words in np.unique(named):
            these = named == words
            yield f"{words} of {other.path.name}", (survey, first[these]), (other, second[these])


def read_alike(bundle: Bundle, words: str, one: Seen, other: Seen, held: np.ndarray) -> None:
    """Print how many held galaxies are read within one stage in both renderings."""
    judge = bundle.load_ttype_regressor().model
    first, second = (survey.model_input(rows) for survey, rows in (one, other))
    toned = fit_tone(second[~held], first[~held]).apply(second[held])
    read = judge_stamps(judge, first[held]).table[:, 0]
    for which, stamps in (("as they are", second[held]), ("in the tones of the first", toned)):
        apart = judge_stamps(judge, stamps).table[:, 0] - read
        near, n = int((np.abs(apart) <= 1).sum()), len(apart)
        low, high = (float(end) for end in share_interval(near, n))
        print(
            f"{words}, {n} read by the judge, {which}: within one stage {near / n:.3f}"
            f" [{low:.3f}, {high:.3f}], second less first {apart.mean():+.2f}"
        )


def main(bundle_path: Path, survey_path: Path, *further: Path) -> None:
    """Print lines for each two renderings."""
    survey, bundle = Survey.open(survey_path), load_bundle(bundle_path)
    features = Features(bundle)
    for one, other in combinations(np.unique(survey.column(RENDERING_COLUMN)), 2):
        (first, second), words = alike(survey, one, other)
        if len(first) >= FEWEST:
            features.compare(f"{one} {other}, same {words}", (survey, first), (survey, second))
        else:
            print(f"{one} {other}: {len(first)} galaxies alike; {FEWEST} are needed")
    split = survey.column("split")
    for words, one, other in seen_twice(survey, [Survey.open(path) for path in further]):
        held = split[one[1]] != "train"
        for which, taken in (("all", np.ones_like(held)), ("not aligned by", held)):
            if taken.sum() >= FEWEST:
                seen = [(where, rows[taken]) for where, rows in (one, other)]
                features.compare(f"{words}, same galaxies, {which}", *seen)
        if bundle.ttype_regressor is not None and held.sum() >= FEWEST:
            read_alike(bundle, words, one, other, held)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
