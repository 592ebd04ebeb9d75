"""The stages in the drawer: one click, one label, in the log of the Label page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from galaxy_explorer.errors import LabelError
from galaxy_explorer.explorer.search import label_store
from galaxy_explorer.explorer.widgets import stage_keys
from galaxy_explorer.explorer.widgets.stage_keys import StageKeys
from galaxy_explorer.labels.store import LabelStore


@pytest.fixture
def store(bundle) -> LabelStore:
    """That of this test alone: see `label_log`."""
    return label_store(bundle)


@pytest.fixture
def keys(store, state) -> StageKeys:
    state.focus = 3
    return StageKeys(state)


def press(keys: StageKeys, **more: Any) -> None:
    message = {"name": "Ada", "galaxy": "galaxy-0003", "label": "T3", "event_id": "e1"} | more
    asyncio.run(keys.on_message(message))


def test_a_stage_is_stored_once_and_shown_again(keys, store, state) -> None:
    press(keys)
    press(keys)  # the same click, sent again
    assert [(e.target, e.label, e.annotator) for e in store.events()] == [
        ("galaxy-0003", "T3", "Ada")
    ]
    assert (keys.row.galaxy, keys.row.said) == ("galaxy-0003", "T3")
    assert keys.row.note == "Saved: Sb, by Ada"
    state.focus = 4
    assert (keys.row.galaxy, keys.row.said, keys.row.note) == ("galaxy-0004", "", "")
    state.focus = 3
    assert keys.row.said == "T3"
    press(keys, label="", event_id="e2")
    assert (keys.row.said, keys.row.note) == ("", "Saved: no stage, by Ada")


def test_the_label_is_of_the_galaxy_that_was_on_the_screen(keys, store) -> None:
    press(keys, galaxy="galaxy-0007")
    assert [event.target for event in store.events()] == ["galaxy-0007"]
    assert keys.row.said == ""  # that in focus has none


def test_a_name_tells_what_was_said_before(keys, store) -> None:
    press(keys)
    asyncio.run(keys.on_message({"name": "Ben"}))
    assert keys.row.said == ""
    asyncio.run(keys.on_message({"name": "Ada"}))
    assert (keys.row.said, keys.row.note) == ("T3", "")


@pytest.mark.parametrize(
    "wrong",
    [{"galaxy": "M 31"}, {"galaxy": ["x"]}, {"label": "T99"}, {"label": {}}, {"name": ""},
     {"name": None}, {"event_id": ""}, {"event_id": "x" * 500}],
)  # fmt: skip
def test_what_cannot_be_stored_is_said(keys, store, wrong) -> None:
    press(keys, **wrong)
    assert store.events() == []
    assert keys.row.note.startswith("Not saved: ")


def test_no_keys_where_the_log_cannot_be_used(state, monkeypatch) -> None:
    def absent(_: object) -> None:
        raise LabelError("no log")

    monkeypatch.setattr(stage_keys, "label_store", absent)
    assert not StageKeys(state).row.visible
