"""A sample that no training saw: do its classes agree with a bundle's clusters of it?

    galaxy-explorer ingest gz1/stamps_r_64.npz --catalog gz1/catalog.csv --frame measured --band-name r --out surveys/gz1
    python -m benchmarks.second_sample trained/report surveys/report surveys/gz1 --column class_name

Adjusted mutual information of the recommended clustering and a column of the second survey, with
its interval over galaxies and its chance level (clusters shuffled); beside it the floor for which
nothing is trained, as many k-means clusters of the rings of light, fitted to the bundle's survey.
Galaxies that are in both surveys (by id, same_as or position) are left out.
"""  # noqa: E501 - a command is one line

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.preprocessing import QuantileTransformer

import galaxy_explorer as ge
from galaxy_explorer.clustering.clusterers import fit_clusterer
from galaxy_explorer.clustering.features import fit_vectors, light_vectors
from galaxy_explorer.clustering.validation import pair_score
from galaxy_explorer.survey.repeats import shared_galaxies

FITTED = 10_000  # training galaxies that the floor is fitted to
COMPONENTS = 12


def floor(survey: ge.Survey, second: ge.Survey, rows: np.ndarray, k: int) -> np.ndarray:
    """Clusters of rows of the second survey by rings of light, fitted to the first survey."""
    train = np.flatnonzero(survey.column("split") == "train")
    train = np.sort(np.random.default_rng(0).permutation(train)[:FITTED])
    light = light_vectors(survey.model_input(train)), light_vectors(second.model_input(rows))
    ranks = QuantileTransformer(output_distribution="normal", random_state=0).fit(light[0])
    fit, other = (ranks.transform(one) for one in light)
    features = fit_vectors(fit, np.arange(len(fit)), n=COMPONENTS)
    return fit_clusterer("kmeans", features.apply(fit), k).predict(features.apply(other))


def main() -> None:
    """Print one line for the clusters and one for the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("survey", type=Path, help="what the bundle was trained on")
    parser.add_argument("second", type=Path, help="the sample that it never saw")
    parser.add_argument("--column", required=True, help="of the second survey: its classes")
    asked = parser.parse_args()
    bundle = ge.load_bundle(asked.bundle)
    survey, second = ge.Survey.open(asked.survey), ge.Survey.open(asked.second)
    classes = np.asarray(second.column(asked.column), str)
    shared = shared_galaxies(second, survey).rows[:, 0]
    rows = np.setdiff1d(np.flatnonzero(classes != ""), shared)
    key = bundle.manifest.default_clustering
    table = ge.classify(bundle, asked.second, model=key).table
    labels = np.asarray(table[f"{key}/cluster"])[rows]
    k = len(bundle.clusterings[key].clusters)
    print(f"{len(rows):,} galaxies with a {asked.column}; {len(shared):,} in both are left out")
    baseline = floor(survey, second, rows, k)
    for name, found in ((key, labels), (f"rings of light, k-means {k}", baseline)):
        score = pair_score(adjusted_mutual_info_score, classes[rows], found)
        print(
            f"{name}: AMI {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}],"
            f" chance {score['chance']:.3f}"
        )


if __name__ == "__main__":
    main()
