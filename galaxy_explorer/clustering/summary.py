"""What one cluster is: its galaxies, their Hubble types, its typical members."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

TTYPE_CLASSES = 10
KINDS = ("early", "mixed", "late", "unknown")


@dataclass(frozen=True)
class ClusterSummary:
    """One cluster.

    id: component of the mixture, fixed for ever. count: member galaxies; n_ttype: those with a
    T-type. ttype_mean, ttype_std: over those, NaN where there are none. histogram: members per
    class T = -3..6 (nearest integer, outliers in the end classes). kind: "early", "mixed", "late"
    or "unknown" by the rule of `kind_of`. early_fraction: share of T <= 0, with its 95 % bootstrap
    interval [early_low, early_high]. medoid: catalogue row of the member nearest all others, -1 in
    an empty cluster. typical: rows of the most typical members, best first.
    """

    id: int
    count: int
    n_ttype: int
    ttype_mean: float
    ttype_std: float
    histogram: tuple[int, ...]
    kind: str
    early_fraction: float
    early_low: float
    early_high: float
    medoid: int
    typical: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values: NaN becomes null."""
        values = asdict(self)
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ClusterSummary:
        """Invert `to_dict`. Raises TypeError for a missing or unknown field."""
        lists = {name: tuple(values[name]) for name in ("histogram", "typical")}
        floats = {
            name: math.nan if values[name] is None else float(values[name])
            for name in ("ttype_mean", "ttype_std", "early_fraction", "early_low", "early_high")
        }
        return cls(**{**values, **lists, **floats})
