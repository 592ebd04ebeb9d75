"""A PSF of the user's own, read as guardedly as any picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.images import read_image

Array = NDArray[np.float32]


def read_psf(
    source: Path | bytes, hdu: int | None = None, *, name: str | None = None
) -> tuple[Array, float | None]:
    """A PSF as a square of odd size around its peak, of unit sum, and its pixel scale (arcsec).

    Negative pixels, which stacks of stars have, become zero. The scale is None where the header
    is silent. Raises BadImage.
    """
    image = read_image(source, name=name, hdu=hdu)
    psf = np.maximum(image.data[0], 0)
    y, x = (int(i) for i in np.unravel_index(psf.argmax(), psf.shape))
    half = min(y, x, psf.shape[0] - 1 - y, psf.shape[1] - 1 - x)
    square = psf[y - half : y + half + 1, x - half : x + half + 1]
    if half < 2 or not square.sum() > 0:
        where = name or (str(source) if isinstance(source, Path) else "PSF")
        raise BadImage(where, "no PSF: the peak must be at least two pixels from the edge")
    return np.asarray(square / square.sum(), np.float32), image.pixel_scale_arcsec
