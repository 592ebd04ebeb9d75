"""What a survey is, and what becomes of a row that cannot be in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from galaxy_explorer.survey.preprocessing import ArcsinhStretch

SCALE_COLUMN = "stamp_pixel_scale_arcsec"


class Reject(NamedTuple):
    """A catalogue row without a usable stamp; `row` counts from 0."""

    file: str
    row: int
    galaxy_id: str
    reason: str


@dataclass(frozen=True)
class SurveySpec:
    """What a survey is; stored in `survey.json`."""

    name: str
    source: str
    stamp_size: int = 64
    channels: int = 1
    band: str | None = None
    pixel_scale_arcsec: float | None = None
    state: Literal["arcsinh", "linear"] = "linear"
    stretch: ArcsinhStretch = field(default_factory=ArcsinhStretch)

    @property
    def meta(self) -> dict[str, Any]:
        """The part of `survey.json` that is known before any stamp."""
        return {
            "name": self.name,
            "stamp_size": self.stamp_size,
            "channels": self.channels,
            "band": self.band,
            "pixel_scale_arcsec": self.pixel_scale_arcsec,
            "stretch": {"state": self.state, **self.stretch.to_dict()},
        }
