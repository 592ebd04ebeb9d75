"""How long to train: `tiny` for tests, `quick` for two CPU cores, `paper` as the report did."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch.nn import Parameter


@dataclass(frozen=True)
class Recipe:
    """One schedule, the same for every autoencoder of a bundle."""

    name: str
    steps: int
    batch_size: int = 32
    learning_rate: float = 3e-4
    final_learning_rate: float = 3e-4  # reached on a half cosine; equal to the first: constant
    warmup_steps: int = 0
    stop_early: bool = False  # end where the stop rule is met, not at `steps`
    seed: int = 0
    number_format: str = "auto"  # float32, bfloat16, or auto: the faster one on this machine

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step 0, 1, ...: linear warm-up, then half a cosine."""
        ramp = min(1.0, (step + 1) / (self.warmup_steps + 1))
        span = max(1, self.steps - self.warmup_steps)
        along = min(1.0, max(0.0, (step - self.warmup_steps) / span))
        fall = 0.5 * (1 + math.cos(math.pi * along))
        high, low = self.learning_rate, self.final_learning_rate
        return ramp * (low + (high - low) * fall)

    def clip(self, parameters: Iterable[Parameter]) -> None:
        """Bound the gradients before the optimiser's step; not in this schedule."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self)


RECIPES = {
    # Enough to see every stage work: a minute for a bundle of small models.
    "tiny": Recipe("tiny", steps=60, learning_rate=1e-3, final_learning_rate=1e-4),
    # Three to five minutes a model on two cores with bfloat16: what ships within about an hour.
    "quick": Recipe(
        "quick", steps=3000, learning_rate=1e-3, final_learning_rate=2e-5, warmup_steps=100
    ),
    # Table 2: 100,000 steps of 32 stamps at a constant rate.
    "paper": Recipe("paper", steps=100_000),
}
