"""A picture becomes a stamp: by which options, from which square, with which sky and scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SettingError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.columns import FurtherColumns
from galaxy_explorer.survey.images import Image, choose_planes
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.preprocessing import (
    Frame,
    Framing,
    central_square,
    find_frame,
    resample,
)
from galaxy_explorer.survey.scales import same_scale
from galaxy_explorer.survey.store import (
    AXIS_RATIO_COLUMN,
    RADIUS_COLUMN,
    SCALE_COLUMN,
    TAKEN_COLUMN,
    VALID_COLUMN,
    WANTED_COLUMN,
)

MAX_BAND_CHARACTERS = MAX_WORD = 64
LARGEST_STRETCHED = 5.0  # the stretch gives 1 to 2 for the brightest centres
SMALLEST_SHARE = 0.5  # of the stamp's side that a picture must have in pixels
NEGATIVE_SHARE = 0.1  # of the range of pixels that the edge must be brighter by than the middle
MOST_LABELS = 64  # numbers in a segmentation map; of 4,500 SDSS pictures 9 have so few
FLAT_SHARE = 0.8  # of its pixels that have the number of the next; of the pictures at most .46
SMALLEST_STAMP_PX = 8
LARGEST_STAMP_PX = 1024
CAPS = (1.0, 255.0)
"""Largest values of pictures that were scaled to a range: flux ends at neither of them."""

State = Literal["arcsinh", "linear"]


@dataclass(frozen=True)
class IngestOptions:
    """How a source is read. `columns` names the catalogue column of a role (see ColumnMap).

    further: what becomes of the other columns. rendering: who made the pictures of the galaxies, by
    default the name of the source. repeats: folder of a survey with pictures, rendered as those of
    the source, of galaxies that the survey holds already: by these pairs the source is made to look
    like the survey.

    Raises SettingError for a value out of range.
    """

    name: str | None = None
    source_name: str | None = None
    columns: dict[str, str | None] = field(default_factory=dict)
    further: FurtherColumns = field(default_factory=FurtherColumns)
    rendering: str | None = None
    repeats: str | None = None
    band: str = "g"
    band_name: str | None = None
    size: int = 64
    stretch: Literal["auto", "linear", "arcsinh"] = "auto"
    frame: Frame = "whole"
    cutout_arcsec: float | None = None
    pixel_scale_arcsec: float | None = None
    append: bool = False
    hdu: int | None = None
    table: str | None = None
    by_row: bool = False

    def __post_init__(self) -> None:
        if not (self.band.isprintable() and 0 < len(self.band.strip()) <= MAX_BAND_CHARACTERS):
            raise SettingError(
                f"band {self.band!r}: give r, g, b, rgb, a band of the header or the number of a"
                " plane"
            )
        if self.hdu is not None and self.hdu < 0:
            raise SettingError(f"hdu {self.hdu}: give the number of an HDU, from 0")
        if not SMALLEST_STAMP_PX <= self.size <= LARGEST_STAMP_PX:
            raise SettingError(
                f"size {self.size}: give {SMALLEST_STAMP_PX} to {LARGEST_STAMP_PX} px"
            )
        for name in (self.rendering, *self.further.words.values()):
            if name is not None and not (name.isprintable() and 0 < len(name) <= MAX_WORD):
                raise SettingError(f"{name[:80]!r}: give a word of 1 to {MAX_WORD} characters")
        if self.repeats is not None and not self.append:
            raise SettingError(f"repeats {self.repeats}: of a source that is appended to a survey")
        for name in ("cutout_arcsec", "pixel_scale_arcsec"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise SettingError(f"{name} {value}: give more than 0 arcsec")


class Stamp(NamedTuple):
    """A fitted stamp (C, S, S), its pixel scale in arcsec and where it is from.

    skies, sigmas: (C,), of each plane, NaN if stretched. valid_share: of the pixels that became
    the stamp, how many had data. taken: HDU, planes, unit, kind of pixels and orientation in words.
    scale_by: what states the pixel scale. framing: which square of the picture became the stamp.
    band: what the header calls its planes. cap: the largest value where linear data go from 0 to
    exactly 1 or 255, else NaN.
    """

    pixels: NDArray[np.float32]
    skies: NDArray[np.float64]
    sigmas: NDArray[np.float64]
    scale: float
    state: State
    valid_share: float = 1.0
    taken: str = ""
    scale_by: str = ""
    framing: Framing = Framing(0)
    band: str | None = None
    cap: float = np.nan

    @property
    def words(self) -> str:
        """What was taken, and what states its scale."""
        scale = f"scale by {self.scale_by}" if self.scale_by else "scale unknown"
        return f"{self.taken}; {scale}"

    @property
    def sky(self) -> float:
        """Sky per stamp pixel, mean over the planes."""
        return float(self.skies.mean())

    @property
    def sky_sigma(self) -> float:
        """Its standard deviation, mean over the planes."""
        return float(self.sigmas.mean())


def make_stamp(
    image: Image, row: CatalogRow, options: IngestOptions, *, cut: float | None
) -> Stamp:
    """Choose planes, turn, frame and resample a picture; `cut` is a side in arcsec, cut out first.

    The sky of linear data is that of the whole picture, plane by plane where there are data, in
    flux per stamp pixel. Its sigma is the noise of one original pixel scaled by the ratio of pixel
    areas, so that the stretch of a survey of one depth depends on surface brightness and not on
    how far a galaxy was shrunk.

    Raises BadImage where planes, holes, pixel scale or size do not allow it.
    """
    linear = image.linear if options.stretch == "auto" else options.stretch == "linear"
    chosen = image.chosen(choose_planes(image, options.band)).turned()
    planes = chosen.data if linear or not image.linear else _as_stretched(chosen)
    stated, given = image.pixel_scale_arcsec, options.pixel_scale_arcsec
    if stated and given and not same_scale(stated, given):
        words = f"its header says {stated:.4g} arcsec/px, --pixel-scale {given:.4g}"
        raise BadImage("picture", f"{words}; leave the option out, or mend the header")
    scale = stated or given or row.pixel_scale
    width = min(planes.shape[-2:])
    if width < SMALLEST_SHARE * options.size:
        words = f"{width} px for a stamp of {options.size}: less than half; give a smaller --size"
        raise BadImage("picture", words)
    if cut is not None:
        if not scale > 0.0:
            raise BadImage("picture", "pixel scale unknown; give --pixel-scale to cut in arcsec")
        width = max(1, round(cut / scale))
        if width > min(planes.shape[-2:]):
            raise BadImage("picture", f"smaller than the {cut} arcsec to be cut")
    framed = planes if cut is None else central_square(planes, width)
    valid = chosen.valid
    if valid is not None and cut is not None:
        valid = central_square(valid, width)
    framing = find_frame(framed, options.size, frame=options.frame, linear=linear, valid=valid)
    side = framing.side
    pixels = resample(central_square(framed, side), options.size, linear=linear)
    ratio = side / options.size
    levels = np.full((len(planes), 2), np.nan)
    if linear:
        masks = [None] * len(planes) if chosen.valid is None else chosen.valid
        levels[:] = [sky_level(p, mask) for p, mask in zip(planes, masks, strict=True)]
    skies, sigmas = levels.T * ratio**2
    share = 1.0 if valid is None else float(central_square(valid, side).mean())
    state: State = "linear" if linear else "arcsinh"
    kind = image.kind(linear=linear)
    if options.stretch != "auto":
        kind += f" by --stretch {options.stretch}"
    apart = stated and row.pixel_scale > 0 and not same_scale(stated, row.pixel_scale)
    doubt = "with the header's pixel scale, for the catalogue has another" if apart else ""
    doubts = (*_looks(framed[0], pixels, ratio), doubt)
    parts = (chosen.words, image.passed_by, kind, image.orientation, *image.odd, *doubts)
    words = "; ".join(part for part in parts if part)
    by = image.scale_by if stated else "--pixel-scale" if given else "the catalogue"
    framing = framing._replace(size=(planes.shape[-1], planes.shape[-2]))
    found = Stamp(pixels, skies, sigmas, scale * ratio, state, share, words)
    most = float(planes.max()) if linear else np.nan
    cap = most if most in CAPS and float(planes.min()) >= 0.0 else np.nan
    by = by if scale > 0 else ""
    return found._replace(scale_by=by, framing=framing, band=chosen.band, cap=cap)


def _looks(plane: NDArray[np.float32], pixels: NDArray[np.float32], ratio: float) -> Iterator[str]:
    """What a picture (H, W), its stamp (C, S, S) and the ratio of their pixels leave open."""
    if ratio < SMALLEST_SHARE:
        yield "enlarged more than twice"
    if is_negative(pixels):
        yield "darker in the middle than at the edge"
    if is_segmentation(plane):
        yield "flat regions of a few numbers"


def is_segmentation(plane: NDArray[np.float32]) -> bool:
    """Whether pixels (H, W) are flat regions of a few numbers on a ground of one number.

    Most pixels off the ground have the number of the next one, and most steps from one number to
    another are from or to the ground; those of faint light are from one level to the next.
    """
    if len(np.unique(plane[::4, ::4])) > MOST_LABELS:
        return False
    values, counts = np.unique(plane, return_counts=True)
    lit = plane != values[counts.argmax()]
    one, other = lit[:, :-1], lit[:, 1:]
    step = plane[:, :-1] != plane[:, 1:]
    if len(values) > MOST_LABELS or not one.any() or not step.any():
        return False
    return bool(step[one].mean() < 1 - FLAT_SHARE and (one & other)[step].mean() < 1 - FLAT_SHARE)


def is_negative(pixels: NDArray[np.float32]) -> bool:
    """Whether a stamp (C, S, S) is darker in the middle than at its edge, as a negative is.

    By the medians of the inner quarter's square and of the outermost pixels of the mean plane.
    """
    plane = pixels.mean(0)
    inner = central_square(plane, max(1, len(plane) // 4))
    edge = np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])
    return bool(np.median(edge) - np.median(inner) > NEGATIVE_SHARE * np.ptp(plane))


def _as_stretched(image: Image) -> NDArray[np.float32]:
    """Pixels of FITS that are said to be stretched, over their full range as those of a JPEG are.

    Raises BadImage for numbers that cannot be on that scale.
    """
    if image.full_range is not None:
        return image.data / np.float32(image.full_range)
    if (largest := float(image.data.max())) > LARGEST_STRETCHED:
        raise BadImage(
            "picture",
            f"values up to {largest:g}; arcsinh-stretched pixels go from 0 to about 1: divide"
            " them, save 8 or 16 unsigned bits, or give --stretch linear",
        )
    return image.data


def stamp_columns(stamps: list[Stamp], planes: int, frame: Frame) -> dict[str, pa.Array]:
    """What a block's stamps say of themselves, as catalogue columns."""
    numbers = {
        "sky": [stamp.sky for stamp in stamps],
        "sky_sigma": [stamp.sky_sigma for stamp in stamps],
        SCALE_COLUMN: [stamp.scale for stamp in stamps],
        VALID_COLUMN: [stamp.valid_share for stamp in stamps],
    }
    if frame == "measured":
        numbers |= {
            RADIUS_COLUMN: [stamp.framing.radius for stamp in stamps],
            AXIS_RATIO_COLUMN: [stamp.framing.axis_ratio for stamp in stamps],
            WANTED_COLUMN: [stamp.framing.wanted for stamp in stamps],
        }
    for plane in range(planes if planes > 1 else 0):
        numbers[f"sky_{plane}"] = [stamp.skies[plane] for stamp in stamps]
        numbers[f"sky_sigma_{plane}"] = [stamp.sigmas[plane] for stamp in stamps]
    columns = {name: pa.array(np.array(v, np.float64)) for name, v in numbers.items()}
    return {**columns, TAKEN_COLUMN: pa.array([stamp.words for stamp in stamps], pa.string())}


def check_fits(stamp: Stamp, state: str, shape: tuple[int, int, int]) -> None:
    """Raise BadImage for a stamp that does not fit among those of a survey."""
    if stamp.state != state:
        raise BadImage("picture", f"is {stamp.state} among {state} ones")
    if stamp.pixels.shape != shape:
        raise BadImage("picture", f"gives {stamp.pixels.shape}, not {shape}")
