"""The queue that learns and the grid, on the server's side: what is learnt, shown and offered."""

from __future__ import annotations

import uuid
from urllib.parse import parse_qsl

import numpy as np
import pytest

from galaxy_explorer.explorer.links import link_query, restore
from galaxy_explorer.explorer.pages.labels.learning import probe_features
from galaxy_explorer.explorer.pages.labels.page import LabelsPage
from galaxy_explorer.explorer.pages.labels.session import LabelSession
from galaxy_explorer.explorer.plots.colouring import UNCERTAINTY, KeptColourings
from galaxy_explorer.explorer.server.routes import frame_colours
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.labels.groups import LEARNING, MEMBERS, SELECTED
from galaxy_explorer.labels.log import Provenance
from galaxy_explorer.labels.store import LabelStore


@pytest.fixture
def store(bundle, tmp_path):
    store = LabelStore(tmp_path / "labels.db", Provenance(bundle.hash, "m", "0.1.0"))
    yield store
    store.close()


@pytest.fixture
def page(state, context, store, monkeypatch) -> LabelsPage:
    page = LabelsPage(state, context, store)
    page.told = []
    monkeypatch.setattr(page.desk, "tell", page.told.append)
    # Without a browser nothing waits for the thread that would fit the probe.
    monkeypatch.setattr(page.lesson, "ask", lambda *_: page.lesson.draw_at_once())
    page.desk._handle_msg({"do": "name", "name": "Ada"})
    return page


def items(session: LabelSession, rows, **more: str) -> list[dict[str, str]]:
    """Labels as somebody gives them who sees the first feature of a galaxy."""
    seen = probe_features(session.state.bundle, session.state.clustering)[:, 0]
    return [
        {"do": "set", "galaxy": session.sample.ids[row], "aspect": "stage",
         "label": "T4" if seen[row] > 0 else "T-2", "event_id": uuid.uuid4().hex, **more}
        for row in rows
    ]  # fmt: skip


def give(page: LabelsPage, rows, **more: str) -> None:
    save(page, items(page.session, rows, **more))


def save(page: LabelsPage, changes: list[dict[str, str]]) -> None:
    page.desk._handle_msg({"do": "save", "annotator": page.session.annotator, "items": changes})


def undo(page: LabelsPage) -> None:
    save(page, [{"do": "undo", "event_id": uuid.uuid4().hex}])


def told_anew(page: LabelsPage) -> list[dict]:
    return [answer["anew"] for answer in page.told if "anew" in answer]


def test_a_blind_session_learns_nothing_unless_it_is_allowed(page):
    give(page, range(60))
    assert page.session.blind
    assert page.session.learner.probe is None
    assert "Blind" in page.learnt.object
    assert page.state.learnt == {}
    assert page.allow.visible
    page.session.learner.allowed = True
    assert page.session.learner.probe.n == 60
    assert "Stands on 60 labels; agrees with" in page.learnt.object
    page.session.learner.allowed = False
    assert page.session.learner.probe is None
    assert page.state.learnt == {}


def test_it_learns_every_twenty_labels_and_says_on_how_many_it_stands(page):
    page.session.blind = False
    give(page, range(19))
    assert "19 so far" in page.learnt.object
    give(page, [19])
    assert page.session.learner.probe.n == 20
    give(page, range(20, 35))
    assert page.session.learner.probe.n == 20
    assert "Stands on 20 labels (15 since)" in page.learnt.object
    give(page, range(35, 41))
    assert page.session.learner.probe.n == 41


def test_labels_that_are_taken_back_are_forgotten(page):
    page.session.blind = False
    give(page, range(22))
    assert page.session.learner.probe.n == 22
    for _ in range(20):
        undo(page)
    assert page.session.learner.probe is None
    assert page.state.learnt == {}


def test_the_agreement_is_counted_by_hand(page):
    page.session.blind = False
    give(page, range(60))
    learner = page.session.learner
    before, last = learner.agreed
    assert before.n == last.n == 20
    assert last.right >= 15, "what is labelled by a feature can be learnt from the features"
    assert f"agrees with {100 * last.right / 20:.0f} % of the last 20" in page.learnt.object
    assert f"{100 * last.common / 20:.0f} %" in page.learnt.object


def test_the_queue_asks_for_what_it_is_least_sure_of(page):
    session = page.session
    session.blind = False
    session.queue = LEARNING
    give(page, range(60))
    assert not set(range(60)) & set(session.order)
    doubt = session.learner.probe.uncertainty
    left = np.sort(doubt[session.order])[::-1]
    assert (doubt[session.order[:20]] >= left[99]).all()
    anew = told_anew(page)[-1]
    assert anew == {"serial": page.serial, "moved": True, "total": len(session.order)}
    page.desk._handle_msg({"do": "more", "first": 0, "serial": anew["serial"]})
    assert [item[0] for item in page.desk.window["items"]][:5] == list(session.order[:5])


def test_another_queue_keeps_its_order(page):
    page.session.blind = False
    before = list(page.session.order)
    give(page, range(20))
    assert list(page.session.order) == before
    assert not told_anew(page)[-1]["moved"]


def test_predictions_are_on_the_screen_only_where_asked_for(page):
    session = page.session
    session.blind = False
    give(page, range(40))
    assert {item[4] for item in session.window(0)["items"]} == {""}
    session.learner.shown = True
    words = session.item(100)[4]
    assert words == session.learner.probe.words(100)
    give(page, [100], prediction=words)
    assert session.store.said("Ada", session.sample.ids[100])["stage"].prediction == words
    session.blind = True
    assert session.item(100)[4] == ""


def test_nothing_that_was_learnt_is_stored_as_a_label(page, store):
    page.session.blind = False
    page.session.queue = LEARNING
    give(page, range(60))
    assert len(store.events()) == 60


def test_what_was_learnt_colours_the_map_in_every_process(page, context):
    page.session.blind = False
    give(page, range(40))
    state = page.state
    assert [key.split("-")[1] for key in state.learnt] == ["class", "ttype", "uncertainty"]
    assert "Predicted class, learnt from 40 labels" in state.colour_choices()
    state.colour_by = next(iter(state.learnt))
    colours = frame_colours(context, state.clustering, state.colour_by)
    assert colours.categories == ("early", "late")
    assert list(colours.values) == list(page.session.learner.probe.classes)
    give(page, range(40, 60))
    assert state.colour_by == next(iter(state.learnt)), "the map goes on with the newer one"
    assert "60 labels" in state.learnt[state.colour_by]
    page._paint(None)
    assert state.page == "atlas"


def test_uncertainty_is_kept_to_three_digits_and_damage_is_seen(bundle, tmp_path):
    kept = KeptColourings(tmp_path / "colourings", bundle.hash, len(bundle))
    values = np.random.default_rng(0).random(len(bundle))
    key = kept.put(UNCERTAINTY, values, "in words")
    colours, words = kept.get(key)
    assert np.abs(colours.values - values).max() < 5e-4
    assert words == "in words"
    other = KeptColourings(tmp_path / "colourings", "0" * 64, len(bundle))
    for store, name in (
        (other, key), (kept, key[:-1]), (kept, "learnt-class-" + "0" * 24),
        (kept, "../" + key), (kept, "ttype"),
    ):  # fmt: skip
        with pytest.raises(KeyError):
            store.get(name)
    path = tmp_path / "colourings" / key
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(KeyError):
        kept.get(key)


def test_label_these_opens_the_grid_with_the_selection(page):
    page.state.select([5, 2, 9], "lasso")
    page.state.label_these()
    assert page.state.page == "labels"
    assert (page.session.queue, page.desk.way) == (SELECTED, "grid")
    assert [item[0] for item in page.desk.window["items"]] == [2, 5, 9]
    page.state.select([7], "another")
    page.state.label_these()
    assert [item[0] for item in page.desk.window["items"]] == [7]


def test_a_link_reopens_queue_and_grid(bundle, state, context):
    state.select([5, 2, 9], "lasso")
    state.label_these()
    asked = dict(parse_qsl(link_query(state, "labels", context.selections)))
    fresh = ExplorerState(bundle)
    assert restore(fresh, asked, context.selections) == []
    assert (fresh.label_queue, fresh.label_way) == (SELECTED, "grid")
    assert list(fresh.selection) == [2, 5, 9]
    bad = asked | {"queue": "<b>", "way": "none"}
    assert len(restore(ExplorerState(bundle), bad, context.selections)) == 2


def test_the_queue_of_a_cluster_holds_its_galaxies_that_have_no_label(page):
    session = page.session
    session.queue = MEMBERS
    page.cluster.value = 1
    members = np.flatnonzero(page.state.labels == 1)
    assert sorted(session.order) == list(members)
    give(page, members[:2])
    page.desk._handle_msg({"do": "name", "name": "Ada"})
    assert sorted(session.order) == list(members[2:])
    other = next(key for key in page.state.bundle.clusterings if key != page.state.clustering)
    page.state.clustering = other
    labels = page.state.labels
    assert {int(labels[row]) for row in session.order} == {session.cluster}


def test_a_grid_is_stored_with_an_event_for_each_galaxy_and_undone_at_once(page, store):
    give(page, range(24), grid="one grid")
    assert [event.grid for event in store.events()] == ["one grid"] * 24
    save(page, [{"do": "undo", "event_id": "u"}])
    answer = [told for told in page.told if "saved" in told][-1]
    assert len(answer["said"]) == 24
    assert "u" in answer["saved"]
    assert store.layer("Ada").galaxies() == {}


@pytest.mark.parametrize("bad", [{"grid": "x" * 61}, {"prediction": "a\nb"}])
def test_a_grid_that_cannot_be_stored_is_refused(page, store, bad):
    give(page, range(2), **bad)
    answer = [told for told in page.told if "saved" in told][-1]
    assert len(answer["refused"]) == 2
    assert store.events() == []
