"""A bundle of a million galaxies, and what opening, searching and serving it cost.

    python -m benchmarks.million make FOLDER [-n 1000000] [--of trained/sdss]
    python -m benchmarks.million measure BUNDLE [BUNDLE ...] [--serve]

`make` writes a bundle of neighbours of real galaxies: the first are those of the bundle it is made
of; each further one is a real galaxy in whose code map some codes are replaced by those of one of
its nearest neighbours. Features and place lie between the two by the share of codes replaced, the
cluster follows from the features; T and all other columns are those of the galaxy itself, its
position a degree off at most, its name the real one's with a number.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.writer import BundleContents, save_bundle

NEIGHBOURS = 8
REPLACED = (0.05, 0.5)
"""Least and largest share of codes that are a neighbour's."""
BLOCK = 4096
LEFT_OUT = ("files", "format", "n_galaxies", "judge", "priors", "figures")


def neighbours_of(features: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rows (N, NEIGHBOURS) of the galaxies nearest to each in the space of its features."""
    from scipy.spatial import cKDTree

    _, rows = cKDTree(features).query(features, NEIGHBOURS + 1)
    return np.asarray(rows[:, 1:], np.int64)


def blocks(count: int) -> Iterator[slice]:
    """Slices of BLOCK rows."""
    return (slice(at, min(at + BLOCK, count)) for at in range(0, count, BLOCK))


def mixed_codes(
    codes: NDArray[np.integer],
    parent: NDArray[np.int64],
    other: NDArray[np.int64],
    share: NDArray[np.float32],
) -> NDArray[np.integer]:
    """Code maps of the parents with a share of the codes of the others."""
    flat, rng = codes.reshape(len(codes), -1), np.random.default_rng(1)
    made = np.empty((len(parent), flat.shape[1]), codes.dtype)
    for rows in blocks(len(parent)):
        taken = rng.random((rows.stop - rows.start, flat.shape[1]), np.float32)
        replaced = taken < share[rows, None]
        made[rows] = np.where(replaced, flat[other[rows]], flat[parent[rows]])
    return made.reshape(len(parent), *codes.shape[1:])


def between(
    values: NDArray[np.floating],
    parent: NDArray[np.int64],
    other: NDArray[np.int64],
    share: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Values (n, P) of the parents, moved towards the others by the share."""
    table = values.astype(np.float32)
    return np.asarray(table[parent] + share[:, None] * (table[other] - table[parent]))


def catalogue(bundle: Bundle, parent: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
    """The survey's columns of the parents, with names and positions of their own."""
    rng, real = np.random.default_rng(2), len(bundle)
    columns = {n: bundle.column(n)[parent] for n in bundle.column_names if n.count("/") < 2}
    names = columns["galaxy_id"]
    copies = np.arange(real, len(parent)) // real
    named = np.char.add(np.char.add(names[real:], "-"), copies.astype(str))
    columns["galaxy_id"] = np.concatenate([names[:real], named])
    turned = rng.uniform(-1, 1, (2, len(parent))) * (np.arange(len(parent)) >= real)
    columns["ra"] = (columns["ra"] + turned[0]) % 360
    columns["dec"] = np.clip(columns["dec"] + turned[1], -90, 90)
    for name in ("ngc_ic", "same_as", "galaxy_key", "image"):
        if name in columns:  # what only the real galaxy is
            columns[name] = np.where(np.arange(len(parent)) < real, columns[name], "")
    return columns


def summaries(labels: NDArray[np.int16], old: list[dict], columns: dict) -> list[dict]:
    """Clusters with the counts of their members, else as they were."""
    made = []
    for number, entry in enumerate(old):
        members = np.flatnonzero(labels == number)
        classes = columns["ttype_class"][members]
        known = classes[classes >= 0]
        told = {"count": len(members), "n_ttype": len(known)}
        told["histogram"] = np.bincount(known, minlength=10).tolist()
        made.append({**entry, **told})
    return made


def make(folder: Path, n: int, base: Path) -> Path:
    """Write the bundle; returns its path."""
    bundle, rng = load_bundle(base), np.random.default_rng(0)
    values = json.loads((base / "manifest.json").read_text())
    manifest = {name: value for name, value in values.items() if name not in LEFT_OUT}
    manifest["name"] = f"{bundle.name}-{n}"
    default = bundle.clusterings[bundle.manifest.default_clustering]
    parent = np.arange(n) % len(bundle)
    near = neighbours_of(default.feature_values)
    other = near[parent, rng.integers(NEIGHBOURS, size=n)]
    share = rng.uniform(*REPLACED, n).astype(np.float32)
    share[: len(bundle)] = 0
    columns, arrays = catalogue(bundle, parent), {}
    for key, found in bundle.clusterings.items():
        entry = manifest["clusterings"][key]
        stored = load_file(base / entry.pop("file"))
        features = between(found.feature_values, parent, other, share).astype(np.float16)
        arrays[key] = {**stored, "features": features} if "features" in stored else stored
        labels, sure = np.empty(n, np.int16), np.empty(n, np.float32)
        for rows in blocks(n):
            shares = found.mixture.responsibilities(features[rows])
            labels[rows], sure[rows] = shares.argmax(1), shares.max(1)
        places = between(found.coordinates, parent, other, share)
        columns |= {f"{key}/cluster": labels, f"{key}/responsibility": sure}
        columns |= {f"{key}/x": places[:, 0].copy(), f"{key}/y": places[:, 1].copy()}
        entry["clusters"] = summaries(labels, entry["clusters"], columns)
    weights = {name: base / entry.weights for name, entry in bundle.models.items()}
    codes = {
        name: mixed_codes(bundle.encoded(name), parent, other, share) for name in bundle.models
    }
    card = f"# {manifest['name']}\n\nNeighbours of real galaxies of {bundle.name}, for measuring.\n"
    contents = BundleContents(manifest, columns, weights, codes, arrays, lambda _: card)
    return save_bundle(folder / f"n{n}", contents)


def main() -> None:
    """Make bundles."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path, nargs="?", default=Path(tempfile.gettempdir()))
    making.add_argument("-n", type=int, default=1_000_000)
    making.add_argument("--of", type=Path, default=Path("trained/sdss"))
    asked = parser.parse_args()
    print(make(asked.folder, asked.n, asked.of))


if __name__ == "__main__":
    main()
