"""Stamps to pictures: stretch, interval, colour map and sheets. Pure functions and one setting.

Stretches and intervals are those of astropy.visualization. What they act on are the stamps as the
model sees them, that is already arcsinh-stretched (report, section 2). Stamps are (n, S, S), or
(n, S, S, 3) of three bands: red, green, blue (see `as_shown`).
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import param
from astropy.visualization import (
    AsinhStretch,
    LinearStretch,
    LogStretch,
    PercentileInterval,
    SqrtStretch,
    ZScaleInterval,
)
from bokeh import palettes
from numpy.typing import NDArray
from PIL import Image

from galaxy_explorer.errors import SettingError

STRETCHES = {
    "linear": LinearStretch(),
    "sqrt": SqrtStretch(),
    "log": LogStretch(),
    "asinh": AsinhStretch(),
}
INTERVALS = ("percentile", "zscale", "minmax")
COLOUR_MAPS = {
    "grey": palettes.Greys256,
    "viridis": palettes.Viridis256,
    "cividis": palettes.Cividis256,
    "magma": palettes.Magma256,
    "inferno": palettes.Inferno256,
    "plasma": palettes.Plasma256,
}
OWN_COLOURS = "grey"
"""The colour map in which stamps of three bands keep their colours; the others take their mean."""
PIXEL_BARS = 64
"""Bars of the histogram of a stamp's pixels."""
SHEET_QUALITY = 80
"""WebP quality of sheets: below it the grain of the sky turns into blocks."""


class DisplaySettings(param.Parameterized):
    """How every picture of the app is drawn."""

    stretch: Any = param.Selector(default="linear", objects=list(STRETCHES), doc="Transfer curve.")
    interval: Any = param.Selector(default="percentile", objects=list(INTERVALS), doc="Limits.")
    percentile = param.Number(
        default=99.5, bounds=(50, 100), doc="Share of the pixels inside the limits (per cent)."
    )
    invert = param.Boolean(default=False, doc="Dark galaxies on a bright sky.")
    colour_map: Any = param.Selector(default="grey", objects=list(COLOUR_MAPS), doc="Colours.")
    shared = param.Boolean(default=False, doc="The same limits for every galaxy.")

    def token(self) -> str:
        """The settings as one short word for addresses: "linear-percentile-99.5-0-grey-0"."""
        values = (self.stretch, self.interval, f"{self.percentile:g}", int(self.invert))
        return "-".join(map(str, (*values, self.colour_map, int(self.shared))))

    @classmethod
    def from_token(cls, token: str) -> DisplaySettings:
        """The settings of a `token`. Raises SettingError if it was not made by `token`."""
        try:
            stretch, interval, percentile, invert, colour_map, shared = token.split("-")
            settings = cls(
                stretch=stretch,
                interval=interval,
                percentile=float(percentile),
                invert=invert == "1",
                colour_map=colour_map,
                shared=shared == "1",
            )
        except ValueError as error:
            raise SettingError(f"display settings {token!r}: {error}") from error
        if settings.token() != token:
            raise SettingError(f"display settings {token!r}: not in the normal form")
        return settings


def has_colour(bands: int) -> bool:
    """Whether stamps of so many bands are shown in colour: the bands are red, green and blue."""
    return bands == 3


def as_shown(stamps: NDArray[Any]) -> NDArray[np.float32]:
    """Stamps (n, C, S, S) as they are shown: (n, S, S, 3) of three bands, else their mean."""
    shown = np.moveaxis(stamps, 1, -1) if has_colour(stamps.shape[1]) else stamps.mean(axis=1)
    return np.asarray(shown, np.float32)


def without_colour(stamps: NDArray[Any]) -> NDArray[Any]:
    """Stamps (n, S, S), or the mean (n, S, S) of the bands of stamps (n, S, S, 3)."""
    return stamps if stamps.ndim == 3 else stamps.mean(axis=-1)


def absent(stamps: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether no pixel of a stamp is known, (n,): there is no picture of that galaxy."""
    return np.asarray(np.isnan(stamps).all(axis=tuple(range(1, stamps.ndim))))


def _mapped(stamps: NDArray[Any], settings: DisplaySettings) -> NDArray[Any]:
    return stamps if settings.colour_map == OWN_COLOURS else without_colour(stamps)


def limits(stamps: NDArray[Any], settings: DisplaySettings) -> NDArray[np.float64]:
    """Lower and upper limit of each stamp, (n, 2); one common row if `settings.shared`.

    stamps: (n, S, S), or (n, S, S, 3): the same limits for all bands of a galaxy, so that its
    colours stay. Equal to `get_limits` of the interval of astropy.visualization.
    """
    stamps = _mapped(stamps, settings)
    groups = stamps.reshape(1 if settings.shared else len(stamps), -1)
    groups = np.where(np.isfinite(groups), groups, np.nan)
    groups[np.isnan(groups).all(axis=1)] = 0
    if settings.interval == "minmax":
        found = np.stack([np.nanmin(groups, axis=1), np.nanmax(groups, axis=1)], axis=1)
    elif settings.interval == "percentile":
        share = PercentileInterval(settings.percentile)
        quantiles = (share.lower_percentile, share.upper_percentile)
        found = np.nanpercentile(groups, quantiles, axis=1).T
    else:
        found = np.array([ZScaleInterval().get_limits(group) for group in groups])
    return np.broadcast_to(found.astype(np.float64), (len(stamps), 2))


def normalised(
    stamps: NDArray[Any], settings: DisplaySettings, between: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """Stamps (n, S, S) stretched to [0, 1] as astropy's `stretch(interval(stamp))` does.

    Of stamps (n, S, S, 3) each band is stretched, where the colour map shows their colours; their
    mean under another map. between: lower and upper limit, (2,) or (n, 2); else from the stamps
    themselves. A stamp without contrast becomes 0 and so does a pixel that is not finite.
    """
    stamps = _mapped(stamps, settings)
    if not len(stamps):
        return np.zeros(stamps.shape, np.float32)
    low, high = np.moveaxis(limits(stamps, settings) if between is None else between, -1, 0)
    low, high = (np.reshape(end, (-1, *[1] * (stamps.ndim - 1))) for end in (low, high))
    span = np.where(high > low, high - low, np.inf)
    unit = np.clip((np.where(np.isfinite(stamps), stamps, low) - low) / span, 0.0, 1.0)
    return np.asarray(STRETCHES[settings.stretch](unit, clip=False), np.float32)


class PixelHistogram(NamedTuple):
    """How many pixels of a stamp have which value, and what a stretch makes of the values."""

    edges: NDArray[np.float64]  # of the bars, (B + 1,)
    counts: NDArray[np.int64]  # of each band that is seen, (1 or 3, B)
    limits: tuple[float, float]  # what is shown darkest and brightest
    outside: tuple[float, float]  # shares of the pixels below and above the limits
    shown: NDArray[np.float32]  # brightness of each edge, (B + 1,), from 0 to 1


def pixel_histogram(
    stamp: NDArray[Any], settings: DisplaySettings, between: NDArray[Any] | None = None
) -> PixelHistogram:
    """The pixels of a stamp (S, S) or (S, S, 3); `between` as in `normalised`.

    Pixels that are not finite are left out; the bars reach over all others and over the limits.
    """
    low, high = np.ravel(limits(stamp[None], settings) if between is None else between).tolist()
    mapped = _mapped(stamp[None], settings)[0]
    bands = mapped.reshape(stamp.shape[0] * stamp.shape[1], -1).T
    known = [band[np.isfinite(band)] for band in bands]
    every = np.concatenate([*known, [low, high]])
    edges = np.linspace(every.min(), max(every.max(), every.min() + 1e-9), PIXEL_BARS + 1)
    pixels = max(1, sum(map(len, known)))
    shown = normalised(edges[None, None], settings, np.array([low, high]))[0, 0]
    return PixelHistogram(
        edges,
        np.array([np.histogram(band, edges)[0] for band in known]),
        (low, high),
        (float(np.sum(every < low)) / pixels, float(np.sum(every > high)) / pixels),
        1 - shown if settings.invert else shown,
    )


@cache
def colour_table(name: str) -> NDArray[np.uint8]:
    """The 256 colours of a colour map, (256, 3)."""
    rgb = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOUR_MAPS[name]]
    table = np.array(rgb, np.uint8)
    table.setflags(write=False)
    return table


def render_stamps(
    stamps: NDArray[Any], settings: DisplaySettings, between: NDArray[Any] | None = None
) -> NDArray[np.uint8]:
    """Pictures (n, S, S, 3) of stamps (n, S, S) or (n, S, S, 3); `between` as in `normalised`."""
    unit = normalised(stamps, settings, between)
    unit = 1 - unit if settings.invert else unit
    levels = np.minimum(unit * 256, 255).astype(np.uint8)
    return levels if levels.ndim == 4 else np.asarray(colour_table(settings.colour_map)[levels])


def sheet(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Pictures (n, H, W, 3) side by side in rows of `columns`; empty places are black."""
    n, height, width = pictures.shape[:3]
    rows = max(1, -(-n // columns))
    full = np.zeros((rows * columns, height, width, 3), np.uint8)
    full[:n] = pictures
    grid = full.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, 3)


def encode(picture: NDArray[np.uint8], image_format: str = "WEBP") -> bytes:
    """A picture (H, W, 3 or 4) as the bytes of a WebP or JPEG file, quickly rather than small."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": SHEET_QUALITY}
    if image_format == "WEBP":
        options["method"] = 0
    Image.fromarray(picture).save(buffer, image_format, **options)
    return buffer.getvalue()


def encode_soft(picture: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 4) without sharp edges as the bytes of a WebP file, small."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=60, alpha_quality=40, method=2)
    return buffer.getvalue()


def encode_sheet(pictures: NDArray[np.uint8], columns: int, image_format: str = "JPEG") -> bytes:
    """One sheet of pictures (n, H, W, 3) in rows of `columns` as an image file."""
    return encode(sheet(pictures, columns), image_format)
