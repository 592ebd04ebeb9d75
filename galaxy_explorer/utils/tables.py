"""Tables as files and back: CSV, ECSV, FITS, VOTable, Parquet.

What is written reads back equal, with units, descriptions, UCDs and provenance; CSV has no place
for those. A format that cannot hold a text as it is refuses it by name.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.errors import BadCatalog
from galaxy_explorer.utils.files import atomic_write_bytes

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True)
class TableFormat:
    """A file format: its name, astropy's name for it, and its media type."""

    words: str
    astropy: str
    media_type: str


FORMATS = {
    "ecsv": TableFormat("ECSV", "ascii.ecsv", "text/plain; charset=utf-8"),
    "csv": TableFormat("CSV", "ascii.csv", "text/csv; charset=utf-8"),
    "fits": TableFormat("FITS", "fits", "application/fits"),
    "vot": TableFormat("VOTable", "votable", "application/x-votable+xml"),
    "parquet": TableFormat("Parquet", "parquet", "application/vnd.apache.parquet"),
}
"""By the extension of the file."""


def encode_table(table: Table, extension: str) -> bytes:
    """A table as the bytes of a file.

    Raises BadCatalog for an extension that is not in FORMATS, and where the format would change
    a text: FITS knows ASCII only, XML no control characters.
    """
    _known(extension)
    # The table with whole numbers of the sizes that every format knows.
    made = table.copy(copy_data=False)
    for name in table.colnames:
        if table[name].dtype.kind in "iu" and table[name].dtype not in ("i2", "i4", "i8"):
            wider = np.promote_types(table[name].dtype, np.int16)
            made[name] = table[name].astype(np.int64 if wider.kind == "u" else wider)
    table = made
    _check_texts(table, extension)
    return _encode(table, extension)


def decode_table(data: bytes, extension: str) -> Table:
    """The table in the bytes of a file. Raises BadCatalog where there is none.

    CSV has no types: text that looks like numbers is taken for numbers.
    """
    _known(extension)
    try:
        return _decode(data, extension)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise BadCatalog(f"table.{extension}: cannot be read ({error})") from error


def write_table(table: Table, path: Path) -> None:
    """Write a table to a file whose extension says the format; whole or not at all."""
    atomic_write_bytes(path, encode_table(table, path.suffix.removeprefix(".")))


def _known(extension: str) -> None:
    if extension not in FORMATS:
        raise BadCatalog(f"table.{extension}: the extension must be one of {', '.join(FORMATS)}")


def _check_texts(table: Table, extension: str) -> None:
    """Columns with unusual text make the journey there and back first."""
    names = [name for name in table.colnames if _is_unusual(table[name])]
    if not names:
        return
    few = table[names]
    few.meta.clear()
    try:
        back = _decode(_encode(few, extension), extension)
        changed = [name for name in names if not np.array_equal(_filled(back[name]), few[name])]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise BadCatalog(_refusal(extension, ", ".join(names))) from error
    if changed:
        raise BadCatalog(_refusal(extension, changed[0]))


def _refusal(extension: str, names: str) -> str:
    words = FORMATS[extension].words
    return f"{words} cannot hold the text in {names} as it is; choose another format, ECSV first"


def _is_unusual(column: Any) -> bool:
    if column.dtype.kind != "U":
        return False
    values = np.unique(_filled(column))
    return not all(v.isascii() and v.isprintable() and v == v.strip() for v in values.tolist())


def _filled(column: Any) -> np.ndarray:
    """Text with what is masked as empty text."""
    values = column.filled("") if hasattr(column, "filled") else column
    return np.asarray(values).astype(str)


def _encode(table: Table, extension: str) -> bytes:
    with warnings.catch_warnings():
        # The standards only advise against some names and units; every reader takes them.
        warnings.filterwarnings("ignore", category=UserWarning, module="astropy")
        if extension == "parquet":
            # Parquet, for which astropy needs a path.
            with TemporaryDirectory() as folder:
                path = Path(folder) / "table.parquet"
                table.write(path, format="parquet")
                return path.read_bytes()
        if extension == "fits":
            return _fits_bytes(table)
        if extension == "vot":
            return _votable_bytes(table)
        buffer = io.StringIO()
        options = {"delimiter": ","} if extension == "ecsv" else {}
        table.write(buffer, format=FORMATS[extension].astropy, **options)
        return buffer.getvalue().encode()


def _fits_bytes(table: Table) -> bytes:
    """FITS, with descriptions and UCDs also where other readers look: TCOMMn and TUCDn."""
    from astropy.io import fits

    written, buffer = io.BytesIO(), io.BytesIO()
    plain = table.copy(copy_data=False)
    for key, value in table.meta.items():
        plain.meta[key] = str(value).encode("ascii", "replace").decode()
    plain.write(written, format="fits")
    with fits.open(io.BytesIO(written.getvalue())) as units:
        for number, name in enumerate(table.colnames, 1):
            info = table[name].info
            known = {"TCOMM": info.description, "TUCD": (info.meta or {}).get("ucd")}
            units[1].header.update({f"{key}{number}": text for key, text in known.items() if text})
        units.writeto(buffer)
    return buffer.getvalue()


def _votable_bytes(table: Table) -> bytes:
    """VOTable, with the provenance as INFO elements."""
    from astropy.io.votable import from_table, writeto
    from astropy.io.votable.tree import Info

    plain = table.copy(copy_data=False)
    plain.meta.clear()
    document = from_table(plain)
    for key, value in table.meta.items():
        document.infos.append(Info(name=key, value=str(value)))
    buffer = io.BytesIO()
    # Not document.to_xml: its compiled writer runs over the end of its buffer at some lengths.
    writeto(document, buffer)
    return buffer.getvalue()


def _decode(data: bytes, extension: str) -> Table:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="astropy")
        table = _read(data, extension)
    for name in table.colnames:
        if table[name].dtype.kind == "U" and hasattr(table[name], "mask"):
            table[name] = table[name].filled("")
    return table


def _read(data: bytes, extension: str) -> Table:
    from astropy.table import Table

    if extension == "vot":
        # The first table of a VOTable; INFO elements become its `meta`.
        from astropy.io.votable import parse

        document = parse(io.BytesIO(data), verify="ignore")
        table = document.get_first_table().to_table(use_names_over_ids=True)
        for name in table.colnames:  # long ones come back with line breaks
            table[name].description = " ".join((table[name].description or "").split()) or None
        table.meta.update({info.name: info.value for info in document.infos})
        return table
    if extension == "fits":
        options = {"mask_invalid": False, "character_as_bytes": False}
        return Table.read(io.BytesIO(data), format="fits", hdu=1, **options)
    if extension == "parquet":
        with TemporaryDirectory() as folder:
            path = Path(folder) / "table.parquet"
            path.write_bytes(data)
            return Table.read(path, format="parquet")
    text = io.BytesIO(data)
    return Table.read(text, format=FORMATS[extension].astropy, encoding="utf-8")
