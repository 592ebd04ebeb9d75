"""My galaxy: a picture is examined or refused with a sentence, and nothing of it stays."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import tempfile
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from msgspec import structs
from PIL import Image

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.classification import Classification, Membership, ModelReading
from galaxy_explorer.errors import BadImage, Busy
from galaxy_explorer.explorer.background import beside
from galaxy_explorer.explorer.pages.my_galaxy import examination
from galaxy_explorer.explorer.pages.my_galaxy import page as my_galaxy
from galaxy_explorer.explorer.pages.my_galaxy.examination import (
    MEASURES,
    Measured,
    look_alikes,
    ood_sentence,
    preview,
    read,
    sparsity_percentile,
)
from galaxy_explorer.explorer.pages.my_galaxy.page import MyGalaxyPage
from galaxy_explorer.explorer.pictures.originals import example_rows, png
from galaxy_explorer.explorer.search import bundle_sparsity
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.wording import first_line
from tests.explorer.fakes import SIDE
from tests.small_bundle import CONVAE

HOSTILE_NAME = '"><img src=x onerror=alert(1)>.png'


def galaxy_picture() -> bytes:
    y, x = np.mgrid[-40:40, -40:40]
    pixels = (
        40
        + 200 * np.exp(-np.hypot(x, y / 0.6) / 8)
        + np.random.default_rng(0).normal(0, 2, x.shape)
    )
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def galaxy_fits() -> bytes:
    y, x = np.mgrid[-60:60, -60:60]
    flux = 900 * np.exp(-np.hypot(x, y / 0.6) / 5) + np.random.default_rng(0).normal(
        100, 3, x.shape
    )
    buffer = io.BytesIO()
    fits.PrimaryHDU(flux.astype(np.float32)).writeto(buffer)
    return buffer.getvalue()


def classified(bundle: Bundle, stamps: np.ndarray) -> list[Classification]:
    """A stand-in for the models: the same codes, the third galaxy's place in code space."""
    codes = {
        name: np.zeros(64) if m.has_latents else np.ones((m.config["map_size"],) * 2, np.uint16)
        for name, m in bundle.models.items()
    }
    readings = {name: ModelReading(one, 0.001, 50.0) for name, one in codes.items()}
    members = {
        key: Membership(
            1, 0.7, np.eye(64)[1] * 0.7, 0.0, 0.0, one.feature_values[3].astype(np.float64)
        )
        for key, one in bundle.clusterings.items()
    }
    return [Classification("", "", "no", readings, members)]


@pytest.fixture
def view(state, context, monkeypatch) -> MyGalaxyPage:
    monkeypatch.setattr(examination, "classify_stamps", classified)
    drawn = lambda _, model, codes: np.zeros((1, 1, SIDE, SIDE), np.float32)  # noqa: E731
    monkeypatch.setattr(Bundle, "draw", drawn, raising=False)
    statistics = Measured(dict.fromkeys(MEASURES, 0.5), 0, linear=True)
    monkeypatch.setattr(examination, "measure", lambda _: statistics)
    monkeypatch.setattr(my_galaxy, "beside", lambda _, work, *given: work(*given))
    return MyGalaxyPage(state, context)


def drop(view: MyGalaxyPage, name: str, data: bytes | None, size: int = 0) -> None:
    async def message() -> None:
        await view.on_message({"name": name, "size": size or len(data or b""), "data": data})
        view.fill(await asyncio.to_thread(view.prepare()))

    asyncio.run(message())


@pytest.mark.parametrize("data", [galaxy_picture(), galaxy_fits()], ids=["png", "fits"])
def test_a_picture_is_examined(view, state, data) -> None:
    drop(view, HOSTILE_NAME, data)
    assert view.results.visible
    shown = view.shots.object + view.words.object + view.clusters.object + view.measures.object
    assert "<img src=x" not in shown
    assert "Nothing unusual" in view.words.object
    name = state.bundle.cluster_names(state.clustering)[1].name
    assert f"<span>cluster “{name}”</span>" in view.words.object
    assert view.clusters.object.count("<tr>") == 1 + len(state.bundle.clusterings)
    assert len(view.code_map.codes) == view.code_map.side**2
    assert view.alike.rows[0]["tiles"][0]["id"] == 3


def test_a_bundle_of_latents_shows_no_code_map(view, bundle) -> None:
    key = f"{CONVAE}/latents"
    manifest = structs.replace(
        bundle.manifest, models={CONVAE: bundle.models[CONVAE]}, display_model=CONVAE,
        default_clustering=key,
    )  # fmt: skip
    latents = replace(bundle, manifest=manifest, clusterings={key: bundle.clusterings[key]})
    page = MyGalaxyPage(ExplorerState(latents), replace(view.context, bundle=latents))
    drop(page, "mine.png", galaxy_picture())
    assert page.results.visible
    assert not page.code_map.visible


def test_the_first_line_has_the_type_that_was_read_or_that_of_the_look_alikes(bundle) -> None:
    key = bundle.manifest.default_clustering
    member = classified(bundle, np.zeros(1))[0].clusterings[key]
    typed = np.flatnonzero(~np.isnan(bundle.column("ttype")))[:24]
    names = bundle.cluster_names(key)
    line = first_line(bundle, names, member, typed, np.nan)
    mean = float(bundle.column("ttype")[typed].mean())
    assert f"T {mean:.1f}".replace("-", "−") in line[0]
    assert line[0].endswith("of its look-alikes")
    judged = SimpleNamespace(
        ttype_regressor=SimpleNamespace(real=SimpleNamespace(rms=1.6)), column=bundle.column
    )
    line = first_line(judged, names, member, typed, 3.1)
    assert line[0] == "Sab to Sc, T 3.1 ± 1.6"
    assert line[2].startswith("look-alikes: ")


def test_examples_are_galaxies_that_were_held_out(bundle) -> None:
    rows = example_rows(bundle)
    assert set(bundle.column("split")[list(rows.values())]) == {"test"}
    assert Image.open(io.BytesIO(png(np.full((8, 8), 7, np.uint8)))).size == (8, 8)


def test_look_alikes_and_thinness_are_those_of_code_space(bundle) -> None:
    key = bundle.manifest.default_clustering
    member = classified(bundle, np.zeros(1))[0].clusterings[key]
    rows, far = look_alikes(bundle, key, member)
    assert (rows[0], far[0]) == (3, 0.0)
    others, farther = look_alikes(bundle, key, member, own=3)
    assert 3 not in others
    np.testing.assert_array_equal(farther[:-1], far[1 : len(farther)])
    known = bundle_sparsity(bundle, key)
    assert sparsity_percentile(bundle, key, member) <= 100 * (known <= known[3]).mean()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.fits", b"", "empty file"),
        ("text.png", b"no picture at all", "neither FITS, PNG nor JPEG"),
        ("cut.png", galaxy_picture()[:200], "damaged picture"),
        ("cut.fits", galaxy_fits()[:4000], "truncated"),
        (HOSTILE_NAME, b"SIMPLE  = <script>", ""),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(view, name, data, words) -> None:
    drop(view, "good.png", galaxy_picture())
    drop(view, name, data)
    assert words in view.message.object
    assert "<img" not in view.message.object
    assert "<script" not in view.message.object
    assert view.found is None
    assert not view.results.visible
    assert not view.zone.busy


def test_what_is_too_large_is_refused_unread(view) -> None:
    drop(view, "large.fits", None, size=10**9)
    assert "more than 14 MB" in view.message.object
    drop(view, "liar.fits", b"\0" * (view.limit + 1))
    assert "more than 14 MB" in view.message.object


@pytest.mark.parametrize("message", [{}, {"size": 3}, {"size": 1, "data": "text"}])
def test_a_message_that_is_none_does_nothing(view, message) -> None:
    asyncio.run(view.on_message(message))
    assert view.found is None


def test_what_takes_too_long_is_given_up(view, monkeypatch) -> None:
    done = threading.Event()
    monkeypatch.setattr(my_galaxy, "read", lambda *_: done.wait())
    object.__setattr__(view.context.settings, "upload_seconds", 0.05)
    ended = []

    async def visit() -> None:
        await view.take("slow.png", b"x")
        ended.append(not done.is_set())
        done.set()  # the thread that reads it is waited for when the loop closes

    asyncio.run(visit())
    assert ended == [True]
    assert "given up" in view.message.object
    assert not view.zone.busy


def test_nothing_stays(view, tmp_path, monkeypatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    shown_names(view.state.bundle, view.state.clustering)  # opens the log of labels
    before = set(tmp_path.rglob("*"))
    drop(view, "mine.png", galaxy_picture())
    image = weakref.ref(view.found.prepared.image)
    view.forget()
    view.fill(None)
    gc.collect()
    assert image() is None
    assert view._source is None
    assert set(tmp_path.rglob("*")) == before


def test_the_position_needs_the_network_option(view, state) -> None:
    asyncio.run(view.fetch("10 10"))
    assert "Type a position" in view.message.object
    assert view._position_part() == []

    class Cutouts:
        def picture_at(self, ra, dec):
            assert (ra, dec) == (10.0, -0.5)
            return galaxy_picture()

    object.__setattr__(view.context, "cutouts", Cutouts())
    asyncio.run(view.fetch("10 -0.5"))
    assert view.found.name == "SDSS 10 -0.5"


def test_the_preview_frames_what_is_cut(bundle, state, monkeypatch) -> None:
    monkeypatch.setattr(examination, "measure", lambda _: None)
    prepared, _ = read(bundle, galaxy_fits(), "a", "64")
    assert prepared.side == 64
    assert prepared.stamp.shape == (1, SIDE, SIDE)
    shown = preview(prepared, state.display)
    gold = (shown == [255, 176, 0]).all(axis=-1)
    rows, columns = np.nonzero(gold)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (28, 91, 28, 91)


def test_words_follow_the_rule_of_classify() -> None:
    def said(percentile: float, thin: float, verdict: str = "no") -> str:
        readings = {"m": ModelReading(np.zeros(1), 0.1, percentile)}
        found = Classification("", out_of_distribution=verdict, models=readings)
        return ood_sentence(found, "m", thin)

    assert said(50, 50).startswith("Nothing unusual")
    assert said(95, 10).startswith("Unusual")
    assert said(10, 99.5).startswith("Unusual")
    told = said(10, 10, "yes: fills about half of its frame")
    assert told.startswith("Unlike")
    assert "Fills about half of its frame" in told


def test_real_linear_fits_are_framed_and_measured(bundle, shared_data: Path) -> None:
    paths = sorted((shared_data / "sdss_r_fits" / "efigi_15" / "img-r").glob("*.fits"))[:5]
    good = 0
    for path in paths:
        prepared, measured = read(bundle, path.read_bytes(), path.name, "auto")
        assert prepared.flux is not None
        assert 20 < prepared.side <= min(prepared.image.shape[1:])
        assert -0.2 < prepared.stamp.min() < prepared.stamp.max() <= 1.5
        assert 1.2 < measured.values["concentration"] < 5.5
        good += measured.flag <= 1
    # statmorph measures the sky in one corner, and flags a galaxy that has a neighbour there.
    assert good >= 4


def test_another_hdu_or_band_may_be_typed(view) -> None:
    stream = io.BytesIO()
    planes = fits.open(io.BytesIO(galaxy_fits()))[0].data
    cube = fits.ImageHDU(np.stack([planes, planes]), fits.Header({"BANDS": "JH"}), name="CHIP1")
    other = fits.ImageHDU(planes, name="CHIP2")
    fits.HDUList([fits.PrimaryHDU(), cube, other]).writeto(stream)
    drop(view, "chips.fits", stream.getvalue())
    assert "HDU 1 CHIP1, HDU 2 CHIP2" in view.message.object
    assert view.found is None
    view.hdu.value, view.band.value = "1", "H"
    drop(view, "chips.fits", stream.getvalue())
    assert view.found.prepared.taken.startswith("HDU 1 CHIP1, plane H of J, H")
    assert "HDU 1 CHIP1, plane H of J, H" in view.shots.object
    view.hdu.value = "one"
    drop(view, "chips.fits", stream.getvalue())
    assert "give its number" in view.message.object


def test_a_picture_is_measured_in_another_process(bundle) -> None:
    assert beside(120, os.getpid) != os.getpid()
    little = SimpleNamespace(name=bundle.name, manifest=bundle.manifest)
    _, measured = beside(120, read, little, galaxy_fits(), "a", "64")
    assert np.isfinite(measured.values["gini"])
    with pytest.raises(BadImage, match="a: "):
        beside(120, read, little, b"no picture", "a", "auto")


def test_what_hangs_in_the_other_process_is_killed_and_the_next_is_done() -> None:
    process = beside(120, os.getpid)
    with pytest.raises(TimeoutError):
        beside(0.2, time.sleep, 60)
    assert beside(120, os.getpid) != process


def test_a_process_that_dies_is_said_and_the_next_one_works() -> None:
    with pytest.raises(Busy, match="ended before it was done"):
        beside(120, os._exit, 1)
    assert beside(120, os.getpid) != os.getpid()


def test_examples_can_be_tried_and_are_not_their_own_look_alikes(view, bundle) -> None:
    asyncio.run(view.offer_examples())
    sheet = view.examples
    assert sheet.visible
    tiles = sheet.rows[0]["tiles"]
    assert [tile["words"] for tile in tiles] == list(example_rows(bundle))
    assert sheet.heading.endswith("the originals are not on this machine")
    row = tiles[0]["id"]

    async def click() -> None:
        await view.on_example({"tile": row})
        view.fill(await asyncio.to_thread(view.prepare()))

    asyncio.run(click())
    assert view.found.name == str(bundle.column("galaxy_id")[row])
    assert (view.results.visible, sheet.visible) == (True, False)
    assert row not in [tile["id"] for tile in view.alike.rows[0]["tiles"]]
    view.forget()
    view.fill(None)
    assert sheet.visible
    asyncio.run(view.on_example({"tile": "1"}))
    assert view.found is None


def test_a_picture_that_comes_while_another_is_examined_changes_nothing(view) -> None:
    asyncio.run(view.take("first.png", galaxy_picture(), 3))
    view.zone.busy = True
    asyncio.run(view.take("second.png", galaxy_picture()))
    assert view._own == 3
    assert view._source[0] == "first.png"


def test_what_is_asked_for_during_an_examination_is_done_afterwards(view, monkeypatch) -> None:
    framed = []

    def reading(bundle, data, name, frame, asked):
        framed.append((frame, *asked))
        view.frame, view.band.value = "whole", " r"
        return read(bundle, data, name, frame)

    monkeypatch.setattr(my_galaxy, "read", reading)
    asyncio.run(view.take("mine.png", galaxy_picture()))
    assert framed == [("auto", "", ""), ("whole", "", "r")]
    assert not view.zone.busy


@pytest.mark.parametrize("data", [galaxy_picture(), b"no picture"], ids=["good", "bad"])
def test_a_picture_that_is_forgotten_during_its_examination_does_not_come_back(
    view, monkeypatch, data
) -> None:
    def reading(*given):
        view.forget()
        return read(*given)

    monkeypatch.setattr(my_galaxy, "read", reading)
    asyncio.run(view.take("mine.png", data))
    assert (view.found, view.message.object, view.zone.busy) == (None, "", False)
