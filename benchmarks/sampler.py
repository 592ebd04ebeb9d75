"""Cost of drawing code maps, as ratios from one run.

    python benchmarks/sampler.py [trained/sdss]

A prior of the report's size (18 layers of 256 features, 16 x 16 codes of 512, batch of 16, single
precision): one parallel forward pass, cached sampling, and naive sampling, which is one forward
pass for each of the 256 codes and is told from the time of a few. Then the prior of a bundle:
seconds for 16 galaxies, and until the first row is a picture. Then what the sampler keeps, by the
size of the map. All on one thread, in processor time, which other programs disturb least; forward
and cached passes take turns.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np
import torch

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.emulation.emulator import Emulator, Request
from galaxy_explorer.models.conditions import Condition, Draw
from galaxy_explorer.models.pixelcnn import PixelCNN, PixelCNNConfig
from galaxy_explorer.models.sampler import Sampler

SIDE, BATCH, TURNS, REQUESTS = 16, 16, 3, 9


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def nothing_asked(count: int) -> Condition:
    """A condition without fields."""
    return Condition(np.zeros((count, 0), np.float32), np.zeros((count, 0), np.int64))


def report_size() -> None:
    """Forward, cached and naive, of the report's size."""
    shape = {"height": SIDE, "width": SIDE, "layers": 18, "features": SIDE**2, "n_fields": 0}
    prior = PixelCNN(PixelCNNConfig(first_kernel=7, **shape)).eval()
    sampler = Sampler(prior, torch.float32)
    codes = torch.randint(512, (BATCH, SIDE, SIDE))
    empty = torch.zeros(BATCH, 0), torch.zeros(BATCH, 0, dtype=torch.int64)
    draw = Draw(0, tuple(range(BATCH)), nothing_asked(BATCH))
    times = []
    with torch.inference_mode():
        prior(codes, *empty)
        for _ in range(TURNS):
            forward = seconds(lambda: prior(codes, *empty))
            cached = seconds(lambda: list(sampler.rows(draw)))
            times.append((forward, cached, seconds(lambda: prior(codes, *empty))))
    before, cached, after = np.median(times, axis=0)
    forward = (before + after) / 2
    print(f"{BATCH} maps of {SIDE} x {SIDE}, 18 layers of {SIDE**2}, medians of {TURNS}:")
    print(f"  one forward pass {forward:.2f} s, cached sampling {cached:.2f} s")
    print(f"  cached over forward: {cached / forward:.2f} (target 2 at most)")
    naive = forward * SIDE**2
    print(f"  naive over cached: {naive / cached:.0f} (target 80; naive {naive:.0f} s, from")
    print(f"  {2 * TURNS} of its {SIDE**2} forward passes)")


def of_bundle(path: str) -> None:
    """Seconds of a request to the prior of a bundle."""
    emulator = Emulator.open(load_bundle(path))
    middle = {field.name: field.default for field in emulator.fields[:1]}
    times = []
    for seed in range(REQUESTS + 1):
        request = Request(BATCH, seed=seed, condition=middle)
        start, first = time.process_time(), 0.0
        for partial in emulator.stream(request):
            if partial.rows == 1:
                emulator.decode(np.maximum(partial.codes, 0))  # codes not drawn yet: any
                first = time.process_time() - start
        emulator.decode(partial.codes)
        times.append((first, time.process_time() - start))
    first, every = np.median(times[1:], axis=0)
    print(f"{path}: {BATCH} galaxies of {emulator.model}, medians of {REQUESTS}:")
    print(f"  first row as pictures {first:.3f} s (target 0.1), all {every:.3f} s (target 1)")


def memory() -> None:
    """What the sampler keeps of one map, by its size."""
    for height, width in ((8, 8), (16, 16), (32, 32), (32, 16), (64, 16)):
        config = PixelCNNConfig(height=height, width=width, n_fields=0)
        kept = Sampler(PixelCNN(config)).kept_bytes(1)
        print(f"  {height} x {width} codes: {kept / 1e3:.0f} kB kept of each map")


def main() -> None:
    """Print the figures and the load under which they were measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="trained/sdss")
    bundle = parser.parse_args().bundle
    torch.set_num_threads(1)
    print(f"load average {os.getloadavg()[0]:.1f}", flush=True)
    report_size()
    of_bundle(bundle)
    memory()
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
