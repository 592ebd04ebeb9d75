from __future__ import annotations

import uuid

import numpy as np
import panel as pn
import pytest

from galaxy_explorer.explorer.pages.labels.page import LabelsPage
from galaxy_explorer.explorer.pages.labels.session import WINDOW, LabelSession
from galaxy_explorer.explorer.widgets.cluster_names import name_cluster
from galaxy_explorer.labels.groups import DISAGREEMENTS, EVERYTHING, SELECTED, UNCERTAIN
from galaxy_explorer.labels.log import Provenance
from galaxy_explorer.labels.store import LabelStore
from galaxy_explorer.labels.tables import table as label_table


@pytest.fixture
def store(bundle, tmp_path):
    store = LabelStore(tmp_path / "labels.db", Provenance(bundle.hash, "m", "0.1.0"))
    yield store
    store.close()


@pytest.fixture
def session(store, state) -> LabelSession:
    session = LabelSession(store, state)
    session.begin("Ada")
    session.refill()
    return session


@pytest.fixture
def page(state, context, store, monkeypatch) -> LabelsPage:
    page = LabelsPage(state, context, store)
    page.told = []
    monkeypatch.setattr(page.desk, "tell", page.told.append)
    page.desk._handle_msg({"do": "name", "name": "Ada"})
    return page


def item(galaxy: str, label: str = "T3", aspect: str = "stage", **more: str) -> dict[str, str]:
    made = {"do": "set", "galaxy": galaxy, "aspect": aspect, "label": label}
    return made | {"event_id": uuid.uuid4().hex} | more


def save(session: LabelSession, items) -> dict:
    return session.save(session.annotator, items)


def test_a_change_is_acknowledged_by_its_event_after_the_commit(session, store):
    sent = [item("galaxy-0001"), item("galaxy-0002", "bar", "bar", confidence="low")]
    answer = save(session, sent)
    assert answer["saved"] == [one["event_id"] for one in sent]
    assert answer["said"]["galaxy-0002"] == {"bar": "bar"}
    assert [event.target for event in store.events()] == ["galaxy-0001", "galaxy-0002"]
    assert {event.model for event in store.events()} == {session.state.clustering}


def test_the_same_parcel_twice_is_stored_once(session, store):
    sent = [item(f"galaxy-{i:04d}") for i in range(5)]
    assert save(session, sent)["saved"] == save(session, sent)["saved"]
    assert len(store.events()) == 5


@pytest.mark.parametrize(
    "bad",
    [
        {"galaxy": "no such galaxy"},
        {"galaxy": None},
        {"label": "no such label"},
        {"label": ["T3"]},
        {"aspect": "bar"},
        {"aspect": "no such aspect", "label": ""},
        {"confidence": "sure"},
        {"do": "drop"},
        {"note": "x" * 501},
        {"event_id": ""},
    ],
)
def test_what_is_refused_is_said_and_the_rest_is_stored(session, store, bad):
    sent = [item("galaxy-0001"), item("galaxy-0002") | bad, item("galaxy-0003")]
    answer = save(session, sent)
    assert answer["saved"] == [sent[0]["event_id"], sent[2]["event_id"]]
    assert list(answer["refused"]) == [sent[1]["event_id"]]
    assert len(store.events()) == 2


def test_undo_names_the_galaxy_to_go_back_to(session):
    save(session, [item("galaxy-0007")])
    answer = save(session, [{"do": "undo", "event_id": "u1"}])
    assert answer["show"][:2] == [7, "galaxy-0007"]
    assert answer["said"] == {"galaxy-0007": {}}
    refused = save(session, [{"do": "undo", "event_id": "u2"}])["refused"]
    assert refused == {"u2": "nothing to undo"}


def test_a_full_disk_is_said_and_nothing_is_acknowledged(session, store):
    store._log._connection.set_authorizer(None)
    store._log._connection.execute("PRAGMA max_page_count=1")
    many = [item(f"galaxy-{i:04d}", note="x" * 500) for i in range(100)]
    answer = save(session, many)
    assert "not saved" in answer["failed"]
    assert answer["saved"] == []
    assert store.events() == []


def test_each_queue_holds_what_it_promises(session, store, state):
    assert sorted(session.order) == list(range(len(state.bundle)))
    save(session, [item("galaxy-0003"), item("galaxy-0004", "T-3")])
    session.refill()
    assert len(session.order) == len(state.bundle) - 2
    session.queue = UNCERTAIN
    session.refill()
    responsibility = state.bundle.clusterings[state.clustering].responsibility[session.order]
    assert (np.diff(responsibility) >= 0).all()
    assert not {3, 4} & set(session.order)
    session.queue = DISAGREEMENTS
    session.refill()
    assert len(session.order) == 0
    other = LabelSession(store, state)
    other.begin("Bo")
    save(other, [item("galaxy-0003", "T5"), item("galaxy-0004", "T-3")])
    session.refill()
    assert list(session.order) == [3]
    state.select([9, 2], "lasso")
    session.queue = SELECTED
    session.refill()
    assert list(session.order) == [2, 9]


def test_two_visitors_have_their_own_queue_and_layer(session, store, state):
    other = LabelSession(store, state)
    other.begin("Bo")
    other.queue = EVERYTHING
    other.refill()
    save(other, [item("galaxy-0001", "T5")])
    save(session, [item("galaxy-0001", "T3")])
    assert session.annotations_of("galaxy-0001") == {"stage": "T3"}
    assert other.annotations_of("galaxy-0001") == {"stage": "T5"}
    assert list(session.order) != list(other.order)


def test_a_window_is_a_part_of_the_queue(session):
    part = session.window(3)
    assert [row for row, *_ in part["items"]] == list(session.order[3 : 3 + WINDOW])
    assert part["total"] == len(session.order)


def test_blind_mode_shows_neither_t_nor_cluster(session, page):
    assert session.item(5)[2] == "galaxy-0005"
    session.blind = False
    assert "cluster" in session.item(5)[2]
    save(page.session, [item("galaxy-0005")])
    other = LabelSession(page.session.store, page.state)
    other.begin("Bo")
    save(other, [item("galaxy-0005", "T-2")])
    page.session.blind = True
    assert "Bo" not in page._about_html(5, "Ada", blind=True)[0]
    assert "T-2" not in page._about_html(5, "Ada", blind=True)[0]
    assert "T-2" in page._about_html(5, "Ada", blind=False)[0]


def test_the_page_asks_for_a_name_once(page):
    assert page.desk.annotator == "Ada"
    assert page.desk.window["total"] == len(page.state.bundle)


def test_a_login_is_the_annotator_and_cannot_be_changed(state, context, store, monkeypatch):
    monkeypatch.setattr(type(pn.state), "user", property(lambda _: "grace"))
    page = LabelsPage(state, context, store)
    assert page.desk.login
    assert page.desk.annotator == "grace"
    page.desk._handle_msg({"do": "name", "name": "Ada"})
    page.desk._handle_msg({"do": "leave"})
    assert page.session.annotator == "grace"


def test_another_name_has_to_be_given_before_anything_is_stored(page):
    page.desk._handle_msg({"do": "leave"})
    page.desk._handle_msg({"do": "save", "items": [item("galaxy-0001")]})
    assert page.session.store.events() == []


def test_a_label_that_waits_stays_with_whoever_gave_it_when_another_one_begins(page):
    page.desk._handle_msg({"do": "leave"})
    page.desk._handle_msg({"do": "name", "name": "Bo"})
    given = {"do": "save", "annotator": "Ada", "items": [item("galaxy-0001")]}
    page.desk._handle_msg(given)
    assert [event.annotator for event in page.session.store.events()] == ["Ada"]
    assert page.told[-1]["said"] == {"galaxy-0001": {}}, "Bo's screen shows what Bo said"


def test_who_logged_in_labels_under_that_name_only(state, context, store, monkeypatch):
    monkeypatch.setattr(type(pn.state), "user", property(lambda _: "grace"))
    page = LabelsPage(state, context, store)
    page.desk._handle_msg({"do": "save", "annotator": "Ada", "items": [item("galaxy-0001")]})
    assert [event.annotator for event in store.events()] == ["grace"]


@pytest.mark.parametrize("name", [["Ada"], " Ada", "A" * 1000])
def test_labels_under_a_name_that_cannot_be_stored_are_refused(page, name):
    sent = [item("galaxy-0001"), {"do": "undo", "event_id": "u1"}]
    page.desk._handle_msg({"do": "save", "annotator": name, "items": sent})
    assert len(page.told[-1]["refused"]) == 2
    assert page.session.store.events() == []


def test_a_log_that_cannot_be_used_is_said_on_the_page(state, context, label_log):
    label_log.write_bytes(b"something else, and long enough to be read" * 40)
    assert "labels.db" in LabelsPage(state, context).view[0].object


def test_a_name_that_cannot_be_stored_is_refused_with_a_reason(page):
    page.desk._handle_msg({"do": "name", "name": " \x00 "})
    assert "name" in page.told[-1]["name_error"]
    assert page.desk.annotator == "Ada"


@pytest.mark.parametrize(
    "message", [{}, {"do": "save", "items": 3}, {"do": "more", "first": "x", "serial": 1},
                {"do": "at", "row": 10**9}, {"do": "at"}]
)  # fmt: skip
def test_impossible_messages_change_nothing(page, message):
    page.desk._handle_msg(message)
    assert page.session.store.events() == []


def test_words_of_annotators_are_escaped(page):
    save(page.session, [item("galaxy-0005", "", "note", note="<script>x</script>")])
    about, _ = page._about_html(5, "Ada", blind=False)
    assert "&lt;script&gt;" in about
    assert "<script>" not in about


def test_many_are_labelled_after_a_question_that_states_the_number(page):
    page.state.select([1, 2, 3], "lasso <b>")
    page.state.clustering = list(page.state.bundle.clusterings)[-1]
    tool = page.tools["Label many at once"]
    tool.target.value, tool.label.value = "", "merger"
    tool.ask.clicks += 1
    assert "3 galaxies" in tool.words.object
    assert "<b>)" not in tool.words.object
    assert page.session.store.events() == []
    tool.sure.clicks += 1
    made = [(event.kind, event.model) for event in page.session.store.events()]
    assert made == [("selection", page.state.clustering)]
    assert not tool.sure.visible
    table = label_table(page.session.store, "labels", page.session.sample)
    assert list(table["derived_features"]) == ["merger"] * 3
    assert set(table["stage"]) == {""}


def test_the_queue_of_a_cluster_has_the_name_that_was_given(page):
    name_cluster(page.state.bundle, page.state.clustering, 1, "blue discs", "Ada")
    page._refresh()
    assert page.cluster.options["1, blue discs"] == 1


def test_clusters_are_merged_split_and_reversed(page):
    tool = page.tools["Merge and split clusters"]
    tool.chosen.value, tool.title.value = ["1", "2"], "discs"
    merged = np.flatnonzero(np.isin(page.state.labels, (1, 2)))
    tool.view[2][0].clicks += 1
    assert list(tool.groups().members("discs")) == list(merged)
    page.state.select(merged[:1], "one")
    tool.chosen.value, tool.title.value = ["discs"], "odd"
    tool.view[2][1].clicks += 1
    assert list(tool.groups().members("odd")) == [merged[0]]
    tool.back.clicks += 1
    tool.back.clicks += 1
    assert set(tool.groups().names) == {str(k) for k in page.state.labels}


def test_a_vocabulary_with_a_collision_is_refused_and_a_good_one_is_used(page):
    tool = page.tools["Vocabulary"]
    good = tool.lines.value
    tool.lines.value = good + "\nshell; b; shell; feature"
    tool.view[1].clicks += 1
    assert "bar" in tool.words.object
    assert page.session.vocabulary.version == 1
    tool.lines.value = good + "\nshell; s; shell; feature"
    tool.view[1].clicks += 1
    assert page.session.vocabulary.version == 2
    assert page.desk.terms[-1]["label"] == "shell"


def test_an_import_is_shown_before_it_is_stored(page):
    tool = page.tools["Import"]
    tool.file.filename = "mine.csv"
    tool.file.value = b"id,ttype\ngalaxy-0001,3\ngalaxy-0002,x\nelsewhere,1\n"
    assert "1 new labels" in tool.words.object
    assert "2 refused" in tool.words.object
    assert page.session.store.events() == []
    tool.store.clicks += 1
    assert page.session.annotations_of("galaxy-0001") == {"stage": "T3"}


def test_the_export_is_the_table(page):
    save(page.session, [item("galaxy-0001")])
    data = page.tools["Export"].data().getvalue().decode()
    assert "galaxy-0001" in data
    assert "T3" in data
