"""Tables in memory, asked in SQL by DuckDB: one connection a process, shut off from all else.

It reads no file, loads no extension, sees no variable of the program and takes bounded memory.
Values are bound, never written into the statement; nor are names of columns, which are numbered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from galaxy_explorer.errors import BadQuery

if TYPE_CHECKING:
    import duckdb

MEMORY = "256MB"
SHUT: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "enable_external_access": False,
    "python_enable_replacements": False,
    "memory_limit": MEMORY,
    "threads": 1,
    "temp_directory": "",
}


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """The connection of this process, whose settings cannot be changed any more."""
    import duckdb

    made = duckdb.connect(":memory:", config=SHUT)
    made.execute("SET lock_configuration = true")
    return made


def ask(
    columns: Mapping[str, Any], wanted: str, where: Sequence[str], values: Sequence[Any]
) -> dict[str, np.ndarray]:
    """Some of these columns (N,) where conditions hold, in the order of `row`.

    columns: numpy or Arrow arrays, `row` among them; their names are the caller's, not those of a
    catalogue. where: conditions in SQL that must all hold, with question marks for the values.
    Raises BadQuery for a value that no question can be about.
    """
    import duckdb

    # Of the caller's own words; what a visitor typed is among the values.
    conditions = " AND ".join(["true", *where])
    statement = f"SELECT {wanted} FROM asked WHERE {conditions} ORDER BY row"  # noqa: S608
    cursor = connection().cursor()
    try:
        cursor.register("asked", pa.table(dict(columns)))
        found = cursor.execute(statement, list(values)).fetchnumpy()
        return {name: np.asarray(column) for name, column in found.items()}
    except (duckdb.Error, UnicodeError) as error:
        raise BadQuery(f"search: this cannot be looked for ({type(error).__name__})") from error
    finally:
        cursor.close()
