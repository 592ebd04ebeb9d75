"""Deconvolution judged against known truth: the network beside Wiener and Richardson-Lucy.

Held-out simulated galaxies are observed at a given peak S/N. The settings of the classics are
chosen on validation galaxies, for each S/N by themselves; every figure is of the test galaxies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.deconvolution.metrics import (
    bootstrap,
    ellipticity,
    euclid_view,
    flux,
    half_light_radius,
    nmse,
    psnr,
    reduced_chi2,
    root_mean_square,
)
from galaxy_explorer.deconvolution.observations import Array, ObservedStamps, blur

Floats = NDArray[np.float64]

OBSERVED, WIENER, LUCY = "no deconvolution", "Wiener", "Richardson-Lucy"
NETWORK, POSTERIOR = "network alone", "network and data"


@dataclass(frozen=True)
class Figure:
    """One figure of one method at one peak S/N, with its 95 % bootstrap interval over n galaxies.

    control: the same with each galaxy compared with the truth of another; None where that says
    nothing.
    """

    peak_sn: float
    method: str
    name: str
    value: float
    low: float
    high: float
    n: int
    unit: str
    control: float | None


@dataclass(frozen=True)
class Measure:
    """A figure: what it takes of each galaxy, how galaxies are put together."""

    name: str
    unit: str
    values: Callable[[Array, Array, ObservedStamps, float], Floats]
    together: Callable[..., Floats]
    against_truth: bool = True


def _shape(light: Array, truth: Array, _: ObservedStamps, __: float) -> Floats:
    weight = half_light_radius(truth)
    return ellipticity(light, weight) - ellipticity(truth, weight)


MEASURES = (
    Measure(
        "flux bias",
        "%",
        lambda light, truth, _, __: 100 * (flux(light) / flux(truth) - 1),
        np.median,
    ),
    Measure(
        "half-light radius bias",
        "%",
        lambda light, truth, _, __: 100 * (half_light_radius(light) / half_light_radius(truth) - 1),
        np.median,
    ),
    Measure("ellipticity rms", "", _shape, root_mean_square),
    Measure("PSNR", "dB", lambda light, truth, _, __: psnr(light, truth), np.mean),
    Measure(
        "reduced chi^2, re-convolved",
        "",
        lambda light, _, seen, __: reduced_chi2(seen.pixels - blur(light, seen.psf), seen.sigma),
        np.mean,
        against_truth=False,
    ),
    Measure(
        "NMSE as Euclid VIS",
        "%",
        lambda light, truth, _, scale: (
            100 * nmse(euclid_view(light, scale), euclid_view(truth, scale))
        ),
        np.mean,
    ),
)


def judge(
    method: str,
    light: Array,
    truth: Array,
    observed: ObservedStamps,
    *,
    peak_sn: float,
    scale_arcsec: float,
) -> list[Figure]:
    """All figures of one method: its light (N, S, S) against the truth (N, S, S)."""
    figures = []
    for measure in MEASURES:
        values = measure.values(light, truth, observed, scale_arcsec)
        value, low, high = bootstrap(values, measure.together)
        control = None
        if measure.against_truth:
            other = measure.values(light, np.roll(truth, 1, 0), observed, scale_arcsec)
            control = float(measure.together(other, axis=0))
        figures.append(
            Figure(
                peak_sn, method, measure.name, value, low, high, len(light), measure.unit, control
            )
        )
    return figures


@dataclass(frozen=True)
class DeconvolutionTarget:
    """A goal set beforehand, and whether the network met it at one peak S/N."""

    name: str
    peak_sn: float
    goal: str
    value: float
    met: bool


def targets(figures: list[Figure]) -> Iterator[DeconvolutionTarget]:
    """The goals at every peak S/N, judged by the value of `network and data`."""
    table = {(f.peak_sn, f.method, f.name): f.value for f in figures}
    for sn in sorted({f.peak_sn for f in figures}):

        def value(name: str, method: str = POSTERIOR, sn: float = sn) -> float:
            return table[sn, method, name]

        for name, limit in (("half-light radius bias", 3.0), ("flux bias", 1.0)):
            found = value(name)
            yield DeconvolutionTarget(name, sn, f"within {limit:g} %", found, abs(found) <= limit)
        name, found = "ellipticity rms", value("ellipticity rms")
        lucy = value(name, LUCY)
        yield DeconvolutionTarget(
            name, sn, f"below Richardson-Lucy's {lucy:.4f}", found, found < lucy
        )
        best = max(value("PSNR", classic) for classic in (WIENER, LUCY))
        found = value("PSNR") - best
        yield DeconvolutionTarget(
            "PSNR over the better classic", sn, "at least 1 dB", found, found >= 1
        )
        found = value("reduced chi^2, re-convolved")
        yield DeconvolutionTarget(
            "reduced chi^2, re-convolved", sn, "at most 1.1", found, found <= 1.1
        )
        found = value("NMSE as Euclid VIS")
        yield DeconvolutionTarget("NMSE as Euclid VIS", sn, "at most 2 %", found, found <= 2)


def rows(
    items: list[Figure] | list[DeconvolutionTarget],
) -> list[dict[str, float | str | bool | None]]:
    """Figures or targets as plain values."""
    return [asdict(item) for item in items]
