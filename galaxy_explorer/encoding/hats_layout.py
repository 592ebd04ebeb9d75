"""The parts of an encoding as a HATS catalogue: by place on the sky, as LSDB opens and matches it.

HATS: https://www.ivoa.net/documents/Notes/HATS/. A partition is a HEALPix pixel that is as large as
leaves it at most MOST_ROWS galaxies; its rows are sorted by `_healpix_29`, their pixel of order 29.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import SettingError
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.progress import progress

SPATIAL = "_healpix_29"
FINEST, SPATIAL_ORDER = 10, 29
MOST_ROWS = 500_000
HELD_ROWS = 200_000
"""Rows in memory before they are written to where their partitions are collected."""
DATASET, PROPERTIES = "dataset", ("hats.properties", "properties")
CURE = "pip install 'galaxy_explorer[survey]'"


def check_positions(survey: Survey) -> None:
    """Raise SettingError where a HATS catalogue cannot be made of a survey."""
    try:
        import hats  # noqa: F401
    except ImportError:
        raise SettingError(f"--layout hats: needs the package hats; {CURE}") from None
    lost, step = 0, 65_536
    for start in range(0, len(survey), step):
        places = survey.table(start, start + step, ["ra", "dec"])
        ra, dec = (np.asarray(places[name].to_numpy(), np.float64) for name in ("ra", "dec"))
        lost += int((~(np.isfinite(ra) & (np.abs(dec) <= 90))).sum())
    if lost:
        raise SettingError(
            f"--layout hats: {lost:,} of {len(survey):,} galaxies of {survey.path} have no position"
            " (ra, dec in deg); ingest them with a catalogue that has one, or leave --layout out"
        )


def write_hats(parts: Sequence[Path], out: Path, *, name: str) -> None:
    """Write `out/dataset` and what describes it, of Parquet parts with ra and dec in deg."""
    work = out / ".hats.partial"
    for stale in (work, out / DATASET):
        shutil.rmtree(stale, ignore_errors=True)
    for file in PROPERTIES:  # without them it is no catalogue
        (out / file).unlink(missing_ok=True)
    work.mkdir()
    try:
        pixels = partitions(histogram(parts))
        _collect(parts, work / "rows", pixels)
        with progress(len(pixels), "Writing partitions", unit="partitions", after=2) as advance:
            for number, pixel in enumerate(pixels):
                _write_partition(work / "rows" / str(number), work, pixel)
                advance(1)
        (work / DATASET).rename(out / DATASET)
        _describe(out, pixels, name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def spatial_index(table: pa.Table) -> NDArray[np.int64]:
    """The HEALPix pixel (n,) of order 29 of each row, by its ra and dec."""
    from hats.pixel_math.spatial_index import (
        compute_spatial_index,
    )

    return np.asarray(
        compute_spatial_index(table["ra"].to_numpy(), table["dec"].to_numpy(), SPATIAL_ORDER),
        np.int64,
    )


def histogram(parts: Iterable[Path]) -> dict[int, int]:
    """How many rows there are in each pixel of the order FINEST that has any."""
    counts: dict[int, int] = {}
    for part in parts:
        pixels = spatial_index(pq.read_table(part, columns=["ra", "dec"]))
        numbers, found = np.unique(pixels >> 2 * (SPATIAL_ORDER - FINEST), return_counts=True)
        for number, n in zip(numbers.tolist(), found.tolist(), strict=True):
            counts[number] = counts.get(number, 0) + n
    return counts


def partitions(counts: dict[int, int], most: int = MOST_ROWS) -> list[tuple[int, int]]:
    """Order and number of the largest pixels with at most `most` rows, along the curve of HEALPix.

    counts: rows by pixel of the order FINEST; one of those is a partition however many it has.
    """
    pixels = np.array(sorted(counts), np.int64)
    rows = np.array([counts[int(pixel)] for pixel in pixels], np.int64)
    found: list[tuple[int, int]] = []
    for order in range(FINEST + 1):
        parents, where = np.unique(pixels >> 2 * (FINEST - order), return_inverse=True)
        fits = np.bincount(where, rows) <= most
        if order == FINEST:
            fits[:] = True
        found += [(order, int(parent)) for parent in parents[fits]]
        pixels, rows = pixels[~fits[where]], rows[~fits[where]]
        if not len(pixels):
            break
    return sorted(found, key=lambda one: first_index(*one))


def first_index(order: int, pixel: int) -> int:
    """The first pixel of order 29 in a pixel."""
    return pixel << 2 * (SPATIAL_ORDER - order)


def _collect(parts: Sequence[Path], folder: Path, pixels: Sequence[tuple[int, int]]) -> None:
    """Sort all rows into a folder a partition, a bounded number of them in memory at a time."""
    starts = np.array([first_index(*pixel) for pixel in pixels], np.int64)
    held: list[pa.Table] = []

    def empty(number: int) -> None:
        rows = pa.concat_tables(held)
        held.clear()
        which = np.searchsorted(starts, rows[SPATIAL].to_numpy(), side="right") - 1
        order = np.argsort(which, kind="stable")
        for one in np.unique(which).tolist():
            low, high = np.searchsorted(which[order], [one, one + 1])
            at = folder / str(one) / f"{number:07d}.parquet"
            at.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows.take(pa.array(order[low:high])), at, compression="zstd")

    with progress(len(parts), "Sorting by position", unit="parts", after=2) as advance:
        for number, part in enumerate(parts):
            table = pq.read_table(part)
            index = pa.array(spatial_index(table))
            held.append(table.replace_schema_metadata(None).add_column(0, SPATIAL, index))
            if sum(map(len, held)) >= HELD_ROWS or number == len(parts) - 1:
                empty(number)
            advance(1)


def _write_partition(rows: Path, work: Path, pixel: tuple[int, int]) -> None:
    from hats.io.paths import pixel_catalog_file
    from hats.pixel_math import HealpixPixel

    table = pa.concat_tables(pq.read_table(file) for file in sorted(rows.iterdir()))
    order = np.argsort(table[SPATIAL].to_numpy(), kind="stable")
    path = Path(str(pixel_catalog_file(work, HealpixPixel(*pixel))))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.take(pa.array(order)).combine_chunks(), path, compression="zstd")


def _describe(out: Path, pixels: Sequence[tuple[int, int]], name: str) -> None:
    """What HATS asks for beside the rows, by its own writers; the properties last."""
    from hats.catalog import PartitionInfo, TableProperties
    from hats.io.parquet_metadata import write_parquet_metadata
    from hats.pixel_math import HealpixPixel

    with ExitStack() as undone:
        undone.callback(shutil.rmtree, out / DATASET, ignore_errors=True)
        rows = write_parquet_metadata(out)
        known = PartitionInfo.from_healpix([HealpixPixel(*pixel) for pixel in pixels])
        known.write_to_file(catalog_path=out)
        about: dict[str, Any] = {
            "catalog_name": name,
            "catalog_type": "object",
            "total_rows": int(rows),
            "ra_column": "ra",
            "dec_column": "dec",
            "healpix_column": SPATIAL,
            "healpix_order": SPATIAL_ORDER,
            "hats_max_rows": MOST_ROWS,
        }
        TableProperties(**about).to_properties_file(out)
        undone.pop_all()
