"""Bundles of three bands: every page shows their galaxies in colour."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.classification import prepare_image
from galaxy_explorer.emulation.observation import ObservationSettings
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pages.emulator.source import (
    DisplayOptions,
    EmulatorSource,
    measured,
    reduced,
)
from galaxy_explorer.explorer.pages.emulator.views import Ladder, SamplesView, StageView
from galaxy_explorer.explorer.pages.my_galaxy.examination import (
    ImageReport,
    measure,
    pictures,
    preview,
)
from galaxy_explorer.explorer.pages.vocabulary import code_pictures
from galaxy_explorer.explorer.pictures.display import DisplaySettings, limits
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.server import routes
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.urls import one_url, tile_url
from galaxy_explorer.explorer.widgets.components import TypeMorph
from galaxy_explorer.explorer.widgets.controls import format_colour
from galaxy_explorer.explorer.widgets.detail import galaxy_card
from galaxy_explorer.explorer.widgets.strips import Strips
from galaxy_explorer.settings import read_settings
from tests.explorer.test_emulator_view import done
from tests.explorer.test_routes import ask

SIDE = 64
COLOURED = 15
"""Levels of 256 by which the bands of a picture that is in colour differ in the mean, at least."""
RED = np.array([1.0, 0.5, 0.2], np.float32)


@pytest.fixture(scope="module")
def context(coloured, tmp_path_factory) -> AppContext:
    folder = tmp_path_factory.mktemp("colour")
    originals = lambda rows: np.full((len(rows), SIDE, SIDE, 3), 0.3 * RED, np.float32)  # noqa: E731
    selections = SelectionStore(folder / "selections", coloured.hash, len(coloured), 10)
    stamps = StampStore(coloured, folder / "stamps", originals)
    return AppContext(coloured, stamps, None, selections, read_settings({}))


@pytest.fixture
def red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models draw red blobs."""
    y, x = np.mgrid[-32:32, -32:32]
    blob = np.exp(-np.hypot(x, y) / 9).astype(np.float32) * RED[:, None, None]

    def draw(_bundle: Bundle, _model: str, rows: np.ndarray) -> np.ndarray:
        return np.tile(blob, (len(rows), 1, 1, 1))

    monkeypatch.setattr(Bundle, "decode", draw)
    monkeypatch.setattr(Bundle, "draw", draw)


@pytest.fixture
def state(coloured) -> ExplorerState:
    return ExplorerState(coloured)


def spread(picture: bytes | np.ndarray) -> float:
    """How much brighter the brightest band of a pixel is than the faintest, in the mean."""
    if isinstance(picture, bytes):
        picture = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    levels = picture.astype(int)
    return float((levels.max(axis=-1) - levels.min(axis=-1)).mean())


def test_addresses_of_pictures_answer_in_colour(red, context, state, tmp_path, monkeypatch) -> None:
    fresh = replace(context, stamps=StampStore(context.bundle, tmp_path))
    monkeypatch.setattr(routes, "app_context", lambda: fresh)
    picture = Image.open(io.BytesIO(ask(one_url(state, 3)).body))
    red, green, blue = np.asarray(picture).mean(axis=(0, 1))
    assert red > 1.2 * green > 1.2 * blue
    state.display.colour_map = "viridis"
    assert ask(one_url(state, 3)).code == 200


def test_the_pictures_in_tiles_of_the_map_are_coloured(
    red, context, state, tmp_path, monkeypatch
) -> None:
    fresh = replace(context, stamps=StampStore(context.bundle, tmp_path))
    monkeypatch.setattr(routes, "app_context", lambda: fresh)
    tile = np.asarray(Image.open(io.BytesIO(ask(tile_url(state).format(Z=0, X=0, Y=0)).body)))
    side, middle = SIDE, slice(24, 40)
    cells = tile.reshape(-1, side, tile.shape[1] // side, side, 4).swapaxes(1, 2)
    inside = cells[:, :, middle, middle]
    assert spread(inside[inside[..., 3] == 255][:, :3]) > COLOURED


def test_strips_and_detail_show_colours_and_the_residual_of_the_mean(
    red, context, state, tmp_path
) -> None:
    stamps = StampStore(context.bundle, tmp_path, context.stamps.originals)
    model = context.bundle.manifest.display_model
    strips = Strips(state, stamps, models=[model])
    content = strips._content(np.array([3, 4]), [model])
    assert [line["title"] for line in content["rows"]][::2] == ["Original", "residual"]
    assert "mean of the bands" in content["rows"][2]["notes"][0]
    assert spread(content["sheet"]) > COLOURED
    shown = galaxy_card(state, stamps, 3)
    assert shown.count("<img") == 3
    assert "mean of the bands, blue −0.1, white 0, red +0.1" in shown


@pytest.mark.parametrize("drawn", ["surroundings", "constant"])
def test_the_codes_of_a_codebook_are_in_colour(red, context, tmp_path, drawn) -> None:
    stamps = StampStore(context.bundle, tmp_path)
    model = "k16-modern-8x8"
    found = code_pictures(stamps, model, drawn, "reconstruction")
    side = {"surroundings": 24, "constant": SIDE}[drawn]
    assert found.shape == (16, side, side, 3)
    levels = np.nanmean(found, axis=(0, 1, 2))
    np.testing.assert_allclose(levels / levels[0], RED, rtol=1e-3)


def test_a_picture_of_ones_own_is_shown_in_colour(red, coloured) -> None:
    mine = np.zeros((SIDE, SIDE, 3), np.uint8)
    mine[20:44, 20:44] = (250, 120, 50)
    stream = io.BytesIO()
    Image.fromarray(mine).save(stream, "PNG")
    prepared = prepare_image(coloured, stream.getvalue(), name="mine.png", frame="whole")
    assert spread(preview(prepared, DisplaySettings())) > COLOURED
    drawn = np.zeros((SIDE, SIDE, 3), np.float32)
    found = ImageReport("mine.png", prepared, None, drawn, measure(prepared))
    assert found.stamp.shape == (SIDE, SIDE, 3)
    shown = pictures(found, DisplaySettings())
    assert shown.count("<img") == 4
    assert "mean of the bands" in shown


def test_the_frame_of_a_colour_picture_is_grey_where_the_models_see_one_band(bundle) -> None:
    light = np.random.default_rng(3).uniform(0.5, 1, (SIDE, SIDE, 1))
    stream = io.BytesIO()
    Image.fromarray(np.uint8(light * [250, 120, 50])).save(stream, "PNG")
    prepared = prepare_image(bundle, stream.getvalue(), name="mine.png", frame="whole")
    assert spread(preview(prepared, DisplaySettings())[4:-4, 4:-4]) == 0


@pytest.fixture(scope="module")
def source(context) -> EmulatorSource:
    return EmulatorSource(context)


CAMERA = ObservationSettings(telescope="sdss", pixel_scale_arcsec=0.4, magnitude=16.0)


@pytest.mark.parametrize("wish", [ObservationSettings(), CAMERA], ids=["drawn", "observed"])
def test_what_the_emulator_draws_is_in_colour(source, wish) -> None:
    look = DisplayOptions(DisplaySettings(), wish)
    samples = SamplesView(source, lambda _: None, look.display)
    done(samples, Request(2, 1, {"ttype": 4.0}), look)
    assert spread(samples.view.sheet) > COLOURED
    assert spread(samples.view.real_sheet) > COLOURED
    field = next(field for field in source.emulator.fields if field.name == "ttype")
    for part in (Ladder(source, field, lambda _: None), StageView(source, field, TypeMorph())):
        done(part, Request(1, 2), look)
        assert spread(part.view.sheet) > COLOURED
    samples.on_message({"sample": 1})
    shown = samples.detail.prepare()()
    assert shown.count("<img") == 2


def test_a_coloured_sample_is_measured_on_the_mean_of_its_bands(source) -> None:
    stamp = source.reconstructions(np.array([5]))[0]
    assert stamp.shape == (SIDE, SIDE, 3)
    assert measured(stamp) == pytest.approx(measured(stamp.mean(axis=-1)), nan_ok=True)


def test_large_coloured_pictures_are_averaged_band_by_band() -> None:
    stamps = np.random.default_rng(1).random((2, 25, 25, 3), np.float32)
    bands = [reduced(stamps[..., band], 12) for band in range(3)]
    np.testing.assert_allclose(reduced(stamps, 12), np.stack(bands, axis=-1), rtol=1e-6)


def test_common_limits_are_those_of_all_bands(context) -> None:
    display = DisplaySettings(shared=True)
    found = context.stamps.common_limits(display)
    everything = context.stamps.get(np.arange(len(context.bundle)))
    np.testing.assert_array_equal(found, limits(everything, display)[0])


def test_the_colour_map_that_keeps_the_colours_is_called_so(bundle, state) -> None:
    own = format_colour(state)
    assert own["Colours of the survey"] == "grey"
    assert "Grey" not in own
    assert format_colour(ExplorerState(bundle))["Grey"] == "grey"
    assert len(own) == len(format_colour(ExplorerState(bundle)))
