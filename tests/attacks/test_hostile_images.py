from __future__ import annotations

import bz2
import gzip
import io
import struct
import time
import zlib

import h5py
import numpy as np
import pytest
from astropy.io import fits
from PIL import Image as Pictures

from galaxy_explorer.errors import BadImage, GalaxyExplorerError
from galaxy_explorer.survey.cubes import open_cube
from galaxy_explorer.survey.images import read_image
from galaxy_explorer.survey.limits import MAX_FILE_BYTES

FITS_MUTANTS = [1500, pytest.param(10_000, marks=pytest.mark.long)]
PICTURE_MUTANTS = [400, pytest.param(2_000, marks=pytest.mark.long)]
LIMIT_S = 1.0
VALUES = (b"100000000", b"-1", b"0", b"99999999999999999999", b"1E9", b"T", b"'x'", b"nan")


def fits_bytes(data: np.ndarray | None = None, extension: bool = False) -> bytes:
    if data is None:
        data = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(data)] if extension else [fits.PrimaryHDU(data)]
    stream = io.BytesIO()
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


def with_card(data: bytes, keyword: str, value: str) -> bytes:
    place = data.index(keyword.ljust(8).encode())
    card = f"{keyword:8s}= {value:>20s}".ljust(80).encode()
    return data[:place] + card + data[place + 80 :]


def picture_bytes(kind: str, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Pictures.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


HOSTILE_FITS = {
    "NAXIS of 10^8": with_card(fits_bytes(), "NAXIS", "100000000"),
    "NAXIS of -1": with_card(fits_bytes(), "NAXIS", "-1"),
    "NAXIS1 of 10^9": with_card(fits_bytes(), "NAXIS1", "1000000000"),
    "NAXIS1 negative": with_card(fits_bytes(), "NAXIS1", "-40"),
    "no pixels": with_card(fits_bytes(), "NAXIS1", "0"),
    "BITPIX of 17": with_card(fits_bytes(), "BITPIX", "17"),
    "BITPIX of 64 with data for 32": with_card(fits_bytes(np.ones((60, 60), "f4")), "BITPIX", "64"),
    "PCOUNT of 10^12": with_card(fits_bytes(extension=True), "PCOUNT", "1000000000000"),
    "two NAXIS2": fits_bytes().replace(b"EXTEND  =", b"NAXIS2  =", 1),
    "truncated data": fits_bytes()[:5000],
    "truncated header": fits_bytes()[:1000],
    "no END": fits_bytes().replace(b"END     ", b"FIN     "),
    "NaN only": fits_bytes(np.full((40, 40), np.nan, np.float32)),
    "mostly NaN": fits_bytes(np.where(np.arange(1600).reshape(40, 40) % 2, np.nan, 1.0)),
    "infinite": fits_bytes(np.full((40, 40), np.inf)),
    "constant": fits_bytes(np.ones((40, 40))),
    "one axis": fits_bytes(np.arange(100.0)),
    "four axes": fits_bytes(np.random.default_rng(0).random((2, 2, 9, 9))),
    "no image": fits_bytes(np.arange(0.0)),
    "not FITS": b"SIMPLE or not" * 500,
}


@pytest.mark.parametrize("case", HOSTILE_FITS)
def test_hostile_fits_is_refused(case):
    with pytest.raises(BadImage) as error:
        read_image(HOSTILE_FITS[case], name="hostile.fits")
    assert "hostile.fits" in str(error.value)


def test_astropy_is_not_asked_about_a_refused_header(monkeypatch):
    def never(*_args, **_kwargs):
        raise AssertionError("astropy saw a header that the guard refuses")

    monkeypatch.setattr(fits.PrimaryHDU, "fromstring", never)
    for case in ("NAXIS of 10^8", "NAXIS1 of 10^9", "truncated data", "BITPIX of 17"):
        with pytest.raises(BadImage):
            read_image(HOSTILE_FITS[case])


HOSTILE_PICTURES = {
    "30000 x 30000 PNG": png_header(30000, 30000),
    "5000 x 5000 PNG": png_header(5000, 5000),
    "long thin PNG": png_header(100000, 1),
    "zero-size PNG": png_header(0, 10),
    "PNG without pixels": png_header(64, 64),
    "truncated PNG": picture_bytes("PNG")[:2000],
    "truncated JPEG": picture_bytes("JPEG")[:900],
    "JPEG marker only": b"\xff\xd8\xff",
    "empty": b"",
    "text": b"<svg onload=alert(1)>",
    "GIF": b"GIF89a" + bytes(100),
    "gzip of zeros": gzip.compress(bytes(MAX_FILE_BYTES + 1), 1),
    "bzip2 of zeros": bz2.compress(bytes(MAX_FILE_BYTES + 1), 1),
    "damaged gzip": gzip.compress(fits_bytes())[:-200],
    "damaged bzip2": b"BZh9" + bytes(200),
}


@pytest.mark.parametrize("case", HOSTILE_PICTURES)
def test_hostile_picture_is_refused(case):
    with pytest.raises(BadImage):
        read_image(HOSTILE_PICTURES[case])


def mutate(data: bytes, generator: np.random.Generator, header: int) -> bytes:
    """One of: flip bytes (mostly in the header), replace a value, cut, repeat a slice."""
    changed = bytearray(data)
    way = generator.integers(4)
    place = int(generator.integers(header if generator.random() < 0.8 else len(data)))
    if way == 0:
        for _ in range(int(generator.integers(1, 9))):
            spot = int(generator.integers(header))
            changed[spot] = int(generator.integers(256))
    elif way == 1:
        value = VALUES[int(generator.integers(len(VALUES)))]
        start = place // 80 * 80 + 10
        changed[start : start + 20] = value.rjust(20)
    elif way == 2:
        del changed[place:]
    else:
        piece = changed[place : place + int(generator.integers(1, 200))]
        spot = int(generator.integers(len(data)))
        changed[spot : spot + len(piece)] = piece
    return bytes(changed)


def with_checksums(data: bytes) -> bytes:
    """A PNG with the checksum of every chunk made right, so that damage gets past them."""
    changed, place = bytearray(data), 8
    while place + 12 <= len(changed):
        end = place + 8 + int.from_bytes(changed[place : place + 4], "big")
        changed[end : end + 4] = struct.pack(">I", zlib.crc32(changed[place + 4 : end]))
        place = end + 4
    return bytes(changed[: len(data)])


def survives(data: bytes) -> bool:
    """True for a picture that was read; BadImage is the only exception allowed, and no delay."""
    start = time.process_time()
    try:
        image = read_image(data)
    except BadImage:
        return False
    finally:
        assert time.process_time() - start < LIMIT_S
    assert image.data.dtype == np.float32
    assert np.isfinite(image.data).all()
    return True


@pytest.mark.parametrize("mutants", FITS_MUTANTS)
def test_mutated_fits_gives_pictures_or_badimage(mutants):
    generator = np.random.default_rng(20190)
    scaled = np.arange(1600, dtype=np.int16).reshape(40, 40)
    seeds = [fits_bytes(), fits_bytes(extension=True), fits_bytes(scaled)]
    seeds[2] = seeds[2].replace(
        b"END     ".ljust(80), b"BSCALE  =                  2.0".ljust(80), 1
    )
    place = seeds[2].index(b"BSCALE") + 80
    seeds[2] = seeds[2][:place] + b"END".ljust(80) + seeds[2][place + 80 :]
    read = [
        survives(mutate(seeds[number % 3], generator, 5760 if number % 3 == 1 else 800))
        for number in range(mutants)
    ]
    assert 0.1 < np.mean(read) < 0.9  # the mutants reach both outcomes


@pytest.mark.parametrize("number", PICTURE_MUTANTS)
@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "P"), ("JPEG", "L")])
def test_mutated_pictures_give_pictures_or_badimage(kind, mode, number):
    generator = np.random.default_rng(7)
    data = picture_bytes(kind, mode)
    mutants = [mutate(data, generator, 700) for _ in range(number)]
    if kind == "PNG":
        mutants = [with_checksums(mutant) for mutant in mutants]
    read = [survives(mutant) for mutant in mutants]
    assert np.mean(read) < 0.99
    assert any(read) or mode == "RGB"  # in a PNG of noise every byte is under a checksum


class Canary:
    """Unpickled, it would leave a mark."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_cubes_with_python_objects_are_refused(tmp_path):
    objects = np.empty((3, 8, 8), object)
    objects[:] = Canary()
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", images=objects)
    np.savez(tmp_path / "ids.npz", images=np.zeros((3, 8, 8)), id=np.array([Canary()] * 3))
    for name in ("a.npy", "a.npz", "ids.npz"):
        with pytest.raises(BadImage, match=r"objects|pickle"):
            open_cube(tmp_path / name, tmp_path, "id")


def test_damaged_cubes_are_refused(tmp_path):
    np.save(tmp_path / "whole.npy", np.zeros((10, 16, 16)))
    np.savez_compressed(tmp_path / "whole.npz", images=np.random.default_rng(0).random((9, 16, 16)))
    for name in ("whole.npy", "whole.npz"):
        data = (tmp_path / name).read_bytes()
        for size in (0, 7, 60, len(data) // 2, len(data) - 30):
            damaged = tmp_path / f"cut{size}{name[-4:]}"
            damaged.write_bytes(data[:size])
            with pytest.raises(GalaxyExplorerError):
                open_cube(damaged, tmp_path, "id")


def test_mutated_npy_headers_are_refused_or_read(tmp_path):
    np.save(tmp_path / "seed.npy", np.random.default_rng(0).random((6, 8, 8)))
    data = (tmp_path / "seed.npy").read_bytes()
    generator = np.random.default_rng(3)
    path = tmp_path / "mutant.npy"
    for _ in range(500):
        path.write_bytes(mutate(data, generator, 128))
        try:
            cube = open_cube(path, tmp_path, "id")
        except GalaxyExplorerError:
            continue
        assert cube.read(0, 1)[0].shape == cube.shape


def test_hdf5_links_out_of_the_file_are_not_followed(tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["images"] = np.zeros((4, 8, 8))
    raw = tmp_path / "secret.raw"
    raw.write_bytes(bytes(4 * 8 * 8 * 8))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["images"] = h5py.ExternalLink(str(secret), "/images")
        file["stamps"] = h5py.SoftLink("/images")
        file.create_dataset("data", (4, 8, 8), "f8", external=[(str(raw), 0, h5py.h5f.UNLIMITED)])
        layout = h5py.VirtualLayout((4, 8, 8), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "images", (4, 8, 8))
        file.create_virtual_dataset("image", layout)
    with pytest.raises(GalaxyExplorerError, match="cannot tell which array"):
        open_cube(tmp_path / "link.h5", tmp_path, "id")


def test_hdf5_with_a_giant_chunk_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "images", (60000, 64, 64), "f4", chunks=(50000, 64, 64), compression="gzip"
        )
    with pytest.raises(BadImage, match="chunk"):
        open_cube(tmp_path / "a.h5", tmp_path, "id")
