"""How clustering, map and placing grow with the number of galaxies, in one run.

    python -m benchmarks.maps [--sizes 3000 30000] [--landmarks 2000]

Synthetic features, eight of a galaxy, in blobs of unequal size: processor time of k-means with
eight clusters (as the recommended clustering is made), of the map (UMAP of the landmarks, the rest
placed), and of placing 1,000 galaxies more, by comparison with all and by the tree; then the
growth from the first size to the last, which UMAP leaves once there are more galaxies than
landmarks, and by how much placed galaxies miss.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from galaxy_explorer.clustering import embedding
from galaxy_explorer.clustering.clusterers import fit_kmeans
from galaxy_explorer.clustering.embedding import Placing, fit_map
from galaxy_explorer.pipeline.clusters import draw_map

FEATURES, BLOBS, NEW = 8, 30, 1000


def galaxies(count: int, seed: int) -> np.ndarray:
    """Features (N, 8): the blobs are the same for every seed."""
    rng = np.random.default_rng(0)
    centres, widths = rng.normal(size=(BLOBS, FEATURES)), rng.uniform(0.1, 0.5, BLOBS)
    own = np.random.default_rng((1, seed))
    blob = (BLOBS * own.uniform(size=count) ** 2).astype(int)
    return centres[blob] + widths[blob, None] * own.normal(size=(count, FEATURES))


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def measure(count: int, most: int) -> dict[str, float]:
    """Seconds of each part, milliseconds of placing a galaxy, and the stated error."""
    features, new = galaxies(count, 1), galaxies(NEW, 2)
    found = {"k-means s": seconds(lambda: fit_kmeans(features, 8, seed=0))}
    start = time.process_time()
    made = draw_map(features, 0, most)
    found["map s"] = time.process_time() - start
    found["error"] = made.facts.get("placing", {}).get("error", 0.0)
    few = embedding.FEW
    for way, bound in (("all", count + 1), ("tree", 0)):
        embedding.FEW = bound
        placing = Placing(features, made.arrays["map"])
        found[f"ready, {way} s"] = seconds(lambda p=placing: p.place(new[:1]))
        found[f"place, {way} ms"] = seconds(lambda p=placing: p.place(new)) / NEW * 1e3
    embedding.FEW = few
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[3000, 30_000])
    parser.add_argument("--landmarks", type=int, default=2000)
    arguments = parser.parse_args()
    fit_map(galaxies(100, 0))  # compiles
    runs = [measure(count, arguments.landmarks) for count in arguments.sizes]
    for count, run in zip(arguments.sizes, runs, strict=True):
        figures = "; ".join(f"{name} {value:.3g}" for name, value in run.items())
        print(f"{count:>8,} galaxies, {arguments.landmarks:,} landmarks: {figures}")
    for name in runs[0]:
        if name.endswith("s") and runs[0][name] > 0:
            grown = runs[-1][name] / runs[0][name]
            print(f"{arguments.sizes[-1] / arguments.sizes[0]:.3g}x galaxies: {name} {grown:.2f}x")


if __name__ == "__main__":
    main()
