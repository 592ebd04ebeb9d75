from __future__ import annotations

import h5py
import numpy as np
import pytest

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.cubes import CubeSource, open_cube
from galaxy_explorer.survey.images import choose_planes

DATA = np.random.default_rng(0).normal(size=(7, 2, 12, 10)).astype(np.float32)
NAMES = np.array([f"g{i}" for i in range(7)])


def check(cube, ids=True):
    assert cube.count == 7
    assert cube.shape == (2, 12, 10)
    for index in (6, 0, 3):
        np.testing.assert_array_equal(cube.read(index, index + 1)[0], DATA[index])
    if ids:
        assert cube.ids.tolist() == NAMES.tolist()


def test_npy(tmp_path):
    np.save(tmp_path / "c.npy", DATA)
    check(open_cube(tmp_path / "c.npy", tmp_path, "id"), ids=False)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_ids_of_the_catalogues_name(tmp_path, save):
    save(tmp_path / "c.npz", images=DATA, mask=DATA > 0, my_id=NAMES, id=np.arange(7))
    check(open_cube(tmp_path / "c.npz", tmp_path, "my_id"))


@pytest.mark.parametrize("options", [{}, {"chunks": (3, 2, 12, 10), "compression": "gzip"}])
def test_hdf5(tmp_path, options):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("images", data=DATA, **options)
        file["id"] = NAMES.astype("S")
        file.create_group("more")["images"] = np.zeros((7, 3, 3))
    check(open_cube(tmp_path / "c.h5", tmp_path, "id"))


def test_planes_without_channels_and_big_endian(tmp_path):
    np.save(tmp_path / "c.npy", DATA[:, 0].astype(">f8"))
    cube = open_cube(tmp_path / "c.npy", tmp_path, "id")
    assert cube.shape == (1, 12, 10)
    np.testing.assert_array_equal(cube.read(2, 3)[0, 0], DATA[2, 0])


def test_ambiguous_and_unfit_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "two.npz", a=DATA, b=DATA)
    with pytest.raises(SurveyError, match="which array holds the stamps: a, b"):
        open_cube(tmp_path / "two.npz", tmp_path, "id")
    np.save(tmp_path / "flat.npy", DATA[0, 0])
    with pytest.raises(BadImage, match="no stack of stamps"):
        open_cube(tmp_path / "flat.npy", tmp_path, "id")
    np.save(tmp_path / "fortran.npy", np.asfortranarray(DATA[:, 0]))
    with pytest.raises(BadImage, match="Fortran"):
        open_cube(tmp_path / "fortran.npy", tmp_path, "id")


def test_real_cubes(shared_data, tmp_path):
    gz1 = open_cube(shared_data / "gz1" / "stamps_r_64.npz", tmp_path, "dr7objid")
    assert (gz1.count, gz1.shape) == (6664, (1, 64, 64))
    with np.load(shared_data / "gz1" / "stamps_r_64.npz") as file:
        assert gz1.ids.tolist() == file["dr7objid"].tolist()
        np.testing.assert_array_equal(gz1.read(6663, 6664)[0, 0], file["images"][6663])
    bands = open_cube(shared_data / "candels" / "gds_hjvz_84.npz", tmp_path, "id")
    assert (bands.count, bands.shape) == (17, (4, 84, 84))


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2"])
def test_byte_order_does_not_change_what_pixels_are(tmp_path, kind):
    values = np.random.default_rng(0).integers(0, 256, (2, 20, 20))
    np.save(tmp_path / "a.npy", values.astype(kind))
    source = CubeSource(open_cube(tmp_path / "a.npy", tmp_path, "id"), 2)
    image = source.fetch(CatalogRow(1, "b", "b", np.nan, np.nan, np.nan))
    assert not image.linear
    top = 255 if kind == "u1" else 65535
    np.testing.assert_allclose(image.data[0], values[1] / top, rtol=1e-6)


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
def test_channels_last_are_read(tmp_path, suffix):
    values = np.random.default_rng(0).integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, values)
    elif suffix == "npz":
        np.savez(path, images=values)
    else:
        with h5py.File(path, "w") as file:
            file["images"] = values
    cube = open_cube(path, tmp_path, "id")
    assert cube.shape == (3, 24, 20)
    image = CubeSource(cube, 2).fetch(CatalogRow(1, "b", "b", np.nan, np.nan, np.nan))
    np.testing.assert_allclose(image.data, np.moveaxis(values[1], 2, 0) / 255, rtol=1e-6)
    assert "channels last" in image.words


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_channels_may_be_last(tmp_path, count):
    values = np.random.default_rng(0).normal(size=(2, 24, 20, count)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    cube = open_cube(tmp_path / "a.npy", tmp_path, "id")
    assert cube.shape == (count, 24, 20)
    image = CubeSource(cube, 2).fetch(CatalogRow(1, "b", "b", np.nan, np.nan, np.nan))
    np.testing.assert_array_equal(image.data, np.moveaxis(values[1], 2, 0))
    if count == 1:
        assert choose_planes(image, "g") == [0]
    else:
        with pytest.raises(
            BadImage, match=f"has {count} planes; choose by --band: 0 to {count - 1}"
        ):
            choose_planes(image, "g")
        assert choose_planes(image, str(count - 1)) == [count - 1]


def test_two_arrays_that_both_hold_the_ids_are_refused(tmp_path):
    ids = np.arange(11, 18)
    np.savez(tmp_path / "c.npz", images=DATA, index=ids, plate=ids[::-1])
    cube = open_cube(tmp_path / "c.npz", tmp_path, "objid")
    with pytest.raises(SurveyError, match="index and plate all hold the catalogue's ids"):
        CubeSource(cube, 7, ids=[str(one) for one in ids])
    np.savez(tmp_path / "d.npz", images=DATA, index=ids, copy=ids)
    source = CubeSource(open_cube(tmp_path / "d.npz", tmp_path, "objid"), 7, ids=["13"])
    row = CatalogRow(0, "13", "", np.nan, np.nan, np.nan)
    assert source.file_of(row).endswith("[2]")


def test_ids_as_text_of_floats_are_whole_numbers(tmp_path):
    names = np.array([f"{n}.0" for n in range(11, 18)])
    np.savez(tmp_path / "c.npz", images=DATA, objid=names)
    source = CubeSource(open_cube(tmp_path / "c.npz", tmp_path, "objid"), 7, ids=["13"])
    row = CatalogRow(0, "13", "", np.nan, np.nan, np.nan)
    assert source.file_of(row).endswith("[2]")
