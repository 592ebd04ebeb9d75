"""How many labels it takes to steer clusters: eta squared of T against the number of labels.

    python -m benchmarks.steering trained/sdss

Of the training galaxies n with a T are drawn, ten times; the clusters that they steer are judged on
the typed galaxies of the test split. The interval is that of the mean over the draws (Student); the
floor are the same labels, shuffled among the galaxies drawn. The first line: as many clusters of
the recommended features without labels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.clustering.validation import vector_eta2
from galaxy_explorer.pipeline.steering import (
    Targets,
    catalogued,
    drawn,
    linear_features,
    steer,
)
from galaxy_explorer.utils.resampling import bootstrap, mean_interval

K = 8
DRAWS = 10
LABELS = (50, 100, 300, 1000)


def main(path: Path) -> None:
    """Print one line for each number of labels."""
    bundle = load_bundle(path)
    key = bundle.manifest.default_clustering
    features, _ = linear_features(bundle, key)
    split, typed = bundle.column("split"), catalogued(bundle, "ttype")
    train, test = split == "train", typed.take(np.flatnonzero(split[typed.rows] == "test"))
    without = bundle.clusterings[key].labels[test.rows]
    found = bootstrap(lambda some: vector_eta2(test.truth[some], without[some]), len(test))
    print(f"{key}: {len(test)} typed galaxies of the test split")
    print(f"labels 0: eta^2 {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
    for n in LABELS:
        steered, floor = [], []
        for seed in range(DRAWS):
            some = drawn(bundle, typed, n, seed)
            order = np.random.default_rng(seed).permutation(len(some))
            shuffled = Targets(some.rows, some.values[order])
            for targets, figures in ((some, steered), (shuffled, floor)):
                labels = steer(features, targets, K, train, seed=seed).labels[test.rows]
                figures.append(vector_eta2(test.truth, labels))
        means = [mean_interval(figures) for figures in (steered, floor)]
        words = (f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in means)
        print(f"labels {n}: eta^2 {', shuffled '.join(words)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
