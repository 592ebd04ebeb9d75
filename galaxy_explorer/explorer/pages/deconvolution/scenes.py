"""Galaxies without their PSF, for the Deconvolution page: deconvolved live where originals are.

With a survey of linear stamps on the machine its galaxies are deconvolved, whether they are those
of the bundle or other ones. Without, the bundle's galaxies are drawn from their code maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.deconvolution import (
    DeconvolutionMeasures,
    psf_model,
    psf_model_name,
)
from galaxy_explorer.survey.store import Survey

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

Images = NDArray[np.float32]

ORIGINAL, RECONSTRUCTION, DECONVOLVED = "original", "reconstruction", "deconvolved"
RECONVOLVED, RESIDUAL, TRUTH = "re-convolved", "residual", "truth"
ELECTRONS = "electrons_per_flux"
LIGHT_KINDS = (ORIGINAL, RECONSTRUCTION, DECONVOLVED, RECONVOLVED, TRUTH)


@dataclass(frozen=True)
class Scenes:
    """n galaxies: pictures (n, S, S) by kind, in sigma of the sky, and reduced chi^2 by kind (n,).

    The residual is over the sigma of each pixel. Kinds that cannot be had are absent.
    """

    names: tuple[str, ...]
    pictures: dict[str, Images]
    chi2: dict[str, NDArray[np.float64]]


class SceneSource:
    """Where the page's galaxies come from, N of them."""

    def __init__(self, bundle: Bundle, survey_path: str) -> None:
        self.bundle = bundle
        survey = Survey.open(survey_path) if survey_path else None
        self.survey = survey if survey is not None and fits(survey, bundle) else None

    @cached_property
    def names(self) -> NDArray[np.str_]:
        """Identifiers of all galaxies, (N,)."""
        table = self.bundle if self.survey is None else self.survey
        return np.asarray(table.column("galaxy_id"), str)

    @cached_property
    def test_rows(self) -> NDArray[np.int64]:
        """Galaxies that the model was not trained on; all where the bundle has none of them."""
        known = dict(zip(self.bundle.column("galaxy_id"), self.bundle.column("split"), strict=True))
        split = np.array([known.get(name, "test") for name in self.names])
        return np.flatnonzero(split == "test")

    @property
    def scale_arcsec(self) -> float:
        """Pixel scale of the stamps."""
        return self.bundle.manifest.survey.pixel_scale_arcsec or math.nan

    def scenes(self, rows: NDArray[np.int64]) -> Scenes:
        """Pictures of galaxies; slow: about 0.2 s each where they are deconvolved."""
        names = tuple(str(name) for name in self.names[rows])
        if self.survey is None:
            from galaxy_explorer.deconvolution.network import drawn_light

            codes = self.bundle.codes(psf_model_name(self.bundle) or "")[rows]
            light, seen = drawn_light(psf_model(self.bundle), codes)
            drawn = {RECONSTRUCTION: seen, DECONVOLVED: light}
            return Scenes(names, drawn, {})
        from galaxy_explorer.deconvolution.network import deconvolve
        from galaxy_explorer.deconvolution.observations import stamps_observed

        columns = (self.survey.column("sky")[rows], self.survey.column("sky_sigma")[rows])
        stamps, electrons = self.survey.stamps(rows)[:, 0], self._electrons(self.survey, rows)
        observed = stamps_observed(stamps, *columns, self._psf(self.survey, rows), electrons)
        made = deconvolve(psf_model(self.bundle), observed)
        unit = observed.sky_sigma[:, None, None]
        residual = (observed.pixels - made.blurred) / observed.sigma
        first = (observed.pixels - made.network_blurred) / observed.sigma
        pictures = {
            ORIGINAL: observed.pixels / unit, RECONSTRUCTION: made.network_blurred / unit,
            DECONVOLVED: made.light / unit, RECONVOLVED: made.blurred / unit, RESIDUAL: residual,
        }  # fmt: skip
        if "truth" in self.survey.extra_names:
            pictures[TRUTH] = self.survey.truth(rows)[:, 0] / unit
        chi2 = {RECONSTRUCTION: _reduced(first), RECONVOLVED: _reduced(residual)}
        return Scenes(names, pictures, chi2)

    @cached_property
    def usual_electrons(self) -> float | None:
        """Median photo-electrons per unit of flux of the bundle's galaxies; None if not known."""
        if ELECTRONS not in self.bundle.column_names:
            return None
        return float(np.nanmedian(self.bundle.column(ELECTRONS)))

    @property
    def assumes_photons(self) -> bool:
        """Whether the photon noise of the stamps is taken to be as in the bundle's survey."""
        known = self.survey is None or ELECTRONS in self.survey.column_names
        return not known and self.usual_electrons is not None

    def _electrons(self, survey: Survey, rows: NDArray[np.int64]) -> NDArray[np.floating] | None:
        """Photo-electrons per unit of flux, (n,); as in the bundle's survey where not stated."""
        if ELECTRONS in survey.column_names:
            return np.asarray(survey.column(ELECTRONS)[rows], np.float64)
        usual = self.usual_electrons
        return None if usual is None else np.full(len(rows), usual)

    def _psf(self, survey: Survey, rows: NDArray[np.int64]) -> Images:
        if "psf" in survey.extra_names:
            return np.asarray(survey.extra_array("psf", rows), np.float32)
        return np.repeat(psf_model(self.bundle).psf.numpy()[None], len(rows), 0)


def _reduced(residual: Images) -> NDArray[np.float64]:
    return np.asarray(np.square(residual, dtype=np.float64).mean((1, 2)))


def fits(survey: Survey, bundle: Bundle) -> bool:
    """Whether stamps of a survey are such as the model takes: linear, one band, as large."""
    meta, wanted = survey.meta, bundle.manifest.survey
    size = (wanted.stamp_size, wanted.channels)
    alike = (meta.get("stamp_size"), meta.get("channels")) == size
    return alike and meta["stretch"]["state"] == "linear"


def profile(image: Images, scale_arcsec: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of an image (S, S) in rings of a pixel around its centre: radius in arcsec, value."""
    size = image.shape[-1]
    axis = np.arange(size) - (size - 1) / 2
    ring = np.hypot(axis[:, None], axis).astype(np.int64).ravel()
    inside = ring < size // 2
    counts = np.bincount(ring[inside])
    sums = np.bincount(ring[inside], image.ravel()[inside])
    radius = np.asarray((np.arange(len(counts)) + 0.5) * scale_arcsec, np.float64)
    return radius, np.asarray(sums / counts, np.float64)


def with_bar(pictures: NDArray[np.uint8], scale_arcsec: float) -> NDArray[np.uint8]:
    """Pictures (n, S, S, 3) with a bar of one arcsec in the lower left corner."""
    length = round(1 / scale_arcsec)
    marked: NDArray[np.uint8] = pictures.copy()
    marked[:, -6:-3, 3 : length + 5] = 0
    marked[:, -5:-4, 4 : length + 4] = 255
    return marked


def figure_table(found: DeconvolutionMeasures) -> list[dict[str, Any]]:
    """Figures grouped for a table: name, unit, peak S/N, and value by method."""
    rows: dict[tuple[str, float], dict[str, Any]] = {}
    for figure in found.figures:
        key = (figure.name, figure.peak_sn)
        row = rows.setdefault(key, {"name": key[0], "peak_sn": key[1], "unit": figure.unit})
        row.setdefault("values", {})[figure.method] = figure
    return [
        rows[key]
        for key in sorted(
            rows,
            key=lambda key: (
                next(i for i, figure in enumerate(found.figures) if figure.name == key[0]),
                key[1],
            ),
        )
    ]
