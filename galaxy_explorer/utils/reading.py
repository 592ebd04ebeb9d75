"""Tables as people have them, read once for catalogues and for labels, and staged as Parquet.

What a file is says its content before its name. Text comes in any usual separator and encoding;
of several tables in a file the one that is named is taken. Nothing is guessed without a word:
`StagedTable.notes` says what was decided, `left_out` which columns were not read, and why.
"""

from __future__ import annotations

import csv
import re
import warnings
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from galaxy_explorer.errors import BadCatalog
from galaxy_explorer.utils.files import (
    BLOCK_BYTES,
    encoding_of,
    has_odd_quotes,
    raise_if_full,
    unpacked_beside,
)
from galaxy_explorer.utils.tables import EMPTY, NULLS, NUMBER, SUFFIXES, pick_table, unescaped

REFUSED = {
    b"PK\x03\x04": "is a zip archive or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook; save the sheet as CSV",
    b"\x89HDF": "is HDF5; write the table as Parquet, FITS or CSV",
    b"ARROW1": "is a Feather file; write the table as Parquet, FITS or CSV",
    **dict.fromkeys((b"<!DOCTYPE", b"<!doctype", b"<html"), "is a web page; download the table"),
    **dict.fromkeys(
        (b"\xfd7zXZ", b"\x1f\x9d", b"\x28\xb5\x2f\xfd"),
        "is packed by xz, compress or zstd; unpack it first",
    ),
}
SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "blanks"}
TELLING = frozenset(
    ("id", "name", "objid", "dr7objid", "dr8objid", "object_id", "galaxy_id", "number", "ra", "dec")
)
HEAD_BYTES = 1 << 18
MOST_PARTS = 32
"""Values in an entry of a column that become columns of their own."""
DAMAGE = (
    pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, EOFError,
    AttributeError, SyntaxError, ArithmeticError, zlib.error, ExpatError, csv.Error,
)  # fmt: skip
LEADING_ZERO = r"^\s*0[0-9]"
DECIMAL_COMMA = r"^[+-]?\d+,\d+$"
THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.|$)"
LONG_WHOLE = r"^[+-]?[1-9]\d{16,}$"
ENCODINGS = {"cp1252": "Latin-1 (Windows-1252)", "latin-1": "Latin-1"}
_RULE = " |+-=:;,\r\n\t"
UNSEEN = "\ufeff\u200b\u2060"
"""Marks without ink that editors leave in headers."""
CURE = "put text with separators in quotes; where line 1 is a title, begin it with #"
WANTED = (pa.int64(), pa.uint64(), pa.float64(), pa.string())

Names = Callable[[list[str]], Collection[str]]


class StagedTable(pq.ParquetFile):  # type: ignore[misc]
    """A table as Parquet, in the file `path`. units: by column, as its file spells them."""

    def __init__(
        self,
        path: Path,
        *,
        units: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        left_out: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(path)
        self.path = path
        self.units = dict(units or {})
        self.notes = list(notes)
        self.left_out = dict(left_out or {})

    def said(self) -> list[str]:
        """What the summary says of the reading."""
        unused = [f"{name} ({why})" for name, why in self.left_out.items()]
        return [*self.notes, *([f"columns not used: {', '.join(unused)}"] if unused else [])]


def stage_table(
    path: Path,
    staged: Path,
    *,
    name: str | None = None,
    table: str | None = None,
    as_text: Names | None = None,
    most_bytes: int | None = None,
) -> StagedTable:
    """Read a table of any kind and write it as Parquet to `staged`.

    name: what messages call it, else its path. table: name or number of the one to take where the
    file holds several. as_text: given the names, which columns of a text file stay text as it is;
    of the others the values decide: whole numbers, numbers, else text. most_bytes: of a compressed
    file when unpacked, else half of the free disk.

    Raises BadCatalog, naming file and cure, for whatever cannot be read.
    """
    name = name or str(path)
    if not path.is_file():
        raise BadCatalog(f"{name}: no such file; give the catalogue by --catalog")
    staged.parent.mkdir(parents=True, exist_ok=True)
    kind = ""
    try:
        inner, suffix = unpacked_beside(path, staged, name, most_bytes)
        kind = _kind(inner, suffix, name)
        if table is not None and kind not in {"fits", "votable"}:
            raise BadCatalog(f"{name}: holds one table only; leave --table out")
        if kind == "parquet":
            return _parquet(inner, name)
        if kind == "text":
            return _stage_text(inner, name, staged, as_text or (lambda _: ()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read, notes = _READERS[kind](inner, name, table)
        return _stage_astropy(read, staged, notes)
    except DAMAGE as error:
        raise_if_full(error, staged)
        cure = f"; {CURE}" if kind == "text" and isinstance(error, pa.ArrowInvalid) else ""
        raise BadCatalog(f"{name}: cannot be read as a table ({error}){cure}") from error


def _kind(path: Path, suffix: str, named: str) -> str:
    with path.open("rb") as stream:
        head = stream.read(4096)
    why = next((why for magic, why in REFUSED.items() if head.startswith(magic)), None)
    if why:
        raise BadCatalog(f"{named}: {why}")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"SIMPLE  ="):
        return "fits"
    if b"<VOTABLE" in head or start.startswith(b"<?xml"):
        return "votable"
    if start.startswith(b"# %ECSV"):
        return "ecsv"
    kind = SUFFIXES.get(suffix, "text")
    if kind == "text":
        ascii_kind = next((k for k, mark in _ASCII_KINDS.items() if mark.search(head)), None)
        return ascii_kind or kind
    return kind


_ASCII_KINDS = {
    "ascii.mrt": re.compile(rb"Byte-by-byte Description of file"),
    "ascii.ipac": re.compile(rb"\A(\\[^\n]*\n)*(\|[^\n]*\|[ ]*\n){2,4}[^|\n]+\n"),
    "ascii.sextractor": re.compile(rb"\A#\s+1\s+[A-Z_0-9]+\s"),
}


Read = tuple[Any, list[str]]


def _read_fits(path: Path, named: str, wanted: str | None) -> Read:
    from astropy.io import fits
    from astropy.table import Table

    with fits.open(path) as hdus:
        tables = {
            number: (hdu.name, int(hdu.header["NAXIS2"]))
            for number, hdu in enumerate(hdus)
            if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)
            and not isinstance(hdu, fits.CompImageHDU)
            # SExtractor's LDAC has a table of the image's header before each one of objects.
            and hdu.name != "LDAC_IMHEAD"
        }
        number = pick_table(tables, wanted, named)
        if hdus[number].header.get("ZTABLE"):
            raise BadCatalog(f"{named}: HDU {number} is a compressed table; unpack it by funpack")
        escaped = "ESCAPED" in hdus[number].header
        table = unescaped(Table.read(hdus[number], character_as_bytes=not escaped))
    name = tables[number][0]
    several = f" of {len(tables)} tables" if len(tables) > 1 else ""
    return table, [f"table: HDU {number} {name}".rstrip() + several] if several or name else []


def _read_votable(path: Path, named: str, wanted: str | None) -> Read:
    from astropy.io.votable import parse

    document = parse(path, verify="ignore")
    # Two-step, for the names are those of the fields, not their IDs.
    found = dict(enumerate(document.iter_tables(), 1))
    tables = {n: (str(t.name or t.ID or ""), len(t.array)) for n, t in found.items()}
    number = pick_table(tables, wanted, named)
    notes = [f"table: {number} {tables[number][0]}".rstrip()] if len(tables) > 1 else []
    if any(i.value == "OVERFLOW" for r in document.resources for i in (*r.infos, *found[1].infos)):
        notes.append("the service cut the table off (OVERFLOW): rows are missing")
    systems = {c.system for r in document.resources for c in r.coordinate_systems if c.system}
    if odd := sorted(systems - {"ICRS", "FK5", "eq_FK5"}):
        notes.append(f"its positions are of {', '.join(odd)}; those taken are believed to be ICRS")
    return found[number].to_table(use_names_over_ids=True), notes


def _read_ascii(kind: str) -> Callable[[Path, str, str | None], Read]:
    def read(path: Path, named: str, wanted: str | None) -> Read:  # noqa: ARG001
        from astropy.table import Table

        words = [] if kind == "ascii.ecsv" else [f"read as {kind.removeprefix('ascii.')}"]
        return Table.read(path, format=kind), words

    return read


_READERS: dict[str, Callable[[Path, str, str | None], Read]] = {
    "fits": _read_fits,
    "votable": _read_votable,
    "ecsv": _read_ascii("ascii.ecsv"),
    **{kind: _read_ascii(kind) for kind in _ASCII_KINDS},
}


def _stage_astropy(table: Any, staged: Path, notes: list[str]) -> StagedTable:
    columns: dict[str, pa.Array] = {}
    units: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name, part in _plain_parts(table):
        if isinstance(part, str):
            left_out[name] = part
            continue
        values = _arrow(part, notes, name)
        if values is None:
            left_out[name] = "entries of several values, or complex numbers"
            continue
        columns[name] = values
        if getattr(part, "unit", None) is not None:
            units[name] = str(part.unit)
    pq.write_table(pa.table(columns), staged)
    return StagedTable(staged, units=units, notes=notes, left_out=left_out)


def _plain_parts(table: Any) -> Iterator[tuple[str, Any]]:
    """Columns of one value a row, by name; a text instead of one says why it is left out.

    A SkyCoord becomes ra and dec (ICRS, deg), a short vector one column a value.
    """
    from astropy.coordinates import SkyCoord
    from astropy.table import Column

    taken = {name.lower() for name in table.colnames}
    for name in table.colnames:
        column = table[name]
        if isinstance(column, SkyCoord):
            place = column.icrs
            for axis in ("ra", "dec"):
                free = axis if axis not in taken else f"{name}_{axis}"
                yield free, Column(getattr(place, axis).deg, unit="deg")
        elif not hasattr(column, "dtype"):
            if hasattr(column, "isot"):
                yield name, Column(np.asarray(column.isot))
            else:
                yield name, f"a {type(column).__name__}"
        elif column.ndim == 2 and 0 < column.shape[1] <= MOST_PARTS:
            for part in range(column.shape[1]):
                yield f"{name}_{part}", column[:, part]
        elif column.ndim > 1:
            yield name, f"{' x '.join(map(str, column.shape[1:]))} values in an entry"
        else:
            yield name, column


def _arrow(column: Any, notes: list[str], name: str) -> pa.Array | None:
    """A column as an arrow array, masked entries as nulls; None where entries are no values."""
    unmasked = getattr(column, "unmasked", column)
    mask = np.ma.getmaskarray(column) if unmasked is column else np.asarray(column.mask)
    values = np.ma.getdata(getattr(unmasked, "value", unmasked))
    if values.dtype.kind not in "biufSUOM":
        return None
    if values.dtype.kind == "S":
        values = np.array([_decoded(v, notes, name) for v in values.tolist()], dtype=str)
    if values.dtype.kind == "O":
        there = [value for value, gone in zip(values, mask, strict=True) if not gone]
        if not all(isinstance(value, str | bytes | None.__class__) for value in there):
            return None
        mask = mask | np.array([value is None for value in values], bool)
        values = np.array([_decoded(value or "", notes, name) for value in values], dtype=str)
    if values.dtype.kind == "U":
        values = np.char.strip(values)
    return pa.array(np.asarray(values).astype(values.dtype.newbyteorder("=")), mask=mask)


def _decoded(value: Any, notes: list[str], name: str) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode().rstrip("\0")
    except UnicodeDecodeError:
        note = f"column {name} read as Latin-1"
        if note not in notes:
            notes.append(note)
        return value.decode("latin-1").rstrip("\0")


def _parquet(path: Path, named: str) -> StagedTable:
    """Parquet is read where it lies; its columns are made plain block by block (`plain_table`)."""
    opened = StagedTable(path)
    schema = opened.schema_arrow
    names = [str(name) for name in schema.names]
    if len(set(names)) != len(names):
        raise BadCatalog(f"{named}: a column name appears twice")
    for one in schema:
        unit = (one.metadata or {}).get(b"unit")
        if unit:
            opened.units[one.name] = unit.decode("utf-8", "replace")
    if meta := (schema.metadata or {}).get(b"table_meta_yaml"):
        from astropy.table.meta import get_header_from_yaml

        header = get_header_from_yaml(meta.decode().splitlines())
        opened.units |= {c["name"]: str(c["unit"]) for c in header["datatype"] if c.get("unit")}
    for one in schema:
        if why := _no_plain_column(opened, one):
            opened.left_out[one.name] = why
    return opened


def _no_plain_column(opened: StagedTable, one: pa.Field) -> str:
    """Why a column of a Parquet file is left out; empty where it is not."""
    if _is_vector(one.type):
        return ""
    if pa.types.is_nested(one.type):
        words = "struct" if pa.types.is_struct(one.type) else "list"
        return f"{words}, entries of several values"
    if "binary" in str(one.type):
        for batch in opened.iter_batches(batch_size=4096, columns=[one.name]):
            try:
                batch.column(0).cast(pa.string())
            except pa.ArrowInvalid:
                return f"{one.type}, bytes that are no text"
    return ""


def _is_vector(kind: pa.DataType) -> bool:
    fixed = pa.types.is_fixed_size_list(kind) and kind.list_size <= MOST_PARTS
    return bool(fixed and pa.types.is_primitive(kind.value_type))


def plain_table(table: pa.Table, left_out: Collection[str] = ()) -> pa.Table:
    """The table with numbers, booleans and text only; a vector becomes one column a value."""
    kept: dict[str, Any] = {}
    for name, values in zip(table.column_names, table.columns, strict=True):
        kind = values.type
        if name in left_out:
            continue
        if _is_vector(kind):
            for part in range(kind.list_size):
                kept[f"{name}_{part}"] = pc.list_element(values, part)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            kept[name] = values
        elif not pa.types.is_nested(kind):
            kept[name] = values.cast(kind.value_type if pa.types.is_dictionary(kind) else kind)
            kept[name] = pc.utf8_rtrim(kept[name].cast(pa.string()), "\0")
    return pa.table(kept)


@dataclass
class TextLayout:
    """How a text file is laid out. skip: lines before the first row. plain: arrow can read it."""

    names: list[str]
    separator: str
    encoding: str
    skip: int
    plain: bool = True
    wide: bool = False
    notes: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)


def _stage_text(path: Path, named: str, staged: Path, as_text: Names) -> StagedTable:
    """Two passes over the text, block by block: find the types, then convert."""
    layout = _layout(path, named)
    if not layout.plain:
        path = _normalised(path, named, staged, layout)
    unnamed = {name: "no name in the header" for name in layout.names if not name.strip("\0")}
    names = layout.names
    kept = [name for name in names if name not in unnamed]
    exact = set(as_text(kept))
    kinds = dict.fromkeys(kept, 0) | dict.fromkeys(exact, len(WANTED) - 1)
    commas = set()
    odd = layout.plain and has_odd_quotes(path)
    for batch in _batches(path, layout):
        for name in kept:
            if odd and pc.any(pc.match_substring(batch[name], "\n")).as_py():
                raise BadCatalog(
                    f"{named}: column {name!r} has a quote that is not closed, and the rows after "
                    "it would be its text; close it"
                )
            if kinds[name] < len(WANTED) - 1:
                kinds[name], comma = _widen(batch[name], kinds[name], layout.separator)
                commas |= {name} if comma else set()
    commas = {name for name in commas if kinds[name] < len(WANTED) - 1}
    if commas:
        layout.notes.append(f"decimal commas in {', '.join(sorted(commas))}")
    schema = pa.schema([(name, WANTED[kind]) for name, kind in kinds.items()])
    with pq.ParquetWriter(staged, schema) as writer:
        for batch in _batches(path, layout):
            arrays = [
                _converted(batch[one.name], one.type, one.name in exact, one.name in commas)
                for one in schema
            ]
            writer.write_table(pa.table(arrays, schema=schema))
    shown = {f"column {names.index(name) + 1}": why for name, why in unnamed.items()}
    return StagedTable(staged, units=layout.units, notes=layout.notes, left_out=shown)


def _layout(path: Path, named: str) -> TextLayout:
    encoding = encoding_of(path, named)
    words = f"read as {ENCODINGS.get(encoding, encoding.upper())}"
    notes = (
        []
        if encoding == "utf-8-sig"
        else [words if encoding.startswith("utf") else f"not UTF-8: {words}"]
    )
    with path.open(encoding=encoding, errors="replace", newline=None) as stream:
        text = stream.read(HEAD_BYTES)
    lines = text.split("\n")
    none = ("#", "sep=")  # the latter as Excel writes it
    rows = (i for i, x in enumerate(lines) if x.strip() and not x.startswith(none))
    first = next(rows, None)
    comments = [x.lstrip("#").strip() for x in lines[: first or 0] if x.startswith("#")]
    if first is None:
        raise BadCatalog(f"{named}: cannot be read as a table (no rows)")
    complete = [line for line in lines[first : first + 50] if line.strip()]
    if len(text) == HEAD_BYTES and len(complete) > 1 and first + 50 >= len(lines):
        complete.pop()  # cut in the middle
    separator, wide = _separator(complete)
    header = _cells(complete[0], separator, wide)
    comment = next((x for x in reversed(comments) if x), "")
    above = _cells(comment, separator, wide) if comment else []
    numbers = sum(bool(NUMBER.fullmatch(cell)) for cell in header)
    telling = TELLING & {cell.lower() for cell in above}
    skip = first + 1
    if len(above) == len(header) and (numbers or telling):
        header, skip = above, first
        notes.append("names of the columns from the last comment line")
    elif numbers and 2 * numbers >= len(header):
        raise BadCatalog(
            f"{named}: line {first + 1} holds values where the names of the columns are expected "
            f"({complete[0][:60]!r}); write a first line such as id{separator}ra{separator}dec"
        )
    if separator not in {",", " "}:
        notes.append(f"separator: {SEPARATORS[separator]}")
    header = [cell.strip(UNSEEN).strip() or "\0" * (i + 1) for i, cell in enumerate(header)]
    rows_cells = [_cells(line, separator, wide) for line in complete[1:]]
    if (
        separator != " "
        and rows_cells
        and all(len(cells) == len(header) + 1 and not cells[-1] for cells in rows_cells)
    ):  # a separator at the end of each row
        header.append("\0" * (len(header) + 1))
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise BadCatalog(f"{named}: the column name {twice!r} appears twice in the header")
    barred = separator == "|" and complete[0].strip().startswith("|")
    # A line of dashes under the header, after one of units as VizieR has it.
    rule = next((i for i in (1, 2) if i < len(complete) and not complete[i].strip(_RULE)), 0)
    units = _cells(complete[1], separator, wide) if rule == 2 and skip == first + 1 else []
    units_of = {name: unit for name, unit in zip(header, units, strict=False) if unit}
    skip += lines[first + 1 :].index(complete[rule]) + 1 if rule and skip == first + 1 else 0
    # Arrow takes a quote after a blank for a part of the value.
    plain = separator != " " and not barred and f'{separator} "' not in text
    plain = plain and not _comments_below(path, encoding)
    return TextLayout(header, separator, encoding, skip, plain, wide or barred, notes, units_of)


def _separator(lines: list[str]) -> tuple[str, bool]:
    """The separator that cuts the most lines like the first one; whether blanks come in twos."""
    best, most = (",", False), (0.0, 1)
    for separator in SEPARATORS:
        for wide in (False, True) if separator == " " else (False,):
            counts = [len(_cells(line, separator, wide)) for line in lines]
            alike = sum(count == counts[0] for count in counts) / len(counts)
            # Blanks are in the cells of other files too: they count where nothing else cuts.
            if counts[0] > 1 and (separator != " " or most[1] == 1):
                if (round(alike, 1), counts[0]) > most or most[1] == 1:
                    best, most = (separator, wide), (round(alike, 1), counts[0])
            elif counts[0] > 1 and separator == " " and best[0] == " " and alike > most[0]:
                best, most = (separator, wide), (alike, counts[0])
    return best


def _cells(line: str, separator: str, wide: bool) -> list[str]:  # noqa: FBT001
    text = line.strip("\r\n") if separator != " " else line.strip()
    if separator == "|" and text.strip().startswith("|"):
        text = text.strip().strip("|")
    if separator == " " and wide:
        return [cell.strip().strip('"') for cell in re.split(r"\s{2,}|\t", text)]
    spaced = separator == " "
    cut = csv.reader([text.replace("\t", " ") if spaced else text], delimiter=separator,
                     skipinitialspace=True)  # fmt: skip
    return [cell.strip() for cell in next(cut, [])]


def _comments_below(path: Path, encoding: str) -> bool:
    """Whether a line after the first that is none begins with #."""
    rows = False
    with path.open(encoding=encoding, newline=None) as stream:
        for line in stream:
            if line.startswith("#") and rows:
                return True
            rows = rows or bool(line.strip() and not line.startswith("#"))
    return False


def _normalised(path: Path, named: str, staged: Path, layout: TextLayout) -> Path:
    """The rows as CSV in UTF-8. Raises BadCatalog naming the line of another number of cells."""
    made, dropped = staged.with_name(staged.name + ".csv"), 0
    with (
        path.open(encoding=layout.encoding, newline=None) as stream,
        made.open("w", encoding="utf-8", newline="") as out,
    ):
        writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for number, line in enumerate(stream, 1):
            if number <= layout.skip or not line.strip():
                continue
            if layout.wide and not line.strip(_RULE):
                continue  # a rule among the rows
            cells = _cells(line, layout.separator, layout.wide and layout.separator == " ")
            if len(cells) != len(layout.names):
                if line.startswith("#"):
                    dropped += 1
                    continue
                raise BadCatalog(
                    f"{named}: line {number} has {len(cells)} cells, {len(layout.names)} are "
                    f"expected; {CURE}"
                )
            writer.writerow(cells)
    if dropped:
        layout.notes.append(f"{dropped} comment lines among the rows left out")
    layout.separator, layout.encoding, layout.skip = ",", "utf-8", 0
    return made


def _batches(path: Path, layout: TextLayout) -> Iterator[pa.RecordBatch]:
    text = pacsv.ConvertOptions(
        column_types=dict.fromkeys(layout.names, pa.string()), strings_can_be_null=False
    )
    options = pacsv.ReadOptions(
        block_size=BLOCK_BYTES, use_threads=False, column_names=layout.names,
        skip_rows=layout.skip, encoding=layout.encoding.removesuffix("-sig"),
    )  # fmt: skip
    parse = pacsv.ParseOptions(delimiter=layout.separator, newlines_in_values=True)
    return iter(pacsv.open_csv(path, options, parse, text))


def _converted(values: pa.Array, kind: pa.DataType, exact: bool, comma: bool) -> pa.Array:  # noqa: FBT001
    values = pc.utf8_trim_whitespace(values)
    if exact:
        return pc.if_else(pc.equal(values, ""), None, values)
    none = NULLS if kind == pa.string() else EMPTY
    values = pc.if_else(pc.is_in(values, pa.array(none)), None, values)
    if comma:
        values = pc.replace_substring(values, ",", ".")
    return values.cast(kind)


def _widen(values: pa.Array, kind: int, separator: str) -> tuple[int, bool]:
    """The narrowest of WANTED, from `kind` on, that holds all the values; 007 is text.

    Also whether there are decimal commas. Whole numbers that no number of 64 bits holds are text.
    """
    text, comma = len(WANTED) - 1, False
    if pc.any(pc.match_substring_regex(values, LEADING_ZERO)).as_py():
        return text, False
    comma = bool(pc.any(pc.match_substring_regex(values, DECIMAL_COMMA)).as_py())
    if comma and separator == ",":  # in quotes: those of thousands are alike
        comma = not pc.any(pc.match_substring_regex(values, THOUSANDS)).as_py()
    for wider in range(kind, text):
        if WANTED[wider] == pa.float64() and (
            pc.any(pc.match_substring_regex(values, LONG_WHOLE)).as_py()
        ):
            return text, False
        try:
            _converted(values, WANTED[wider], exact=False, comma=comma)
        except pa.ArrowInvalid:
            continue
        return wider, comma
    return text, False
