"""A bundle of a million galaxies, and what opening, searching and serving it cost.

    python -m benchmarks.million make FOLDER [-n 1000000] [--of trained/sdss]
    python -m benchmarks.million measure BUNDLE
    python -m benchmarks.million serve BUNDLE

`make` writes a bundle of neighbours of real galaxies: the first are those of the bundle it is made
of; each further one is a real galaxy in whose code map some codes are replaced by those of one of
its nearest neighbours. Features and place lie between the two by the share of codes replaced, the
cluster follows from the features; T and all other columns are those of the galaxy itself, its
position a degree off at most, its name the real one's with a number.

`measure` opens one in this process and prints processor time and resident memory of each step, one
thread; a step that is asked for again takes the second time what a second visitor waits. `serve`
serves it and prints what the server took until the first page was there, and each visitor after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.writer import BundleContents, save_bundle
from galaxy_explorer.clustering.embedding import nearest
from tests.app_server import served
from tests.attacks.visitors import come_in, held, server_process

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
        if max(entry["medoid"], *entry["typical"]) >= len(labels):  # of a bundle of fewer galaxies
            told |= {"medoid": int(members[0]) if len(members) else -1}
            told |= {"typical": members[: len(entry["typical"])].tolist()}
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


def memory() -> float:
    """Resident memory of this process, MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def timed(words: str, work: Callable[[], Any], times: int = 1) -> Any:
    """Do something; print milliseconds of processor and wall each time, and memory after."""
    for _ in range(times):
        cpu, wall = time.process_time(), time.perf_counter()
        made = work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(f"{words:34} {1e3 * cpu:10.1f} ms CPU {1e3 * wall:10.1f} wall {memory():8.0f} MB")
    return made


def measure(path: Path) -> None:
    """Open a bundle and ask of it what a visitor would; print what each step takes."""
    bundle = timed("load_bundle", lambda: load_bundle(path))

    from galaxy_explorer.explorer.search import bundle_sparsity
    from galaxy_explorer.explorer.state import ExplorerState
    from galaxy_explorer.explorer.widgets.results import search

    states = [timed("a visitor's state", lambda: ExplorerState(bundle)) for _ in range(3)]
    timed("clusters named", lambda: bundle.cluster_names(states[0].clustering))
    rows = np.sort(np.random.default_rng(0).permutation(len(bundle))[: 3 * len(bundle) // 10])
    timed("30 % selected", lambda: states[0].select(rows, "chosen on the map"), 2)
    ids = bundle.column("galaxy_id")
    questions = (str(ids[len(ids) // 2]), "M 51", "NGC 51942", "galaxy nobody knows")
    questions += ("T < 0 and cluster = 5", "source = efigi", "202.47 47.195 r=30 arcmin")
    for question in questions:
        found = timed(question[:33], lambda q=question: search(states[0], q, {}), 3)
        print(f"{'':10}{len(found.rows)} found: {found.words}")
    key = bundle.manifest.default_clustering
    finder = timed("look-alikes: made ready", lambda: bundle.clusterings[key].placing.neighbours)
    features, alike = bundle.clusterings[key].feature_values, []
    asked = np.random.default_rng(1).integers(len(bundle), size=200)
    timed("200 times 24 look-alikes", lambda: alike.extend(
        finder.nearest(features[row], 25)[0] for row in asked
    ), 2)  # fmt: skip
    exact = [nearest(features, features[row], 25)[0] for row in asked[:20]]
    found = [np.isin(a, b).mean() for a, b in zip(exact, alike, strict=False)]
    print(
        f"{'':10}recall@24 {np.mean(found):.4f} against a look at all, {features.shape[1]} features"
    )
    timed("density of code space", lambda: bundle_sparsity(bundle, key), 2)


async def visits(address: str) -> None:
    """Let visitors come, and print what the server takes for each."""
    process = server_process(address)
    for number in range(4):
        print(f"{number} visitors: {server_cpu(process):6.2f} s CPU, {held(process)[2]:6.0f} MB")
        await come_in(address)


def server_cpu(process: Path) -> float:
    """Seconds of processor of a server so far, threads that decode pictures left out."""
    taken = 0.0
    for thread in (process / "task").iterdir():
        name, _, rest = (thread / "stat").read_text().rpartition(")")
        if "decoder" not in name:
            taken += sum(map(int, rest.split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return taken


def serve(path: Path) -> None:
    """Serve a bundle, and print what that takes."""
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(bundle=path.resolve(), labels=f"{folder}/l.db", cache=folder) as address,
    ):
        print(f"start to first answer: {time.monotonic() - start:.1f} s wall")
        asyncio.run(visits(address))


def main() -> None:
    """Make bundles, or measure one."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    making = commands.add_parser("make", help="write a bundle into a folder")
    making.add_argument("folder", type=Path)
    making.add_argument("-n", type=int, default=1_000_000)
    making.add_argument("--of", type=Path, default=Path("trained/sdss"))
    for name, words in (("measure", "what each step takes"), ("serve", "what visitors take")):
        commands.add_parser(name, help=words).add_argument("bundle", type=Path)
    asked = parser.parse_args()
    if asked.command == "make":
        print(make(asked.folder, asked.n, asked.of))
    else:
        (measure if asked.command == "measure" else serve)(asked.bundle)


if __name__ == "__main__":
    main()
