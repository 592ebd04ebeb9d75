"""The Emulator page as a whole: what it asks for, whose prior draws, what it says without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pages.emulator.evidence import evidence_html
from galaxy_explorer.explorer.pages.emulator.page import EmulatorPage
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.state import ExplorerState
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
    whole = page_of(bundle, tmp_path)
    page = whole.panel
    asked = []

    def start(task) -> None:
        asked.append(task.title)
        task.finished()

    page._finish(page._begun)
    monkeypatch.setattr(page.runner, "start", start)
    page.ask()
    assert asked == []
    page.mode = "Ladder"
    page.mode = "Evidence"
    page.mode = "Samples"
    assert asked == ["Ladder of types, seed 1"]
    page.controls.on_message("seed", {"value": 2})
    assert asked[1:] == ["16 galaxies, T 4, seed 2"]
    page.camera.camera.value = "euclid-vis"
    assert asked[2:] == ["16 galaxies, T 4, seed 2, Euclid VIS, wide survey"]
    with pytest.raises(RequestError, match="still being drawn"):
        page.prepare_file("fits")
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
    assert [words.rsplit("(")[-1] for words in page.chooser.options] == [
        "PixelCNN)", "rectified flow)"
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
