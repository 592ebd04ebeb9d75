"""What a busy neighbour costs a training step and a page of pictures, as ratios from one run.

    python benchmarks/threads.py [--model k512-modern-16x16] [--bundle trained/sdss] [--repeats 7]

Three ways: as OpenMP waits by itself (its threads spin), as the package sets it
(`OMP_WAIT_POLICY=PASSIVE`: they sleep), and with one thread. Of each, in a process of its own, in
turns alone and beside a program that keeps one core busy: median wall time of one training step of
the bundle's model (batch of 32, in each number format), and of decoding a page of 64
stamps. Wall time, for what spins uses the processor too. Other work on the machine makes "alone"
slower and the ratios smaller: the load average is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

PAGE, STAMPS, WARM_UP = 64, 128, 2
SPIN = "300000"  # what libgomp takes where nothing is set
CORES = len(os.sched_getaffinity(0))
WAYS = {
    "spinning": {"GOMP_SPINCOUNT": SPIN, "OMP_NUM_THREADS": str(CORES)},
    "sleeping": {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(CORES)},
    "one thread": {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"},
}


@contextmanager
def neighbour() -> Iterator[None]:
    """A program that keeps one core busy."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        yield
    finally:
        busy.kill()
        busy.wait()


def work(bundle: str, name: str) -> dict[str, Callable[[], object]]:
    """One training step of a model of the bundle, and one page of its pictures."""
    import torch

    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.models.autoencoder_training import VQVAETask
    from galaxy_explorer.models.inference import decode_codes
    from galaxy_explorer.models.training import RECIPES, Precision, has_bfloat16

    model = load_bundle(bundle).load_model(name)
    config, rng = model.config, np.random.default_rng(0)
    shape = (STAMPS, config.channels, config.stamp_size, config.stamp_size)
    stamps = rng.random(shape, dtype=np.float32)
    task = VQVAETask(config, stamps, stamps[:32], RECIPES["quick"])
    task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(task.model.parameters(), 1e-3, fused=True)
    precision = Precision("cpu bfloat16" if has_bfloat16() else "cpu float32")
    codes = rng.integers(config.num_embeddings, size=(PAGE, *config.code_shape))

    def step() -> None:
        optimiser.zero_grad()
        with precision.autocast():
            loss = task.loss(task.warmup_without_quantization)
        torch.autograd.backward(loss)
        optimiser.step()

    return {"training step": step, "page": lambda: decode_codes(model, codes)}


def measure(bundle: str, name: str, repeats: int) -> dict[str, list[float]]:
    """Wall seconds of each kind of work: median alone, and beside a busy neighbour."""
    found = {}
    for kind, call in work(bundle, name).items():
        for _ in range(WARM_UP):
            call()
        medians = []
        for beside in (False, True):
            seconds = []
            with neighbour() if beside else _nobody():
                for _ in range(repeats):
                    start = time.perf_counter()
                    call()
                    seconds.append(time.perf_counter() - start)
            medians.append(float(np.median(seconds)))
        found[kind] = medians
    return found


@contextmanager
def _nobody() -> Iterator[None]:
    yield


def in_a_process(way: str, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """`measure` in a fresh process, for OpenMP is told only once how to wait."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, __file__, "--bundle", arguments.bundle, "--model", arguments.model]
    command += ["--repeats", str(arguments.repeats), "--measure"]
    done = subprocess.run(
        command, env={**kept, **WAYS[way]}, stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="trained/sdss")
    parser.add_argument("--model", default="k512-modern-16x16")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.bundle, arguments.model, arguments.repeats)))
        return
    print(f"{CORES} cores, load average {os.getloadavg()[0]:.1f}")
    for way in WAYS:
        for kind, (alone, beside) in in_a_process(way, arguments).items():
            print(
                f"{way:>10}, {kind}: beside a busy neighbour {1e3 * beside:.0f} ms"
                f" / alone {1e3 * alone:.0f} ms = {beside / alone:.2f}"
            )
    print(f"load average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
