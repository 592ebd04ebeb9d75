"""Time of a training step and of encoding, as ratios from one run.

    python benchmarks/model_speed.py

Prints, for the 16x16 and the 8x8 model at batch 32: float32 over bfloat16 time of one training
step, and the encoding rate of a batch of 256 against batches of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from galaxy_explorer.models.autoencoder_training import VQVAETask
from galaxy_explorer.models.inference import encode_stamps
from galaxy_explorer.models.training import RECIPES, Precision
from galaxy_explorer.models.vqvae import VQVAEConfig

REPEATS = 10


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


def main() -> None:
    """Print the table."""
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
