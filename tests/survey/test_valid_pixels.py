from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.images import image_of, read_image
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.stamps import IngestOptions, make_stamp

SIDES = ("top", "bottom", "left", "right")


def galaxy(side: int = 80, sky: float = 50.0, sigma: float = 2.0, seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    light = 400.0 * np.exp(-np.hypot(x, 1.6 * y) / 5)
    return light + np.random.default_rng(seed).normal(sky, sigma, (side, side))


def strip(side: str, width: int) -> tuple[slice, slice]:
    everything = slice(None)
    return {
        "top": (slice(0, width), everything),
        "bottom": (slice(-width, None), everything),
        "left": (everything, slice(0, width)),
        "right": (everything, slice(-width, None)),
    }[side]


def fits_bytes(data: np.ndarray, **cards) -> bytes:
    stream = io.BytesIO()
    unit = fits.PrimaryHDU(data)
    unit.header.update(cards)
    unit.writeto(stream)
    return stream.getvalue()


def stamp_of(image, **options):
    row = CatalogRow(0, "a", "a", np.nan, np.nan, np.nan)
    return make_stamp(image, row, IngestOptions(**options), cut=None)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(SIDES),
    st.integers(1, 16),
    st.sampled_from([np.nan, np.inf, 0.0, -1.0, 65535.0]),
    st.integers(0, 20),
    st.sampled_from([0.0, 50.0, 1e4]),
)
def test_a_strip_without_data_changes_neither_sky_nor_sigma(side, width, value, seed, sky):
    whole = galaxy(sky=sky, seed=seed).astype(np.float32)
    cut = whole.copy()
    cut[strip(side, width)] = value
    known, found = stamp_of(image_of(whole[None], "a", linear=True)), None
    found = stamp_of(image_of(cut[None], "a", linear=True))
    assert found.sky_sigma == pytest.approx(known.sky_sigma, rel=0.1)
    assert found.sky == pytest.approx(known.sky, abs=0.5 * known.sky_sigma)
    assert found.valid_share == pytest.approx(1 - width / 80)
    assert known.valid_share == 1.0


def test_filled_pixels_do_not_lower_the_noise():
    cut = galaxy().astype(np.float32)
    cut[strip("right", 16)] = np.nan
    image = image_of(cut[None], "a", linear=True)
    assert sky_level(image.data[0])[1] < 0.9 * sky_level(image.data[0], image.valid[0])[1]


def test_holes_are_filled_from_their_neighbours():
    data = galaxy(sigma=0.01).astype(np.float32)
    true = data.copy()
    data[30:34, 30:33] = np.nan
    image = image_of(data[None], "a", linear=True)
    hole = ~image.valid[0]
    assert hole.sum() == 12
    assert np.abs(image.data[0] - true)[hole].max() < 0.45 * (true[hole] - 50).max()
    assert image.data[0][hole].min() > 56  # not the sky, which is 50


@pytest.mark.parametrize("kind", ["i2", "i4", "u2"])
def test_blank_whole_numbers_have_no_data(kind):
    data = np.round(galaxy(sky=1000, sigma=8)).astype("i8")
    data[:, 3] = 99
    stored = (data - 32768).astype("i2") if kind == "u2" else data.astype(kind)
    cards = {"BLANK": 99 - 32768 if kind == "u2" else 99}
    raw = fits_bytes(stored, **cards)
    if kind == "u2":
        raw = raw.replace(b"END".ljust(80), b"BZERO   =              32768.0".ljust(80), 1)
        place = raw.index(b"BZERO") + 80
        raw = raw[:place] + b"END".ljust(80) + raw[place + 80 :]
    image = read_image(raw)
    assert (~image.valid[0]).sum() == 80
    assert not image.valid[0][:, 3].any()
    assert image.data.min() > 900


def test_a_sky_of_zero_in_a_stretched_picture_is_no_gap():
    pixels = np.clip(galaxy(sky=0, sigma=0.1), 0, 255).astype(np.uint8)
    image = image_of(pixels[None] / 255, "a", linear=False)
    assert image.valid is None


def test_whole_counts_and_a_noiseless_sky_are_no_gaps():
    counts = np.round(galaxy(sky=7, sigma=0.3))
    assert image_of(counts[None], "a", linear=True).valid is None
    y, x = np.mgrid[:60, :60] - 29.5
    clean = np.where(np.hypot(x, y) < 20, np.exp(-np.hypot(x, y) / 5), 0.0)
    assert image_of(clean[None], "a", linear=True).valid is None


@pytest.mark.parametrize("sky", [0.0, 50.0])
@pytest.mark.parametrize("shape", ["frame", "circle"])
def test_a_frame_of_one_value_about_noise_is_a_gap(sky, shape):
    y, x = np.mgrid[:120, :120] - 59.5
    outside = np.maximum(abs(x), abs(y)) > 51 if shape == "frame" else np.hypot(x, y) > 57
    cut = galaxy(120, sky=sky)
    cut[outside] = 0.0
    stamp = stamp_of(image_of(cut[None], "a", linear=True), size=120)
    assert stamp.sky == pytest.approx(sky, abs=1.0)
    assert stamp.sky_sigma == pytest.approx(2.0, rel=0.1)
    assert stamp.valid_share == pytest.approx(1 - outside.mean())
    model = np.where(outside, 0.0, np.exp(-np.hypot(x, y) / 9))
    assert image_of(model[None], "a", linear=True).valid is None, "a model without noise"


@pytest.mark.parametrize("dither", [1, 2, -1])
@pytest.mark.parametrize("sky", [0.0, 50.0])
def test_a_gap_that_packing_made_uneven_is_one(sky, dither):
    """fpack adds noise of a step to zeros as well; beside a sky of zero that halves sigma."""
    cut = galaxy(sky=sky).astype(np.float32)
    cut[:, :14] = 0.0
    cut[70:, 70:] = np.nan
    stream = io.BytesIO()
    kind = {"compression_type": "RICE_1", "quantize_method": dither}
    packed = fits.CompImageHDU(cut, **kind, dither_seed=1)  # else it is drawn by the clock
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(stream)
    image = read_image(stream.getvalue())
    stamp = stamp_of(image, size=80)
    assert stamp.sky_sigma == pytest.approx(2.0, rel=0.1)
    assert stamp.valid_share == pytest.approx(1 - (14 * 80 + 100) / 6400, abs=0.002)
    inside = np.isfinite(cut) & (cut != 0)
    changed = np.abs(image.data[0] - cut)[inside] > 0.2  # noise of just the gap's value beside it
    assert changed.mean() < 0.005


@pytest.mark.parametrize("value", [0.0, -32768.0])
def test_a_block_far_below_the_sky_has_no_data(value):
    cut = galaxy()
    cut[12:20, 55:60] = value
    image = image_of(cut[None], "a", linear=True)
    assert (~image.valid).sum() == 40
    cut[38:41, 38:41] = value  # a core that is saturated, or was cut out
    with pytest.raises(BadImage, match="central tenth"):
        stamp_of(image_of(cut[None], "a", linear=True))


def test_a_hole_in_the_core_is_refused_and_one_beside_it_is_not():
    data = galaxy().astype(np.float32)
    data[20:24, 20:24] = np.nan
    assert stamp_of(image_of(data[None], "a", linear=True)).valid_share < 1
    data[39, 41] = np.nan
    with pytest.raises(BadImage, match="central tenth"):
        stamp_of(image_of(data[None], "a", linear=True))


def test_only_the_chosen_planes_are_judged():
    good = galaxy().astype(np.float32)
    cube = np.stack([good, np.full_like(good, np.nan), np.full_like(good, 3.0)])
    image = image_of(cube, "a", linear=True)
    np.testing.assert_array_equal(stamp_of(image, band="0", size=80).pixels[0], good)
    for band, words in (("1", "NaN"), ("2", "empty"), ("rgb", "plane 1")):
        with pytest.raises(BadImage, match=words):
            stamp_of(image, band=band)


def test_each_band_has_its_own_sky():
    cube = np.stack([galaxy(sky=s, seed=n) for n, s in enumerate((10, 200, 3000))])
    stamp = stamp_of(image_of(cube, "a", linear=True), band="rgb", size=80)
    np.testing.assert_allclose(stamp.skies, [10, 200, 3000], atol=0.6)
    np.testing.assert_allclose(stamp.sigmas, 2.0, rtol=0.1)


def test_transparent_pixels_hold_no_data():
    pixels = np.zeros((60, 60, 4), np.uint8)
    pixels[..., :3] = 200
    pixels[..., 3] = 255
    pixels[20:40, 20:40, :3] = 90
    pixels[:, :6] = (255, 255, 255, 0)
    image = read_image(png(pixels))
    assert not image.valid[:, :, :6].any()
    assert image.data.max() < 0.8
    pixels[:25, :, 3] = 0
    with pytest.raises(BadImage, match="transparent"):
        read_image(png(pixels))


def png(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    Pictures.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16", "TIFF", "WEBP"])
def test_a_grey_galaxy_is_the_same_in_every_mode(mode):
    grey = np.clip(galaxy(sky=20, sigma=1), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    if mode == "I;16":
        Pictures.fromarray(grey.astype(np.uint16) * 257).save(stream, "PNG")
    elif mode in {"TIFF", "WEBP"}:
        Pictures.fromarray(grey).convert("RGB").save(stream, mode)
    else:
        picture = Pictures.fromarray(grey).convert(mode)
        picture.save(stream, "JPEG" if mode == "CMYK" else "PNG", quality=98)
    found = stamp_of(read_image(stream.getvalue()), size=80).pixels[0]
    assert np.abs(found - grey / 255).mean() < 0.02


def test_exif_rotation_is_applied():
    grey = np.clip(galaxy(sky=20, sigma=1), 0, 255).astype(np.uint8)[:, :70]
    exif = Pictures.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    found = read_image(png(np.rot90(grey).copy(), "TIFF", exif=exif)).data[0]
    np.testing.assert_allclose(found, grey / 255, atol=1e-6)


def test_pages_are_refused():
    stream = io.BytesIO()
    pages = [Pictures.new("L", (20, 20), n) for n in range(3)]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(BadImage, match="3 pages"):
        read_image(stream.getvalue())


def test_a_picture_of_a_few_pixels_is_refused():
    image = image_of(galaxy(20)[None], "a", linear=True)
    for frame in ("whole", "auto"):
        with pytest.raises(BadImage, match="less than half"):
            stamp_of(image, size=64, frame=frame)
    assert stamp_of(image, size=32).pixels.shape == (1, 32, 32)
