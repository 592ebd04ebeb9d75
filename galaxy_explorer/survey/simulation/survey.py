"""Simulated surveys with known truth: galaxies along the T sequence, seen by SDSS or by HST.

Every stamp comes with its un-convolved light, its PSF, the sigma of its noise, T and all
parameters. Galaxy i of a seed depends on the seed and on i alone, so that neither the number of
workers nor an interruption changes a pixel.

Galaxies may also come in a known number of classes, to see whether that number is found again. A
class is one galaxy: its members share type, profile, size, brightness, inclination and spiral
pattern up to a little scatter, and differ in position angle, in companions, clumps, seeing, sky and
noise.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import SettingError
from galaxy_explorer.settings import VERSION
from galaxy_explorer.survey.simulation.galaxy import draw_companions, draw_galaxy
from galaxy_explorer.survey.simulation.population import GalaxyParameters, draw_parameters
from galaxy_explorer.survey.store import SIMULATED, Survey, SurveySpec
from galaxy_explorer.survey.telescopes import (
    TELESCOPES,
    Telescope,
    draw_psf,
    draw_sky,
    noise_sigma,
    unit_noise,
)
from galaxy_explorer.survey.writer import SurveyWriter
from galaxy_explorer.utils.files import sha256_of
from galaxy_explorer.utils.progress import progress

Array = NDArray[np.float32]

BLOCK = 128  # galaxies a task and a write
IN_FLIGHT = 2  # tasks a worker: one drawn, one waiting


@dataclass(frozen=True)
class SimulatedGalaxy:
    """One galaxy: pictures (S, S) in linear flux, PSF (P, P) and its row of the catalogue."""

    stamp: Array
    truth: Array
    psf: Array
    row: dict[str, Any]


@dataclass(frozen=True)
class _Block:
    """A run of galaxies as arrays, ready to be written."""

    stamps: Array  # (n, 1, S, S)
    truth: Array  # (n, 1, S, S)
    psf: Array  # (n, P, P)
    columns: dict[str, NDArray[Any]]


def simulate_survey(
    out: str | Path,
    *,
    like: str,
    n: int,
    seed: int = 0,
    workers: int = 1,
    psf_file: Path | None = None,
) -> Survey:
    """Write a simulated survey of `n` galaxies; the same call again resumes a killed one.

    Extras of the survey: "truth" (n, 1, S, S), the light without PSF, sky and noise, companions
    included, and "psf" (n, P, P). Fluxes are in the unit of `zero_point`: magnitude =
    zero_point - 2.5 log10(flux). `psf_file` is a FITS image of the PSF (candels), at the scale that
    it states, else at that of the stamps.

    Raises SettingError for an unknown telescope, fewer than one galaxy or worker, or a PSF file
    that the telescope has no use for; SurveyError where `out` is taken or the file unusable.
    """
    if like not in TELESCOPES:
        raise SettingError(f"like={like!r}: no such survey; known are {', '.join(TELESCOPES)}")
    for name, value, least in (("n", n, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise SettingError(f"{name}={value}: must be at least {least}")
    if psf_file is not None and like != "candels":
        raise SettingError(f"psf={psf_file}: {like} draws its own PSFs; leave the file out")
    telescope = TELESCOPES[like]
    draw_psf(telescope, np.random.default_rng(0), psf_file)  # an unusable file fails here
    spec = SurveySpec(
        name=Path(out).name,
        source=f"{SIMULATED}{like}",
        stamp_size=telescope.stamp_size,
        band=telescope.band,
        pixel_scale_arcsec=telescope.pixel_scale_arcsec,
        state="linear",
    )
    # In words, as a survey whose PSFs an earlier version gave the telescope's width is no start.
    psf = f"{sha256_of(psf_file)}, of its own width and scale" if psf_file else None
    recipe = {"like": like, "n": n, "seed": seed, "psf": psf, "software": VERSION}
    writer = SurveyWriter(out, spec, recipe=recipe)
    starts = range(writer.cursor, n, BLOCK)
    tasks = [(like, seed, start, min(start + BLOCK, n), psf_file) for start in starts]
    with progress(n, f"simulating {like}", done=writer.cursor) as advance:
        for task, block in zip(tasks, _blocks(tasks, workers), strict=True):
            extras = {"truth": block.truth, "psf": block.psf}
            writer.append(block.stamps, block.columns, extras=extras, cursor=task[3])
            advance(len(block.stamps))
    return writer.finish({"catalog_rows": n})


def simulate_galaxy(
    telescope: Telescope, seed: int, index: int, *, psf_file: Path | None = None
) -> SimulatedGalaxy:
    """Galaxy `index` of the survey with this seed; depends on nothing else.

    stamp = sky + (truth convolved with psf) + noise of `noise_sigma`; the truth holds companions.
    """
    streams = np.random.SeedSequence(seed, spawn_key=(index,)).spawn(5)
    population, *others = map(np.random.default_rng, streams)
    galaxy = draw_parameters(telescope, population)
    observed = observe_galaxy(telescope, galaxy, others, psf_file=psf_file)
    observed.row["galaxy_id"] = f"sim-{telescope.name}-{seed}-{index:06d}"
    return observed


def observe_galaxy(
    telescope: Telescope,
    galaxy: GalaxyParameters,
    streams: Sequence[np.random.Generator],
    *,
    psf_file: Path | None = None,
) -> SimulatedGalaxy:
    """A galaxy of known parameters as the telescope sees it.

    streams: random numbers of its structure, its companions, the camera and the noise.
    """
    structure, company, camera, noise = streams
    light = draw_galaxy(telescope, galaxy, structure)
    companions, counts = draw_companions(telescope, galaxy, company)
    psf, psf_facts = draw_psf(telescope, camera, psf_file)
    sky = draw_sky(telescope, camera)
    inner = slice(telescope.margin, telescope.margin + telescope.stamp_size)
    blurred = convolve(light + companions, psf)[inner, inner]
    sigma = noise_sigma(blurred, sky["sky_sigma"], sky["electrons_per_flux"])
    stamp = sky["sky"] + blurred + sigma * unit_noise(telescope, sigma.shape, noise)
    flux = float(light.sum(dtype=np.float64))
    magnitude = telescope.zero_point - 2.5 * float(np.log10(flux))
    row = {
        "galaxy_id": "",
        **asdict(galaxy),
        "flux": flux,
        f"magnitude_{telescope.band.lower()}": magnitude,
        "zero_point": telescope.zero_point,
        **counts,
        **psf_facts,
        **sky,
    }
    return SimulatedGalaxy(stamp.astype(np.float32), (light + companions)[inner, inner], psf, row)


def convolve(light: Array, psf: Array) -> Array:
    """`light` (n, n) convolved with an odd, centred `psf`, zero beyond the edges.

    On the pixels, so that the stored truth and PSF give the stored picture exactly; against
    galsim's convolution of the profiles the difference is the sampling of the PSF.
    """
    from scipy.signal import fftconvolve

    return np.asarray(fftconvolve(light, psf, mode="same"), dtype=np.float32)


def _blocks(tasks: list[tuple[Any, ...]], workers: int) -> Iterator[_Block]:
    """The block of each task in order, never more than IN_FLIGHT a worker in memory."""
    if workers == 1 or len(tasks) == 1:
        yield from (_simulate_block(*task) for task in tasks)
        return
    # Spawned, not forked: the parent's threads (progress display) stay out of the workers.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    waiting: deque[Future[_Block]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(_simulate_block, *task))
            if len(waiting) == IN_FLIGHT * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _simulate_block(like: str, seed: int, start: int, stop: int, psf_file: Path | None) -> _Block:
    """Galaxies start to stop - 1; on one thread, on whose number a matrix product may depend."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        telescope = TELESCOPES[like]
        made = [
            simulate_galaxy(telescope, seed, index, psf_file=psf_file)
            for index in range(start, stop)
        ]
    return _Block(
        stamps=np.stack([galaxy.stamp for galaxy in made])[:, None],
        truth=np.stack([galaxy.truth for galaxy in made])[:, None],
        psf=np.stack([galaxy.psf for galaxy in made]),
        columns={name: np.array([galaxy.row[name] for galaxy in made]) for name in made[0].row},
    )


CANDIDATES = 400  # galaxies from which the classes are picked
SCATTER = 0.03  # of ln(size) and ln(flux) within a class
LENGTHS = (
    *("bulge_radius_arcsec", "disc_scale_length_arcsec", "isophotal_radius_arcsec"),
    *("half_light_radius_arcsec", "bar_length_arcsec", "ring_radius_arcsec"),
)


@dataclass(frozen=True)
class ClassedGalaxies:
    """Galaxies of known classes.

    stamps (N, 1, S, S) in linear flux; sky and sky_sigma (N,); label (N,), 0 throughout for a
    continuous population; ttype (N,).
    """

    stamps: NDArray[np.float32]
    sky: NDArray[np.float64]
    sky_sigma: NDArray[np.float64]
    label: NDArray[np.int16]
    ttype: NDArray[np.float64]


def simulate_classes(classes: int, n: int, *, seed: int = 0, like: str = "sdss") -> ClassedGalaxies:
    """`n` galaxies of `classes` classes of about equal size; 0 classes: a continuous population."""
    telescope = TELESCOPES[like]
    rng = np.random.default_rng((seed, classes))
    prototypes = draw_prototypes(telescope, classes, rng)
    label = rng.permutation(np.arange(n) % max(classes, 1)).astype(np.int16)
    size = telescope.stamp_size
    made = ClassedGalaxies(
        np.empty((n, 1, size, size), np.float32), np.empty(n), np.empty(n), label, np.empty(n)
    )
    with progress(n, f"Simulating {classes or 'no'} classes") as advance:
        for row in range(n):
            galaxy = (
                _member(prototypes[label[row]], rng) if classes else draw_parameters(telescope, rng)
            )
            observed = observe_galaxy(telescope, galaxy, rng.spawn(4))
            made.stamps[row, 0] = observed.stamp
            made.sky[row], made.sky_sigma[row] = observed.row["sky"], observed.row["sky_sigma"]
            made.ttype[row] = galaxy.ttype
            advance(1)
    return made


def draw_prototypes(
    telescope: Telescope, classes: int, rng: np.random.Generator
) -> list[GalaxyParameters]:
    """Galaxies far apart in type, concentration, size, brightness and inclination.

    The first is drawn at random, each further one is the candidate farthest from those before.
    """
    candidates = [draw_parameters(telescope, rng) for _ in range(CANDIDATES if classes else 0)]
    if not candidates:
        return []
    table = np.array(
        [
            (
                galaxy.ttype,
                galaxy.bulge_to_total,
                float(np.log(galaxy.isophotal_radius_arcsec)),
                float(np.log(galaxy.total_flux)),
                galaxy.inclination_deg / 30,
            )
            for galaxy in candidates
        ]
    )
    table = (table - table.mean(0)) / table.std(0)
    chosen = [0]
    while len(chosen) < classes:
        apart = np.linalg.norm(table[:, None] - table[chosen], axis=2).min(1)
        chosen.append(int(apart.argmax()))
    return [candidates[row] for row in chosen]


def _member(prototype: GalaxyParameters, rng: np.random.Generator) -> GalaxyParameters:
    """A galaxy of a class: scaled a little, turned by any angle."""
    size, flux = np.exp(SCATTER * rng.normal(size=2))
    scaled = {name: getattr(prototype, name) * float(size) for name in LENGTHS}
    return replace(
        prototype,
        **scaled,
        total_flux=prototype.total_flux * float(flux),
        position_angle_deg=float(rng.uniform(0, 180)),
        offset_x_px=float(rng.uniform(-0.5, 0.5)),
        offset_y_px=float(rng.uniform(-0.5, 0.5)),
    )
