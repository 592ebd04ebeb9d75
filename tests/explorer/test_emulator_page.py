"""The Emulator page as a whole: what it asks for, whose prior draws, what it says without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pytest
from bokeh.plotting import figure
from msgspec.structs import replace as replace_struct

from galaxy_explorer.bundle.bundle import Bundle, load_bundle, load_demo
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.request import Like, Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore, link_query, restore
from galaxy_explorer.explorer.pages.emulator.evidence import evidence_html
from galaxy_explorer.explorer.pages.emulator.page import EmulatorPage
from galaxy_explorer.explorer.pages.emulator.source import EmulatorSource
from galaxy_explorer.explorer.pages.emulator.views import headline_words
from galaxy_explorer.explorer.pictures.display import DisplaySettings
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.pictures.tiles import unit_map
from galaxy_explorer.explorer.plots.ghosts import GhostLayer
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.job_bar import JobRunner
from galaxy_explorer.settings import read_settings
from tests.explorer.test_emulator_view import done
from tests.small_bundle import PRIOR, write_small_bundle
from tests.small_emulation import small_emulation
from tests.small_flow import add_small_flow, add_small_rectified


def page_of(bundle: Bundle, folder: Path) -> EmulatorPage:
    store = SelectionStore(folder / "selections", bundle.hash, len(bundle), 10)
    stamps = StampStore(bundle, folder / "stamps")
    context = AppContext(bundle, stamps, None, store, read_settings({}))
    return EmulatorPage(ExplorerState(bundle), context)


def test_the_page_asks_for_what_is_shown_and_only_once(bundle, tmp_path, monkeypatch) -> None:
    asked = []

    def start(_runner, task) -> None:
        asked.append(task.title)
        task.finished()

    monkeypatch.setattr(JobRunner, "start", start)
    whole = page_of(bundle, tmp_path)
    page, stage = whole.panel, "The galaxy under the slider"
    assert asked == [stage, "16 galaxies, T 4, seed 4"]
    page.ask()
    page.mode = "Ladder"
    page.mode = "Evidence"
    page.mode = "Samples"
    assert asked[2:] == ["Ladder of types, seed 4"]
    page.controls.on_message("ttype", {"value": 2.5})
    assert asked[3:] == ["16 galaxies, T 2.5, seed 4"]  # the galaxy under the slider is there
    page.drag(3)
    assert asked[4:] == [stage]
    page.controls.on_message("seed", {"value": 2})
    assert asked[5:] == [stage, "16 galaxies, T 2.5, seed 2"]
    page.camera.camera.value = "euclid-vis"
    assert asked[7:] == [stage, "16 galaxies, T 2.5, seed 2, Euclid VIS, wide survey"]
    with pytest.raises(RequestError, match="still being drawn"):
        page.prepare_file("fits")
    whole.context.stamps.close()


@pytest.fixture
def nothing_drawn(monkeypatch) -> None:
    monkeypatch.setattr(JobRunner, "start", lambda _runner, _task: None)
    monkeypatch.setattr(EmulatorSource, "measure_references", lambda _source: None)


@pytest.mark.usefixtures("nothing_drawn")
def test_an_address_reopens_what_is_asked_for(bundle, tmp_path) -> None:
    whole = page_of(bundle, tmp_path)
    page = whole.panel
    page.controls.on_message("ttype", {"value": -3.0})
    page.controls.on_message("magnitude", {"value": page.emulator.fields[1].default})
    page.controls.on_message("seed", {"value": 77})
    page.controls.on_message("guidance", {"value": 1.5})
    page.drag(5)
    page.camera.camera.value = "hst-f814w"
    page.camera._on_number("scale", {"value": 0.1})
    page.mode = "Ladder"
    query = link_query(whole.state, "emulator", None)
    words = dict(parse_qsl(query))
    assert (words["t"], words["seed"], words["show"]) == ("-3", "77", "ladder")
    fresh = ExplorerState(bundle)
    assert restore(fresh, words, whole.context.selections) == []
    again = EmulatorPage(fresh, whole.context)
    assert again.panel.controls.request == page.controls.request
    assert again.panel.camera.observation == page.camera.observation
    assert again.panel.mode == "Ladder"
    assert link_query(fresh, "emulator", None) == query
    page.controls.on_message("magnitude", {"value": None})
    page.controls.on_message("ttype", {"value": None})
    words = dict(parse_qsl(link_query(whole.state, "emulator", None)))
    assert words["t"] == "any"
    assert "magnitude" not in words
    whole.context.stamps.close()


REFUSED = (
    ("t", "99"), ("t", "late"), ("t", "nan"), ("seed", "-1"), ("seed", "1.5"), ("n", "65"),
    ("guidance", "inf"), ("temperature", ""), ("magnitude", "bright"), ("like", "M 31"),
    ("telescope", "jwst"), ("scale", "wide"),
)  # fmt: skip


@pytest.mark.usefixtures("nothing_drawn")
def test_what_a_link_cannot_have_is_said_and_changes_nothing(bundle, tmp_path) -> None:
    whole = page_of(bundle, tmp_path)
    page = whole.panel
    before = page.controls.request, page.camera.observation
    for word, text in REFUSED:
        (complaint,) = page.restore({word: text})
        assert word in complaint
        assert (page.controls.request, page.camera.observation) == before
    assert page.restore({"another": "page's", "x": "1"}) == []
    whole.context.stamps.close()


def test_a_bundle_without_a_prior_says_how_to_make_one(tmp_path) -> None:
    bundle = load_bundle(write_small_bundle(tmp_path / "none", n=60, prior=None))
    page = page_of(bundle, tmp_path)
    assert "galaxy-explorer prior" in page.view[0][0].object
    page.context.stamps.close()


def test_the_proof_is_shown_with_goals_floors_and_control(bundle) -> None:
    assert "--emulator" in evidence_html(bundle)
    shown = evidence_html(replace(bundle, emulation=small_emulation()))
    for words in ("0.900 to 1.10", "labels of other galaxies", "floor", "met", "Guidance", "T −3",
                  "p (Holm) &lt; 1e-6", "p (Holm) 1"):  # fmt: skip
        assert words in shown
    assert "Beside it" not in shown
    both = evidence_html(replace(bundle, emulation=small_emulation(beside=True)))
    assert "Beside it: the prior of convae-conv" in both
    assert "neural spline flow over latents" in both


@pytest.fixture(scope="module")
def with_flow(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("latents")
    return load_bundle(add_small_flow(write_small_bundle(folder / "both", n=60)))


def test_a_prior_over_latents_draws_whole_galaxies_beside_their_nearest(
    with_flow, tmp_path
) -> None:
    page = page_of(with_flow, tmp_path)
    assert list(page.chooser.options.values()) == [page.panel.emulator.key, "convae-conv/flow"]
    first = page.panel
    page.chooser.value = "convae-conv/flow"
    panel = page.panel
    assert (first.shown, panel.shown) == (False, True)
    assert panel.source.queue is first.source.queue
    assert not panel.controls.guidance.visible
    assert page.view[0] is panel.view
    steps = done(panel.samples, Request(3, 1, {"ttype": 4.0}))
    assert [step.share for step in steps] == [0.9, 1.0]
    assert len(panel.samples.view.cards) == 3
    assert "latents" in panel.samples.view.heading
    latents = panel.source.bundle.encoded("convae-conv")
    train = np.flatnonzero(np.asarray(with_flow.column("split")) == "train")
    rows, far = panel.source.likeness.nearest(latents[train[:2]])
    np.testing.assert_array_equal(rows, train[:2])
    np.testing.assert_array_equal(far, 0)
    page.chooser.value = first.emulator.key
    assert page.panel is first
    page.context.stamps.close()


def test_two_priors_of_one_model_are_chosen_by_name_and_the_flow_sharpens(tmp_path) -> None:
    bundle = load_bundle(add_small_rectified(write_small_bundle(tmp_path / "two", n=60)))
    page = page_of(bundle, tmp_path)
    assert [words.split("(", 1)[1] for words in page.chooser.options] == [
        "PixelCNN)", "rectified flow) (recommended)"
    ]  # fmt: skip
    panel = page.panel
    assert panel.emulator.kind.name == "rectified"
    steps = done(panel.samples, Request(3, 1, {"ttype": 4.0}))
    assert [step.share for step in steps] == pytest.approx([*(0.15 * np.arange(1, 7)), 1.0])
    sheets = [step.content[0] for step in steps]
    assert len(set(sheets[:6])) > 1  # pictures of its own at each step, all of them whole
    assert len(panel.samples.view.cards) == 3
    page.chooser.value = f"{PRIOR}/pixelcnn"
    assert page.panel.emulator.kind.name == "pixelcnn"
    page.context.stamps.close()


@pytest.fixture(scope="module")
def reversible(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("flow")
    return load_bundle(add_small_rectified(write_small_bundle(folder / "flow", n=60)))


@pytest.mark.usefixtures("nothing_drawn")
def test_galaxies_like_one_of_the_survey_stand_beside_it_type_by_type(reversible, tmp_path) -> None:
    page = page_of(reversible, tmp_path)
    row = int(np.flatnonzero(np.isfinite(reversible.column("ttype")))[0])
    name = str(reversible.column("galaxy_id")[row])
    page.state.generate_like(row)
    panel = page.panel
    asked = panel.controls.request
    assert page.state.page == "emulator"
    assert page.state.like is None
    assert asked.like == Like(name)
    assert asked.condition == {"ttype": round(2 * float(reversible.column("ttype")[row])) / 2}
    assert panel.controls.change.visible
    assert panel.address()["like"] == name
    steps = done(panel.stage, asked)
    assert steps[0].content["original"] is not None
    assert panel.stage.view.original_words.startswith(name)
    wanted = panel._wanted(asked, panel.options)
    assert wanted.request.condition["ttype"] == tuple(map(float, panel.types))
    assert wanted.request.same_noise
    steps = done(panel.samples, wanted.request)
    assert panel.samples.view.cards[0]["lines"][0][0].startswith("asked T")
    codes = panel.emulator.codes(asked)
    np.testing.assert_array_equal(codes, panel.emulator.codes(asked))
    page.context.stamps.close()


def test_galaxies_like_one_are_a_function_of_what_is_asked(reversible) -> None:
    emulator = Emulator.open(reversible, kind="rectified")
    name = str(reversible.column("galaxy_id")[0])
    request = Request(2, 3, {"ttype": 4.0}, like=Like(name, 0.5))
    drawn = emulator.codes(request)
    np.testing.assert_array_equal(drawn, emulator.codes(request))
    np.testing.assert_array_equal(drawn[1:], emulator.codes(replace(request, count=1, first=1)))
    for other in (Like(name, 0.6), Like(str(reversible.column("galaxy_id")[1]), 0.5), None):
        changed = replace(request, like=other)
        assert changed.identity != request.identity
        assert not np.array_equal(drawn, emulator.codes(changed))
    with pytest.raises(RequestError, match="from noise alone"):
        Emulator.open(reversible, kind="pixelcnn").codes(request)
    with pytest.raises(RequestError, match="change"):
        emulator.codes(replace(request, like=Like(name, 0.0)))
    with pytest.raises(RequestError, match="not a galaxy"):
        emulator.codes(replace(request, like=Like("NGC 0")))


def test_a_galaxy_asked_for_as_it_is_comes_back_and_as_another_type_is_read_as_that() -> None:
    """The law of galaxies like one, on the flow that ships."""
    emulator = Emulator.open(load_demo())
    ttype = np.asarray(emulator.bundle.column("ttype"))
    row = int(np.flatnonzero(np.abs(ttype + 1) < 0.3)[0])
    like = Like(str(emulator.bundle.column("galaxy_id")[row]), 1.0)
    request = Request(2, 1, {"ttype": (float(ttype[row]), 7.0)}, same_noise=True, like=like)
    same, late = (emulator.codes(request) == emulator.bundle.codes(emulator.model)[row]).mean(
        (1, 2)
    )
    assert same > 0.25  # of 512 codes, in all places
    assert same > 2 * late
    blue = emulator.decode(emulator.codes(request)).mean((2, 3))  # in the bands i, r, g
    assert blue[1, 2] - blue[1, 0] > blue[0, 2] - blue[0, 0]


@pytest.mark.usefixtures("nothing_drawn")
def test_samples_are_placed_on_the_map_beside_galaxies(reversible, tmp_path) -> None:
    page = page_of(reversible, tmp_path)
    source, key = page.panel.source, reversible.manifest.default_clustering
    clustering = reversible.clusterings[key]
    known = reversible.codes(clustering.model)[:3]
    ghosts = source.ghosts(Request(3, 1), known, key, DisplaySettings())
    assert ghosts.places.shape == (3, 2)
    assert all(address.startswith("data:image/jpeg") for address in ghosts.pictures)
    # Of galaxies of the bundle themselves: near to where these are.
    apart = np.linalg.norm(ghosts.places - unit_map(clustering.coordinates)[:3], axis=1)
    spread = np.linalg.norm(np.std(unit_map(clustering.coordinates), axis=0))
    assert np.median(apart) < spread
    layer = GhostLayer(figure())
    layer.show(ghosts, key)
    assert len(layer.source.data["x"]) == 3
    layer.show(ghosts, "another/map")
    assert layer.source.data["x"] == []
    layer.show(None, key)
    page.context.stamps.close()


def test_the_headline_says_what_was_asked_what_is_read_and_what_real_ones_are(bundle) -> None:
    read = np.array([3.0, 4.0, 5.0])
    assert headline_words(bundle, 4.0, None) == ""
    assert headline_words(bundle, 4.0, read) == (
        "Asked T 4.0: an independent judge reads 4.0 ± 1.0"
    )
    trend = replace_struct(
        small_emulation().trends[0], statistic="read_ttype", kind="real",
        means=(-2.0, *[None] * 6, 3.9, 5.0, 7.1),
    )  # fmt: skip
    judged = replace(bundle, emulation=replace_struct(small_emulation(), trends=(trend,)))
    assert headline_words(judged, 4.0, read).endswith("; real T 4 galaxies are read as 3.9")
    assert headline_words(judged, 9.0, read).endswith("T 6 galaxies and later are read as 7.1")
    assert headline_words(judged, -4.5, read).endswith("T −3 galaxies and earlier are read as −2.0")
    assert "real" not in headline_words(judged, 1.0, read)
    assert headline_words(judged, None, read).startswith("Asked for any T")
