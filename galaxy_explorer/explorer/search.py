"""Finding galaxies: by id or name, by position, by what a column says. No widgets.

NGC 4565, M 51                      id or name; blanks, case and leading zeros do not count
12:36:20.8 +25:59:16 r=5'           cone: sexagesimal (hours) or degrees, radius 2' if not said
T < 0 and bmag <= 13 and cluster=5  columns, joined by "and"; also != and ~ (contains)

Beside it, how sparse code space is around each galaxy; and what annotators have said of it, as a
column that a search can name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galaxy_explorer import api
from galaxy_explorer.bundle.clusterings import SPARSITY
from galaxy_explorer.bundle.names import (
    NAMES,
    is_listed,
    names_table,
    read_names,
    same_names,
)
from galaxy_explorer.bundle.queries import ask
from galaxy_explorer.clustering.embedding import MAX_REFERENCE, sparsity
from galaxy_explorer.errors import BadQuery, LabelError
from galaxy_explorer.labels.scheme import NOTE
from galaxy_explorer.settings import read_settings
from galaxy_explorer.utils.files import StageCache, StageResult, cache_folder

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.labels.store import LabelStore


DEFAULT_RADIUS_ARCMIN = 2.0
MAX_RADIUS_ARCMIN = 180 * 60.0
MAX_CHARACTERS = 500
ALIASES = {"t": "ttype", "z": "redshift", "id": "galaxy_id"}
ARCMINUTES = {"deg": 60.0, "°": 60.0, "arcmin": 1.0, "'": 1.0, "′": 1.0}
ARCMINUTES |= dict.fromkeys(("arcsec", '"', "″"), 1 / 60)
UNKNOWN = ("unknown", "nan", "?")
COMPARE = ("<=", ">=", "!=", "=", "<", ">")

# What is quoted behind a relation is one value; a quote elsewhere may be minutes of arc.
_AND = re.compile(r"""([<>=~]\s*(?:"[^"]*"|'[^']*'))|\s+and\s+|\s*[;&]+\s*""", re.IGNORECASE)
_CONDITION = re.compile(r"\s*([^<>=!~]+?)\s*(<=|>=|!=|==|=|<|>|~)\s*(.+?)\s*")
_UNITS = "|".join(map(re.escape, sorted(ARCMINUTES, key=len, reverse=True)))
_RADIUS = re.compile(rf"[\s,;]+(?:within|radius|r)?\s*=?\s*(\d+\.?\d*|\.\d+)\s*({_UNITS})\s*$")
_DEGREES = re.compile(r"([+-]?\d+(?:\.\d*)?)°?d?[\s,]+([+-]?\d+(?:\.\d*)?)°?d?")
_PART = r"\d{1,3}[:hd°\s]\s*\d{1,2}[:m′'\s]\s*\d{1,2}(?:\.\d*)?[s″\"]?"
_LABELLED = re.compile(r"^\s*ra\b[\s:=]*(.+?)[\s,]*\bdec\b[\s:=]*", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"(?<=\S)\s*\([^()]*\)")
_SEXAGESIMAL = re.compile(rf"({_PART})[\s,]*([+-]\s*{_PART}|(?<=[\s,]){_PART})")


@dataclass(frozen=True)
class Cone:
    """A circle on the sky: centre in degrees (ICRS), radius in minutes of arc."""

    ra: float
    dec: float
    radius_arcmin: float = DEFAULT_RADIUS_ARCMIN


@dataclass(frozen=True)
class ColumnCondition:
    """A column, one of < <= > >= = != ~ and the text it is compared with."""

    column: str
    relation: str
    value: str


@dataclass(frozen=True)
class Query:
    """What is asked for; all parts must hold."""

    name: str = ""
    cone: Cone | None = None
    conditions: tuple[ColumnCondition, ...] = ()


@dataclass(frozen=True)
class Found:
    """Rows of the catalogue, nearest to the centre of a cone first, and the question in words.

    separation: minutes of arc from the centre, (n,); None without a cone. exact: False where no
    galaxy has the name that was asked for, and these only have it in theirs, which the words say.
    """

    rows: NDArray[np.int64]
    words: str
    separation: NDArray[np.float64] | None = None
    exact: bool = True


def parse_query(text: str) -> Query:
    """Understand a question. Raises BadQuery with what is understood."""
    text = " ".join(text.split())
    if not text or len(text) > MAX_CHARACTERS:
        raise BadQuery(f"search: type 1 to {MAX_CHARACTERS} characters: a name, a position, T < 0")
    name, cone, conditions = "", None, []
    for term in _terms(text):
        if (place := parse_position(term)) is not None:
            cone = place
        elif found := _CONDITION.fullmatch(term):
            relation = "=" if found[2] == "==" else found[2]
            conditions.append(ColumnCondition(found[1], relation, found[3].strip("\"'")))
        else:
            name = f"{name} {term}".strip()
    return Query(name, cone, tuple(conditions))


def _terms(text: str) -> list[str]:
    """What stands between "and", ";" and "&", but for those in a quoted value."""
    found = [one for one in _AND.finditer(text) if one[1] is None]
    starts, ends = [0, *(one.end() for one in found)], [*(one.start() for one in found), len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def parse_position(text: str) -> Cone | None:
    """A position with or without a radius, also as `format_position` writes it; None if it is none.

    Sexagesimal right ascensions are hours, single numbers degrees. Raises BadQuery for a position
    that is not on the sky.
    """
    from astropy.coordinates import SkyCoord

    text = _LABELLED.sub(r"\1 ", _IN_BRACKETS.sub("", text.replace("−", "-")))
    text = text.replace("(", " ").replace(")", " ").strip()
    radius, place = DEFAULT_RADIUS_ARCMIN, _pair(text)
    if place is None and (found := _RADIUS.search(text)):
        radius = float(found[1]) * ARCMINUTES[found[2]]
        place = _pair(text[: found.start()])
    if place is None:
        return None
    ra, dec, unit = place
    try:
        centre = SkyCoord(ra, dec, unit=(unit, "deg"))
    except ValueError as error:
        raise BadQuery(f"position {text!r}: not on the sky ({error})") from error
    if not 0 < radius <= MAX_RADIUS_ARCMIN:
        raise BadQuery(f"radius {radius:g} arcmin: more than 0, at most 180 degrees")
    return Cone(float(centre.ra.deg), float(centre.dec.deg), radius)


def _pair(text: str) -> tuple[str, str, str] | None:
    """Right ascension, declination and the unit of the first; None for what is no position."""
    if found := _DEGREES.fullmatch(text.strip()):
        return found[1], found[2], "deg"
    if (found := _SEXAGESIMAL.fullmatch(text.strip())) is None:
        return None
    # Numbers alone: astropy takes 41 16 09" for seconds of arc.
    ra, dec = (":".join(re.findall(r"\d+\.?\d*", part)) for part in found.groups())
    unit = "deg" if re.search("[d°]", found[1]) else "hourangle"
    return ra, "-" * found[2].startswith("-") + dec, unit


def find(bundle: Bundle, query: Query, derived: Mapping[str, NDArray[Any]] | None = None) -> Found:
    """Galaxies that a query asks for; possibly none.

    derived: further columns (N,), such as "cluster" and "label". Raises BadQuery for a column or
    a value that there is not.
    """
    named, words = _named(bundle, query.name) if query.name else (None, "")
    words = " and ".join(part for part in (words, *_parts(query)) if part)
    exact = named is None or named.exact
    columns: dict[str, Any] = {}
    where: list[str] = []
    values: list[Any] = []
    for number, condition in enumerate(query.conditions):
        columns[f"c{number}"] = column = _column(bundle, condition.column, derived or {})
        holds, bound = condition_sql(condition, column.type, f"c{number}")
        where.append(holds)
        values += bound
    if query.cone is not None:
        columns |= {name: bundle.catalogue.stored(name) for name in ("ra", "dec")}
        # No position, and none in the belt of the cone: never inside.
        where.append("dec BETWEEN ? AND ? AND abs(dec) <= 90 AND isfinite(ra)")
        reach = query.cone.radius_arcmin / 60 * (1 + 1e-9) + 1e-9
        values += [query.cone.dec - reach, query.cone.dec + reach]
    rows = np.arange(len(bundle)) if named is None else named.rows
    if not columns:
        return Found(rows, words, exact=exact)
    if named is not None:
        columns = {name: column.take(pa.array(rows)) for name, column in columns.items()}
    wanted = "row" if query.cone is None else "row, ra, dec"
    answer = ask({"row": rows, **columns}, wanted, where, values)
    if query.cone is None:
        return Found(answer["row"], words, exact=exact)
    far = separations(answer["ra"], answer["dec"], query.cone)
    inside = np.flatnonzero(far <= query.cone.radius_arcmin)
    inside = inside[np.argsort(far[inside], kind="stable")]
    return Found(answer["row"][inside], words, far[inside], exact)


def separations(
    ra: NDArray[np.floating], dec: NDArray[np.floating], cone: Cone
) -> NDArray[np.float64]:
    """Angular distance (n,) of positions (degrees) from the centre of a cone, minutes of arc."""
    from astropy.coordinates import SkyCoord

    places = SkyCoord(np.asarray(ra, float), np.asarray(dec, float), unit="deg")
    centre = SkyCoord(cone.ra, cone.dec, unit="deg")
    return np.asarray(places.separation(centre).arcmin, np.float64)


TYPE_WORDS = {
    "elliptical": (-math.inf, -3.5), "lenticular": (-3.5, -0.5), "spiral": (0.5, 9.5),
    "irregular": (9.5, math.inf), "early type": (-math.inf, 0.5), "late type": (0.5, math.inf),
}  # fmt: skip
"""What a class of galaxies is called, and its Hubble types: above the first, up to the second."""


def rows_called(
    bundle: Bundle, text: str, clusters: Mapping[int, str], labels: NDArray[np.integer]
) -> tuple[NDArray[np.int64], str]:
    """Galaxies of a class in words ("spirals"), else of clusters whose name has the text.

    clusters: name of each cluster; labels: (N,). Sorted rows, and in words what they are.
    """
    word = text.casefold().replace("-", " ").strip().removesuffix("s")
    if word in TYPE_WORDS:
        low, high = TYPE_WORDS[word]
        ttype = bundle.column("ttype")
        rows = np.flatnonzero((ttype > low) & (ttype <= high))
        ends = [f"{low:g} < "] * math.isfinite(low), [f" ≤ {high:g}"] * math.isfinite(high)
        said = "".join([*ends[0], "T", *ends[1]]).replace("-", "−")
        return rows, f"{word}s, {said} in the catalogue"
    wanted = text.casefold().strip()
    found = [number for number, name in clusters.items() if wanted in name.casefold()]
    names = " or ".join(f"“{clusters[number]}”" for number in found)
    return np.flatnonzero(np.isin(labels, found)), f"in the clusters {names}"


@cache
def name_index(bundle: Bundle) -> pa.Table:
    """All names of a bundle's galaxies in normal form, sorted: as stored, else made once."""
    entry = bundle.manifest.files.get(NAMES)
    if entry is None:
        return names_table(bundle.catalogue)
    return read_names(bundle.path / NAMES, entry, len(bundle))


@dataclass(frozen=True)
class _Named:
    """Galaxies by a name: sorted rows, and whether that is a name of theirs."""

    rows: NDArray[np.int64]
    exact: bool = True


def rows_named(bundle: Bundle, name: str) -> NDArray[np.int64]:
    """Sorted rows of the galaxies that have a name, however it is written; none of others."""
    wanted = same_names(name)
    return _rows_by(bundle, f"name IN ({', '.join('?' * len(wanted))})", wanted)


def _rows_by(bundle: Bundle, where: str, values: list[Any]) -> NDArray[np.int64]:
    if not values:
        return np.empty(0, np.int64)
    index = name_index(bundle)
    columns = {"name": index["name"], "row": index["row"]}
    return np.unique(ask(columns, "row", [where], values)["row"]).astype(np.int64)


def _named(bundle: Bundle, name: str) -> tuple[_Named, str]:
    """Galaxies of that id or name; if there is none, those whose name begins so or has it.

    A number of a catalogue (NGC 51) is neither the beginning nor a part of another (NGC 5194).
    """
    wanted = same_names(name)
    if len(rows := rows_named(bundle, name)) or not wanted:
        return _Named(rows), f"“{name}”"
    begins = "starts_with(name, ?)"
    if is_listed(wanted[0]):
        begins += " AND NOT regexp_matches(substr(name, len(?) + 1, 1), '[0-9]')"
        tries = [(begins, [wanted[0]] * 2, "begins with")]
    else:
        tries = [(begins, wanted[:1], "begins with"), ("contains(name, ?)", wanted[:1], "has")]
    for where, values, how in tries:
        if len(rows := _rows_by(bundle, where, values)):
            return _Named(rows, exact=False), f"whose name {how} “{name}”, as none is called so"
    return _Named(rows), f"“{name}”"


def condition_sql(
    condition: ColumnCondition, kind: pa.DataType, name: str
) -> tuple[str, list[Any]]:
    """A condition on a column of a type in SQL, and its values.

    A number is compared as the column would hold it: to the last digit of an integer, in single
    precision where the column has no more. An unknown number fulfils none but "= unknown". Raises
    BadQuery for what cannot hold.
    """
    if not (_is_number(kind) or pa.types.is_boolean(kind)):
        return _text_sql(condition, name)
    wanted = condition.value.casefold().replace("−", "-")
    number = f"CAST({name} AS DOUBLE)"
    unknown = f"({name} IS NULL OR isnan({number}))"
    if wanted in UNKNOWN and condition.relation in {"=", "!="}:
        return unknown if condition.relation == "=" else f"NOT {unknown}", []
    try:
        bound = float(wanted)
    except ValueError:
        raise BadQuery(f"{condition.column}: {condition.value!r} is no number") from None
    if condition.relation not in COMPARE or math.isnan(bound):
        raise BadQuery(f"{condition.column} holds numbers: use < <= > >= = or !=, not ~")
    if pa.types.is_integer(kind) and re.fullmatch(r"[+-]?[0-9]{1,38}", wanted):
        number, bound = name, int(wanted)  # a double has 53 bits, an identifier up to 64
    elif pa.types.is_float32(kind):
        with np.errstate(over="ignore"):
            bound = float(np.float32(bound))
    return f"({number} {condition.relation} ? AND NOT {unknown})", [bound]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _text_sql(condition: ColumnCondition, name: str) -> tuple[str, list[Any]]:
    text = f"lower(coalesce(CAST({name} AS VARCHAR), ''))"
    if condition.relation == "~":
        return f"contains({text}, lower(?))", [condition.value]
    if condition.relation not in {"=", "!="}:
        raise BadQuery(f"{condition.column} holds text: use =, != or ~ (contains)")
    return f"{text} {condition.relation} lower(?)", [condition.value]


def _column(bundle: Bundle, name: str, derived: Mapping[str, NDArray[Any]]) -> Any:
    """A column by the name that a question gives it, as an Arrow array."""
    own = {column.casefold(): column for column in bundle.column_names if "/" not in column}
    wanted = name.casefold()
    for candidate in (wanted, ALIASES.get(wanted, "")):
        if candidate in derived:
            return pa.array(derived[candidate])
        if candidate in own:
            return bundle.catalogue.stored(own[candidate])
    known = sorted({*own.values(), *derived})
    raise BadQuery(f"there is no column {name!r}; there are {', '.join(known)}")


def _parts(query: Query) -> list[str]:
    """All of a query but the name, in words."""
    parts = []
    if query.cone is not None:
        place = f"RA {query.cone.ra:.4f}°, Dec {query.cone.dec:+.4f}°"
        parts.append(f"within {query.cone.radius_arcmin:g} arcmin of {place}")
    return parts + [f"{c.column} {c.relation} {c.value}" for c in query.conditions]


def neighbours(
    bundle: Bundle, key: str, row: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The galaxies nearest in code space to one of them, which comes first, and how far they are.

    One that another has exactly the features of still comes first.
    """
    vector = bundle.clusterings[key].feature_values[row]
    rows, far = bundle.clusterings[key].placing.neighbours.nearest(vector, count)
    others = rows != row
    rows, far = rows[others][: count - 1], far[others][: count - 1]
    return np.concatenate([[row], rows]), np.concatenate([[0.0], far])


@cache
def bundle_sparsity(bundle: Bundle, key: str) -> NDArray[np.floating]:
    """`sparsity` in the code space of a clustering: as the bundle has it, else measured once.

    What took long is kept among the cache files, for the next process.
    """
    column = f"{key}/{SPARSITY}"
    if column in bundle.column_names:
        return bundle.column(column)

    def measured() -> StageResult:
        return StageResult({SPARSITY: sparsity(bundle.clusterings[key].feature_values)}, {})

    if len(bundle) <= MAX_REFERENCE:
        found = measured().arrays[SPARSITY]
    else:
        folder = Path(read_settings().cache or cache_folder()) / "density"
        about = {"bundle": bundle.hash, "clustering": key, "neighbours": "others alone"}
        stage = f"{bundle.hash[:24]}.{key}"
        try:
            found = StageCache(folder).get(stage, about, measured).arrays[SPARSITY]
        except OSError:  # no room to keep it
            found = measured().arrays[SPARSITY]
    found.setflags(write=False)
    return found


label_sample = cache(api.label_sample)
"""The galaxies of a bundle and all their clusters."""


@cache
def label_store(bundle: Bundle) -> LabelStore:
    """The log that all visitors of this process share. Raises LabelError where there is none."""
    return api.Labels(bundle=bundle).store


def label_columns(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """The column "label" (N,): all labels of a galaxy by anyone, joined by ";", empty for none.

    No column where the label log cannot be opened.
    """
    try:
        layers = label_store(bundle).layers()
    except LabelError:
        return {}
    said: dict[str, set[str]] = {}
    for layer in layers.values():
        for galaxy, values in layer.galaxies().items():
            given = {value.label for aspect, value in values.items() if aspect != NOTE}
            said.setdefault(galaxy, set()).update(given - {""})
    words = {galaxy: ";".join(sorted(labels)) for galaxy, labels in said.items()}
    column = np.zeros(len(bundle), f"U{max(map(len, words.values()), default=1) or 1}")
    ids = pc.cast(bundle.catalogue.stored("galaxy_id"), pa.string())
    named = pc.is_in(ids, value_set=pa.array(words, pa.string()))
    rows = np.flatnonzero(named.combine_chunks().to_numpy(zero_copy_only=False))
    column[rows] = [words[one] for one in ids.take(pa.array(rows)).to_pylist()]
    return {"label": column}
