"""From the stretched stamps of a decoder to linear light, and what its unit is.

A survey of linear stamps was stretched by us, sky and sigma of each stamp known, so that its
stretch has an exact inverse: light in the survey's own flux unit, for a sky of the survey's median
sigma. A survey of 8-bit pictures came stretched, by a scale that differs from galaxy to galaxy and
is not known: the documented stretch then gives relative linear light, proportional to flux within
one galaxy, without a zero point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.errors import BundleError, RequestError
from galaxy_explorer.models.conditions import Field
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.store import SCALE_COLUMN
from galaxy_explorer.survey.telescopes import TELESCOPES

Array = NDArray[np.float32]

RELATIVE = "relative"
IN_SIGMA = "sky sigma"
SAME = 1e-6  # relative: zero points that differ less are one


@dataclass(frozen=True)
class Units:
    """What the numbers of a bundle's linear light are.

    unit: the survey's flux unit, IN_SIGMA where its sky is not in the catalogue, or RELATIVE.
    zero_point: magnitude = zero_point - 2.5 log10(flux), None where there is none. sky_sigma: of
    the sky that the stretch is inverted for, in `unit`. pixel_scale_arcsec: of a stamp, None where
    the survey does not say; scale_from: how it is known.
    """

    unit: str
    zero_point: float | None
    sky_sigma: float
    stretch: ArcsinhStretch
    pixel_scale_arcsec: float | None
    scale_from: str

    def light(self, stamps: NDArray[Any]) -> Array:
        """Linear light of stretched stamps (n, C, S, S); relative light has its sky at zero."""
        linear = self.stretch.invert(stamps, 0.0, self.sky_sigma)
        if self.unit == RELATIVE:
            # A pedestal of the pictures is no light, yet counts when light is summed.
            sky = [[sky_level(plane)[0] for plane in planes] for planes in linear]
            linear = linear - np.asarray(sky)[..., None, None]
        return linear.astype(np.float32)

    def stamps(self, light: NDArray[Any]) -> Array:
        """Stretched stamps of light: the inverse of `light`, for relative light up to its sky."""
        return self.stretch.apply(light, 0.0, self.sky_sigma).astype(np.float32)


def units_of(bundle: Bundle) -> Units:
    """The units of a bundle's stamps; raises BundleError where the stretch is not described."""
    survey = bundle.manifest.survey
    numbers: dict[str, Any] = {n: survey.stretch.get(n) for n in ArcsinhStretch().to_dict()}
    described = all(type(value) in (int, float) for value in numbers.values())
    if not described or not (numbers["softening"] > 0 and numbers["scale"] > 0):
        raise BundleError(
            f"{bundle.path}: manifest.json: survey.stretch has no arcsinh stretch to invert"
        )
    stretch = ArcsinhStretch(**{name: float(value) for name, value in numbers.items()})
    scale, scale_from = survey.pixel_scale_arcsec, "of the survey"
    if scale is None or not scale > 0:
        scale, scale_from = (
            _middle(bundle, SCALE_COLUMN),
            "median of the survey, whose stamps differ",
        )
    if scale is None or not scale > 0:
        scale, scale_from = None, "the survey states none"
    if survey.stretch.get("state") != "linear":
        return Units(RELATIVE, None, 1.0, stretch, scale, scale_from)
    sigma = _middle(bundle, "sky_sigma")
    if sigma is None or not sigma > 0:
        return Units(IN_SIGMA, None, 1.0, stretch, scale, scale_from)
    values = _known(bundle, "zero_point")
    alike = len(values) and np.ptp(values) <= SAME * abs(values[0])
    zero_point = float(values[0]) if alike else None
    known = (t for t in TELESCOPES.values() if t.band == survey.band)
    unit = next((t.flux_unit for t in known if t.zero_point == zero_point), "survey flux")
    return Units(unit, zero_point, sigma, stretch, scale, scale_from)


def _known(bundle: Bundle, column: str) -> NDArray[np.float64]:
    # Of a survey that was encoded the catalogue says nothing of the light that the networks draw.
    if bundle.manifest.has_other_galaxies or column not in bundle.column_names:
        return np.empty(0)
    values = bundle.column(column)
    numbers = values.astype(np.float64) if values.dtype.kind in "iuf" else np.empty(0)
    return numbers[np.isfinite(numbers)]


def _middle(bundle: Bundle, column: str) -> float | None:
    values = _known(bundle, column)
    return float(np.median(values)) if len(values) else None


def light_without_psf(bundle: Bundle, codes: NDArray[np.integer[Any]]) -> Array:
    """Light (n, 1, S, S) of code maps before the PSF layer blurs it, in the bundle's unit.

    Raises BundleError where the bundle has no model with the PSF layer, RequestError where the
    code maps are not of its size.
    """
    import torch

    from galaxy_explorer.bundle.bundle import psf_model
    from galaxy_explorer.models.psf import central

    model = psf_model(bundle)
    side = model.config.map_size
    if codes.shape[1:] != (side, side):
        raise RequestError(
            f"codes {codes.shape[1:]}: the model with the PSF layer has {side} x {side}"
        )
    with torch.inference_mode():
        canvas = model.canvas(torch.from_numpy(np.asarray(codes, np.int64)))  # (n, 1, C, C)
    drawn = central(canvas, model.config.stamp_size).float().numpy()
    return np.asarray(drawn * units_of(bundle).sky_sigma, np.float32)


def implied_scale(
    bundle: Bundle, fields: Sequence[Field], condition: Mapping[str, Any]
) -> float | None:
    """Pixel scale (arcsec) of stamps that were framed by the size asked for; None: there is none.

    Where stamps are cut in proportion to the galaxy, as SDSS pictures of NGC galaxies are, its size
    is in the pixel scale alone. NaN where galaxies of several sizes are asked for.
    """
    field = next((f for f in fields if f.name == "size"), None)
    asked = np.unique(np.asarray(condition.get("size", ()), np.float64))
    manifest = bundle.manifest
    framed = manifest.survey.pixel_scale_arcsec is None and not manifest.has_other_galaxies
    if field is None or not (framed and asked.size) or SCALE_COLUMN not in bundle.column_names:
        return None
    ratio = bundle.column(SCALE_COLUMN) / field.values(bundle.column)
    known = ratio[np.isfinite(ratio)]
    if not known.size:
        return None
    return float(asked[0] * np.median(known)) if asked.size == 1 else float("nan")


def usual_magnitude(
    fields: Sequence[Field], condition: Mapping[str, Any]
) -> tuple[Any, str] | None:
    """A magnitude for galaxies without a zero point, and where it is from; None: there is none.

    What was asked for, else the median of the train split.
    """
    field = next((f for f in fields if f.name == "magnitude"), None)
    if field is None:
        return None
    if "magnitude" in condition:
        return condition["magnitude"], f"{field.label} asked for"
    return field.default, f"median {field.label} of the survey"
