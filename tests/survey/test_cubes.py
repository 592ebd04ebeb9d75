from __future__ import annotations

import h5py
import numpy as np
import pytest

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.sources import open_cube

DATA = np.random.default_rng(0).normal(size=(7, 2, 12, 10)).astype(np.float32)
NAMES = np.array([f"g{i}" for i in range(7)])


def check(cube, ids=True):
    assert cube.count == 7
    assert cube.shape == (2, 12, 10)
    for index in (6, 0, 3):
        np.testing.assert_array_equal(cube.read(index), DATA[index])
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
    np.testing.assert_array_equal(cube.read(2)[0], DATA[2, 0])


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
        np.testing.assert_array_equal(gz1.read(6663)[0], file["images"][6663])
    bands = open_cube(shared_data / "candels" / "gds_hjvz_84.npz", tmp_path, "id")
    assert (bands.count, bands.shape) == (17, (4, 84, 84))
