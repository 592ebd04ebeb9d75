"""The log on disk: SQLite that only takes new rows.

Write-ahead log with synchronous=FULL: what was committed survives a kill and, where the disk keeps
its word, a power cut. UPDATE, DELETE and REPLACE are refused by triggers, whoever opens the file;
these and everything else but reading and inserting by an authorizer on this connection.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from galaxy_explorer.errors import LabelError, NotSaved
from galaxy_explorer.labels.events import COLUMNS, Event

FORMAT = 1
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
  undoes INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_target ON events (kind, target);
CREATE TABLE selections (digest TEXT PRIMARY KEY, members TEXT NOT NULL) STRICT;
CREATE TABLE vocabularies (
  version INTEGER PRIMARY KEY, at TEXT NOT NULL, annotator TEXT NOT NULL, terms TEXT NOT NULL
) STRICT;
"""
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
            self._connection = self._open()
        except (sqlite3.Error, OSError) as error:
            raise LabelError(f"{path}: cannot be used as a label log ({error}){CURE}") from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        connection.set_authorizer(_authorize)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._check(connection)
        if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise LabelError(f"{self.path}: its disk does not allow a write-ahead log{CURE}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA recursive_triggers=ON")
        connection.execute("BEGIN IMMEDIATE")
        if self._check(connection):
            for statement in (*TABLES.split(";\n"), *_guards()):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute("COMMIT")

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
        if tables and (application, version) != (APPLICATION_ID, FORMAT):
            raise LabelError(f"{self.path}: not a label log of this version{CURE}")
        return not tables

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction: everything inside is stored once this returns, or nothing is.

        Raises NotSaved where the disk or the lock does not allow it.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._connection.execute("COMMIT")
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
