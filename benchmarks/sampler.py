"""Cost of drawing code maps, as ratios from one run.

    python benchmarks/sampler.py [trained/sdss] [--bundle-only]

A prior of the report's size (18 layers of 256 features, 16 x 16 codes of 512, batch of 16, single
precision): one parallel forward pass, cached sampling, and naive sampling, which is one forward
pass for each of the 256 codes and is told from the time of a few. Then what the sampler keeps, by
the size of the map. Then each prior of a bundle that shows what it draws on the way: seconds for 16
galaxies, and until the first row or the first step is a picture. Last, of a rectified flow, by the
number of steps: the share of codes that are those of 200 steps, the distance of code vectors over
that between different galaxies, and the time; beside it the same of Euler's method. All on one
thread, in processor time, which other programs disturb least; forward and cached passes take turns.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.emulation.emulator import CodeEmulator, Emulator, Request
from galaxy_explorer.models.conditions import Condition, Draw, condition_of
from galaxy_explorer.models.flow import LAST_TIME, RectifiedFlow
from galaxy_explorer.models.pixelcnn import PixelCNN, PixelCNNConfig
from galaxy_explorer.models.sampler import Passes, RectifiedSampler, Sampler
from galaxy_explorer.models.sampler import drawn as draw_codes

SIDE, BATCH, TURNS, REQUESTS = 16, 16, 3, 5
GUIDANCE = 1.5  # at least, so that a flow is timed with both of its passes
FEW, REFERENCE, STEPS = 4, 200, (6, 8, 10, 12, 16, 40)


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
    """Seconds of a request to each prior of a bundle."""
    bundle = load_bundle(path)
    for entry in bundle.priors.values():
        emulator = Emulator.open(bundle, entry.model, entry.kind)
        if not isinstance(emulator, CodeEmulator):
            continue
        middle = {field.name: field.default for field in emulator.fields[:1]}
        # Guided, a flow passes twice through its network.
        guidance = max(emulator.default_guidance, GUIDANCE)
        times = []
        for seed in range(REQUESTS + 1):
            request = Request(BATCH, seed=seed, condition=middle, guidance=guidance)
            start, first = time.process_time(), 0.0
            for partial in emulator.stream(request):
                if not first:
                    emulator.decode(np.maximum(partial.codes, 0))  # codes not drawn yet: any
                    first = time.process_time() - start
            emulator.decode(partial.codes)
            times.append((first, time.process_time() - start))
        first, every = np.median(times[1:], axis=0)
        print(f"{path}: {BATCH} galaxies of {emulator.key}, guided, medians of {REQUESTS}:")
        print(f"  first picture {first:.3f} s, all {every:.3f} s")
        if isinstance(emulator.prior, RectifiedFlow):
            steps_of(emulator, emulator.prior, guidance)


def steps_of(emulator: Emulator, flow: RectifiedFlow, guidance: float) -> None:
    """How many steps a rectified flow needs, by Euler's method and by the sampler's."""
    ttype = np.linspace(-3, 7, FEW)
    given = {field.name: ttype for field in emulator.fields[:1] if field.name == "ttype"}
    condition = condition_of(emulator.fields, given, FEW)
    draw = Draw(0, tuple(range(FEW)), condition, guidance=guidance)

    def drawn(steps: int, *, euler: bool = False) -> tuple[NDArray[Any], float]:
        sampler = RectifiedSampler(flow)
        sampler.flow.config = replace(flow.config, steps=steps)
        start = time.process_time()
        codes = by_euler(sampler.flow, draw) if euler else draw_codes(sampler, draw)
        return codes, time.process_time() - start

    known = flow.components(flow.codebook).numpy()
    reference, _ = drawn(REFERENCE)
    apart = np.square(known[reference] - known[np.roll(reference, 1, 0)]).sum(-1).mean() ** 0.5
    print(f"  {FEW} galaxies against {REFERENCE} steps, guidance {guidance:g}:")
    for steps in STEPS:
        for name in ("euler", "sampler"):
            codes, spent = drawn(steps, euler=name == "euler")
            far = np.square(known[codes] - known[reference]).sum(-1).mean() ** 0.5 / apart
            share = (codes == reference).mean()
            print(f"    {steps:3d} steps, {name:7s} {share:.3f} agree, at {far:.3f}, {spent:.1f} s")


@torch.inference_mode()
def by_euler(flow: RectifiedFlow, draw: Draw) -> NDArray[Any]:
    """Code maps (n, h, w) by equal steps of first order, all samples in one pass."""
    config, passes = flow.config, Passes(draw, torch.float32)
    shape = (config.height, config.width, config.components)
    noise = [np.random.default_rng((draw.seed, n)).normal(size=shape) for n in draw.numbers]
    x = torch.from_numpy(np.stack(noise)).float()
    for now, then in pairwise([*np.linspace(0, LAST_TIME, config.steps).tolist(), 1.0]):
        mixed = passes.repeated(x)
        time_of = torch.full((len(mixed),), now)
        found = passes.guide(flow.predicted(mixed, time_of, passes.values, passes.states))
        x = x + (found - x) * ((then - now) / (1 - now))
    return flow.codes_of(x).numpy()


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
    parser.add_argument("--bundle-only", action="store_true", help="leave the report's size out")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(f"load average {os.getloadavg()[0]:.1f}", flush=True)
    if not asked.bundle_only:
        report_size()
        memory()
    of_bundle(asked.bundle)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
