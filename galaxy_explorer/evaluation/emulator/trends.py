"""Trends with T, distributions, and the guidance curve: what the figures of the proof rest on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec.structs import replace

from galaxy_explorer.bundle.card import LEADING
from galaxy_explorer.bundle.emulation import (
    CLASSES,
    KINDS,
    LOWEST_CLASS,
    READ_TTYPE,
    GuidancePoint,
    Histogram,
    TypeTrend,
)
from galaxy_explorer.evaluation.emulator import comparison as compare
from galaxy_explorer.evaluation.emulator.comparison import Galaxies
from galaxy_explorer.evaluation.emulator.figures import (
    FEWEST,
    Sets,
    classes_of,
    known,
)

BINS = 24
OBEDIENCE = 0.97  # of the correlation that the judge finds on reconstructions: the goal
WIDEST = (0.005, 0.995)  # quantiles of the real galaxies that a histogram spans


def trends(sets: Sets) -> list[TypeTrend]:
    """Every statistic, and what the judge reads, against T, on each kind of galaxies."""
    kinds = (sets.real.typed, sets.reconstructions.typed, sets.samples_with_ttype, sets.control)
    found = [
        _trend(galaxies, kind, name)
        for name in (*sets.names, *sets.real.read)
        for kind, galaxies in zip(KINDS, kinds, strict=True)
        if galaxies is not None and len(galaxies) >= FEWEST
    ]
    return with_p(found)


def with_p(trends: Iterable[TypeTrend]) -> list[TypeTrend]:
    """The same trends, each with its p of no slope, corrected over all statistics of its kind."""
    made = list(trends)
    for kind in KINDS:
        tested = [i for i, t in enumerate(made) if t.kind == kind and t.sigmas is not None]
        p = holm([two_sided(made[i].sigmas or 0.0) for i in tested])
        for place, corrected in zip(tested, p, strict=True):
            made[place] = replace(made[place], p_holm=corrected)
    return made


def two_sided(sigmas: float) -> float:
    """Chance that a normal figure of mean 0 lies as many standard errors from 0, either way."""
    return math.erfc(abs(sigmas) / math.sqrt(2))


def holm(p: Sequence[float]) -> list[float]:
    """P-values of tests made together, corrected (Holm 1979, Scand. J. Statist. 6, 65).

    The smallest of m counts m times, the next m - 1 times and so on; none is below one before it.
    """
    corrected, largest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = largest
    return corrected


def _trend(galaxies: Galaxies, kind: str, name: str) -> TypeTrend:
    slope = compare.slope_of(galaxies, name).estimate
    values, place = compare.values_of(galaxies, name), classes_of(galaxies.ttype)
    means: list[float | None] = []
    spreads: list[float | None] = []
    counts: list[int] = []
    for number in range(CLASSES):
        members = values[(place == LOWEST_CLASS + number) & np.isfinite(values)]
        counts.append(len(members))
        means.append(float(members.mean()) if len(members) else None)
        spreads.append(float(members.std(ddof=1)) if len(members) > 1 else None)
    return TypeTrend(
        statistic=name,
        kind=kind,
        slope=known(slope.value),
        low=known(slope.low),
        high=known(slope.high),
        sigmas=known(slope.value / slope.error) if slope.error > 0 else None,
        n=int(np.isfinite(values).sum()),
        means=tuple(means),
        counts=tuple(counts),
        spreads=tuple(spreads),
        failed=galaxies.failed,
    )


def histograms(sets: Sets) -> list[Histogram]:
    """Each statistic on real galaxies, reconstructions and samples."""
    made = []
    for name in sets.names:
        real = sets.real.statistics[name]
        low, high = np.nanquantile(real, WIDEST) if np.isfinite(real).any() else (0.0, 1.0)
        edges = np.linspace(low, max(high, low + 1e-9), BINS + 1)
        shares = {}
        shown = (sets.real, sets.reconstructions, sets.samples)
        for kind, galaxies in zip(KINDS, shown, strict=False):
            values = galaxies.statistics[name]
            known = values[np.isfinite(values)].clip(edges[0], edges[-1])
            counts = np.histogram(known, edges)[0] / max(len(known), 1)
            shares[kind] = tuple(round(float(share), 5) for share in counts)
        made.append(Histogram(name, tuple(float(edge) for edge in edges), shares))
    return made


def guidance_point(guidance: float, reconstructions: Galaxies, samples: Galaxies) -> GuidancePoint:
    """What one guidance does, on validation galaxies: reconstructions, and samples of their T."""
    ratios = np.array(
        [compare.slope_ratio(samples, reconstructions, name).value for name in LEADING]
    )
    names = list(reconstructions.statistics)
    distance = compare.mean_distance(
        samples, reconstructions, names, compare.sigmas_of(reconstructions)
    ).value
    judged = obedience = None
    if READ_TTYPE in samples.read:
        judged = compare.correlation(samples).value
        obedience = compare.correlation_ratio(samples, reconstructions).value
    return GuidancePoint(
        guidance=guidance,
        slope_ratio=float(ratios.mean()),
        distance=distance,
        diversity=compare.diversity(samples, reconstructions),
        judged=judged,
        cost=float(np.abs(ratios - 1).mean()) + distance,
        n=len(samples),
        obedience=obedience,
    )


def best_guidance(curve: Sequence[GuidancePoint]) -> float:
    """Of the guidances that obey, that of the smallest cost; else the one that obeys best.

    It obeys where the judge reads the T that was asked for nearly as well as off reconstructions.
    Of equal ones the smallest.
    """
    obeying = [p for p in curve if p.obedience is None or p.obedience >= OBEDIENCE]
    if obeying:
        return min(obeying, key=lambda point: (point.cost, point.guidance)).guidance
    return min(curve, key=lambda point: (-(point.obedience or 0.0), point.guidance)).guidance
