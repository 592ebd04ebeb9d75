"""How the cost of a stage grows with the number of galaxies: time, peak memory, files.

    python -m benchmarks.growth [--sizes 20000 60000] [--large] [--stages ingest]

Each stage works on synthetic galaxies in a process of its own; processor time and peak memory are
what the system reports of it, the time less that of a run on FEWEST galaxies (the start-up). The
exponent is that of time ~ N^exponent between the first and the last size; 1 is linear. `--large`
adds 200,000 galaxies. A further stage is a `Stage` in STAGES: what it needs on the disk, which
command it is, and what it leaves there.
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

FEWEST = 300
LARGE = 200_000
MOST_TIME_10X, MOST_MEMORY = 12.0, 1.2  # ratios
MOST_RANDOM = 3.0
SIDE = 64
PROGRAM = "from galaxy_explorer.cli import main; main()"


@dataclass(frozen=True)
class Stage:
    """A stage of the work. prepare: what lies in a folder before it; command: what is run there.

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
    return ["ingest", source, "--catalog", catalog, "--out", str(folder / "survey")]


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


STAGES = {
    "ingest": Stage(cube, ingest, lambda count: 5 + count / 4096, reading, "survey"),
}


def verdict(value: float, most: float) -> str:
    """Whether a figure is within its bound."""
    return "met" if value <= most else "NOT MET"


def run(stage: Stage, folder: Path, count: int) -> Cost:
    """Prepare and run a stage on so many galaxies."""
    stage.prepare(folder, count)
    command = [sys.executable, "-c", PROGRAM, *stage.command(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(stage.command(folder))}: ended with status {status}")
    left = sum(1 for path in (folder / stage.out).rglob("*") if path.is_file())
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
    if last.count > first.count:
        grown = (last.seconds - start.seconds) / (first.seconds - start.seconds)
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
