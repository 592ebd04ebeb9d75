"""Colour in stamps of several bands, and how much of it a reconstruction keeps."""

from __future__ import annotations

import numpy as np

BOOTSTRAPS = 1000
INTERVAL = (0.025, 0.975)


def bands_of(text: str | None) -> list[str]:
    """Names of the planes of a survey's stamps, from its field `band`, such as "i, r, g"."""
    return [name.strip() for name in (text or "").split(",")]


def colour_index(stamps: np.ndarray, blue: int, red: int) -> np.ndarray:
    """2.5 log10 of summed red over summed blue pixels, (N,), of stamps (N, C, S, S).

    In stretched pixels this is a proxy of the colour, not the colour in magnitudes: the arcsinh
    stretch flattens bright cores. Only ratios of such numbers made in the same way mean anything.
    """
    sums = stamps.sum(axis=(-2, -1), dtype=np.float64)
    floor = np.maximum(sums, 1e-6)
    index: np.ndarray = 2.5 * np.log10(floor[:, red] / floor[:, blue])
    return index


def slope_kept(
    real: np.ndarray, drawn: np.ndarray, ttype: np.ndarray, *, seed: int = 0
) -> dict[str, float]:
    """Slope of a measure against T, reconstruction over real, galaxies (n,) without T left out.

    slope_real, slope_drawn: least squares. kept: their ratio, with a 95 % interval over galaxies
    resampled in pairs (kept_low, kept_high). kept_control: the same with the reconstructions of
    other galaxies, which should be near 0.
    """
    known = ~np.isnan(ttype)
    t, x, y = ttype[known], real[known], drawn[known]
    rng = np.random.default_rng(seed)
    slopes = np.array([_slope(t, x), _slope(t, y), _slope(t, rng.permutation(y))])
    ratios = []
    for _ in range(BOOTSTRAPS):
        rows = rng.integers(len(t), size=len(t))
        ratios.append(_slope(t[rows], y[rows]) / _slope(t[rows], x[rows]))
    low, high = np.quantile(ratios, INTERVAL)
    return {
        "slope_real": float(slopes[0]),
        "slope_drawn": float(slopes[1]),
        "kept": float(slopes[1] / slopes[0]),
        "kept_low": float(low),
        "kept_high": float(high),
        "kept_control": float(slopes[2] / slopes[0]),
        "n": len(t),
    }


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    centred = x - x.mean()
    return float((centred * y).sum() / np.square(centred).sum())


def colour_figures(
    stamps: np.ndarray, drawn: np.ndarray, ttype: np.ndarray, bands: list[str], variance: np.ndarray
) -> dict[str, float]:
    """What reconstructions (n, C, S, S) keep of held-out stamps in several bands.

    nmse_<band>: mean squared error over `variance` (C,) of that band's training pixels. With bands
    g and r: `slope_kept` of the g - r proxy, its fields after `g_r_`.
    """
    errors = np.square(drawn - stamps).mean(axis=(0, 2, 3), dtype=np.float64) / variance
    figures = {f"nmse_{band}": float(error) for band, error in zip(bands, errors, strict=True)}
    if {"g", "r"} <= set(bands):
        blue, red = bands.index("g"), bands.index("r")
        real, made = colour_index(stamps, blue, red), colour_index(drawn, blue, red)
        figures |= {f"g_r_{name}": value for name, value in slope_kept(real, made, ttype).items()}
    return figures
