"""The galaxies that may be labelled, and the model's clusters of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """Identifiers of N galaxies; clusters: clustering key -> cluster of each galaxy, (N,) ints."""

    ids: tuple[str, ...]
    clusters: Mapping[str, NDArray[np.integer]]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each identifier."""
        return {galaxy: row for row, galaxy in enumerate(self.ids)}
