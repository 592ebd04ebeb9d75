"""Encoding a survey: against a bare torch loop, two workers against one, and what a task costs.

    python benchmarks/encode.py BUNDLE SURVEY [--rows 512] [--model M] [--agree 500]
    python benchmarks/encode.py BUNDLE SURVEY --memory 20000 60000

Ratios of processor time within one run, so that other work on the machine matters little; walls of
workers need a machine that is free, and say how busy it was. --memory gives the peak of a process
for few and for many galaxies of a survey that is made of the given one's, over and over, with
networks that cost nothing.
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

import galaxy_explorer as ge
from galaxy_explorer.bundle.placing import choose, read_stamps
from galaxy_explorer.models.inference import BATCH, WIDE_BATCH
from galaxy_explorer.utils.scheduler import connected, run_tasks

PROGRAM = """
import sys
import numpy as np
from galaxy_explorer.models import inference
def codes(model, stamps, **_):
    return np.zeros((len(stamps), *model.config.code_shape), model.config.code_dtype)
inference.encode_stamps = codes
inference.encode_orbit = lambda model, stamps: np.stack([codes(model, stamps)] * 8, axis=1)
inference.reconstruction_errors = lambda model, stamps, found: np.zeros(len(stamps), np.float32)
from galaxy_explorer.cli import main
out = sys.argv.pop()
try:
    main()
finally:
    with open("/proc/self/status") as status, open(out, "w") as told:
        told.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""
"""The commands with networks that cost nothing: memory grows with the rest, if at all.

The peak is that of the program alone: what the system tells a parent begins at the parent's own.
"""
TASKS = 300
TURNS = 3


def bare(bundle: ge.Bundle, survey: ge.Survey, rows: int, name: str, batch: int) -> float:
    """Processor seconds of the model alone: eight orientations encoded, one decoded."""
    import torch

    model = bundle.load_model(name)
    start = time.process_time()
    with torch.inference_mode():
        for at in range(0, rows, batch):
            stamps = torch.from_numpy(survey.model_input(np.arange(at, min(at + batch, rows))))
            for turn in range(8):
                turned = torch.rot90(stamps, turn % 4, (2, 3))
                turned = turned.flip(3) if turn >= 4 else turned
                codes = model.encode(turned.contiguous(memory_format=torch.channels_last))
            model.decode(codes)
    return time.process_time() - start


def ours(bundle: ge.Bundle, survey: ge.Survey, rows: int, wanted: list[str]) -> float:
    """Processor seconds of `encode` in this process, files and all."""
    with tempfile.TemporaryDirectory() as folder:
        excerpt = copied(survey, Path(folder) / "survey", rows)
        start = time.process_time()
        ge.encode(bundle, excerpt, Path(folder) / "out", model=wanted)
        return time.process_time() - start


def copied(survey: ge.Survey, path: Path, rows: int) -> ge.Survey:
    """A survey of `rows` galaxies, those of another one over and over."""
    from galaxy_explorer.survey.store import SurveySpec
    from galaxy_explorer.survey.writer import SurveyWriter

    meta = survey.meta
    spec = SurveySpec(
        name="copy",
        source="copy",
        stamp_size=meta["stamp_size"],
        channels=meta["channels"],
        band=meta["band"],
        state="arcsinh",
        frame=meta.get("frame", ""),
        orientation=meta.get("orientation", ""),
    )
    writer, ttype = SurveyWriter(path, spec, recipe={}), survey.column("ttype")
    for start in range(0, rows, 256):
        count = min(256, rows - start)
        taken = (start + np.arange(count)) % len(survey)
        columns = {"galaxy_id": np.array([f"g{start + i:08d}" for i in range(count)])}
        columns["ttype"] = ttype[taken]
        stamps = survey.model_input(np.unique(taken))
        stamps = stamps[np.unique(taken, return_inverse=True)[1]]
        writer.append(stamps, columns, cursor=start + count)
    return writer.finish({})


def agreement(bundle: ge.Bundle, survey: ge.Survey, count: int, name: str) -> None:
    """Say which share of the codes differs in bfloat16, and of the clusters."""
    import torch

    rows = np.unique(np.linspace(0, len(survey) - 1, count).astype(int))
    stamps, choice = survey.model_input(rows), choose(bundle, [name])
    start = time.process_time()
    plain = read_stamps(bundle, stamps, choice)
    middle = time.process_time()
    with torch.autocast("cpu", torch.bfloat16):
        fast = read_stamps(bundle, stamps, choice)
    seconds = (middle - start, time.process_time() - middle)
    codes = float((plain.codes[name] != fast.codes[name]).mean())
    print(f"bfloat16: {codes:.2%} of the codes of {len(rows)} stamps differ; processor time"
          f" {seconds[1] / seconds[0]:.2f} of float32")  # fmt: skip
    for key, one in plain.placements.items():
        other = fast.placements[key].shares.argmax(1)
        print(f"  {key}: {(one.shares.argmax(1) != other).mean():.2%} change their cluster")


def workers(bundle: ge.Bundle, survey: ge.Survey, rows: int, wanted: list[str]) -> None:
    """Wall of one worker and of two, start of the cluster included; and what a task costs."""
    walls = {}
    with tempfile.TemporaryDirectory() as folder:
        excerpt = copied(survey, Path(folder) / "survey", rows)
        for number in (1, 2):
            start = time.monotonic()
            out = Path(folder) / f"out{number}"
            ge.encode(bundle, excerpt, out, model=wanted, scheduler=str(number))
            walls[number] = time.monotonic() - start
    print(f"{rows} galaxies: one worker {walls[1]:.1f} s, two {walls[2]:.1f} s:"
          f" {walls[1] / walls[2]:.2f}x (load average {os.getloadavg()[0]:.0f})")  # fmt: skip
    with connected(1, lambda _: None):
        pass  # imports
    start = time.process_time()
    total = sum(1 for _ in run_tasks(abs, range(TASKS), scheduler="1", total=TASKS, words="Tasks"))
    print(f"scheduler and client: {1e3 * (time.process_time() - start) / total:.1f} ms of processor"
          " time a task, start of the cluster included")  # fmt: skip


def memory(
    bundle: Path, survey: ge.Survey, counts: list[int], name: str, commands: list[str]
) -> None:
    """Peak memory of the commands for so many galaxies."""
    peaks: dict[str, list[float]] = {command: [] for command in commands}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            copied(survey, Path(folder) / "survey", count)
            for command, found in peaks.items():
                out = Path(folder) / ("out" if command == "encode" else "out.parquet")
                words = [command, str(bundle), str(Path(folder) / "survey"), "--out", str(out)]
                told = Path(folder) / "peak"
                words += ["--model", name, "--quiet", str(told)]
                done = subprocess.run(
                    [sys.executable, "-c", PROGRAM, *words], stdout=subprocess.DEVNULL, check=False
                )
                if done.returncode:
                    raise SystemExit(f"{command} failed with status {done.returncode}")
                found.append(int(told.read_text()) / 1024)
                print(f"{command}: {count:>8} galaxies: peak {found[-1]:.0f} MiB", flush=True)
    for command, found in peaks.items():
        print(f"{command}: peak over peak {found[-1] / found[0]:.2f}")


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("survey", type=Path)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--model")
    parser.add_argument("--agree", type=int, default=0)
    parser.add_argument("--workers", action="store_true")
    parser.add_argument("--memory", type=int, nargs="+")
    parser.add_argument("--commands", nargs="+", default=["encode", "classify"])
    arguments = parser.parse_args()
    bundle, survey = ge.load_bundle(arguments.bundle), ge.Survey.open(arguments.survey)
    name = arguments.model or bundle.manifest.display_model
    if arguments.memory:
        memory(arguments.bundle, survey, arguments.memory, name, arguments.commands)
        return
    rows = arguments.rows
    bare(bundle, survey, 256, name, BATCH)  # set-up
    turns = [
        (
            *(bare(bundle, survey, rows, name, batch) for batch in (BATCH, WIDE_BATCH)),
            ours(bundle, survey, rows, [name]),
        )
        for _ in range(TURNS)
    ]
    own, wide, whole = np.median(turns, axis=0) * 1e3 / rows
    print(f"{name}, eight orientations, ms a galaxy: bare {own:.1f} in batches of {BATCH},"
          f" {wide:.1f} of {WIDE_BATCH}; encode {whole:.1f}: bare over encode {own / whole:.2f},"
          f" {wide / whole:.2f}")  # fmt: skip
    if arguments.agree:
        agreement(bundle, survey, arguments.agree, name)
    if arguments.workers:
        workers(bundle, survey, arguments.rows, [name])


if __name__ == "__main__":
    main()
