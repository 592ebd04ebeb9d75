"""Names of galaxies however they are written, and an index of all that a catalogue has.

"IC0495", "ic 495" and "IC-495" are one name. A galaxy of Messier's list is found under its number
there and under that of the NGC, whichever of them the catalogue has.
"""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_explorer.bundle.catalogue import Catalogue
from galaxy_explorer.bundle.files import FileEntry, verify_file
from galaxy_explorer.errors import BundleError

NAMES = "names.parquet"
"""Of a bundle of many galaxies: its index of names."""
NAME_COLUMNS = ("galaxy_id", "name", "ngc_ic")
LISTS = ("m", "ngc", "ic", "ugc", "ugca", "pgc", "eso", "arp", "mrk", "ddo", "vcc", "3c", "zw")
"""Catalogues whose numbers are whole names: NGC 51 is not the beginning of NGC 5194."""
SAME_LIST = {"messier": "m", "leda": "pgc", "mkn": "mrk", "markarian": "mrk"}
MESSIER = {
    31: 224, 32: 221, 33: 598, 49: 4472, 51: 5194, 58: 4579, 59: 4621, 60: 4649, 61: 4303,
    63: 5055, 64: 4826, 65: 3623, 66: 3627, 74: 628, 77: 1068, 81: 3031, 82: 3034, 83: 5236,
    84: 4374, 85: 4382, 86: 4406, 87: 4486, 88: 4501, 89: 4552, 90: 4569, 91: 4548, 94: 4736,
    95: 3351, 96: 3368, 98: 4192, 99: 4254, 100: 4321, 101: 5457, 104: 4594, 105: 3379, 106: 4258,
    108: 3556, 109: 3992, 110: 205,
}  # fmt: skip
"""NGC numbers of Messier's galaxies; M 102 is left out, of which nobody knows what he saw."""
_TWINS = {f"m{m}": f"ngc{ngc}" for m, ngc in MESSIER.items()}
_TWINS |= {ngc: m for m, ngc in _TWINS.items()}
_LISTED = re.compile(rf"(?:{'|'.join(LISTS)})\d+")
_LOOSE_SIGN = re.compile(r"(?<!\d)[-+.]|[-+.](?!\d)")
_ZEROS = re.compile(r"(?<=[^\W\d])0+(?=\d)")
_LETTERS = re.compile(r"[^\W\d_]+")


def normal(name: str) -> str:
    """A name without blanks, case, punctuation and leading zeros: "IC0495" and "ic 495" agree."""
    letters = "".join(c for c in name.casefold() if c.isalnum() or c in "+-.")
    return _ZEROS.sub("", _LOOSE_SIGN.sub("", letters))  # signs stay between digits


def same_names(name: str) -> list[str]:
    """Normal forms of what a galaxy of that name may be called, its own first; none of no name."""
    wanted = normal(name)
    word = _LETTERS.match(wanted)
    if word is not None and word[0] in SAME_LIST:
        wanted = SAME_LIST[word[0]] + wanted[word.end() :]
    return [one for one in (wanted, _TWINS.get(wanted, "")) if one]


def is_listed(wanted: str) -> bool:
    """Whether a normal form is a whole name, a number of a catalogue."""
    return _LISTED.fullmatch(wanted) is not None


def names_table(catalogue: Catalogue) -> pa.Table:
    """Normal forms of all names (`name`) and the `row` of each galaxy, sorted by name."""
    names: list[str] = []
    rows: list[int] = []
    for column in NAME_COLUMNS:
        if column in catalogue.column_names:
            texts = pc.cast(catalogue.stored(column), pa.string()).to_pylist()
            found = [(normal(text), row) for row, text in enumerate(texts) if text]
            names += [name for name, _ in found if name]
            rows += [row for name, row in found if name]
    table = pa.table({"name": pa.array(names, pa.string()), "row": pa.array(rows, pa.int32())})
    return table.sort_by([("name", "ascending"), ("row", "ascending")]).combine_chunks()


def read_names(path: Path, entry: FileEntry, rows: int) -> pa.Table:
    """The index of a bundle of so many rows, as it was written. Raises BundleError."""
    verify_file(path, entry)
    try:
        table = pq.read_table(path, columns=["name", "row"]).combine_chunks()
        table.validate(full=True)
        if table.schema.types != [pa.string(), pa.int32()] or table["row"].null_count:
            raise ValueError("names and rows are expected")
        if len(table) > len(NAME_COLUMNS) * rows:
            raise ValueError("more names than galaxies")
        if (
            len(table)
            and not 0 <= pc.min(table["row"]).as_py() <= pc.max(table["row"]).as_py() < rows
        ):
            raise ValueError(f"a row that is none of the {rows} galaxies")
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise BundleError(f"{path}: not an index of names: {error}") from None
    return table
