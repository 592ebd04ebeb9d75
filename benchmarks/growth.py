"""How the cost of a stage grows with the number of galaxies: time, peak memory, files.

    python -m benchmarks.growth [--sizes 20000 60000] [--large] [--stages ingest encode ...]

Each stage works in a process of its own; processor time and peak memory are what the system reports
of it, the time less that of a run on FEWEST galaxies (the start-up). The exponent is that of
time ~ N^exponent between the first and the last size; 1 is linear. `--large` adds 200,000 galaxies.
A further stage is a `Stage` in STAGES: what it needs on the disk, which program it is, and what it
leaves there.

`ingest` takes synthetic galaxies. `encode` and `classify` take those of surveys/sdss over and over,
by trained/sdss with networks that cost nothing, for those grow with N and nothing else.
`evaluate` measures, on the least grid, a model of 16 codes that was trained for a minute. `search`,
`tiles` and `alike` ask a bundle of N galaxies (see `benchmarks.million`) always as many questions,
opening it included.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.ingest_memory import write_source

# What a child is said to have needed begins at what this process has: little may be imported here.

FEWEST = 300
LARGE = 200_000
MOST_TIME_10X, MOST_MEMORY = 12.0, 1.2  # ratios
MOST_RANDOM = 3.0
SIDE = 64
PROGRAM = "from galaxy_explorer.cli import main; main()"
BUNDLE, SURVEY = "trained/sdss", "surveys/sdss"
QUESTIONS = 200
COPY = """
import sys
from pathlib import Path
import galaxy_explorer as ge
from benchmarks.encode import copied
copied(ge.Survey.open(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
"""
FREE = """
import sys
import benchmarks.encode
sys.argv.append("/dev/null")
exec(compile(benchmarks.encode.PROGRAM, "networks that cost nothing", "exec"))
"""
LEAN = """
import galaxy_explorer.pipeline.clusters as clusters
import galaxy_explorer.pipeline.plan as plan
clusters.LANDMARKS = 3000
plan.features_of = lambda _: ("index",)
plan.Plan.with_prior = property(lambda _: [])
from galaxy_explorer.cli import main
main()
"""
MAKE = """
import sys
from pathlib import Path
from benchmarks.million import make
make(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
"""
OPEN = """
import sys
import numpy as np
from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.explorer.state import ExplorerState
bundle = load_bundle(sys.argv[1])
key, rng = bundle.manifest.default_clustering, np.random.default_rng(0)
"""
SEARCH = """
from galaxy_explorer.explorer.widgets.results import search
state, names = ExplorerState(bundle), bundle.column("galaxy_id")
for row in rng.integers(len(bundle), size=int(sys.argv[2]) // 4):
    for question in (str(names[row]), "T < 0 and cluster = 5", "202.47 47.195 r=30 arcmin", "M 51"):
        search(state, question, {})
"""
TILES = """
from galaxy_explorer.explorer.pictures.tiles import map_tiles
tiles = map_tiles(bundle, key)
for zoom in rng.integers(9, size=int(sys.argv[2])):
    x, y = rng.integers(2**zoom, size=2)
    tiles.rows(int(zoom), int(x), int(y), None)
"""
ALIKE = """
clustering = bundle.clusterings[key]
for row in rng.integers(len(bundle), size=int(sys.argv[2])):
    clustering.placing.neighbours.nearest(clustering.feature_values[row], 25)
"""


@dataclass(frozen=True)
class Stage:
    """A stage of the work. prepare: what lies in a folder before it; command: what is run there,
    a program and its words.

    files: how many files it may leave of N galaxies. after: further lines on what it left.
    """

    prepare: Callable[[Path, int], None]
    command: Callable[[Path], list[str]]
    files: Callable[[int], float]
    after: Callable[[Path], list[str]]
    out: str


@dataclass(frozen=True)
class Cost:
    """Of a run: galaxies, processor seconds, peak MiB, files left."""

    count: int
    seconds: float
    peak: float
    files: int


def cube(folder: Path, count: int) -> None:
    """Stamps of 8 bits in an .npy file, a catalogue beside it."""
    write_source(folder, count, SIDE)


def ingest(folder: Path) -> list[str]:
    """`galaxy-explorer ingest` in one process."""
    source, catalog = str(folder / "cube.npy"), str(folder / "catalog.csv")
    return [PROGRAM, "ingest", source, "--catalog", catalog, "--out", str(folder / "survey")]


def copies(folder: Path, count: int) -> None:
    """A survey of real galaxies, over and over."""
    child(COPY, SURVEY, folder / "survey", count)


def encode(folder: Path) -> list[str]:
    """`galaxy-explorer encode` of one model with two clusterings, in one process."""
    model = ["--model", "all", "--out", str(folder / "out")]
    return [FREE, "encode", BUNDLE, str(folder / "survey"), *model]


def classify(folder: Path) -> list[str]:
    """`galaxy-explorer classify` of a survey, likewise."""
    model = ["--model", "all", "--out", str(folder / "out.parquet")]
    return [FREE, "classify", BUNDLE, str(folder / "survey"), *model]


def evaluated(folder: Path, count: int) -> None:
    """A survey of real galaxies over and over, and a bundle that was trained on it for a minute.

    It has the one clustering that needs no eight orientations of every galaxy, with few landmarks
    of its map, and no prior.
    """
    copies(folder, count)
    words = ["--recipe", "tiny", "--models", "k16-modern-8x8", "--out", folder / "bundle"]
    child(LEAN, "train", folder / "survey", *words)


def evaluate(folder: Path) -> list[str]:
    """`galaxy-explorer evaluate` of it, as little as it can be."""
    words = ["--survey", str(folder / "survey"), "--grid", "tiny", "--workers", "1"]
    return [PROGRAM, "evaluate", str(folder / "bundle"), *words]


def bundle(folder: Path, count: int) -> None:
    """A bundle of neighbours of real galaxies."""
    child(MAKE, folder, count, BUNDLE)


def asked(program: str) -> Callable[[Path], list[str]]:
    """What opens the bundle of a folder and asks it QUESTIONS times."""

    def command(folder: Path) -> list[str]:
        return [OPEN + program, str(next(folder.glob("n*"))), str(QUESTIONS)]

    return command


def child(program: str, *words: object) -> None:
    """Run a program in a process of its own, and end where it fails."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], stderr=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise SystemExit(f"what a stage needs could not be made: status {done.returncode}")


def reading(folder: Path) -> list[str]:
    """Model input of 256 galaxies by chance over that of 256 in order."""
    from galaxy_explorer.survey.store import Survey  # here: a child's peak begins at its parent's

    survey = Survey.open(folder / "survey")
    generator = np.random.default_rng(0)
    # The catalogue's columns are read once, whatever the rows.
    survey.model_input([0])
    times: list[list[float]] = [[], []]
    for turn in range(20):
        start = int(generator.integers(0, len(survey) - 256))
        chance = np.sort(generator.choice(len(survey), 256, replace=False))
        for kind, rows in enumerate((np.arange(start, start + 256), chance)):
            begun = time.process_time()
            survey.model_input(rows)
            if turn:
                times[kind].append(time.process_time() - begun)
    order, chance_time = (float(np.median(one)) / 256 * 1e6 for one in times)
    ratio = chance_time / order
    words = f"reading 256 rows: {order:.0f} us each in order, {chance_time:.0f} by chance"
    return [f"{words}: ratio {ratio:.2f} (at most {MOST_RANDOM:g}) {verdict(ratio, MOST_RANDOM)}"]


def nothing(folder: Path) -> list[str]:  # noqa: ARG001 - as `reading`
    """No further lines."""
    return []


STAGES = {
    "ingest": Stage(cube, ingest, lambda count: 5 + count / 4096, reading, "survey"),
    "encode": Stage(copies, encode, lambda count: 2 + count / 4096, nothing, "out"),
    "classify": Stage(copies, classify, lambda _: 1, nothing, "out.parquet"),
    "evaluate": Stage(evaluated, evaluate, lambda _: math.inf, nothing, ""),
    **{
        name: Stage(bundle, asked(program), lambda _: 0, nothing, "")
        for name, program in (("search", SEARCH), ("tiles", TILES), ("alike", ALIKE))
    },
}


def verdict(value: float, most: float) -> str:
    """Whether a figure is within its bound."""
    return "met" if value <= most else "NOT MET"


def run(stage: Stage, folder: Path, count: int) -> Cost:
    """Prepare and run a stage on so many galaxies."""
    stage.prepare(folder, count)
    command = [sys.executable, "-c", *stage.command(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(stage.command(folder)[1:])}: ended with status {status}")
    out = folder / stage.out
    left = sum(one.is_file() for one in (out, *out.rglob("*"))) if stage.out else 0
    return Cost(count, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, left)


def report(name: str, sizes: list[int]) -> None:
    """Run a stage at all sizes and print a line each, then the growth."""
    stage, costs, further = STAGES[name], [], []
    for count in (FEWEST, *sizes):
        with tempfile.TemporaryDirectory() as folder:
            costs.append(run(stage, Path(folder), count))
            if count == sizes[-1]:
                further = stage.after(Path(folder))
    start, rest = costs[0], costs[1:]
    for cost in rest:
        net, most = cost.seconds - start.seconds, stage.files(cost.count)
        print(
            f"{name} {cost.count:>8,}: {net:7.1f} s CPU net of start-up,"
            f" {net / cost.count * 1e6:6.0f} us each, peak {cost.peak:.0f} MiB, {cost.files} files"
            f" (at most {most:.0f}) {verdict(cost.files, most)}"
        )
    first, last = rest[0], rest[-1]
    nets = [cost.seconds - start.seconds for cost in (first, last)]
    if min(nets) <= 0:
        print(f"{name}: too few galaxies to tell time from the start-up")
    elif last.count > first.count:
        grown = nets[1] / nets[0]
        exponent = math.log(grown) / math.log(last.count / first.count)
        tenfold, memory = 10**exponent, last.peak / first.peak
        print(
            f"{name}: {last.count / first.count:.3g}x the galaxies take {grown:.2f}x the time:"
            f" exponent {exponent:.2f}, {tenfold:.1f}x for 10x (at most {MOST_TIME_10X:g})"
            f" {verdict(tenfold, MOST_TIME_10X)}; peak memory {memory:.2f}x (at most"
            f" {MOST_MEMORY:g}) {verdict(memory, MOST_MEMORY)}"
        )
    for line in further:
        print(f"{name}: {line}")


def main() -> None:
    """Measure the stages that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 60_000])
    parser.add_argument("--large", action="store_true", help=f"and {LARGE:,} galaxies")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=[*STAGES])
    arguments = parser.parse_args()
    sizes = sorted({*arguments.sizes, *([LARGE] if arguments.large else [])})
    for name in arguments.stages:
        report(name, sizes)


if __name__ == "__main__":
    main()
