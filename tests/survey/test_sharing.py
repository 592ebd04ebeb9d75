"""An ingest shared out among processes gives the bytes of one that is not."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import deque
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from PIL import Image

from galaxy_explorer.errors import SettingError
from galaxy_explorer.survey import ingest, shards
from galaxy_explorer.survey.ingest import ingest_survey
from galaxy_explorer.survey.stamps import IngestOptions
from tests.survey.test_ingest import write_csv
from tests.survey.test_mosaics import PLACE, row_at
from tests.survey.test_writer import contents

COUNT, SIDE = 230, 16
GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, (COUNT, SIDE, SIDE), np.uint8)


def jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def make_npy(folder: Path) -> Path:
    np.save(folder / "c.npy", PIXELS)
    return folder / "c.npy"


def make_hdf5(folder: Path) -> Path:
    flux = PIXELS.astype(np.float32)
    flux[40:44] = np.nan  # refused
    with h5py.File(folder / "c.h5", "w") as file:
        file.create_dataset("images", data=flux, chunks=(16, SIDE, SIDE), compression="gzip")
    return folder / "c.h5"


def make_folder(folder: Path) -> Path:
    (folder / "p").mkdir()
    for number, pixels in enumerate(PIXELS):
        if number % 50 != 7:
            (folder / "p" / f"g{number}.png").write_bytes(jpeg(pixels))
    return folder / "p"


def make_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "p.zip", "w") as archive:
        for number, pixels in enumerate(PIXELS):
            archive.writestr(
                f"sub\\g{number}.png" if number % 2 else f"g{number}.png", jpeg(pixels)
            )
    return folder / "p.zip"


def make_parquet(folder: Path) -> Path:
    images = [{"bytes": jpeg(pixels), "path": None} for pixels in PIXELS]
    images[11] = {"bytes": None, "path": "elsewhere.png"}
    table = pa.table({"id": [f"g{i}" for i in range(COUNT)], "image": images}).slice(0)
    pq.write_table(
        table.take(GENERATOR.permutation(COUNT)), folder / "p.parquet", row_group_size=50
    )
    return folder / "p.parquet"


def make_mosaic(folder: Path) -> Path:
    image = GENERATOR.normal(10, 2, (180, 220)).astype(np.float32)
    fits.PrimaryHDU(image, fits.Header(PLACE)).writeto(folder / "m.fits")
    return folder / "m.fits"


SOURCES = {
    make.__name__.removeprefix("make_"): make
    for make in (make_npy, make_hdf5, make_folder, make_zip, make_parquet, make_mosaic)
}


def catalogue(folder: Path) -> Path:
    """Some ids twice, some missing; positions of a mosaic, some of them outside."""
    ids = [f"g{number}" for number in range(COUNT)]
    ids[60], ids[61], ids[200] = ids[3], "", ids[190]
    header = fits.Header(PLACE)
    rows = [row_at(header, x, y) for x, y in GENERATOR.uniform(0, 200, (COUNT, 2))]
    columns = {"id": ids, "ra": [one.ra for one in rows], "dec": [one.dec for one in rows]}
    return write_csv(folder / "c.csv", columns)


def shared_out(function, items, **_):
    """As dask does it: what is sent is pickled, a few are taken ahead, results come in order."""
    source, waiting = iter(items), deque()
    while True:
        while len(waiting) < 5 and (item := next(source, source)) is not source:
            waiting.append((item, pickle.loads(pickle.dumps(item))))
        if not waiting:
            return
        item, sent = waiting.popleft()
        yield item, pickle.loads(pickle.dumps(function(sent)))


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(ingest, "BLOCK_ROWS", 40)
    monkeypatch.setattr(shards, "CHUNK_ROWS", 8)
    monkeypatch.setattr(shards, "SHARD_ROWS", 32)


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_shared_out_comes_together_to_the_same_bytes(tmp_path, monkeypatch, kind):
    source, catalog = SOURCES[kind](tmp_path), catalogue(tmp_path)
    options = IngestOptions(size=SIDE, by_row=kind in {"npy", "hdf5"})
    one = ingest_survey(source, catalog, tmp_path / "one" / "s", options)
    monkeypatch.setattr(ingest, "run_tasks", shared_out)
    other = ingest_survey(source, catalog, tmp_path / "other" / "s", options)
    assert contents(other.survey.path) == contents(one.survey.path)
    assert one.accepted + one.rejected == COUNT
    assert one.accepted > 150
    assert [*one.inventory.lines()][1:] == [*other.inventory.lines()][1:]


@pytest.mark.slow
def test_two_workers_make_the_same_survey_as_one_process(tmp_path):
    source, catalog = make_hdf5(tmp_path), catalogue(tmp_path)
    options = IngestOptions(size=SIDE, by_row=True)
    one = ingest_survey(source, catalog, tmp_path / "one" / "s", options)
    two = ingest_survey(source, catalog, tmp_path / "two" / "s", options, scheduler="2")
    assert contents(two.survey.path) == contents(one.survey.path)
    assert {path.name for path in tmp_path.joinpath("two").iterdir()} == {"s"}


def test_a_scheduler_that_is_none_is_refused_and_leaves_what_was_done(tmp_path):
    source, catalog = make_npy(tmp_path), catalogue(tmp_path)
    options = IngestOptions(size=SIDE, by_row=True)
    with pytest.raises(SettingError, match="scheduler"):
        ingest_survey(source, catalog, tmp_path / "s", options, scheduler="everywhere")
    assert not (tmp_path / "s").exists()
