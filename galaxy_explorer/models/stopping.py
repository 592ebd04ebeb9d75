"""When to stop: nothing that matters still moves between checks 5 % of the training apart.

The report's loss converged long before its reconstructions did (section 5.1); so the rule asks
for all three: the error has stopped falling, the vocabulary has stopped growing, and the codes of
held-out galaxies have stopped changing. An autoencoder without codes has no vocabulary; its
latents stand for the codes.
"""

from __future__ import annotations

from collections.abc import Mapping

SCORE_GAIN = 0.005
PERPLEXITY_CHANGE = 0.02
CODES_CHANGED = 0.02


class StopRule:
    """Feed it the validation figures in order; `step` is where all three first held."""

    def __init__(self) -> None:
        self.step: int | None = None
        self._before: Mapping[str, float] | None = None

    def update(self, step: int, figures: Mapping[str, float]) -> None:
        """Compare `score`, `perplexity` and `codes_changed` with the check before."""
        before, self._before = self._before, figures
        if before is None or self.step is not None:
            return
        gain = 1 - figures["score"] / before["score"]
        grown = figures.get("perplexity", 1.0) / before.get("perplexity", 1.0)
        drift = abs(grown - 1)
        moved = figures.get("codes_changed", 0.0)
        if gain < SCORE_GAIN and drift < PERPLEXITY_CHANGE and moved < CODES_CHANGED:
            self.step = step
