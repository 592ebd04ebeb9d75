"""The Emulator page: what is asked for is checked, drawn, compared and handed over as files."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from galaxy_explorer.emulation.emulator import Field
from galaxy_explorer.emulation.observation import ObservationSettings
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pages.emulator.controls import (
    ConditionControls,
    first_request,
    step_of,
    type_field,
)
from galaxy_explorer.explorer.pages.emulator.detail import MEASURES, measures_html
from galaxy_explorer.explorer.pages.emulator.source import (
    DisplayOptions,
    EmulatorSource,
    along_types,
    made_file,
    reduced,
)
from galaxy_explorer.explorer.pages.emulator.views import (
    LADDER_LINES,
    Ladder,
    SamplesView,
    StageView,
)
from galaxy_explorer.explorer.pictures.display import DisplaySettings
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.settings import read_settings

LOOK = DisplayOptions(DisplaySettings())
CAMERA = ObservationSettings(telescope="sdss", pixel_scale_arcsec=0.4, magnitude=16.0)


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def context(bundle, tmp_path_factory) -> AppContext:
    folder = tmp_path_factory.mktemp("emulator")
    store = SelectionStore(folder / "selections", bundle.hash, len(bundle), 10)
    stamps = StampStore(bundle, folder / "stamps")
    return AppContext(bundle, stamps, None, store, read_settings({}))


@pytest.fixture(scope="module")
def source(context) -> EmulatorSource:
    return EmulatorSource(context)


def done(part, request: Request, look: DisplayOptions = LOOK) -> list:
    """Let a part of the page do its work; the steps."""
    part.begin(request, look, "so asked")
    steps = list(part.work(request, look)(never))
    for step in steps:
        part.show(step.content)
    return steps


def test_galaxies_come_row_by_row_and_then_with_their_neighbours(source) -> None:
    focused = []
    samples = SamplesView(source, focused.append, DisplaySettings())
    steps = done(samples, Request(3, 1, {"ttype": 4.0}))
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert len(steps) == source.emulator.code_shape[0] + 1
    assert len(samples.view.cards) == samples.view.count == 3
    samples.on_message({"focus": samples.view.cards[0]["row"]})
    samples.on_message({"focus": 10**9})
    samples.on_message({"focus": "0"})
    assert focused == [samples.view.cards[0]["row"]]
    assert Image.open(io.BytesIO(samples.view.sheet)).info["comment"].startswith(b"SYNTHETIC=T")
    again = done(samples, Request(3, 1, {"ttype": 4.0}))
    assert len(again) == 2
    assert again[-1].content[0] == steps[-1].content[0]


def test_galaxies_stay_until_as_many_others_come_and_are_never_cut_in_another_way(source) -> None:
    samples = SamplesView(source, lambda _: None, DisplaySettings())
    done(samples, Request(3, 1))
    shown = samples.view.sheet
    samples.begin(Request(3, 2), LOOK, "another seed")
    assert samples.view.pending
    assert samples.view.sheet == shown
    samples.begin(Request(12, 2), LOOK, "more of them")
    assert samples.view.sheet is None
    done(samples, Request(3, 1))
    samples.begin(Request(3, 1), replace(LOOK, twins=True), "with twins")
    assert samples.view.sheet is None


def test_a_sample_is_measured_beside_its_real_neighbour_on_the_real_distribution(source) -> None:
    samples = SamplesView(source, lambda _: None, DisplaySettings())
    done(samples, Request(2, 1, {"ttype": 4.0}))
    samples.on_message({"sample": 1})
    assert samples.view.chosen == 1
    shown = samples.detail.prepare()()
    assert shown.count("<img") == 2
    assert "SYNTHETIC" in shown
    assert "Concentration C" in shown
    samples.on_message({"sample": 1})
    assert samples.view.chosen == -1
    assert samples.detail.prepare()() == ""


def test_the_bar_holds_two_thirds_of_the_real_galaxies() -> None:
    references = [dict.fromkeys(MEASURES, float(value)) for value in range(11)]
    references[3]["gini"] = float("nan")
    shown = measures_html(dict.fromkeys(MEASURES, 5.0), references[0], references)
    assert shown.count('class="dot"') == len(MEASURES)
    assert 'style="left:16.0%;width:68.0%"' in shown
    assert "two thirds of 11" in shown
    assert 'class="dot"' not in measures_html(references[0], references[0], [])


def test_real_galaxies_are_measured_one_at_a_time(source, monkeypatch) -> None:
    monkeypatch.setattr(
        "galaxy_explorer.explorer.pages.emulator.source.measured",
        lambda stamp: {"gini": stamp.max()},
    )
    assert source.references == []
    source.measure_references()
    end = time.monotonic() + 60
    while not source.references and time.monotonic() < end:
        time.sleep(0.01)
    assert len(source.references) == len(source._reference_stamps)


def test_what_is_too_large_to_show_is_averaged() -> None:
    stamps = np.arange(2 * 25, dtype=np.float32).reshape(2, 5, 5)
    np.testing.assert_array_equal(reduced(stamps, 5), stamps)
    np.testing.assert_allclose(reduced(stamps, 3)[0, 0], [(0 + 1 + 5 + 6) / 4, (2 + 3 + 7 + 8) / 4])


def test_the_nearest_galaxy_is_the_nearest_in_code_vectors(source) -> None:
    emulator = source.emulator
    codes = emulator.codes(Request(2, 9))
    vectors = source.bundle.load_model(emulator.model).codebook.numpy()
    train = np.flatnonzero(source.bundle.column("split") == "train")
    known = vectors[source.bundle.codes(emulator.model)[train]]
    offset = known[None] - vectors[codes][:, None]
    far = np.sqrt(np.square(offset).sum(-1).mean((2, 3)))
    rows, found = source.likeness.nearest(codes)
    np.testing.assert_array_equal(rows, train[far.argmin(1)])
    np.testing.assert_allclose(found, far.min(1), rtol=1e-4)
    itself = source.likeness.nearest(source.bundle.codes(emulator.model)[train[:2]])
    np.testing.assert_array_equal(itself[0], train[:2])


def test_likelihoods_are_ranked_among_held_out_galaxies(source) -> None:
    request = Request(4, 2, {"ttype": 1.0})
    facts = source.facts(request, source.emulator.codes(request))
    usual = source.likeness._usual_log_prob(("ttype",))
    np.testing.assert_allclose(facts.percentile, [(usual < x).mean() * 100 for x in facts.log_prob])


def test_a_ladder_has_real_galaxies_above_and_one_noise_along_a_line(source) -> None:
    focused = []
    field = source.emulator.fields[0]
    ladder = Ladder(source, field, focused.append)
    steps = done(ladder, Request(16, 5, {"ttype": 4.0}))
    assert ladder.view.ready == LADDER_LINES * len(ladder.types)
    ttype = source.bundle.column("ttype")
    for place, row in enumerate(ladder._real):
        assert row < 0 or abs(ttype[row] - ladder.types[place % len(ladder.types)]) <= 0.5
    ladder.on_message({"real": 0})
    assert focused == [ladder._real[0]]
    assert steps[-1].share == 1
    side = Image.open(io.BytesIO(ladder.view.sheet)).size
    assert side == (64 * len(ladder.types), 64 * LADDER_LINES)


def test_twins_stand_beside_samples_and_below_the_lines_of_a_ladder(source, monkeypatch) -> None:
    monkeypatch.setattr(source, "twins", lambda codes: np.ones((len(codes), 64, 64), np.float32))
    look = DisplayOptions(DisplaySettings(interval="minmax"), twins=True)
    samples = SamplesView(source, lambda _: None, DisplaySettings())
    steps = done(samples, Request(3, 77, {"ttype": 4.0}), look)
    picture = np.asarray(Image.open(io.BytesIO(samples.view.sheet)))
    assert picture.shape == (64, 8 * 128, 3)
    assert samples.view.twins
    assert "before the PSF" in samples.view.heading
    assert (picture[:, 64:128] > 250).all()
    first = np.asarray(Image.open(io.BytesIO(steps[0].content[0])))
    assert (first[:, 70:122] < 9).all()  # no twin of what is not whole
    ladder = Ladder(source, source.emulator.fields[0], lambda _: None)
    done(ladder, Request(16, 5, {"ttype": 4.0}), look)
    columns = len(ladder.types)
    assert ladder.view.ready == 2 * LADDER_LINES * columns
    picture = np.asarray(Image.open(io.BytesIO(ladder.view.sheet)))
    assert picture.shape == (2 * LADDER_LINES * 64, columns * 64, 3)
    assert (picture[LADDER_LINES * 64 :] > 250).all()
    labels = [line["label"] for line in ladder.view.lines]
    assert labels == ["Real"] * 2 + ["Synthetic", "Twin"] * LADDER_LINES
    twins = [line["first"] for line in ladder.view.lines if line["label"] == "Twin"]
    assert twins == [(LADDER_LINES + line) * columns for line in range(LADDER_LINES)]


def test_the_galaxy_under_the_slider_is_there_at_every_half_stage(source) -> None:
    field = source.emulator.fields[0]
    stage = StageView(source, field, type_field(field))
    done(stage, Request(1, 5))
    values = stage.view.values
    np.testing.assert_allclose(np.diff(values), 0.5)
    assert field.low <= values[0] < field.low + 0.5
    assert field.high - 0.5 < values[-1] <= field.high
    picture = Image.open(io.BytesIO(stage.view.sheet))
    assert picture.size == (8 * 64, -(-len(values) // 8) * 64)
    again = list(stage.work(Request(1, 5), LOOK)(never))
    assert [step.content for step in again] == [{"sheet": stage.view.sheet}]


def test_a_frame_is_the_first_sample_of_its_type_and_seed(source) -> None:
    values = [0.5, 4.0]
    frames = source.emulator.codes(along_types(Request(1, 5), values))
    for frame, value in zip(frames, values, strict=True):
        sample = source.emulator.codes(Request(3, 5, {"ttype": value}))[0]
        np.testing.assert_array_equal(frame, sample)


def test_what_the_first_visitor_drags_is_drawn_before_anybody_comes(context) -> None:
    fresh = EmulatorSource(context)
    fresh.warm()
    first = first_request(fresh.emulator.fields)
    stage = along_types(first, type_field(fresh.emulator.fields[0]).values)
    end = time.monotonic() + 60
    while not {first.identity, stage.identity} <= {*fresh._kept} and time.monotonic() < end:
        time.sleep(0.01)
    assert list(fresh._kept) == [stage.identity, first.identity]  # what is dragged comes first


def test_a_camera_gives_its_own_pixels_and_refuses_what_is_too_large(source) -> None:
    samples = SamplesView(source, lambda _: None, DisplaySettings())
    done(samples, Request(2, 1, {"ttype": 4.0}), DisplayOptions(DisplaySettings(), CAMERA))
    stamps = samples.made[2]
    assert stamps.shape == (2, 65, 65)  # 64 pixels of 0.4 arcsec on those of 0.396
    with pytest.raises(RequestError, match="pixels a side: at most"):
        done(
            samples,
            Request(2, 1),
            DisplayOptions(DisplaySettings(), ObservationSettings("hst-f814w", None, 0.7)),
        )


def test_files_say_that_they_are_synthetic(source) -> None:
    request = Request(2, 7, {"ttype": -2.0})
    codes = source.emulator.codes(request)
    facts = source.facts(request, codes)
    made = {
        kind: made_file(source, request, codes, facts, observation=ObservationSettings(), kind=kind)
        for kind in ("fits", "png", "ecsv")
    }
    assert all(name.startswith("synthetic") for name, _ in made.values())
    with fits.open(io.BytesIO(made["fits"][1])) as opened:
        assert opened[0].header["SYNTHETIC"] is True
        assert opened[0].data.shape == (2, 64, 64)
        assert "nearest_real" in opened["CATALOG"].columns.names
    assert Image.open(io.BytesIO(made["png"][1])).text["SYNTHETIC"] == "T"
    assert b"SYNTHETIC" in made["ecsv"][1]


@pytest.fixture
def wishes(source) -> tuple[ConditionControls, list[str]]:
    refused = []
    return ConditionControls(source.emulator.fields, 1.0, refused.append), refused


@pytest.mark.parametrize("value", [99, -99.0, float("nan"), float("inf")])
def test_what_the_browser_sends_is_checked(wishes, value) -> None:
    made, refused = wishes
    before = made.request
    made.on_message("ttype", {"value": value})
    assert "ttype" in refused[0]
    assert made.request is before
    assert made.conditions["ttype"].value == before.condition["ttype"]
    made.on_message("temperature", {"value": value})
    assert "temperature" in refused[1]


def test_more_than_the_page_shows_is_refused_with_the_way_to_get_it(wishes) -> None:
    made, refused = wishes
    made.on_message("count", {"value": 65})
    assert "galaxy-explorer generate" in refused[0]
    made.on_message("count", {"value": 64})
    assert made.request.count == 64
    for seed in (-1, 2.5, "one", None, True):
        made.on_message("seed", {"value": seed})
        assert f"seed {seed!r}" in refused[-1]
    assert made.seed.value == 4


def test_reset_forgets_all_but_the_seed_and_any_frees_a_field(wishes) -> None:
    made, refused = wishes
    for name, value in (("seed", 9), ("ttype", -1.0), ("temperature", 0.5), ("guidance", 2.0)):
        made.on_message(name, {"value": value})
    assert made.words(typed=True) == "T −1, seed 9"
    assert (made.conditions["ttype"].value, made.temperature.value) == (-1.0, 0.5)
    made.reset()
    assert made.request == replace(made.first, seed=9)
    assert (made.conditions["ttype"].value, made.temperature.value) == (4.0, 1.0)
    made.on_message("ttype", {"value": None})
    assert made.conditions["ttype"].value is None
    assert made.words(typed=True) == "seed 9"
    assert refused == []


def test_a_class_is_one_of_its_words() -> None:
    fields = [Field("ttype", "T", "", -5, 9, 3, "ttype"), *(
        Field(word, word.title(), "", 0, 1, 1, "class", equals=word) for word in ("round", "spiral")
    )]  # fmt: skip
    made = ConditionControls(fields, None, pytest.fail)
    for word in ("round", "spiral"):
        made.kind.value = word
        assert made.request.condition == {"ttype": 4.0, word: 1.0}
    assert made.words(typed=True) == "T 4, Spiral, seed 4"
    made.kind.value = ""
    assert made.request.condition == {"ttype": 4.0}


def test_a_field_is_fixed_or_left_to_the_prior(wishes) -> None:
    made, refused = wishes
    made.on_message("ttype", {"value": None})
    assert "ttype" not in made.request.condition
    made.on_message("magnitude", {"value": made.fields[1].default})
    assert set(made.request.condition) == {"magnitude"}
    assert refused == []
    assert made.changed == 2


def test_steps_are_round(source) -> None:
    for field in source.emulator.fields:
        count = (field.high - field.low) / step_of(field)
        assert 20 <= count <= 100
