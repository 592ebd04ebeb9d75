"""The way of a new user with 200,000 galaxies: ingest, encode, make a bundle, serve it.

    python -m benchmarks.survey_200k FOLDER [-n 200000] [--of surveys/sdss] [--bundle trained/sdss]

The galaxies are those of a survey, turned, mirrored and with noise of their own, written as a cube
of 8 bits with a catalogue beside it. Every stage is a command in a process of its own, with two
workers where it takes them. What is done is noted in FOLDER/stages.json: interrupted, the same
command goes on, and at the end (or with --table, at any time) prints one table: wall and processor
time of each stage, its workers' included, all tries together; the peak memory of the largest of its
processes; files and bytes that it left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.million import server_cpu
from galaxy_explorer.survey.store import Survey
from tests.app_server import served
from tests.attacks.visitors import come_in, held, server_process

BLOCK = 1000
NOISE = 2.0  # levels of 255
COPIED = ("ttype", "redshift", "bmag")
PROGRAM = "from galaxy_explorer.cli import main; main()"
TICK_S = 0.2


def write_cube(folder: Path, count: int, survey: Survey) -> None:
    """Stamps (N, C, S, S) of 8 bits and a catalogue: galaxies of a survey over and over."""
    shape = (count, *survey.stored([0]).shape[1:])
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    known = {name: survey.column(name) for name in ("ra", "dec", *COPIED)}
    with (folder / "cube.npy").open("wb") as cube, (folder / "catalog.csv").open("w") as catalog:
        np.lib.format.write_array_header_1_0(cube, header)
        catalog.write(f"id,ra,dec,{','.join(COPIED)}\n")
        for start in range(0, count, BLOCK):
            numbers = np.arange(start, min(start + BLOCK, count))
            rng, rows = np.random.default_rng(start), numbers % len(survey)
            stamps = survey.model_input(np.unique(rows))[np.unique(rows, return_inverse=True)[1]]
            turns = numbers // len(survey)
            turned = np.stack(
                [
                    np.rot90(one[..., :: 1 - 2 * (turn // 4 % 2)], turn % 4, (1, 2))
                    for one, turn in zip(stamps, turns, strict=True)
                ]
            )
            levels = 255 * turned + rng.normal(0, NOISE, turned.shape)
            cube.write(levels.round().clip(0, 255).astype(np.uint8).tobytes())
            ra = (known["ra"][rows] + rng.uniform(-1, 1, len(rows))) % 360
            dec = np.clip(known["dec"][rows] + rng.uniform(-1, 1, len(rows)), -90, 90)
            for i, row in enumerate(rows):
                rest = ",".join("" if np.isnan(v) else f"{v:.4g}" for v in
                                (float(known[name][row]) for name in COPIED))  # fmt: skip
                catalog.write(f"galaxy-{numbers[i]},{ra[i]:.6f},{dec[i]:.6f},{rest}\n")


def tree(process: int) -> list[Path]:
    """Folders under /proc of a process and of all that it started."""
    found = [Path("/proc", str(process))]
    for one in found:
        try:
            children = [path.read_text().split() for path in (one / "task").glob("*/children")]
        except OSError:  # ended meanwhile
            continue
        found += [Path("/proc", child) for some in children for child in some]
    return found


def peak(process: Path) -> float:
    """Largest resident memory that a process had, MB; 0 where it has ended."""
    try:
        status = (process / "status").read_text()
    except OSError:
        return 0.0
    return int(status.split("VmHWM:")[1].split()[0]) / 1000 if "VmHWM:" in status else 0.0


def ran(words: list[str]) -> dict[str, float]:
    """Run a command of the package; wall, processor time and peak memory of it and its workers."""
    start, most = time.monotonic(), 0.0
    before = os.times()
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words])
    try:
        while process.poll() is None:
            most = max(most, *(peak(one) for one in tree(process.pid)))
            time.sleep(TICK_S)
    except KeyboardInterrupt:
        process.wait()
    after = os.times()
    used = after.children_user + after.children_system
    seconds = used - before.children_user - before.children_system
    return {
        "wall": time.monotonic() - start,
        "cpu": seconds,
        "peak": most,
        "status": process.returncode,
    }


def made(work: Callable[[], None]) -> dict[str, float]:
    """The same of work in this process."""
    start, cpu = time.monotonic(), time.process_time()
    work()
    return {
        "wall": time.monotonic() - start,
        "cpu": time.process_time() - cpu,
        "peak": peak(Path("/proc/self")),
        "status": 0,
    }


def first_pages(bundle: Path, folder: Path) -> dict[str, float]:
    """Serve a bundle until its first page has come and a visitor has entered."""
    start = time.monotonic()
    settings = {"bundle": bundle.resolve(), "labels": folder / "labels.db", "cache": folder / "c"}
    with served(**settings) as address:
        answered = time.monotonic() - start
        with urllib.request.urlopen(address, timeout=300) as page:  # noqa: S310
            text = page.read().decode()
        if page.status != 200 or "stamps/tile/" not in text:
            raise SystemExit(f"{address}: status {page.status}, without its first galaxies")
        asyncio.run(come_in(address))
        process = server_process(address)
        print(f"first page after {answered:.1f} s, {len(text) / 1000:.0f} kB; a visitor is in;"
              f" memory of the server {held(process)[2]:.0f} MB")  # fmt: skip
        return {
            "wall": time.monotonic() - start,
            "cpu": server_cpu(process),
            "peak": peak(process),
            "status": 0,
        }


def left(path: Path) -> tuple[int, int]:
    """Files and bytes in a folder, or of a file; nothing where there is none."""
    files = [one for one in (path, *path.rglob("*")) if one.is_file()]
    return len(files), sum(one.stat().st_size for one in files)


def table(folder: Path, count: int) -> str:
    """What is known of the stages."""
    lines = [f"{count:,} galaxies", f"{'stage':8} {'wall s':>9} {'CPU s':>9} {'ms each':>8}"
             f" {'peak MB':>8} {'files':>6} {'MB':>9}"]  # fmt: skip
    for name, told in noted(folder).items():
        files, size = told.get("files", 0), told.get("bytes", 0) / 1e6
        lines.append(
            f"{name:8} {told['wall']:9.1f} {told['cpu']:9.1f} {1e3 * told['cpu'] / count:8.2f}"
            f" {told['peak']:8.0f} {files:6.0f} {size:9.1f}{'' if told['done'] else '  not done'}"
        )
    return "\n".join(lines)


def noted(folder: Path) -> dict[str, dict[str, Any]]:
    """What was noted of the stages so far."""
    path = folder / "stages.json"
    return json.loads(path.read_text()) if path.exists() else {}


def note(folder: Path, name: str, told: dict[str, float], out: Path) -> None:
    """Add a try to what is known of a stage."""
    known = noted(folder)
    before = known.get(name, {"wall": 0.0, "cpu": 0.0, "peak": 0.0})
    known[name] = {
        "wall": before["wall"] + told["wall"],
        "cpu": before["cpu"] + told["cpu"],
        "peak": max(before["peak"], told["peak"]),
        "done": told["status"] == 0,
        **dict(zip(("files", "bytes"), left(out), strict=True)),
    }
    (folder / "stages.json").write_text(json.dumps(known, indent=1))


def main() -> None:
    """Do what is not done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", type=int, default=200_000)
    parser.add_argument("--of", type=Path, default=Path("surveys/sdss"))
    parser.add_argument("--bundle", type=Path, default=Path("trained/sdss"))
    parser.add_argument("--workers", default="2")
    parser.add_argument("--table", action="store_true", help="print the table alone")
    asked = parser.parse_args()
    folder, count = asked.folder, asked.n
    folder.mkdir(parents=True, exist_ok=True)
    survey, encoded, bundle = folder / "survey", folder / "encoded", folder / f"n{count}"
    bands = ",".join(map(str, range(Survey.open(asked.of).meta["channels"])))
    words = {
        "ingest": ["ingest", str(folder / "cube.npy"), "--catalog", str(folder / "catalog.csv"),
                   "--band", bands, "--out", str(survey), "--scheduler", asked.workers],
        "encode": ["encode", str(asked.bundle), str(survey), "--model", "all",
                   "--out", str(encoded), "--scheduler", asked.workers],
        "bundle": ["bundle", str(asked.bundle), str(encoded), "--out", str(bundle)],
    }  # fmt: skip
    stages: dict[str, tuple[Callable[[], dict[str, float]], Path]] = {
        "cube": (
            lambda: made(lambda: write_cube(folder, count, Survey.open(asked.of))),
            folder / "cube.npy",
        ),
        "ingest": (lambda: ran(words["ingest"]), survey),
        "encode": (lambda: ran(words["encode"]), encoded),
        "bundle": (lambda: ran(words["bundle"]), bundle),
        "serve": (lambda: first_pages(bundle, folder), folder / "c"),
    }
    for name, (work, out) in stages.items():
        if asked.table or noted(folder).get(name, {}).get("done"):
            continue
        told = work()
        note(folder, name, told, out)
        if told["status"]:
            raise SystemExit(f"{name}: ended with status {told['status']}; run this again")
    print(table(folder, count))


if __name__ == "__main__":
    main()
