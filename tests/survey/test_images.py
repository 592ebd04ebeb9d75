from __future__ import annotations

import bz2
import gzip
import io
import struct
import zlib

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image as Pictures
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.images import finite, read_image
from galaxy_explorer.survey.scales import pixel_scale

PLANE = np.random.default_rng(0).normal(10.0, 1.0, (30, 20)).astype(np.float32)


def as_fits(*hdus) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()


def test_first_image_of_two_axes_is_read():
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.arange(5.0))])
    spectrum = fits.ImageHDU(np.arange(50.0))
    data = as_fits(fits.PrimaryHDU(), table, spectrum, fits.ImageHDU(PLANE), fits.ImageHDU(-PLANE))
    image = read_image(data)
    np.testing.assert_array_equal(image.data, PLANE[None])
    assert image.linear
    np.testing.assert_array_equal(read_image(data, hdu=4).data, -PLANE[None])
    with pytest.raises(BadImage, match="HDU 2"):
        read_image(data, hdu=2)


def test_axes_of_length_one_are_dropped_and_cubes_become_planes():
    np.testing.assert_array_equal(read_image(as_fits(fits.PrimaryHDU(PLANE[None]))).data[0], PLANE)
    cube = np.stack([PLANE, PLANE + 1, PLANE + 2])
    np.testing.assert_array_equal(read_image(as_fits(fits.PrimaryHDU(cube))).data, cube)


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "i8", "f4", "f8"])
def test_every_pixel_type_of_fits(kind):
    data = np.arange(600).reshape(30, 20) % 250
    image = read_image(as_fits(fits.PrimaryHDU(data.astype(kind))))
    np.testing.assert_array_equal(image.data[0], data)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed_fits(pack):
    image = read_image(pack(as_fits(fits.PrimaryHDU(PLANE))))
    np.testing.assert_array_equal(image.data[0], PLANE)


def test_isolated_nan_pixels_are_filled_from_their_neighbours():
    holed = PLANE.copy()
    holed[15, 10] = np.nan
    holed[3, 3] = np.inf
    image = read_image(as_fits(fits.PrimaryHDU(holed)))
    assert np.isfinite(image.data).all()
    assert image.data[0, 15, 10] == pytest.approx(10.0, abs=0.9)
    assert image.data[0, 3, 3] == pytest.approx(10.0, abs=0.9)
    assert not image.valid[0, 15, 10]
    assert image.valid.sum() == PLANE.size - 2
    kept = np.isfinite(holed)
    np.testing.assert_array_equal(image.data[0][kept], holed[kept])


def test_header_facts():
    header = fits.Header({"CD1_1": -0.00011, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.00011})
    header["FILTER"] = "r"
    image = read_image(as_fits(fits.PrimaryHDU(PLANE, header)))
    assert image.pixel_scale_arcsec == pytest.approx(0.396)
    assert image.band == "r"
    silent = read_image(as_fits(fits.PrimaryHDU(PLANE)))
    assert silent.pixel_scale_arcsec is None
    assert silent.band is None


def test_pixel_scale_from_other_keywords():
    assert pixel_scale({"CDELT2": 0.06 / 3600, "CTYPE2": "DEC--TAN"}) == pytest.approx(0.06)
    assert pixel_scale({"PIXSCALE": 0.25}) == 0.25
    assert pixel_scale({"CDELT2": 1.0}) is None
    assert pixel_scale({"PIXSCALE": "wide"}) is None
    assert pixel_scale({"CD1_1": 0.0, "CD2_2": 0.0}) is None


@pytest.mark.parametrize(
    ("mode", "planes"), [("L", 1), ("RGB", 3), ("RGBA", 3), ("P", 3), ("LA", 1)]
)
def test_png_is_divided_by_255(mode, planes):
    pixels = np.random.default_rng(3).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    picture = Pictures.fromarray(pixels).convert(mode)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    image = read_image(stream.getvalue())
    expected = np.asarray(picture.convert("L" if planes == 1 else "RGB"), dtype=np.float64) / 255
    expected = expected[None] if planes == 1 else np.moveaxis(expected, 2, 0)
    assert not image.linear
    np.testing.assert_array_equal(image.data, expected.astype(np.float32))


def test_png_of_16_bits_is_divided_by_65535():
    pixels = np.random.default_rng(3).integers(0, 65536, (12, 14)).astype(np.uint16)
    stream = io.BytesIO()
    Pictures.fromarray(pixels).save(stream, "PNG")
    np.testing.assert_allclose(read_image(stream.getvalue()).data[0], pixels / 65535, rtol=1e-6)


def png_of_16_bits(kind: int, samples: int) -> bytes:
    """A PNG of 14 x 12 pixels; kind: its colour type, as Pillow writes only grey of 16 bits."""
    lines = np.random.default_rng(3).integers(0, 65536, (12, 14 * samples)).astype(">u2")
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", 14, 12, 16, kind, 0, 0, 0),
        b"IDAT": zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines)),
        b"IEND": b"",
    }
    chunks = (
        struct.pack(">I", len(data)) + key + data + struct.pack(">I", zlib.crc32(key + data))
        for key, data in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(pixels: np.ndarray, *, order: str = "<", planar: bool = False, white: int = 1) -> bytes:
    """A TIFF of pixels (H, W) or (H, W, 3); white: 0 where 0 is white. Pillow writes 8 bits."""
    height, width, *more = pixels.shape
    count = more[0] if more else 1
    strips = count if planar else 1
    size = pixels.nbytes // strips
    directory = ImageFileDirectory_v2(prefix=b"II" if order == "<" else b"MM")
    tags = {
        256: width, 257: height, 258: (8 * pixels.itemsize,) * count, 259: 1,
        262: 2 if more else white, 273: tuple(size * one for one in range(strips)), 277: count,
        278: height, 279: (size,) * strips, 284: 2 if planar else 1,
        339: (3 if pixels.dtype.kind == "f" else 1,) * count,
    }  # fmt: skip
    for tag, value in tags.items():
        directory[tag] = value
    stream = io.BytesIO()
    directory.save(stream)
    stored = np.moveaxis(pixels, 2, 0) if planar else pixels
    return stream.getvalue() + stored.astype(pixels.dtype.newbyteorder(order)).tobytes()


DEEP = np.random.default_rng(3).integers(0, 65536, (12, 14, 3)).astype(np.uint16)


@pytest.mark.parametrize(
    "data",
    [
        *(png_of_16_bits(*one) for one in ((2, 3), (4, 2), (6, 4))),
        *(tiff(DEEP, order=order) for order in "<>"),
        tiff(DEEP, planar=True),
    ],
    ids=["png rgb", "png grey alpha", "png rgba", "tiff", "tiff of high bytes", "tiff planes"],
)
def test_colours_of_16_bits_are_not_cut_to_8(data):
    with pytest.raises(BadImage, match=r"16-bit colour .* each colour as FITS or as 16-bit grey"):
        read_image(data)
    assert read_image(png_of_16_bits(0, 1)).full_range == 65535


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_tiff_of_which_0_is_white_is_turned_to_light(kind):
    pixels = (DEEP[..., 0] // (257 if kind == np.uint8 else 1)).astype(kind)
    most = np.iinfo(kind).max
    for white, wanted in ((1, pixels), (0, most - pixels)):
        image = read_image(tiff(pixels, white=white))
        np.testing.assert_allclose(image.data[0], wanted / most, rtol=1e-6)
    with pytest.raises(BadImage, match=r"0 is white.*save it with black as 0, or as FITS"):
        read_image(tiff(pixels.astype(np.float32), white=0))


def test_missing_file_and_folder_are_badimage(tmp_path):
    for path in (tmp_path / "absent.fits", tmp_path):
        with pytest.raises(BadImage, match="cannot be opened"):
            read_image(path)


def test_finite_refuses_what_is_no_picture():
    for planes in (np.zeros((4, 4)), np.zeros((1, 0, 4)), np.zeros((1, 4, 4), complex)):
        with pytest.raises(BadImage):
            finite(planes, "x")


def test_every_linear_frame_of_the_real_set_is_read(shared_data):
    names = [p for p in (shared_data / "sdss_r_fits").rglob("*.fit*") if "mskim" not in p.name]
    assert len(names) > 40
    for path in names:
        image = read_image(path)
        assert image.linear, path
        assert np.isfinite(image.data).all(), path


@pytest.mark.parametrize("keyword", ["BUNIT", "FILTER", "CTYPE1", "OBJECT", "CD1_1"])
def test_a_card_that_cannot_be_parsed_states_nothing(keyword):
    data = as_fits(fits.PrimaryHDU(PLANE, fits.Header({keyword: 1.5, "PIXSCALE": 0.3})))
    start = data.index(keyword.encode().ljust(8) + b"=")
    card = f"{keyword:8}= abc def ghi".encode().ljust(80)
    image = read_image(data[:start] + card + data[start + 80 :])
    assert (image.pixel_scale_arcsec, image.band) == (0.3, None)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GIF89a", "is a GIF; save it as PNG"),
        (b"BM6000" + bytes(4), "is a BMP; save"),
        (b"\0\0\0\x0cjP  \r\n", "is JPEG 2000; save"),
        (b"\0\0\0 ftypavif", "is AVIF or HEIC; save"),
        (b"%PDF-1.7", "is a PDF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS; fetch"),
        (b"<!DOCTYPE html>", "is a web page or XML; download"),
        (b"\xfd7zXZ\0", "is packed; unpack it first"),
        (b"\x93NUMPY", "is a cube of arrays"),
        (b"hello", "neither FITS, PNG nor JPEG"),
    ],
)
def test_other_files_are_named_with_the_cure(data, words):
    with pytest.raises(BadImage, match=words):
        read_image(data)
