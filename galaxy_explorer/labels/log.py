"""The log on disk: SQLite that only takes new rows, one event for every change.

An event says who changed what on which galaxy or cluster, when, and by which model. The write-ahead
log has synchronous=FULL: what was committed survives a kill and, where the disk keeps its word, a
power cut. UPDATE, DELETE and REPLACE are refused by triggers, whoever opens the file; these and
everything else but reading and inserting by an authorizer on this connection. It lies in the user's
data folder unless a setting says otherwise.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from galaxy_explorer.errors import LabelError, NotSaved
from galaxy_explorer.utils.files import can_write

GALAXY, CLUSTER, SELECTION, CLUSTERING = "galaxy", "cluster", "selection", "clustering"
TARGET_KINDS = (GALAXY, CLUSTER, SELECTION, CLUSTERING)
SET, UNDO, REDO = "set", "undo", "redo"
CONFIDENCES = ("", "low", "medium", "high")
HASH_DIGITS = 16

Place = tuple[str, str, str]
"""Kind of target, target, aspect: what has one value in the layer of an annotator."""


def new_event_id() -> str:
    """An identifier that no other event has."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Provenance:
    """What was on the screen when a label was given: bundle (SHA-256), model, software."""

    bundle_hash: str
    model: str
    app_version: str

    def cluster_target(self, clustering: str, group: str | int) -> str:
        """Name of a cluster, or of a group of regrouped ones, that no other bundle shares."""
        return f"{self.clustering_target(clustering)}#{group}"

    def clustering_target(self, clustering: str) -> str:
        """Name of a clustering that no other bundle shares."""
        return f"{self.bundle_hash[:HASH_DIGITS]}:{clustering}"


@dataclass(frozen=True)
class Change:
    """One change that an annotator asks for.

    target: a galaxy's identifier, a cluster's name, or "" for a selection, whose galaxies are in
    `members`. label: empty takes the label of the aspect away. event_id comes from the browser:
    the same change sent twice is stored once. vocabulary: version that was on the screen; 0: the
    newest. model: clustering that was on the screen; empty: that of the store. detail: what a
    split or a merger of clusters is made of (JSON). grid: names the grid of galaxies that were
    accepted together; empty: given singly. prediction: what a model that learns from labels
    predicted, if that was on the screen; empty: it was not.
    """

    target: str
    aspect: str
    label: str = ""
    kind: str = GALAXY
    confidence: str = ""
    note: str = ""
    members: tuple[str, ...] = ()
    detail: str = ""
    vocabulary: int = 0
    model: str = ""
    grid: str = ""
    prediction: str = ""
    event_id: str = field(default_factory=new_event_id)

    @property
    def place(self) -> Place:
        """What the change gives a value to."""
        return self.kind, self.target, self.aspect


@dataclass(frozen=True)
class Event:
    """One row of the log, never changed afterwards.

    seq: order of the commits. at: UTC, ISO 8601. action: "set", or "undo" and "redo", which
    compensate the event `undoes`. label, confidence, note: what holds from now on; previous: the
    label (of a remark: the text) that held before. grid, prediction: as in `Change`.
    """

    seq: int
    event_id: str
    at: str
    annotator: str
    action: str
    kind: str
    target: str
    aspect: str
    label: str
    previous: str
    confidence: str
    note: str
    detail: str
    vocabulary: int
    bundle: str
    model: str
    app: str
    undoes: int
    grid: str = ""
    prediction: str = ""

    @property
    def place(self) -> Place:
        """What the event gives a value to."""
        return self.kind, self.target, self.aspect


COLUMNS = tuple(column.name for column in fields(Event))


FORMAT = 2
APPLICATION_ID = 0x47584C42  # "GXLB"
WAIT_S = 30.0
"""How long a writer waits for another: one write takes milliseconds."""
CURE = "; name another file by GALAXY_EXPLORER_LABELS or --labels"

TABLES = """
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, at TEXT NOT NULL,
  annotator TEXT NOT NULL, action TEXT NOT NULL CHECK (action IN ('set', 'undo', 'redo')),
  kind TEXT NOT NULL CHECK (kind IN ('galaxy', 'cluster', 'selection', 'clustering')),
  target TEXT NOT NULL, aspect TEXT NOT NULL, label TEXT NOT NULL, previous TEXT NOT NULL,
  confidence TEXT NOT NULL, note TEXT NOT NULL, detail TEXT NOT NULL,
  vocabulary INTEGER NOT NULL, bundle TEXT NOT NULL, model TEXT NOT NULL, app TEXT NOT NULL,
  undoes INTEGER NOT NULL, grid TEXT NOT NULL DEFAULT '', prediction TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX events_by_target ON events (kind, target);
CREATE TABLE selections (digest TEXT PRIMARY KEY, members TEXT NOT NULL) STRICT;
CREATE TABLE vocabularies (
  version INTEGER PRIMARY KEY, at TEXT NOT NULL, annotator TEXT NOT NULL, terms TEXT NOT NULL
) STRICT;
"""
ADDED = {1: ("grid", "prediction")}
"""Columns of events that a log of an older format has not: they are added, with "" in its rows."""
KEYS = {"events": ("seq", "event_id"), "selections": ("digest",), "vocabularies": ("version",)}
READING = frozenset(
    (
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_RECURSIVE,
    )
)


def _guards() -> Iterator[str]:
    """Triggers that refuse to change, remove or replace a row."""
    for table, keys in KEYS.items():
        for verb in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'the log only takes new rows'); END"
            )
        same = " OR ".join(f"{key} = NEW.{key}" for key in keys)
        yield (
            f"CREATE TRIGGER {table}_no_REPLACE BEFORE INSERT ON {table} "  # noqa: S608
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
            "BEGIN SELECT RAISE(ABORT, 'the log only takes new rows'); END"
        )


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    allowed = action in READING or (action == sqlite3.SQLITE_INSERT and first in KEYS)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


class EventLog:
    """One connection to the log, for all threads of a process.

    Raises LabelError where the file cannot be opened, is something else, or of a newer format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._check(connection)
                if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
                    raise LabelError(
                        f"{self.path}: its disk does not allow a write-ahead log{CURE}"
                    )
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA recursive_triggers=ON")
                connection.execute("BEGIN IMMEDIATE")
                if self._check(connection):
                    for statement in (*TABLES.split(";\n"), *_guards()):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                for name in ADDED.get(_version(connection), ()):
                    connection.execute(
                        f"ALTER TABLE events ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
                    )
                connection.execute(f"PRAGMA user_version={FORMAT}")
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            connection.set_authorizer(_authorize)
            self._connection = connection
            self._file = _identity(path)
            self._ahead = _identity(self._ahead_path)
        except (sqlite3.Error, OSError) as error:
            cure = CURE
            if path.exists() and not can_write(path.parent):
                cure = CURE.replace("another file", "a copy in a folder that can be written to")
            raise LabelError(f"{path}: cannot be used as a label log ({error}){cure}") from error

    def _check(self, connection: sqlite3.Connection) -> bool:
        """Whether the file is empty. Raises LabelError if it is neither that nor a label log."""
        tables, application, version = (
            connection.execute(query).fetchone()[0]
            for query in (
                "SELECT count(*) FROM sqlite_schema",
                "PRAGMA application_id",
                "PRAGMA user_version",
            )
        )
        known = version in {FORMAT, *ADDED}
        if tables and not (application == APPLICATION_ID and known):
            raise LabelError(f"{self.path}: not a label log of this version{CURE}")
        return not tables

    @property
    def _ahead_path(self) -> Path:
        """The write-ahead log: what is committed lies there first."""
        return self.path.with_name(f"{self.path.name}-wal")

    def _check_place(self) -> None:
        """Raise NotSaved where the files are no longer those that this connection writes to.

        SQLite goes on writing to a file that has lost its name, and nobody would ever read it.
        """
        ahead = _identity(self._ahead_path)
        self._ahead = self._ahead or ahead
        for path, known, now in (
            (self.path, self._file, _identity(self.path)),
            (self._ahead_path, self._ahead, ahead),
        ):
            if known != now:
                happened = "was replaced by another file" if now else "was deleted or renamed"
                raise NotSaved(
                    f"{path}: not saved: it {happened} while it was in use; put it back as it was,"
                    " or start the program again, which begins with what is there then"
                )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction: everything inside is stored once this returns, or nothing is.

        Raises NotSaved where the disk or the lock does not allow it, or the file is not there any
        more.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._check_place()
                yield
                self._connection.execute("COMMIT")
                self._check_place()
            except sqlite3.Error as error:
                raise NotSaved(f"{self.path}: not saved ({error})") from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                self._check_place()
                raise LabelError(f"{self.path}: cannot be read ({error})") from error

    def events(self, where: str = "1", values: Sequence[Any] = ()) -> list[Event]:
        """Events in the order of their commits; `where` is SQL of this package, never a user's."""
        query = f"SELECT {', '.join(COLUMNS)} FROM events WHERE {where} ORDER BY seq"  # noqa: S608
        return [Event(*row) for row in self.rows(query, values)]

    def insert(self, table: str, values: dict[str, Any]) -> None:
        """Append a row inside `writing`."""
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        query = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 (names of this package)
        self._connection.execute(query, tuple(values.values()))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 (follows links, as SQLite does)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def log_path(setting: str) -> Path:
    """The path of a setting; empty: `labels.db` in the user's data folder."""
    if setting:
        return Path(setting)
    import platformdirs

    folder = Path(platformdirs.user_data_dir("galaxy_explorer"))
    if not folder.is_absolute():
        raise LabelError(f"labels.db: this user has no home folder to keep it in{CURE}")
    return folder / "labels.db"
