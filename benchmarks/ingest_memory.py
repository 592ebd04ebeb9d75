"""Peak memory and rate of `galaxy-explorer ingest` for few and for many galaxies.

    python benchmarks/ingest_memory.py [--few 10000] [--many 100000] [--side 64]

A synthetic cube is written in slices, then ingested by the command in a process of its own, whose
peak resident memory the system reports. The ratio is near 1 where memory does not grow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SLICE = 250
PROGRAM = "from galaxy_explorer.cli import main; main()"


def write_source(folder: Path, count: int, side: int) -> None:
    """A cube of `count` noisy discs of `side` px (8 bits) and a catalogue beside it."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, side, side)}
    # Not memory-mapped: the command's peak, as the system reports it, starts at this process's own.
    with (folder / "cube.npy").open("wb") as cube, (folder / "catalog.csv").open("w") as catalog:
        np.lib.format.write_array_header_1_0(cube, header)
        catalog.write("id,ra,dec,ttype,magnitude,field\n")
        for start in range(0, count, SLICE):
            stop = min(start + SLICE, count)
            size = generator.uniform(3, 12, (stop - start, 1, 1))
            discs = 200 * np.exp(-np.hypot(x, y) / size)
            cube.write((discs + generator.integers(0, 20, discs.shape)).astype(np.uint8).tobytes())
            for i in range(start, stop):
                catalog.write(f"galaxy-{i},{i * 0.0036:.6f},{i % 90}.5,{i % 10 - 3},17.5,north\n")


def ingest(folder: Path) -> tuple[float, float]:
    """Peak resident memory in MiB and wall time in s of the command."""
    command = [sys.executable, "-c", PROGRAM, "ingest", str(folder / "cube.npy")]
    command += ["--catalog", str(folder / "catalog.csv"), "--out", str(folder / "survey")]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"ingest failed with status {status}")
    return usage.ru_maxrss / 1024, time.monotonic() - start


def main() -> None:
    """Measure both sizes and print a line each and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=64)
    arguments = parser.parse_args()
    peaks = []
    for count in (arguments.few, arguments.many):
        with tempfile.TemporaryDirectory() as name:
            write_source(Path(name), count, arguments.side)
            peak, seconds = ingest(Path(name))
        peaks.append(peak)
        print(
            f"{count:>8} stamps: peak {peak:.0f} MiB, {seconds:.1f} s, "
            f"{count / seconds:.0f} a second"
        )
    print(f"ratio of the peaks: {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
