"""Time of a training step and of encoding, as ratios from one run.

    python benchmarks/model_speed.py [--half trained/sdss surveys/sdss]

Prints, for the 16x16 and the 8x8 model at batch 32: float32 over bfloat16 time of one training
step, and the encoding rate of a batch of 256 against batches of one. With --half instead: what
bfloat16 gains and changes where 500 galaxies of a survey are encoded in eight orientations.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.clustering.features import serve_features
from galaxy_explorer.models.autoencoder_training import VQVAETask
from galaxy_explorer.models.inference import encode_orbit, encode_stamps
from galaxy_explorer.models.training import RECIPES, Precision
from galaxy_explorer.models.vqvae import VQVAEConfig
from galaxy_explorer.survey.store import Survey

REPEATS, GALAXIES = 10, 500


def median_seconds(call: Callable[[], object]) -> float:
    """Median of REPEATS calls after two that pay for set-up."""
    times = []
    for _ in range(REPEATS + 2):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def step_seconds(task: VQVAETask, optimiser: torch.optim.Optimizer, number_format: str) -> float:
    """One whole training step."""
    precision = Precision(f"cpu {number_format}")

    def step() -> None:
        optimiser.zero_grad()
        with precision.autocast():
            loss = task.loss(task.warmup_without_quantization)
        loss.backward()
        optimiser.step()

    return median_seconds(step)


def half(bundle_path: str, survey_path: str) -> None:
    """Processor time of float32 over bfloat16, codes and clusters that differ."""
    bundle, survey = load_bundle(bundle_path), Survey.open(survey_path)
    name = bundle.manifest.display_model
    model: Any = bundle.load_model(name)
    rows = np.sort(np.random.default_rng(0).permutation(len(survey))[:GALAXIES])
    maps: dict[bool, list[np.ndarray]] = {False: [], True: []}
    seconds = {False: 0.0, True: 0.0}
    for start in range(0, GALAXIES, 50):
        stamps = survey.model_input(rows[start : start + 50])
        for mixed, found in maps.items():
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                begun = time.process_time()
                found.append(encode_orbit(model, stamps))
                seconds[mixed] += time.process_time() - begun
    full, mixed_maps = np.concatenate(maps[False]), np.concatenate(maps[True])
    print(
        f"{name}, eight orientations: float32/bfloat16 = {seconds[False] / seconds[True]:.2f}"
        f" ({1e3 * seconds[False] / GALAXIES:.1f} ms a galaxy); codes that differ:"
        f" {100 * (full != mixed_maps).mean():.1f} %"
    )
    codebook = model.codebook.cpu().numpy()
    for key, one in bundle.clusterings.items():
        if one.model != name or one.feature_map is None:
            continue
        chosen = [
            one.mixture.responsibilities(
                serve_features(one.features, codes, codebook, one.feature_map)
            ).argmax(1)
            for codes in (full, mixed_maps)
        ]
        print(f"{key}: {100 * (chosen[0] != chosen[1]).mean():.1f} % change their cluster")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", nargs=2, metavar=("BUNDLE", "SURVEY"))
    arguments = parser.parse_args()
    if arguments.half:
        half(*arguments.half)
        return
    stamps = np.random.default_rng(0).random((512, 1, 64, 64), dtype=np.float32)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for side in (16, 8):
        task = VQVAETask(VQVAEConfig(map_size=side), stamps, stamps[:32], RECIPES["quick"])
        task.model.to(memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(task.model.parameters(), 1e-3, fused=True)
        full, mixed = (step_seconds(task, optimiser, f) for f in ("float32", "bfloat16"))
        task.model.eval()
        many = median_seconds(lambda m=task.model: encode_stamps(m, stamps[:256])) / 256
        one = median_seconds(lambda m=task.model: encode_stamps(m, stamps[:1]))
        print(
            f"{side}x{side}: step float32/bfloat16 = {full / mixed:.2f}"
            f" ({1e3 * full:.0f} ms / {1e3 * mixed:.0f} ms);"
            f" encoding one/256 at a time = {one / many:.1f} ({1 / many:.0f} stamps/s at 256)"
        )


if __name__ == "__main__":
    main()
