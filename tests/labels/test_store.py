"""The log: what was returned is stored, nothing is ever changed, undo and redo are exact."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.errors import LabelError, NotSaved
from galaxy_explorer.labels.log import Change, EventLog, log_path, new_event_id
from galaxy_explorer.labels.scheme import DEFAULT, LabelScheme, Term
from galaxy_explorer.labels.store import Annotations, LabelStore, selection_digest
from tests.labels.conftest import GIVEN


def stage(galaxy: str, label: str = "T3", **more: str) -> Change:
    return Change(galaxy, "stage", label, **more)


def test_an_event_says_who_when_what_and_by_which_model(store):
    first = store.record("Ada", [stage("g1", "T3")])[0]
    event = store.record("Ada", [stage("g1", "T5", confidence="low", note="odd")])[0]
    assert (event.annotator, event.kind, event.target) == ("Ada", "galaxy", "g1")
    assert (event.previous, event.label, event.confidence, event.note) == ("T3", "T5", "low", "odd")
    assert (event.bundle, event.model, event.app) == ("ab" * 32, "k512/codes", "0.1.0")
    assert event.at > first.at
    assert event.at.endswith("Z")
    assert store.events() == [first, event]


def test_the_same_event_id_is_stored_once(store):
    change = stage("g1")
    assert store.record("Ada", [change]) == store.record("Ada", [change])
    assert len(store.events()) == 1


@pytest.mark.parametrize(
    "change",
    [
        stage("g1", "no such label"),
        stage("g1", "bar"),
        stage("", "T3"),
        stage("g1", "T3", confidence="sure"),
        stage("g1", "T3", note="two\nlines"),
        stage("g1", "T3", note="lone \ud800"),
        stage("g1", "T3", note="x" * 501),
        replace(stage("g1"), vocabulary=9),
        replace(stage("g1"), kind="survey"),
        replace(stage("g1"), event_id=""),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_else_of_it_is(store, change):
    with pytest.raises(LabelError):
        store.record("Ada", [stage("g2"), change])
    assert store.events() == []


@pytest.mark.parametrize("name", ["", " Ada", "A" * 61, "a\tb", "\x00", 7])
def test_names_that_a_table_cannot_hold_are_refused(store, name):
    with pytest.raises(LabelError, match="annotator"):
        store.record(name, [stage("g1")])


def test_sixty_steps_are_undone_and_redone_across_restarts(open_store):
    store = open_store()
    for i in range(60):
        store.record("Ada", [stage(f"g{i % 7}", f"T{i % 6}")])
    states = [store.layer("Ada").values]
    for _ in range(60):
        store = open_store()
        assert len(store.undo("Ada", new_event_id())) == 1
        states.append(store.layer("Ada").values)
    assert store.undo("Ada", new_event_id()) == []
    assert store.layer("Ada").galaxies() == {}
    for expected in states[-2::-1]:
        store.redo("Ada", new_event_id())
        assert open_store().layer("Ada").values == expected
    assert store.redo("Ada", new_event_id()) == []


def test_a_new_label_forgets_what_was_undone(store):
    store.record("Ada", [stage("g1"), stage("g2")])
    store.undo("Ada", new_event_id())
    store.record("Ada", [stage("g3")])
    assert store.redo("Ada", new_event_id()) == []


def test_the_event_of_an_undo_says_what_holds_again(store):
    for label in ("T3", "T5"):
        store.record("Ada", [stage("g1", label)])
    (back,) = store.undo("Ada", new_event_id())
    assert (back.action, back.label, back.previous) == ("undo", "T3", "T5")
    (again,) = store.redo("Ada", new_event_id())
    assert (again.action, again.label, again.previous) == ("redo", "T5", "T3")
    assert again.undoes == back.undoes > 0


def test_undo_takes_back_only_ones_own(store):
    store.record("Ada", [stage("g1", "T3")])
    store.record("Bo", [stage("g1", "T5")])
    store.undo("Ada", new_event_id())
    assert store.said("Ada", "g1") == {}
    assert store.said("Bo", "g1")["stage"].label == "T5"
    assert store.undo("Ada", new_event_id()) == []


def test_an_undo_that_is_sent_twice_undoes_once(store):
    store.record("Ada", [stage("g1"), stage("g2")])
    assert store.undo("Ada", "u") == store.undo("Ada", "u")
    assert set(store.layer("Ada").galaxies()) == {"g1"}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 3), st.sampled_from(["T0", "T1", ""])),
        st.tuples(st.sampled_from(["undo", "redo"]), st.just(0), st.just("")),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_replaying_the_log_gives_what_a_plain_editor_gives(tmp_path_factory, steps):
    """A model of an editor with undo: a list of states and a place in it."""
    fresh = LabelStore(tmp_path_factory.mktemp("log") / "l.db", GIVEN)
    states, place = [{}], 0
    for kind, galaxy, label in steps:
        if kind == "set":
            fresh.record("Ada", [stage(f"g{galaxy}", label)])
            said = {**states[place], f"g{galaxy}": label}
            states = [*states[: place + 1], {g: s for g, s in said.items() if s}]
            place += 1
        elif kind == "undo":
            fresh.undo("Ada", new_event_id())
            place = max(0, place - 1)
        else:
            fresh.redo("Ada", new_event_id())
            place = min(len(states) - 1, place + 1)
        layer = fresh.layer("Ada")
        assert {galaxy: layer.stage(galaxy) for galaxy in layer.galaxies()} == states[place]
    replayed = Annotations("Ada")
    for event in fresh.events():
        replayed.apply(event)
    assert replayed == fresh.layer("Ada")
    fresh.close()


def test_two_open_stores_see_each_others_labels(open_store):
    one, other = open_store(), open_store()
    one.record("Ada", [stage("g1", "T3")])
    event = other.record("Ada", [stage("g1", "T4")])[0]
    assert event.previous == "T3"
    assert one.said("Ada", "g1")["stage"].label == "T4"


def test_eight_threads_lose_nothing_and_mix_nothing_up(store):
    def label(name: str) -> None:
        for i in range(25):
            store.record(name, [stage(f"g{i}", f"T{i % 6}")])

    threads = [threading.Thread(target=label, args=(f"annotator {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.seq for event in store.events()] == list(range(1, 201))
    for layer in store.layers().values():
        assert [layer.stage(f"g{i}") for i in range(25)] == [f"T{i % 6}" for i in range(25)]


def test_what_a_failed_write_left_behind_is_forgotten(store, monkeypatch):
    store.record("Ada", [stage("g1")])

    def breaks(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    insert = store._log.insert
    monkeypatch.setattr(store._log, "insert", breaks)
    with pytest.raises(NotSaved, match="disk is full"):
        store.record("Ada", [stage("g2")])
    monkeypatch.setattr(store._log, "insert", insert)
    assert set(store.layer("Ada").galaxies()) == {"g1"}


def test_a_selection_is_stored_with_its_members(store):
    members = ("g2", "g1", "g1")
    event = store.record("Ada", [Change("", "bar", "bar", "selection", members=members)])[0]
    assert event.target == selection_digest(["g1", "g2"])
    assert store.members(event.target) == ["g1", "g2"]
    with pytest.raises(LabelError, match="no selection"):
        store.members("elsewhere")


def test_an_edited_vocabulary_is_a_new_version_and_old_labels_stay(open_store):
    store = open_store()
    store.record("Ada", [stage("g1", "T3")])
    edited = LabelScheme((Term("shell", "s", "shell", "feature"),))
    assert store.edit_vocabulary("Ada", edited).version == 2
    again = open_store()
    assert again.vocabulary().terms == edited.terms
    assert again.vocabulary(1) == DEFAULT
    assert again.record("Ada", [Change("g1", "shell", "shell")])[0].vocabulary == 2
    with pytest.raises(LabelError, match="not in the vocabulary"):
        again.record("Ada", [stage("g1", "T3")])
    assert again.record("Ada", [replace(stage("g1", "T4"), vocabulary=1)])[0].vocabulary == 1
    assert again.said("Ada", "g1")["stage"].label == "T4"


def test_a_log_in_a_folder_that_cannot_be_written_to_asks_for_a_copy(tmp_path, monkeypatch):
    log = tmp_path / "labels.db"
    log.write_bytes(b"no database" * 100)
    monkeypatch.setattr("galaxy_explorer.labels.log.can_write", lambda folder: folder != tmp_path)
    with pytest.raises(LabelError, match="name a copy in a folder that can be written to by"):
        EventLog(log)
    assert list(tmp_path.iterdir()) == [log]


@pytest.mark.parametrize("content", [b"not a database at all, but text" * 40, None])
def test_a_file_that_is_something_else_is_refused_and_left_alone(tmp_path, content, store):
    path = tmp_path / "other.db"
    if content is None:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE t (x)")
        other.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(LabelError, match=r"other\.db.*GALAXY_EXPLORER_LABELS"):
        LabelStore(path, store.provenance)
    assert path.read_bytes() == before


def away(path, aside):
    path.rename(aside)


def replaced(path, aside):
    path.rename(aside)
    path.write_bytes(b"")


@pytest.mark.parametrize(("happen", "word"), [(away, "deleted or renamed"), (replaced, "replaced")])
def test_nothing_is_saved_in_a_file_that_has_lost_its_name(store, tmp_path, happen, word):
    store.record("Ada", [stage("g1")])
    happen(store.path, tmp_path / "aside.db")
    with pytest.raises(NotSaved, match=rf"not saved.*{word}.*put it back"):
        store.record("Ada", [stage("g2")])
    (tmp_path / "aside.db").replace(store.path)
    store.record("Ada", [stage("g3")])
    assert [event.target for event in store.events()] == ["g1", "g3"]


def test_nothing_is_saved_where_the_write_ahead_log_was_removed(store):
    store.record("Ada", [stage("g1")])
    store.path.with_name(f"{store.path.name}-wal").unlink()
    with pytest.raises(NotSaved, match="-wal: not saved"):
        store.record("Ada", [stage("g2")])


def test_a_user_without_a_home_is_told_to_name_a_file(monkeypatch):
    monkeypatch.setattr("platformdirs.user_data_dir", lambda _: "~/.local/share/galaxy_explorer")
    with pytest.raises(LabelError, match="GALAXY_EXPLORER_LABELS"):
        log_path("")
