"""`galaxy-explorer generate`: files, refusals, and a run that goes on where it was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from PIL import Image
from typer.testing import CliRunner

from galaxy_explorer import generate, load_bundle
from galaxy_explorer.cli import app
from galaxy_explorer.emulation import output as batch
from galaxy_explorer.emulation.emulator import CodeEmulator, Emulator
from galaxy_explorer.emulation.likeness import read_samples
from galaxy_explorer.errors import RequestError
from tests.small_bundle import write_small_bundle
from tests.small_judge import add_small_judge

KILLED = """
import os, signal, sys, torch
from galaxy_explorer.cli import app
from galaxy_explorer.emulation import output as batch
from galaxy_explorer.emulation.emulator import CodeEmulator
torch.set_num_threads(int(sys.argv.pop()))
batch.BLOCK, codes = 8, CodeEmulator.codes
def dies(self, request, **options):
    if request.first == 16:
        os.kill(os.getpid(), signal.SIGKILL)
    return codes(self, request, **options)
CodeEmulator.codes = dies
app()
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("generate") / "small", n=200)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BLOCK", 8)


def run(*words: object):
    return CliRunner().invoke(app, ["generate", *map(str, words)])


@pytest.mark.slow
def test_workers_draw_the_same_galaxies(bundle: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as workers have: sums depend on how many share them
    words = (bundle, "-n", "20", "--seed", "3", "--set", "magnitude=15")
    try:
        alone = run(*words, "--out", tmp_path / "alone.fits")
    finally:
        torch.set_num_threads(threads)
    many = run(*words, "--out", tmp_path / "many.fits", "--scheduler", "2")
    assert (alone.exit_code, many.exit_code) == (0, 0), many.output
    assert (tmp_path / "alone.fits").read_bytes() == (tmp_path / "many.fits").read_bytes()
    assert not (tmp_path / "many.fits.work").exists()


def test_a_run_that_was_killed_ends_in_the_same_file(bundle: Path, tmp_path: Path) -> None:
    words = (bundle, "--ttype", "4", "-n", "20", "--seed", "3")
    whole, cut = tmp_path / "whole.fits", tmp_path / "cut.fits"
    done = run(*words, "--out", whole)
    assert done.exit_code == 0, done.output
    assert "20 synthetic galaxies" in done.output
    command = [sys.executable, "-c", KILLED, "generate", *map(str, words), "--out", str(cut)]
    killed = subprocess.run(
        [*command, str(torch.get_num_threads())], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    work = tmp_path / "cut.fits.work"
    kept = {path: path.stat().st_mtime_ns for path in work.glob("block-*")}
    assert len(kept) == 2
    assert not cut.exists()
    damaged = min(kept)
    damaged.write_bytes(damaged.read_bytes()[:100])
    done = run(*words, "--out", cut)
    assert done.exit_code == 0, done.output
    assert cut.read_bytes() == whole.read_bytes()
    assert not work.exists()
    with fits.open(cut) as opened:
        assert opened[0].data.shape == (20, 64, 64)
        assert opened[0].header["NGALAXY"] == 20
        assert list(opened["CATALOG"].data["number"]) == list(range(20))


def test_ctrl_c_loses_no_finished_block(bundle: Path, tmp_path: Path, monkeypatch) -> None:
    made, codes = [], CodeEmulator.codes

    def counted(self, request, **options):
        made.append(request.first)
        if len(made) == 2:
            raise KeyboardInterrupt
        return codes(self, request, **options)

    monkeypatch.setattr(CodeEmulator, "codes", counted)
    words = (bundle, "-n", "20", "--out", tmp_path / "g.png")
    assert run(*words).exit_code == 130
    assert run(*words).exit_code == 0
    assert made == [0, 8, 8, 16]
    other = (bundle, "-n", "8", "--seed", "1", "--out", tmp_path / "g.png")
    (tmp_path / "g.png.work").mkdir()
    (tmp_path / "g.png.work" / batch.RUN).write_text("another request")
    assert run(*other).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.png"]


def test_the_first_galaxies_do_not_depend_on_how_many_there_are(
    bundle: Path, tmp_path: Path
) -> None:
    for n in (3, 11):
        assert run(bundle, "-n", n, "--out", tmp_path / f"{n}.fits").exit_code == 0
    few, many = (fits.getdata(tmp_path / f"{n}.fits", "CODES") for n in (3, 11))
    assert np.array_equal(few, many[:3])


def test_a_folder_has_a_file_and_a_picture_for_each(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    options = ("--observe", "euclid-vis", "--pixel-scale", "0.1", "--set", "magnitude=15")
    done = run(bundle, "-n", "9", "--ttype", "2", *options, "--out", out)
    assert done.exit_code == 0, done.output
    assert all("synthetic" in path.name for path in out.iterdir())
    images, pictures = sorted(out.glob("*.fits")), sorted(out.glob("*.png"))
    assert (len(images), len(pictures)) == (9, 9)
    header = fits.getheader(images[8])
    assert (header["FIRST"], header["NGALAXY"], header["SYNTHETIC"]) == (8, 1, True)
    assert (header["MAGNITUD"], header["MAGFROM"]) == (15.0, "Magnitude asked for")
    with Image.open(pictures[8]) as picture:
        assert (picture.text["SYNTHETIC"], picture.text["FIRST"]) == ("T", "8")
    table = Table.read(next(out.glob("*.ecsv")))
    assert len(table) == 9
    assert table.meta["SYNTHETIC"] is True
    # The folder holds what the cube of the same request holds.
    cube = tmp_path / "g.fits"
    assert run(bundle, "-n", "9", "--ttype", "2", *options, "--out", cube).exit_code == 0
    assert np.array_equal(fits.getdata(images[8])[0], fits.getdata(cube)[8])


def test_a_folder_never_mixes_two_requests(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    assert run(bundle, "-n", "3", "--ttype", "2", "--out", out).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    fewer = run(bundle, "-n", "2", "--ttype", "7", "--out", out)
    assert isinstance(fewer.exception, RequestError)
    with pytest.raises(RequestError, match=r"made: holds synthetic-.*-seed0-000002, of a request"):
        raise fewer.exception
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    # As many replace the others whole, and those of another seed have names of their own.
    assert run(bundle, "-n", "3", "--ttype", "7", "--out", out).exit_code == 0
    assert {fits.getheader(path)["ASKED"] for path in out.glob("*.fits")} == {"ttype=7.0"}
    assert run(bundle, "-n", "2", "--seed", "1", "--out", out).exit_code == 0
    assert len(list(out.glob("*.fits"))) == 5


def test_a_psf_of_ones_own(bundle: Path, tmp_path: Path) -> None:
    sharp = np.zeros((9, 9))
    sharp[4, 4] = 1.0
    fits.PrimaryHDU(sharp).writeto(tmp_path / "psf.fits")
    plain = ("-n", "2", "--pixel-scale", "0.4")
    assert run(bundle, *plain, "--out", tmp_path / "a.fits").exit_code == 0
    with_psf = ("--psf", tmp_path / "psf.fits", "--out", tmp_path / "b.fits")
    assert run(bundle, *plain, *with_psf).exit_code == 0
    a, b = fits.getdata(tmp_path / "a.fits"), fits.getdata(tmp_path / "b.fits")
    assert b == pytest.approx(a, abs=1e-4 * float(np.abs(a).max()))
    assert fits.getheader(tmp_path / "b.fits")["PSFFROM"] == "psf.fits"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--ttype", "40"), r"ttype 40\.0: a number from"),
        (("-n", "0"), "count 0: a whole number from 1 to 100000 is possible"),
        (("--seed", "-1"), "seed -1: a whole number from 0"),
        (("--temperature", "9"), r"temperature 9\.0: a number from 0\.1 to 2"),
        (("--guidance", "nan"), r"guidance nan: a number from 1 to 5"),
        (("--set", "colour=1"), "colour: not a field of this prior, which has ttype"),
        (("--set", "ttype"), "NAME=VALUE"),
        (("--set", "ttype=x"), "NAME=VALUE"),
        (("--ttype", "1", "--set", "ttype=2"), "ttype is given twice"),
        (("--observe", "hubble"), "known cameras are sdss"),
        (("--observe", "sdss"), "pixel scale: the survey states none"),
        (("--pixel-scale", "0"), r"pixel scale 0\.0: a number from"),
        (("--observe", "sdss", "--pixel-scale", "60"), "at most 1024"),
        (("--no-psf-layer",), "psf layer: k512-modern-8x8 has none"),
        (("--magnitude", "15"), "zero point: a magnitude needs one"),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence(
    bundle: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    done = run(bundle, *options, "--out", tmp_path / "g.fits")
    assert done.exit_code == 1
    assert isinstance(done.exception, RequestError)
    with pytest.raises(RequestError, match=words):
        raise done.exception
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("n", "name"), [(5, "g.jpg"), (9000, "g.png")])
def test_a_file_that_cannot_be_is_refused_at_once(
    bundle: Path, tmp_path: Path, n: int, name: str
) -> None:
    done = run(bundle, "-n", n, "--out", tmp_path / name)
    assert isinstance(done.exception, RequestError)
    assert list(tmp_path.iterdir()) == []


def test_what_the_judge_reads_stands_with_every_sample(tmp_path: Path) -> None:
    """In the command's files and in Python alike, as a function of the sample alone."""
    path = add_small_judge(write_small_bundle(tmp_path / "read", n=60))
    samples = generate(path, n=10, seed=3, ttype=4)
    table = samples.catalogue
    names = ["read_ttype", "read_arms", "read_bar"]
    assert [name for name in table.colnames if name.startswith("read_")] == names
    expected = read_samples(
        Emulator.open(load_bundle(path)), samples.codes, np.asarray(table["number"])
    )
    for name in names:
        np.testing.assert_allclose(table[name], expected[name], atol=1e-4)
    assert "Hubble stage T, read by a network; rms error 2.7" in table["read_ttype"].description
    assert "Strength of the arms, 0 to 1, read" in table["read_arms"].description
    assert ((table["read_arms"] > 0) & (table["read_arms"] < 1)).all()
    out = tmp_path / "samples.fits"
    done = run(path, "--ttype", "4", "-n", "10", "--seed", "3", "--out", out)
    assert done.exit_code == 0, done.output
    with fits.open(out) as opened:
        for name in names:
            np.testing.assert_array_equal(opened["CATALOG"].data[name], table[name])
    old = add_small_judge(write_small_bundle(tmp_path / "old", n=60), attributes=())
    found = generate(old, n=1).catalogue.colnames
    assert [name for name in found if name.startswith("read_")] == ["read_ttype"]


def test_without_a_judge_nothing_is_read(bundle: Path) -> None:
    assert not any(name.startswith("read_") for name in generate(bundle, n=1).catalogue.colnames)
