"""Grids of labels, predictions on the screen, and logs of the format before both."""

from __future__ import annotations

import sqlite3

import pytest

from galaxy_explorer.errors import LabelError
from galaxy_explorer.labels.log import ADDED, COLUMNS, FORMAT, Change, new_event_id
from galaxy_explorer.labels.store import LabelStore
from galaxy_explorer.labels.tables import table
from tests.labels.conftest import GIVEN

SIZE = 24


def grid(name: str, first: int = 0, label: str = "T3") -> list[Change]:
    return [Change(f"g{first + i}", "stage", label, grid=name) for i in range(SIZE)]


def test_a_grid_is_undone_and_redone_at_once_with_an_event_for_each_galaxy(open_store):
    store = open_store()
    store.record("Ada", [Change("g0", "stage", "T1")])
    store.record("Ada", grid("first"))
    before = store.layer("Ada").values
    undone = open_store().undo("Ada", "u")
    assert sorted(event.target for event in undone) == sorted(f"g{i}" for i in range(SIZE))
    assert undone[0].event_id == "u"
    assert {event.grid for event in undone} == {"first"}
    assert {g: said["stage"].label for g, said in store.layer("Ada").galaxies().items()} == {
        "g0": "T1"
    }
    assert len(open_store().redo("Ada", new_event_id())) == SIZE
    assert store.layer("Ada").values == before
    assert len(store.events()) == 1 + 3 * SIZE


def test_an_undo_of_a_grid_that_is_sent_twice_undoes_it_once(store):
    store.record("Ada", grid("first"))
    store.record("Ada", grid("second", SIZE))
    assert store.undo("Ada", "u") == store.undo("Ada", "u")
    assert set(store.layer("Ada").galaxies()) == {f"g{i}" for i in range(SIZE)}


def test_two_grids_and_single_labels_are_undone_apart(store):
    store.record("Ada", grid("first"))
    store.record("Ada", [Change("g0", "stage", "T5"), Change("g1", "stage", "T6")])
    store.record("Ada", grid("second", SIZE))
    counts = [len(store.undo("Ada", new_event_id())) for _ in range(5)]
    assert counts == [SIZE, 1, 1, SIZE, 0]


def test_a_grid_cut_in_two_by_another_window_loses_nothing(store):
    """The same annotator in a second window: each run of one grid is undone by itself."""
    first = grid("first")
    store.record("Ada", first[:10])
    store.record("Ada", [Change("elsewhere", "stage", "T5")])
    store.record("Ada", first)  # the whole grid is sent again: ten are stored already
    assert len(store.events()) == SIZE + 1
    counts = [len(store.undo("Ada", new_event_id())) for _ in range(3)]
    assert counts == [SIZE - 10, 1, 10]


def test_an_undo_of_a_grid_is_stored_whole_or_not_at_all(store):
    store.record("Ada", grid("first"))
    insert, count = store._log.insert, iter(range(SIZE))

    def break_off(table: str, values: dict) -> None:
        if next(count) == SIZE // 2:
            raise sqlite3.OperationalError("disk I/O error")
        insert(table, values)

    store._log.insert = break_off
    with pytest.raises(LabelError, match="not saved"):
        store.undo("Ada", "u")
    store._log.insert = insert
    assert len(store.layer("Ada").galaxies()) == SIZE
    assert len(store.undo("Ada", "u")) == SIZE
    assert store.layer("Ada").galaxies() == {}


@pytest.mark.parametrize("field", ["grid", "prediction"])
@pytest.mark.parametrize("text", ["x" * 61, "two\nlines", " blank"])
def test_what_a_table_cannot_hold_is_refused(store, field, text):
    with pytest.raises(LabelError, match=field):
        store.record("Ada", [Change("g1", "stage", "T3", **{field: text})])
    assert store.events() == []


def test_the_exports_say_what_was_predicted_on_the_screen(store):
    store.record("Ada", [Change("g1", "stage", "T3", prediction="late 93 %")])
    store.record("Ada", [Change("g2", "stage", "T-3"), Change("g2", "bar", "bar", prediction="x")])
    store.record("Bo", [Change("g1", "stage", "T3")])
    said = {(row["galaxy_id"], row["annotator"]): row["prediction"] for row in table(store)}
    assert said == {("g1", "Ada"): "late 93 %", ("g1", "Bo"): "", ("g2", "Ada"): ""}
    most = table(store, "majority")
    assert dict(zip(most["galaxy_id"], most["n_prediction"], strict=True)) == {"g1": 1, "g2": 0}
    assert list(table(store, "events")["prediction"]) == ["late 93 %", "", "x", ""]


def test_undo_gives_the_prediction_of_the_label_that_holds_again(store):
    store.record("Ada", [Change("g1", "stage", "T3", prediction="late 93 %")])
    store.record("Ada", [Change("g1", "stage", "T-3")])
    store.undo("Ada", new_event_id())
    assert store.said("Ada", "g1")["stage"].prediction == "late 93 %"
    assert list(table(store)["prediction"]) == ["late 93 %"]


def test_a_log_of_the_former_format_is_read_and_goes_on(tmp_path):
    """Written by SQL as the former release did, without the columns that were added."""
    path = tmp_path / "labels.db"
    LabelStore(path, GIVEN).close()
    added = ADDED[1]
    old = [name for name in COLUMNS if name not in added]
    connection = sqlite3.connect(path)
    for name in added:
        connection.execute(f"ALTER TABLE events DROP COLUMN {name}")
    connection.execute("PRAGMA user_version=1")
    row = dict.fromkeys(old, "") | {
        "seq": 1, "event_id": "e1", "at": "2024-01-01T00:00:00Z", "annotator": "Ada",
        "action": "set", "kind": "galaxy", "target": "g1", "aspect": "stage", "label": "T3",
        "vocabulary": 1, "undoes": 0,
    }  # fmt: skip
    marks = ", ".join("?" * len(row))
    insert = f"INSERT INTO events ({', '.join(row)}) VALUES ({marks})"  # noqa: S608 (of this test)
    connection.execute(insert, [*row.values()])
    connection.commit()
    connection.close()

    store = LabelStore(path, GIVEN)
    assert [(e.event_id, e.label, e.grid, e.prediction) for e in store.events()] == [
        ("e1", "T3", "", "")
    ]
    store.record("Ada", [Change("g1", "stage", "T5", prediction="late")])
    assert [event.label for event in store.undo("Ada", new_event_id())] == ["T3"]
    assert len(store.events()) == 3
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT
    with pytest.raises(sqlite3.DatabaseError, match="only takes new rows"):
        connection.execute("UPDATE events SET label = 'x'")
    connection.close()
