"""Display: what astropy.visualization would draw, and nothing that is not finite."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.visualization import (
    AsinhStretch,
    LinearStretch,
    LogStretch,
    MinMaxInterval,
    PercentileInterval,
    SqrtStretch,
    ZScaleInterval,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from galaxy_explorer.errors import SettingError
from galaxy_explorer.explorer.pictures.display import (
    COLOUR_MAPS,
    INTERVALS,
    STRETCHES,
    DisplaySettings,
    absent,
    as_shown,
    colour_table,
    encode,
    encode_sheet,
    limits,
    normalised,
    pixel_histogram,
    render_stamps,
    sheet,
    without_colour,
)

ASTROPY_STRETCH = {
    "linear": LinearStretch,
    "sqrt": SqrtStretch,
    "log": LogStretch,
    "asinh": AsinhStretch,
}
ASTROPY_INTERVAL = {
    "percentile": lambda: PercentileInterval(99.5),
    "zscale": ZScaleInterval,
    "minmax": MinMaxInterval,
}
TOLERANCE = 1e-6  # float32 against float64


@pytest.fixture(scope="module")
def galaxies() -> np.ndarray:
    """Twelve made-up galaxies: a bright centre on a noisy sky, (12, 64, 64) float32."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[-32:32, -32:32]
    widths = rng.uniform(2, 10, 12)[:, None, None]
    made = np.exp(-np.hypot(x, y) / widths) + rng.normal(0.05, 0.02, (12, 64, 64))
    return made.astype(np.float32)


@pytest.mark.parametrize("stretch", list(STRETCHES))
@pytest.mark.parametrize("interval", list(INTERVALS))
def test_each_stamp_is_what_astropy_makes_of_it(galaxies, stretch, interval) -> None:
    display = DisplaySettings(stretch=stretch, interval=interval)
    expected = [ASTROPY_STRETCH[stretch]()(ASTROPY_INTERVAL[interval]()(s)) for s in galaxies]
    np.testing.assert_allclose(normalised(galaxies, display), expected, atol=TOLERANCE)


@pytest.mark.parametrize("interval", list(INTERVALS))
def test_shared_limits_are_those_of_all_pixels_together(galaxies, interval) -> None:
    found = limits(galaxies, DisplaySettings(interval=interval, shared=True))
    expected = ASTROPY_INTERVAL[interval]().get_limits(galaxies.ravel())
    np.testing.assert_allclose(found, np.tile(expected, (len(galaxies), 1)), rtol=1e-6)


def test_shared_limits_keep_the_order_of_brightness_and_own_limits_do_not(galaxies) -> None:
    pair = np.stack([galaxies[0], galaxies[0] * 0.5])
    own = render_stamps(pair, DisplaySettings(interval="minmax"))
    shared = render_stamps(pair, DisplaySettings(interval="minmax", shared=True))
    np.testing.assert_array_equal(own[0], own[1])
    assert shared[1].max() < shared[0].max()


@pytest.mark.parametrize("name", list(COLOUR_MAPS))
def test_inverted_pictures_run_through_the_colours_backwards(galaxies, name) -> None:
    plain = normalised(galaxies, DisplaySettings())
    inverted = render_stamps(galaxies, DisplaySettings(invert=True, colour_map=name))
    levels = np.minimum((1 - plain) * 256, 255).astype(int)
    np.testing.assert_array_equal(inverted, colour_table(name)[levels])


def test_grey_runs_from_black_to_white() -> None:
    assert colour_table("grey")[[0, 255]].tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("chosen", [{}, {"interval": "zscale"}, {"shared": True}])
@pytest.mark.filterwarnings("error")
def test_a_flat_or_empty_stamp_is_drawn_without_warnings(chosen) -> None:
    flat = np.full((2, 8, 8), 0.3, np.float32)
    assert render_stamps(flat, DisplaySettings(**chosen)).shape == (2, 8, 8, 3)
    assert render_stamps(flat[:0], DisplaySettings(**chosen)).shape == (0, 8, 8, 3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("interval", list(INTERVALS))
def test_pixels_that_are_not_finite_are_black_and_spoil_nothing(galaxies, interval) -> None:
    display = DisplaySettings(interval=interval)
    spoilt = galaxies.copy()
    spoilt[0] = np.nan
    spoilt[1, 3, 4] = np.nan
    pictures = render_stamps(spoilt, display)
    assert pictures[0].max() == 0
    assert pictures[1, 3, 4].max() == 0
    np.testing.assert_array_equal(pictures[2:], render_stamps(galaxies, display)[2:])


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("invert", [False, True])
def test_the_histogram_holds_every_pixel_and_what_the_stretch_makes_of_it(
    galaxies, interval, invert
) -> None:
    chosen = DisplaySettings(stretch="asinh", interval=interval, percentile=95, invert=invert)
    stamp = galaxies[0].copy()
    stamp[0, :5] = np.nan
    told = pixel_histogram(stamp, chosen)
    (low, high), known = limits(stamp[None], chosen)[0], stamp[np.isfinite(stamp)]
    assert told.counts.sum() == len(known) == stamp.size - 5
    np.testing.assert_array_equal(told.counts[0], np.histogram(known, told.edges)[0])
    assert told.limits == (low, high)
    assert told.outside == (np.mean(known < low), np.mean(known > high))
    drawn = render_stamps(told.edges[None, None], chosen, np.array([low, high]))[0, 0, :, 0]
    np.testing.assert_allclose(told.shown * 255, drawn, atol=2)


def test_the_histogram_of_a_flat_or_an_empty_stamp_is_one_bar_or_none() -> None:
    flat, empty = np.full((8, 8), 0.3, np.float32), np.full((8, 8), np.nan, np.float32)
    assert pixel_histogram(flat, DisplaySettings()).counts.max() == 64
    assert pixel_histogram(empty, DisplaySettings()).counts.sum() == 0


@pytest.fixture(scope="module")
def coloured(galaxies) -> np.ndarray:
    """The same, brightest in the red and faintest in the blue band, (12, 64, 64, 3)."""
    return as_shown(np.stack([galaxies, 0.6 * galaxies, 0.3 * galaxies], axis=1))


def test_three_bands_are_shown_as_colours_and_any_other_number_as_their_mean() -> None:
    bands = np.random.default_rng(3).normal(size=(2, 4, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(as_shown(bands[:, :1]), bands[:, 0])
    for n in (2, 4):
        np.testing.assert_array_equal(as_shown(bands[:, :n]), bands[:, :n].mean(axis=1))
    np.testing.assert_array_equal(as_shown(bands[:, :3]), bands[:, :3].transpose(0, 2, 3, 1))


@pytest.mark.parametrize("stretch", list(STRETCHES))
@pytest.mark.parametrize("interval", list(INTERVALS))
def test_a_red_galaxy_stays_red(coloured, stretch, interval) -> None:
    pictures = render_stamps(coloured, DisplaySettings(stretch=stretch, interval=interval))
    red, green, blue = pictures.mean(axis=(1, 2)).T
    assert (red > green + 2).all()
    assert (green > blue + 2).all()


@pytest.mark.parametrize("interval", list(INTERVALS))
def test_the_bands_of_a_galaxy_have_the_same_limits(coloured, interval) -> None:
    found = limits(coloured, DisplaySettings(interval=interval))
    expected = [ASTROPY_INTERVAL[interval]().get_limits(one.ravel()) for one in coloured]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_histogram_of_three_bands_is_of_each_where_its_colours_are_seen(coloured) -> None:
    for colour_map, bands in (("grey", 3), ("viridis", 1)):
        counts = pixel_histogram(coloured[0], DisplaySettings(colour_map=colour_map)).counts
        assert counts.sum(axis=1).tolist() == [coloured[0][..., 0].size] * bands


def test_equal_bands_look_as_one_band_does(galaxies) -> None:
    alike = as_shown(galaxies[:, None].repeat(3, axis=1))
    for chosen in ({}, {"shared": True}, {"invert": True, "stretch": "log"}):
        display = DisplaySettings(interval="minmax", **chosen)
        np.testing.assert_array_equal(
            render_stamps(alike, display), render_stamps(galaxies, display)
        )


def test_inverted_colours_are_the_complement(coloured) -> None:
    plain, inverted = (render_stamps(coloured, DisplaySettings(invert=on)) for on in (False, True))
    np.testing.assert_allclose(plain.astype(int) + inverted, 255, atol=1)


def test_another_colour_map_is_that_of_the_mean_of_the_bands(coloured) -> None:
    display = DisplaySettings(colour_map="viridis")
    expected = render_stamps(coloured.mean(axis=-1), display)
    np.testing.assert_array_equal(render_stamps(coloured, display), expected)
    between = limits(coloured, display)
    np.testing.assert_array_equal(between, limits(without_colour(coloured), display))
    np.testing.assert_array_equal(render_stamps(coloured, display, between), expected)


@pytest.mark.filterwarnings("error")
def test_a_coloured_galaxy_without_pixels_is_black(coloured) -> None:
    spoilt = coloured.copy()
    spoilt[0] = np.nan
    assert render_stamps(spoilt, DisplaySettings())[0].max() == 0
    assert absent(spoilt).tolist() == [True] + [False] * 11
    assert absent(spoilt[..., 0]).tolist() == [True] + [False] * 11
    assert render_stamps(spoilt[:0], DisplaySettings()).shape == (0, 64, 64, 3)


settings_of_a_visitor = st.builds(
    DisplaySettings,
    stretch=st.sampled_from(list(STRETCHES)),
    interval=st.sampled_from(list(INTERVALS)),
    percentile=st.integers(500, 1000).map(lambda tenths: tenths / 10),
    invert=st.booleans(),
    colour_map=st.sampled_from(list(COLOUR_MAPS)),
    shared=st.booleans(),
)


@settings(deadline=None)
@given(chosen=settings_of_a_visitor)
def test_the_token_says_everything(chosen) -> None:
    again = DisplaySettings.from_token(chosen.token())
    assert again.token() == chosen.token()
    assert {n: getattr(again, n) for n in again.param if n != "name"} == {
        n: getattr(chosen, n) for n in chosen.param if n != "name"
    }


@pytest.mark.parametrize(
    "token",
    [
        "",
        "linear",
        "linear-percentile-99.5-0-grey-0-0",
        "cubic-percentile-99.5-0-grey-0",
        "linear-percentile-1e9-0-grey-0",
        "linear-percentile-nan-0-grey-0",
        "linear-percentile-99.50-0-grey-0",
        "linear-percentile-99.5-2-grey-0",
        "linear-percentile-99.5-0-../../etc-0",
    ],
)
def test_other_tokens_are_refused(token) -> None:
    with pytest.raises(SettingError, match="display settings"):
        DisplaySettings.from_token(token)


def test_a_sheet_holds_each_picture_in_its_place(galaxies) -> None:
    pictures = render_stamps(galaxies[:5], DisplaySettings())
    whole = sheet(pictures, 3)
    assert whole.shape == (2 * 64, 3 * 64, 3)
    np.testing.assert_array_equal(whole[64:, 64:128], pictures[4])
    assert whole[64:, 128:].max() == 0


@pytest.mark.parametrize("image_format", ["WEBP", "JPEG"])
def test_an_encoded_sheet_opens_as_a_picture_like_the_sheet(galaxies, image_format) -> None:
    pictures = render_stamps(galaxies, DisplaySettings())
    opened = Image.open(io.BytesIO(encode_sheet(pictures, 4, image_format)))
    assert (opened.format, opened.size) == (image_format, (256, 192))
    error = np.abs(np.asarray(opened.convert("RGB"), int) - sheet(pictures, 4))
    assert error.mean() < 8


def test_transparency_survives_encoding() -> None:
    tile = np.zeros((4, 4, 4), np.uint8)
    tile[:2, :, 3] = 255
    opened = np.asarray(Image.open(io.BytesIO(encode(tile))).convert("RGBA"))
    np.testing.assert_array_equal(opened[..., 3], tile[..., 3])
