"""C, A, S, Gini, M20, Sersic index, half-light radius, ellipticity of stamps, many at a time.

By statmorph (Rodriguez-Gomez et al. 2019), but for the index, which is that of `sersic`. In the
units of the stamp: arcsinh-stretched stamps are not linear flux, their values can be compared with
each other, original with reconstruction, not with the literature.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from galaxy_explorer.emulation.sersic import sersic_index
from galaxy_explorer.files import atomic_path
from galaxy_explorer.progress import progress
from galaxy_explorer.survey.photometry import segment

Floats = NDArray[np.float64]

STATISTICS = ("concentration", "asymmetry", "smoothness", "gini", "m20")
MEASURED = (*STATISTICS, "sersic_n", "r_half", "ellipticity")  # r_half in pixels
WORST_FLAG = 1  # 0 good, 1 suspect, 2 bad, 4 nothing could be measured
BLOCK = 64  # stamps between two writes of the cache
# Neither the Sersic fit nor the multimode search is used here: both end at once.
OPTIONS = {"sersic_fitting_args": {"maxiter": 1}, "niter_bh_mid": 0}
NAMES = {"r_half": "rhalf_circ", "ellipticity": "ellipticity_asymmetry"}  # statmorph's
METHOD = b"statmorph C A S Gini M20 n r_half ellipticity, segmentation 1"


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
    """Statistics of stamps (N, S, S), resumable: what was measured before is read from `cache`.

    cache: a file of values by the hash of the pixels. workers: processes; about 0.2 s of CPU a
    stamp of 64 x 64.
    """
    known = _read(cache)
    keys = [_key(stamp) for stamp in stamps]
    missing = [i for i, key in enumerate(keys) if key not in known]
    first = {keys[i]: i for i in reversed(missing)}  # each picture once
    rows = sorted(first.values())
    with progress(len(keys), description, done=len(keys) - len(rows)) as advance:
        for part in _measured(stamps, rows, workers):
            known |= {keys[row]: values for row, values in part}
            _write(cache, known)
            advance(len(part))
    table = np.stack([known[key] for key in keys]) if keys else np.empty((0, len(MEASURED) + 1))
    flag = table[:, -1].astype(np.int16)
    values = np.where((flag <= WORST_FLAG)[:, None], table[:, :-1], np.nan)
    return Morphology(dict(zip(MEASURED, values.T, strict=True)), flag)


def _measured(
    stamps: NDArray[np.float32], rows: list[int], workers: int
) -> Iterator[list[tuple[int, Floats]]]:
    """Rows and their values, a block at a time."""
    blocks = [rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK)]
    if workers == 1 or len(rows) < workers:
        for block in blocks:
            yield [(row, measure_one(stamps[row])) for row in block]
        return
    # Spawned, not forked: the parent's threads stay out of the workers.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for block in blocks:
            values = pool.map(measure_one, [stamps[row] for row in block], chunksize=8)
            yield list(zip(block, values, strict=True))


def measure_one(stamp: NDArray[np.float32]) -> Floats:
    """Each of MEASURED of one stamp (S, S), then statmorph's flag, (9,) float64."""
    from statmorph import SourceMorphology

    image = stamp.astype(np.float64)
    segments = segment(image)
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
    values = np.array([_value(found, index, name) for name in MEASURED])
    flag = found.flag if np.isfinite(values).all() else 4
    return np.append(values, flag)


def _value(found: object, index: float, name: str) -> float:
    return index if name == "sersic_n" else float(getattr(found, NAMES.get(name, name)))


def _key(stamp: NDArray[np.float32]) -> bytes:
    pixels = np.ascontiguousarray(stamp, dtype="<f4").tobytes()
    return hashlib.sha256(METHOD + pixels).digest()


def _read(cache: Path) -> dict[bytes, Floats]:
    if not cache.is_file():
        return {}
    try:
        stored = load_file(cache)
    except SafetensorError:
        # A damaged cache is worth no more than an absent one: the stamps are measured again.
        return {}
    return {key.tobytes(): row for key, row in zip(stored["keys"], stored["values"], strict=True)}


def _write(cache: Path, known: dict[bytes, Floats]) -> None:
    keys = np.frombuffer(b"".join(known), np.uint8).reshape(len(known), -1)
    with atomic_path(cache) as temporary:
        save_file({"keys": keys.copy(), "values": np.stack(list(known.values()))}, temporary)


def slope(ttype: Floats, statistic: Floats) -> float:
    """Least-squares slope of a statistic against T, a stage; NaN pairs are left out."""
    known = np.isfinite(ttype) & np.isfinite(statistic)
    x, y = ttype[known], statistic[known]
    spread = x - x.mean() if len(x) else x
    variance = float(np.square(spread).sum())
    return float((spread * y).sum() / variance) if variance > 0 else float("nan")
