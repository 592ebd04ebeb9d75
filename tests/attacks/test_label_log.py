"""The label log under attack: kill -9, many writers, forbidden SQL, a full disk, any text."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galaxy_explorer.errors import BadCatalog, LabelError, NotSaved
from galaxy_explorer.labels.imports import read_rows
from galaxy_explorer.labels.log import Change
from galaxy_explorer.labels.scheme import LabelScheme, Term
from galaxy_explorer.labels.store import LabelStore
from galaxy_explorer.labels.tables import table as label_table
from galaxy_explorer.utils.tables import FORMATS, decode_table, encode_table
from tests.attacks.label_writer import GIVEN

ROOT = Path(__file__).resolve().parent.parent.parent
LONG = pytest.mark.long


def writer(log: Path, name: str, *count: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.attacks.label_writer", str(log), name, *count]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)


def intact(log: Path) -> bool:
    connection = sqlite3.connect(log)
    answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return answer == "ok"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("kills", "least"), [(8, 200), pytest.param(200, 10_000, marks=LONG)], ids=["short", "long"]
)
def test_r1_a_kill_loses_nothing_that_was_acknowledged(tmp_path, kills, least):
    log, acknowledged, chance = tmp_path / "labels.db", [], random.Random(1)
    for _ in range(kills):
        process = writer(log, "Ada")
        wanted = chance.randint(least // kills, 2 * least // kills)
        told = [process.stdout.readline() for _ in range(wanted)]
        time.sleep(chance.uniform(0, 0.01))  # a kill at any moment of a write
        process.kill()
        told += process.stdout.readlines()
        process.wait()
        acknowledged += [line.strip() for line in told if line.endswith("\n")]
    store = LabelStore(log, GIVEN)
    stored = {event.event_id for event in store.events()}
    store.close()
    assert len(acknowledged) >= least
    assert set(acknowledged) - stored == set()
    assert len(stored) - len(acknowledged) <= kills, "at most the last of each was not told"
    assert intact(log)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("processes", "each"), [(4, 25), pytest.param(8, 250, marks=LONG)], ids=["short", "long"]
)
def test_r2_writers_wait_for_each_other_and_all_are_stored(tmp_path, processes, each):
    log = tmp_path / "labels.db"
    running = [writer(log, f"annotator {i}", str(each)) for i in range(processes)]
    told = [line.strip() for process in running for line in process.stdout]
    assert [process.wait() for process in running] == [0] * processes, "one waited too long"
    store = LabelStore(log, GIVEN)
    events = store.events()
    assert {event.event_id for event in events} == set(told)
    assert len(events) == processes * each
    for name, layer in store.layers().items():
        own = [event for event in events if event.annotator == name]
        assert [event.target for event in own] == [f"g{i % 1000}" for i in range(each)]
        assert len(layer.done) == each
    store.close()


REFUSED = r"not authorized|denied|only takes new rows"
FORBIDDEN = (
    "UPDATE events SET label = 'x'",
    "DELETE FROM events",
    "DELETE FROM events WHERE seq = 1",
    "REPLACE INTO selections VALUES ('d', 'x')",
    "INSERT OR REPLACE INTO selections VALUES ('d', 'x')",
    "INSERT INTO selections VALUES ('d', 'x') ON CONFLICT DO UPDATE SET members = 'x'",
    "UPDATE selections SET members = 'x'",
    "DROP TABLE events",
    "DROP TRIGGER events_no_UPDATE",
    "DROP INDEX events_by_target",
    "ALTER TABLE events RENAME TO gone",
    "CREATE TABLE other (x)",
    "CREATE TEMP TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END",
    "ATTACH 'other.db' AS other",
    "PRAGMA recursive_triggers = OFF",
    "PRAGMA writable_schema = ON",
    "PRAGMA journal_mode = DELETE",
    "INSERT INTO sqlite_schema VALUES (1, 2, 3, 4, 5)",
    "VACUUM",
)


@pytest.fixture
def store(tmp_path):
    store = LabelStore(tmp_path / "labels.db", GIVEN)
    store.record("Ada", [Change("g1", "stage", "T3")])
    with store._log.writing():
        store._log.insert("selections", {"digest": "d", "members": "[]"})
    yield store
    store.close()


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_r3_the_log_only_takes_new_rows(store, statement):
    before = store.events()
    with pytest.raises(sqlite3.DatabaseError, match=REFUSED):
        store._log._connection.execute(statement)
    assert store.events() == before
    assert store._log.rows("SELECT * FROM selections") == [("d", "[]")]
    store.record("Ada", [Change("g2", "stage", "T3")])


@pytest.mark.parametrize("statement", FORBIDDEN[:7])
def test_r3_neither_does_it_through_another_connection(store, tmp_path, statement):
    other = sqlite3.connect(tmp_path / "labels.db")
    with pytest.raises(sqlite3.IntegrityError, match="only takes new rows"):
        other.execute(statement)
    other.close()


def test_r4_on_a_full_disk_what_was_acknowledged_is_stored(tmp_path):
    log = tmp_path / "labels.db"
    store = LabelStore(log, GIVEN)
    store._log._connection.set_authorizer(None)
    store._log._connection.execute("PRAGMA max_page_count = 40")
    acknowledged, refused = [], []
    for i in range(300):
        try:
            acknowledged += store.record("Ada", [Change(f"g{i}", "stage", "T3", note="x" * 300)])
        except NotSaved as error:
            refused.append(str(error))
    assert len(acknowledged) + len(refused) == 300
    assert all("not saved" in words for words in refused)
    assert acknowledged
    assert refused
    assert store.events() == acknowledged
    assert len(store.layer("Ada").galaxies()) == len(acknowledged)
    store.close()
    again = LabelStore(log, GIVEN)
    assert again.events() == acknowledged
    again.close()
    assert intact(log)


TEXTS = st.lists(st.text(max_size=40), min_size=50, max_size=50)
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=4, **QUIET)
@given(texts=TEXTS)
def test_r5_any_text_comes_back_unchanged_or_is_refused(tmp_path_factory, texts):
    there_and_back(tmp_path_factory.mktemp("log") / "labels.db", texts)


@LONG
@settings(max_examples=100, **QUIET)
@given(texts=TEXTS)
def test_r5_five_thousand_texts_come_back_unchanged_or_are_refused(tmp_path_factory, texts):
    there_and_back(tmp_path_factory.mktemp("log") / "labels.db", texts)


def there_and_back(log: Path, texts: list[str]) -> None:
    """Store every text as label, remark and name; export in every format; read it back."""
    store = LabelStore(log, GIVEN)
    kept = []
    for i, text in enumerate(texts):
        try:
            vocabulary = LabelScheme((Term(text, "a", text, "feature"),))
            version = store.edit_vocabulary(text, vocabulary).version
            change = Change(f"g{i}", text, text, note=text, vocabulary=version)
            store.record(text, [change])
        except LabelError:
            continue
        kept.append((f"g{i}", text))
    store.close()
    again = LabelStore(log, GIVEN)
    table = label_table(again, "events")
    stored = list(zip(table["target"], table["label"], strict=True))
    assert stored == kept
    for extension in FORMATS if kept else ():
        unchanged_or_refused(table, extension)
    again.close()


def unchanged_or_refused(table, extension: str) -> None:
    try:
        data = encode_table(table, extension)
    except BadCatalog:
        return
    for name in ("annotator", "label", "note", "aspect"):
        if extension == "csv":  # it has no types: read as text
            back = [row[name] for row in read_rows(data, ".csv", "t")]
        else:
            back = [str(value) for value in decode_table(data, extension)[name]]
        np.testing.assert_array_equal(back, list(table[name]))
