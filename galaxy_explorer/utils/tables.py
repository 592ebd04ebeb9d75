"""Tables as files and back: CSV, ECSV, FITS, VOTable, Parquet; what ids and stages T in them mean.

What is written is read back and compared before a file takes its name. Units, descriptions, UCDs
and provenance come back, too; CSV has no place for those. A format that cannot hold a text, not
even escaped, refuses it by name.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from galaxy_explorer.errors import BadCatalog
from galaxy_explorer.utils.files import atomic_write_bytes, naming

if TYPE_CHECKING:
    from astropy.io.votable.tree import VOTableFile
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
SUFFIXES = {
    ".csv": "text", ".tsv": "text", ".txt": "text", ".dat": "text", ".tbl": "text",
    ".ecsv": "ecsv", ".fits": "fits", ".fit": "fits", ".fts": "fits", ".fz": "fits",
    ".cat": "text", ".vot": "votable", ".votable": "votable", ".xml": "votable",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
"""What a file is by its name, where its first bytes do not say; .gz and .bz2 may follow."""


def encode_table(table: Table, extension: str) -> bytes:
    """A table as the bytes of a file, which have been read back and compared with it, all of them.

    FITS knows ASCII alone: other text is written with Python's escapes, and cards
    say of which columns. In CSV a text that a spreadsheet would take for a formula has a "'" before
    it. `decode_table` undoes both. Raises BadCatalog for an extension that is not in FORMATS, and
    where a text does not come back as it was: XML has no place for control characters.
    """
    _known(extension)
    made = table.copy(copy_data=False)
    for name in table.colnames:
        # Whole numbers of the sizes that every format knows; the largest ones as text.
        column = table[name]
        if column.dtype.kind in "iu" and column.dtype not in ("i2", "i4", "i8"):
            wider: Any = np.int64  # with uint64, numpy's own promotion gives floats
            if column.dtype != np.uint64:
                wider = np.promote_types(column.dtype, np.int16)
            else:
                most = int(np.max(np.ma.getdata(column), initial=0))
                wider = str if most > np.iinfo(np.int64).max else np.int64
            made[name] = column.astype(wider)
    try:
        data = _encode(made, extension)
        changed = changed_column(made, _decode(data, extension, texts=True))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, which holds Parquet on its way, not of the format
        unusual = [name for name in made.colnames if _is_unusual(made[name])]
        raise BadCatalog(_refusal(extension, ", ".join(unusual) or "this table")) from error
    if changed:
        raise BadCatalog(_refusal(extension, changed))
    return data


def changed_column(table: Table, back: Table) -> str:
    """The first column that differs in what was read back; empty where the tables are equal.

    Where a number is missing it may be masked in one and NaN in the other.
    """
    if back.colnames != table.colnames or len(back) != len(table):
        differing = set(table.colnames).symmetric_difference(back.colnames)
        return min(differing, default="the number of rows")
    for name in table.colnames:
        one, other = table[name], back[name]
        if one.dtype.kind in "USO":
            if not np.array_equal(_filled(one), _filled(other)):
                return str(name)
            continue
        missing = _missing(one)
        values = np.ma.getdata(other)
        if values.dtype.kind in "US":  # of a format without types
            gone = missing if missing.shape == values.shape else np.zeros(values.shape, bool)
            texts = np.where(gone | (values == ""), "0", values)
            values = texts == "True" if one.dtype.kind == "b" else texts.astype(one.dtype)
            gone = gone | _missing(values)
        else:
            gone = _missing(other)
        if not np.array_equal(missing, gone) or not np.array_equal(
            np.ma.getdata(one)[~missing], values[~missing]
        ):
            return str(name)
    return ""


def _missing(column: Any) -> np.ndarray:
    """Where there is no number: masked or NaN."""
    values = np.ma.getdata(column)
    absent = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    return np.asarray(absent | np.ma.getmaskarray(np.ma.asarray(column)))


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


def _refusal(extension: str, names: str) -> str:
    words = FORMATS[extension].words
    return f"{words} cannot hold what is in {names} as it is; choose another format, ECSV first"


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
        warnings.filterwarnings("ignore", module="astropy")
        if extension == "parquet":
            # Parquet, for which astropy needs a path.
            with TemporaryDirectory() as folder, naming(Path(folder)):
                path = Path(folder) / "table.parquet"
                table.write(path, format="parquet")
                return path.read_bytes()
        if extension == "fits":
            return _fits_bytes(table)
        if extension == "vot":
            return _votable_bytes(table)
        if extension == "csv":
            table = _with_texts(table, guarded)
        buffer = io.StringIO()
        options = {"delimiter": ","} if extension == "ecsv" else {}
        table.write(buffer, format=FORMATS[extension].astropy, **options)
        text = buffer.getvalue()
        return (_quoted_hashes(text) if extension == "ecsv" else text).encode()


def _with_texts(table: Table, change: Callable[[str], str]) -> Table:
    """The table with its texts and the names of its columns changed."""
    made = table.copy(copy_data=False)
    for name in table.colnames:
        column = table[name]
        if column.dtype.kind in "US":
            values = _filled(column)
            changed = np.array([change(v) for v in values.ravel().tolist()], dtype=str)
            made[name] = type(column)(data=changed.reshape(values.shape), copy=False)
            made[name].info.description = column.info.description
            made[name].info.meta = column.info.meta
            if hasattr(column, "mask") and np.any(column.mask):
                made[name].mask = column.mask
    for name in table.colnames:
        if change(name) != name:
            made.rename_column(name, change(name))
    return made


FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula: a "'" goes before what looks like one.

    Numbers stay as they are. `unguarded` gives the text back.
    """
    if unguarded(text) != text:
        return f"'{text}"
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text[:1] == "'" and text[1:].startswith((*FORMULA, "'")) else text


def write_csv(stream: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV, their texts `guarded`; None is an empty cell."""
    writer = csv.writer(stream)
    for row in rows:
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])


def _quoted_hashes(text: str) -> str:
    """ECSV whose rows none begins with "#": a reader would take them for remarks."""
    lines, is_open, begun = [], False, False
    for line in text.split("\n"):
        shown = line
        begun = begun or not line.startswith("# ")
        if begun and not is_open and line.lstrip().startswith("#"):
            cell, comma, rest = line.partition(",")
            shown = f'"{cell}"{comma}{rest}'
        is_open ^= begun and bool(line.count('"') % 2)
        lines.append(shown)
    return "\n".join(lines)


ESCAPED = "ESCAPED"
ESCAPE_NOTE = "columns and keys in ESCAPED have Python's escapes: \\xe9, \\u03b1, \\n, \\\\"


def _escape(text: str) -> str:
    """Text in printable ASCII that does not end with a blank."""
    plain = text.encode("unicode_escape").decode("ascii")
    return plain if not plain.endswith(" ") else f"{plain[:-1]}\\x20"


def _unescape(text: str) -> str:
    return text.encode("ascii", "replace").decode("unicode_escape")


def _fits_bytes(table: Table) -> bytes:
    """FITS, with descriptions and UCDs also where other readers look: TCOMMn and TUCDn."""
    from astropy.io import fits

    written, buffer = io.BytesIO(), io.BytesIO()
    plain = table.copy(copy_data=False)
    escaped = [name for name in table.colnames if _is_unusual(table[name]) or not _is_plain(name)]
    changed = _with_texts(table[escaped], _escape) if escaped else None
    places = [str(table.colnames.index(name) + 1) for name in escaped]
    for name, new in zip(escaped, changed.colnames if changed is not None else (), strict=True):
        plain[name] = changed[new] if changed is not None else plain[name]
        if new != name:
            plain.rename_column(name, new)
    for key, value in table.meta.items():
        plain.meta[key] = str(value)
        if not _is_plain(str(value)):
            plain.meta[key] = _escape(str(value))
            places.append(str(key))
    if places:
        plain.meta[ESCAPED] = ",".join(places)
        plain.meta["comments"] = [ESCAPE_NOTE]
    plain.write(written, format="fits")
    with fits.open(io.BytesIO(written.getvalue())) as units:
        for number, name in enumerate(table.colnames, 1):
            info = table[name].info
            known = {"TCOMM": info.description, "TUCD": (info.meta or {}).get("ucd")}
            units[1].header.update(
                {f"{key}{number}": _escape(text) for key, text in known.items() if text}
            )
        units.writeto(buffer)
    return buffer.getvalue()


def unescaped(table: Table) -> Table:
    """A table that was read from FITS, with the texts that `encode_table` had escaped."""
    keys = {str(key).upper(): key for key in table.meta}
    if ESCAPED not in keys:
        return table
    places = str(table.meta.pop(keys[ESCAPED])).split(",")
    remarks = [line for line in table.meta.pop("comments", []) if line != ESCAPE_NOTE]
    if remarks:
        table.meta["comments"] = remarks
    for place in places:
        if not place.isdecimal():
            key = keys.get(place.upper(), place)
            table.meta[key] = _unescape(str(table.meta[key]))
            continue
        name = table.colnames[int(place) - 1]
        if table[name].dtype.kind in "US":
            values = _filled(table[name])
            texts = np.array([_unescape(v) for v in values.ravel().tolist()], dtype=str)
            description, meta = table[name].info.description, table[name].info.meta
            table[name] = texts.reshape(values.shape)
            table[name].info.description, table[name].info.meta = description, meta
        if _unescape(name) != name:
            table.rename_column(name, _unescape(name))
    return table


def header_text(text: str) -> str:
    """Text as a FITS header takes it: a question mark for all but printable ASCII."""
    return re.sub(r"[^ -~]", "?", text)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and text == text.rstrip()


def _with_ids(document: VOTableFile) -> None:
    """Give the fields of a VOTable ids of their own, and positions their system."""
    from astropy.io.votable.tree import CooSys

    known = {"icrs", "table", *(info.ID for info in document.infos)}
    for resource in document.resources:
        for one in resource.tables:
            one.ID = "table"
            names = {field.name for field in one.fields}
            for field in one.fields:
                plain = re.sub(r"[^A-Za-z0-9_.-]", "_", field.name)
                wanted = plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"
                number = 1
                while (
                    chosen := wanted if number == 1 else f"{wanted}_{number}"
                ) in known | names - {field.name}:
                    number += 1
                known.add(chosen)
                field.ID = chosen
                if field.datatype in {"char", "unicodeChar"} and field.arraysize == "1":
                    field.arraysize = "*"  # texts of one character are texts
            places = [
                f for f in one.fields if (f.ucd or "").startswith(("pos.eq.ra", "pos.eq.dec"))
            ]
            for field in places:
                field.ref = "icrs"
            if places:
                resource.coordinate_systems.append(CooSys(ID="icrs", system="ICRS"))


def _votable_bytes(table: Table) -> bytes:
    """VOTable, with the provenance as INFO elements."""
    from astropy.io.votable import from_table, writeto
    from astropy.io.votable.tree import Info

    plain = table.copy(copy_data=False)
    plain.meta.clear()
    document = from_table(plain)
    for number, (key, value) in enumerate(table.meta.items(), 1):
        document.infos.append(Info(ID=f"about_{number}", name=key, value=str(value)))
    _with_ids(document)
    buffer = io.BytesIO()
    # Not document.to_xml: its compiled writer runs over the end of its buffer at some lengths.
    writeto(document, buffer)
    return buffer.getvalue()


def _decode(data: bytes, extension: str, *, texts: bool = False) -> Table:
    """The table in bytes; texts: of CSV, which has no types, all columns as texts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="astropy")
        table = _read(data, extension, texts=texts)
    for name in table.colnames:
        if table[name].dtype.kind == "U" and hasattr(table[name], "mask"):
            table[name] = table[name].filled("")
    return _with_texts(table, unguarded) if extension == "csv" else table


def _read(data: bytes, extension: str, *, texts: bool) -> Table:
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
        return unescaped(Table.read(io.BytesIO(data), format="fits", hdu=1, **options))
    if extension == "parquet":
        with TemporaryDirectory() as folder:
            path = Path(folder) / "table.parquet"
            path.write_bytes(data)
            return Table.read(path, format="parquet")
    text, own = io.BytesIO(data), {}
    if extension == "csv" and texts:
        from astropy.io.ascii import convert_numpy

        own = {"converters": {"*": [convert_numpy(str)]}}
    return Table.read(text, format=FORMATS[extension].astropy, encoding="utf-8", **own)


def pick_table(tables: Mapping[int, tuple[str, int]], wanted: str | None, path: str) -> int:
    """Number of the table to take, of name and rows by number.

    Raises BadCatalog where there is none, none of that name, or several and none is named.
    """
    words = [f"{n} {name or '(no name)'} ({rows} rows)" for n, (name, rows) in tables.items()]
    there = f"{path}: {len(tables)} tables: {', '.join(words)}"
    if wanted is not None:
        fitting = [
            n for n, (name, _) in tables.items() if wanted.strip().lower() in {str(n), name.lower()}
        ]
        if len(fitting) != 1:
            raise BadCatalog(f"{there}; --table {wanted} fits {len(fitting) or 'none'} of them")
        return fitting[0]
    filled = [n for n, (_, rows) in tables.items() if rows]
    if not tables:
        raise BadCatalog(f"{path}: holds no table")
    if len(filled) > 1:
        raise BadCatalog(f"{there}; choose one by --table NAME or number")
    return (filled or list(tables))[0]


NULLS = ("", "nan", "NaN", "NAN", "null", "NULL", "N/A", "--")
EMPTY = (*NULLS, "NA", "na", "n/a", "?", "-", "~", "None", "none", "Null", "...", "<NA>", "#N/A")
"""Cells that say nothing: NULLS in a column of text, all of these in one of numbers."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
LEAST_STAGE, LARGEST_STAGE, STAGE_MARGIN = -6.0, 11.0, 0.5
STAGES = {
    "cE": -6, "E": -5, "dE": -5, "dSph": -5, "cD": -4, "E+": -4, "E-S0": -3, "S0-": -3,
    "dS0": -2, "S0": -2, "S00": -2, "S0+": -1, "S0a": 0, "Sa": 1, "Sab": 2, "Sb": 3, "Sbc": 4,
    "Sc": 5, "Scd": 6, "Sd": 7, "Sdm": 8, "Sm": 9, "Im": 10, "I": 10, "Irr": 10, "dI": 10,
    "dIrr": 10, "dIm": 10, "cI": 11, "BCD": 11, "cIm": 11,
}  # fmt: skip
NO_STAGE = frozenset(("S", "Pec", "pec", "PEC", "P", "I0", "sp", "unknown", "Unknown"))
_LUMINOSITY = re.compile(r"(?<=^S)([a-dm0]{1,3}[+-]?)(I{1,3}|IV|V)(-(I{1,3}|IV|V))?(\.\d)?$")
_TAIL = re.compile(r"[\s,;]+(pec|sp|edge-?on|hii|liner|sy\d?(\.\d)?|agn|\?|:|\^)\S*", re.IGNORECASE)


def hubble_stage(text: str) -> float:
    """The stage T of a number or of a Hubble type in words; NaN where it is empty or unknown.

    De Vaucouleurs' numbers (de Vaucouleurs et al. 1991, RC3): cE -6, E (E0 to E7, dE) -5, cD and E+
    -4, E/S0 and S0- -3, S0 -2, S0+ -1, S0/a 0, Sa 1, Sab 2, Sb 3, Sbc 4, Sc 5, Scd 6, Sd 7, Sdm 8,
    Sm 9, Im and Irr 10, cI 11. Bars (A, AB, B), rings and arms in brackets, classes of luminosity,
    "pec", "sp", ":" and "?" are passed over. S, Pec and I0 have no stage. Numbers from -6.5 to
    11.5 are stages; all other ones are flags (99, -999) and come back as they are: see
    `stage_or_nan`.

    Raises ValueError for another word.
    """
    text = text.strip()
    if text in EMPTY:
        return float("nan")
    number = text.replace("\u2212", "-").replace("\u2013", "-")
    if NUMBER.fullmatch(number):
        return float(number)
    if text.lower() in {"inf", "-inf", "+inf", "infinity"}:
        return float("nan")
    word = re.sub(r"\([^)]*\)|\[[^\]]*\]|\^|:|\?|!|_", "", _TAIL.sub("", text)).strip()
    word = word.replace("\u2212", "-").replace("\u2070", "0")
    word = re.sub(r"\s*(pec|sp|\.{2,}p?)$", "", word, flags=re.IGNORECASE) or "pec"
    word = re.sub(r"^([cd]?E|cD)\d([.-]\d)?", r"\1", word)
    word = re.sub(r"^dE[\s,]*N$", "dE", word)
    word = re.sub(r"^E[/-]S(AB|A|B)?0.*$|^S0[/-]E$", "E-S0", word)
    word = re.sub(r"(?<=[/-])S(AB|A|B)?(?=[abcdm]$)", "", word)  # Sb/Sc
    word = re.sub(r"^S(AB|A|B)(?=[0abcdm]|$)", "S", word)
    word = _LUMINOSITY.sub(r"\1", word)
    word = re.sub(r"^I(AB|A|B)(?=m|$)", "I", word)
    word = re.sub(r"^(S0)[+-]?[/-]?a$", "S0a", word)
    word = re.sub(r"^S([abcd])[/-]([bcdm])$", r"S\1\2", word)
    if word in NO_STAGE:
        return float("nan")
    # SB is barred, Sb is not: only words that begin with another letter may be in any case.
    word = word if word in STAGES or word[:1] in "sS" else word.capitalize()
    if word not in STAGES:
        raise ValueError(f"{text[:40]!r} is neither a stage T (-6 to 11) nor a Hubble type")
    return float(STAGES[word])


def stage_or_nan(stages: Any) -> Any:
    """Stages with all that lies outside -6 to 11, by more than .5, as NaN."""
    stages = np.asarray(stages, np.float64)
    low, high = LEAST_STAGE - STAGE_MARGIN, LARGEST_STAGE + STAGE_MARGIN
    with np.errstate(invalid="ignore"):
        return np.where((stages >= low) & (stages <= high), stages, np.nan)


def outside_words(counts: Mapping[str, int]) -> str:
    """A sentence on values of T that are no stages; counts: how often each of them stands there."""
    shown = sorted(counts, key=lambda text: (-counts[text], text))
    words = "" if all(NUMBER.fullmatch(text) for text in shown) else " or without a stage"
    more = " ..." if len(shown) > 8 else ""
    return (
        f"{sum(counts.values()):,} values outside -6..11{words} taken as unknown: "
        f"{', '.join(shown[:8])}{more}"
    )


MOST_EXACT = 2**53
_BYTES = re.compile(r"b'.*'|b\".*\"")  # as pandas writes them to CSV
_WHOLE_FLOAT = re.compile(r"[+-]?\d+\.0*")
_SCIENTIFIC = re.compile(r"[+-]?\d\.\d+[eE]\+?\d+")


def check_id_texts(texts: Collection[str], column: str, name: str) -> bool:
    """Whether ids that are text are whole numbers written as floats (1234.0), all of them.

    Raises BadCatalog where digits of them are lost, or they are bytes that were written as text.
    """
    there = [text for text in texts if text]
    if there and all(_BYTES.fullmatch(text) for text in there):
        raise BadCatalog(
            f"{name}: the id column {column!r} holds Python's bytes such as {there[0]}; decode "
            "them before the table is written"
        )
    whole = bool(there) and all(_WHOLE_FLOAT.fullmatch(text) for text in there)
    lost = whole and any(abs(int(text.split(".")[0])) >= MOST_EXACT for text in there)
    cut = [text for text in there if _SCIENTIFIC.fullmatch(text)]  # as spreadsheets write them
    if lost or cut:
        raise BadCatalog(float_ids(column, name, (cut or there)[0]))
    return whole


def float_ids(column: str, name: str, example: str) -> str:
    """The refusal of ids that have lost their last digits, and its cure."""
    return (
        f"{name}: the id column {column!r} holds floating-point numbers such as {example}, exact "
        "to 2^53 only (2^24 in single precision): ids may have lost digits; write the column as "
        "integers or text"
    )


_SEXAGESIMAL = re.compile(
    r"([+-]?)\s*(\d{1,3})\s*([:hd\u00b0 ])\s*(\d{1,2}(?:\.\d*)?)"
    r"(?:\s*[:m'\u2032 ]\s*(\d{1,2}(?:\.\d*)?))?\s*[s\"\u2033m'\u2032]?"
)


_FORTRAN = re.compile(r"[+-]?\d*\.\d*[dD][+-]?\d{1,2}")


def decimal(text: str) -> float | None:
    """The number that a text is, with Fortran's D for E; None where it is none."""
    if _FORTRAN.fullmatch(text):
        text = text.lower().replace("d", "e")
    return float(text) if NUMBER.fullmatch(text) else None


def text_angle(text: str, role: str) -> float:
    """Degrees of a number or of hh:mm:ss, dd:mm:ss; NaN where it is neither."""
    text = text.strip().replace("\u2212", "-").replace("\u2013", "-")
    if (number := decimal(text)) is not None:
        return number
    found = _SEXAGESIMAL.fullmatch(text)
    if not found:
        return float("nan")
    sign, whole, mark, minutes, seconds = found.groups()
    if float(minutes) > 60.0 or float(seconds or 0) > 60.0:
        return float("nan")
    value = float(whole) + float(minutes) / 60.0 + float(seconds or 0) / 3600.0
    if role == "ra" and mark not in "d\u00b0":
        value = 15.0 * value if value <= 24.0 else float("nan")
    return -value if sign == "-" else value
