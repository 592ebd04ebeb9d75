"""C, A, S, Gini, M20, Sersic index, half-light radius, ellipticity of stamps, many at a time.

By statmorph (Rodriguez-Gomez et al. 2019), but for the index. In the units of the stamp: arcsinh-
stretched stamps are not linear flux, their values can be compared with each other, original with
reconstruction, not with the literature.

The Sersic index is fitted to the profile over ellipses: milliseconds, no starting values. Sersic's
law, I(r) = A exp(-b_n ((r / r_e)^(1/n) - 1)), is linear in A, so the least-squares A of every (n,
r_e) of a grid is known at once and the best pair is looked up. Not corrected for the PSF.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from galaxy_explorer.survey.photometry import SMALLEST_SIGMA, segment
from galaxy_explorer.utils.files import atomic_path
from galaxy_explorer.utils.progress import progress

Floats = NDArray[np.float64]

INDICES = np.geomspace(0.15, 8.0, 48)
RADII_PER_STAMP = 40
RING_PX = 1.0
INNERMOST_PX = 1.0  # where a pixel is too coarse for the cusp of a high index
EXTENT = 1.5  # times the farthest pixel of the galaxy


def sersic_index(
    image: Floats, member: NDArray[np.bool_], masked: NDArray[np.bool_] | None = None
) -> float:
    """Sersic index of the galaxy of one stamp (S, S), sky subtracted; NaN where it has no light.

    member: its pixels, which give centre, axis ratio and angle. masked: pixels of other sources.
    """
    light = np.where(member, image, 0).clip(0)
    if light.sum() <= 0:
        return float("nan")
    radius = _elliptical_radius(light)
    used = (radius >= INNERMOST_PX) & (radius <= EXTENT * radius[member].max())
    if masked is not None:
        used &= ~masked
    ring = (radius[used] / RING_PX).astype(int)
    pixels = np.bincount(ring)
    filled = np.flatnonzero(pixels)
    mean_radius, mean_light = (
        np.bincount(ring, weights=values[used])[filled] / pixels[filled]
        for values in (radius, image)
    )
    weight = pixels[filled].astype(np.float64)
    # every profile of the grid, each scaled so that it fits the rings best
    b_n, half_light = _grid(image.shape[0])
    power = 1 / INDICES[:, None, None]
    shape = np.exp(-b_n * ((mean_radius / half_light[:, None]) ** power - 1))  # (n, r, rings)
    cross, square = shape @ (weight * mean_light), np.square(shape) @ weight
    explained = np.square(cross.clip(0)) / np.maximum(square, 1e-300)
    best = explained.max(1)  # (n,) over the radii
    place = int(best.argmax())
    if not 0 < place < len(INDICES) - 1:
        return float(INDICES[place])
    left, top, right = best[place - 1 : place + 2]  # the vertex of a parabola through three
    bend = left - 2 * top + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    step = np.log(INDICES[1] / INDICES[0])
    return float(INDICES[place] * np.exp(shift * step))


def _elliptical_radius(light: Floats) -> Floats:
    """Radius (S, S) of the ellipse through each pixel, the mean of its half-axes."""
    y, x = np.indices(light.shape).astype(np.float64)
    total = light.sum()
    x, y = (axis - (light * axis).sum() / total for axis in (x, y))
    xx, yy, xy = ((light * product).sum() / total for product in (x * x, y * y, x * y))
    determinant = xx * yy - xy * xy
    if determinant <= 1e-9 * max(xx, yy, 1.0) ** 2:
        return np.asarray(np.hypot(x, y))
    squared = (yy * x * x - 2 * xy * x * y + xx * y * y) / np.sqrt(determinant)
    return np.asarray(np.sqrt(squared.clip(0)))


@cache
def _grid(side: int) -> tuple[Floats, Floats]:
    """b_n (n, 1, 1) of the indices, and half-light radii (r,) up to half a stamp, in pixels."""
    from scipy.special import gammaincinv

    b_n = gammaincinv(2 * INDICES, 0.5)[:, None, None]
    return b_n, np.geomspace(0.5, side / 2, RADII_PER_STAMP)


STATISTICS = ("concentration", "asymmetry", "smoothness", "gini", "m20")
MEASURED = (*STATISTICS, "sersic_n", "r_half", "ellipticity")  # r_half in pixels
WORST_FLAG = 1  # 0 good, 1 suspect, 2 bad, 4 nothing could be measured
BLOCK = 64  # stamps between two writes of the cache
# Neither the Sersic fit nor the multimode search is used here: both end at once.
OPTIONS = {"sersic_fitting_args": {"maxiter": 1}, "niter_bh_mid": 0}
NAMES = {"r_half": "rhalf_circ", "ellipticity": "ellipticity_asymmetry"}  # statmorph's
METHOD = b"statmorph C A S Gini M20 n r_half ellipticity, segmentation 2"


@dataclass(frozen=True)
class Morphology:
    """Each of MEASURED (N,) by name, NaN where the flag is above 1; flag (N,) 0 to 4."""

    values: dict[str, Floats]
    flag: NDArray[np.int16]

    @property
    def failed_share(self) -> float:
        """Share of stamps that could not be measured."""
        return float((self.flag > WORST_FLAG).mean()) if len(self.flag) else 0.0


def measure_morphology(
    stamps: NDArray[np.float32],
    cache: Path,
    *,
    workers: int = 1,
    description: str = "Measuring morphology",
) -> Morphology:
    """Statistics of stamps (N, S, S) of linear flux; what was measured before is read from `cache`.

    cache: a file of values by the hash of the pixels. workers: processes; about 0.2 s of CPU a
    stamp of 64 x 64.
    """
    known: dict[bytes, Floats] = {}
    # A damaged cache is worth no more than an absent one: the stamps are measured again.
    with suppress(SafetensorError, FileNotFoundError):
        stored = load_file(cache)
        known = {k.tobytes(): v for k, v in zip(stored["keys"], stored["values"], strict=True)}
    pixels = (np.ascontiguousarray(stamp, dtype="<f4").tobytes() for stamp in stamps)
    keys = [hashlib.sha256(METHOD + one).digest() for one in pixels]
    missing = [i for i, key in enumerate(keys) if key not in known]
    first = {keys[i]: i for i in reversed(missing)}  # each picture once
    rows = sorted(first.values())
    with progress(len(keys), description, done=len(keys) - len(rows)) as advance:
        for part in _measured(stamps, rows, workers):
            known |= {keys[row]: values for row, values in part}
            hashes = np.frombuffer(b"".join(known), np.uint8).reshape(len(known), -1)
            with atomic_path(cache) as temporary:
                values = np.stack(list(known.values()))
                save_file({"keys": hashes.copy(), "values": values}, temporary)
            advance(len(part))
    found = np.stack([known[key] for key in keys]) if keys else np.empty((0, len(MEASURED) + 1))
    flag = found[:, -1].astype(np.int16)
    values = np.where((flag <= WORST_FLAG)[:, None], found[:, :-1], np.nan)
    return Morphology(dict(zip(MEASURED, values.T, strict=True)), flag)


def _measured(
    stamps: NDArray[np.float32], rows: list[int], workers: int
) -> Iterator[list[tuple[int, Floats]]]:
    """Rows and their values, a block at a time."""
    blocks = [rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK)]
    if workers == 1 or len(rows) < workers:
        for block in blocks:
            yield [(row, measure_one(stamps[row], 0.0)) for row in block]
        return
    # Spawned, not forked: the parent's threads stay out of the workers.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for block in blocks:
            part = [stamps[row] for row in block]
            values = pool.map(measure_one, part, repeat(0.0), chunksize=8)
            yield list(zip(block, values, strict=True))


def measure_one(stamp: NDArray[np.float32], smallest: float = SMALLEST_SIGMA) -> Floats:
    """Each of MEASURED of one stamp (S, S), then statmorph's flag, (9,) float64.

    smallest: sigma that the sky has at least, as for a stretched stamp; 0 for linear flux.
    """
    from statmorph import SourceMorphology

    image = stamp.astype(np.float64)
    segments = segment(image, smallest)
    light, member, others = image - segments.sky, segments.labels == 1, segments.labels > 1
    with warnings.catch_warnings():
        # What statmorph warns of it also flags.
        warnings.simplefilter("ignore")
        found = SourceMorphology(
            light,
            member.astype(int),
            1,
            mask=others,
            weightmap=np.full(image.shape, segments.sky_sigma),
            **OPTIONS,
        )
    index = sersic_index(light, member, others)
    values = np.array(
        [
            index if name == "sersic_n" else float(getattr(found, NAMES.get(name, name)))
            for name in MEASURED
        ]
    )
    flag = found.flag if np.isfinite(values).all() else 4
    return np.append(values, flag)
