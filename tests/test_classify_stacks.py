"""Surveys, cubes, zarr arrays and Parquet files are classified as their pictures would be."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from astropy.table import Table
from PIL import Image
from typer.testing import CliRunner

import galaxy_explorer as ge
from galaxy_explorer.bundle.placing import Choice
from galaxy_explorer.classification import (
    Classification,
    Classifier,
    classify_to_table,
    make_table,
    open_inputs,
)
from galaxy_explorer.classification.written import TableStream
from galaxy_explorer.cli import app
from galaxy_explorer.errors import BadImage, SettingError, SurveyError
from galaxy_explorer.utils.tables import encode_table
from tests.small_bundle import write_small_bundle
from tests.small_survey import blobs, write_small_survey

MODEL = "k16-modern-8x8"
KEY = f"{MODEL}/codes"
N = 5


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The same eight-bit pictures as files, cube, HDF5, zarr and Parquet; and a bundle."""
    place = tmp_path_factory.mktemp("stacks")
    write_small_bundle(place / "bundle", n=60)
    stamps = blobs(np.linspace(-4, 7, N), np.random.default_rng(0))[:, 0]
    pixels = (255 * stamps.clip(0, 1)).round().astype(np.uint8)
    ids = np.array([f"galaxy {i}" for i in range(N)])
    (place / "files").mkdir()
    pictures = []
    for i, picture in enumerate(pixels):
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "PNG")
        pictures.append(stream.getvalue())
        (place / "files" / f"{i}.png").write_bytes(pictures[-1])
    np.save(place / "cube.npy", pixels)
    np.savez(place / "cube.npz", images=pixels, ids=ids)
    with h5py.File(place / "cube.h5", "w") as file:
        file["images"] = pixels
    zarr.save_array(place / "cube.zarr", pixels[:, None])
    zarr.save_array(place / "old.zarr", pixels, zarr_format=2)
    table = pa.table({"image": pa.array(pictures, pa.binary()), "ttype": np.arange(N)})
    pq.write_table(table, place / "cube.parquet")
    return place


@pytest.fixture(scope="module")
def bundle(place):
    return ge.load_bundle(place / "bundle")


@pytest.fixture(scope="module")
def expected(bundle, place):
    return ge.classify(bundle, place / "files", model=KEY)


@pytest.mark.parametrize(
    "name", ["cube.npy", "cube.npz", "cube.h5", "cube.zarr", "old.zarr", "cube.parquet"]
)
def test_a_stack_gives_what_its_pictures_give(bundle, place, expected, name):
    found = ge.classify(bundle, place / name, model=KEY)
    assert not found.rejected
    assert len(found) == N
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.models[MODEL].codes, other.models[MODEL].codes)
        assert one.clusterings[KEY].cluster == other.clusterings[KEY].cluster
    names = [f"galaxy {i}" for i in range(N)] if name.endswith(".npz") else None
    assert [one.file for one in found] == names or f"{name}[" in found[0].file.replace(
        ":images", ""
    )


def test_a_survey_is_classified_by_its_stamps(bundle, tmp_path):
    survey = write_small_survey(tmp_path / "s", n=9)
    found = ge.classify(bundle, tmp_path / "s", model=MODEL)
    assert [one.file for one in found] == survey.column("galaxy_id").tolist()
    from galaxy_explorer.models.inference import encode_stamps

    codes = encode_stamps(bundle.load_model(MODEL), survey.model_input())
    np.testing.assert_array_equal([one.models[MODEL].codes for one in found], codes)


def test_options_that_choose_nothing_are_refused(bundle, place, tmp_path):
    write_small_survey(tmp_path / "s", n=9)
    for name, value in (("frame", "64"), ("frame", "whole"), ("band", "r"), ("hdu", 0)):
        with pytest.raises(SettingError, match=rf"--{name} {value}: .*s: .* framed already"):
            ge.classify(bundle, tmp_path / "s", model=MODEL, **{name: value})
    for name in ("cube.npy", "cube.zarr", "cube.parquet"):
        with pytest.raises(SettingError, match=rf"--hdu 1: .*{name}: only FITS files have HDUs"):
            ge.classify(bundle, place / name, model=MODEL, hdu=1)


def test_what_is_computed_by_default(bundle, place):
    files = Classifier.of(bundle, (), open_inputs([place / "files"]))
    assert set(files.choice.models) == set(bundle.models)
    cube = Classifier.of(bundle, (), open_inputs([place / "cube.npy"]))
    assert cube.choice.clusterings == (bundle.manifest.default_clustering,)
    one = ge.classify(bundle, place / "files" / "0.png", model=[KEY])
    assert one.table.colnames[5:] == [
        *(f"{MODEL}/{about}" for about in ("codes", "error", "percentile")),
        *(f"{KEY}/{about}" for about in ("cluster", "cluster_name", "probability", "x", "y")),
        f"{KEY}/probabilities",
    ]


def test_files_and_stacks_come_in_their_order_in_blocks(place):
    found = open_inputs([place / "files", place / "cube.npy", place / "cube.zarr"])
    assert len(found) == 3 * N
    blocks = list(found.blocks(2))
    assert [len(block) for block in blocks] == [2, 2, 1] * 3
    assert [block.start for block in blocks[3:6]] == [0, 2, 4]


def test_arrays_that_are_no_stack_or_would_run_code_are_refused(tmp_path):
    zarr.save_array(tmp_path / "flat.zarr", np.zeros((4, 4)))
    with pytest.raises(SurveyError, match=r"is no stack of images \(N, H, W\)"):
        open_inputs([tmp_path / "flat.zarr"])
    folder = tmp_path / "pickled.zarr"
    array = zarr.create_array(folder, shape=(2, 8, 8), dtype="f4", zarr_format=2, filters=None)
    array[:] = 1
    about = json.loads((folder / ".zarray").read_text())
    (folder / ".zarray").write_text(json.dumps({**about, "filters": [{"id": "pickle"}]}))
    with pytest.raises((SurveyError, BadImage), match="pickle"):
        open_inputs([folder])
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text("{")
    with pytest.raises(BadImage, match="cannot be read as zarr"):
        open_inputs([tmp_path / "broken.zarr"])


@pytest.fixture
def few(monkeypatch):
    """Two images count as many."""
    monkeypatch.setattr("galaxy_explorer.classification.blocks.MANY", 2)
    monkeypatch.setattr("galaxy_explorer.classification.blocks.BATCH", 2)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("suffix", [".csv", ".ecsv", ".fits", ".parquet"])
def test_a_table_in_blocks_is_the_table_at_once(bundle, place, expected, tmp_path, suffix):
    inputs = open_inputs([place / "files"])
    out = tmp_path / f"table{suffix}"
    made = classify_to_table(Classifier.of(bundle, [KEY], inputs), inputs, out)
    assert (made.images, made.rejected) == (N, 0)
    whole = tmp_path / "whole" / f"table{suffix}"
    whole.parent.mkdir()
    paths = expected.write(whole)
    assert [path.name for path in made.paths] == [path.name for path in paths]
    for path, other in zip(made.paths, paths, strict=True):
        one, two = Table.read(path), Table.read(other)
        if "probabilities" in path.name:  # which are block by block
            one.sort(["file", "clustering"])
            two.sort(["file", "clustering"])
        assert one.colnames == two.colnames
        assert len(one) == len(two)
        for name in one.colnames:
            if one[name].dtype.kind == "f":
                np.testing.assert_allclose(one[name], two[name], rtol=1e-3, atol=1e-4)
            else:
                assert one[name].tolist() == two[name].tolist()


def test_odd_names_come_back_from_blocks(bundle, tmp_path):
    names = ["=1+1", "#3", 'a "b", c', "two\nlines", "# x", "plain"]
    choice = Choice((MODEL,), ())
    for suffix in (".csv", ".ecsv", ".parquet"):
        stream = TableStream(tmp_path / f"t{suffix}", len(names))
        for start in range(0, len(names), 2):
            records = [Classification(name, reason="none") for name in names[start : start + 2]]
            stream.append(make_table(bundle, records, choice))
        (path, *_) = stream.finish()
        data = path.read_bytes()
        back = [str(name) for name in Table.read(path)["file"]]
        if suffix == ".csv":
            back = [row["file"] for row in csv.DictReader(io.StringIO(data.decode()))]
            back = [name.removeprefix("'") for name in back]
        assert back == names
        if suffix == ".ecsv":
            records = [Classification(name, reason="none") for name in names]
            assert data == encode_table(make_table(bundle, records, choice), "ecsv")


def test_an_interrupted_table_is_absent(bundle, place, few, tmp_path, monkeypatch):
    inputs = open_inputs([place / "files"])
    classifier = Classifier.of(bundle, [KEY], inputs)
    calls = []

    def stopped(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return make_table(*given)

    monkeypatch.setattr("galaxy_explorer.classification.blocks.make_table", stopped)
    with pytest.raises(KeyboardInterrupt):
        classify_to_table(classifier, inputs, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def run(*words: object):
    return CliRunner().invoke(app, ["classify", *map(str, words)])


def test_the_command_on_a_stack(place, few, tmp_path, monkeypatch):
    out = tmp_path / "t.parquet"
    done = run(place / "bundle", place / "cube.npz", "--model", KEY, "--out", out, "--json", "-q")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["classified"], report["rejected"], report["written"]) == (N, 0, [str(out)])
    assert "images" not in report
    assert Table.read(out)["file"].tolist() == [f"galaxy {i}" for i in range(N)]
    refused = run(place / "bundle", place / "cube.npz", "--json")
    assert refused.exit_code == 2
    assert "--out" in refused.output
    monkeypatch.setattr("galaxy_explorer.classification.written.MOST_FITS", N - 1)
    fits = run(place / "bundle", place / "cube.npz", "--out", tmp_path / "t.fits")
    assert isinstance(fits.exception, SettingError)
    assert "up to 4 images, these are 5; take .parquet" in str(fits.exception)


@pytest.mark.slow
def test_workers_give_the_same(bundle, place, expected):
    found = ge.classify(bundle, [place / "files", place / "cube.zarr"], model=KEY, scheduler="2")
    assert len(found) == 2 * N
    for one, other in zip(found, [*expected, *expected], strict=True):
        np.testing.assert_array_equal(one.models[MODEL].codes, other.models[MODEL].codes)


def test_paths_of_stacks_are_told_from_folders_of_pictures(place):
    assert open_inputs([place / "files"]).stacks == ()
    assert open_inputs([Path(place / "cube.zarr")]).files == ()
