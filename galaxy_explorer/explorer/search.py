"""Finding galaxies: by id or name, by position, by what a column says. No widgets.

NGC 4565                            id or name; blanks, case and leading zeros do not count
12:36:20.8 +25:59:16 r=5'           cone: sexagesimal (hours) or degrees, radius 2' if not said
T < 0 and bmag <= 13 and cluster=5  columns, joined by "and"; also != and ~ (contains)

Beside it, how odd each galaxy is: how sparse code space is around it, how badly it is drawn; and
what annotators have said of each galaxy, as a column that a search can name.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer import api
from galaxy_explorer.clustering.embedding import Floats, sparsity
from galaxy_explorer.errors import BadQuery, LabelError
from galaxy_explorer.labels.scheme import NOTE

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.labels.store import LabelStore


NAME_COLUMNS = ("galaxy_id", "name")
DEFAULT_RADIUS_ARCMIN = 2.0
MAX_RADIUS_ARCMIN = 180 * 60.0
MAX_CHARACTERS = 500
ALIASES = {"t": "ttype", "z": "redshift", "id": "galaxy_id"}
ARCMINUTES = {"deg": 60.0, "°": 60.0, "arcmin": 1.0, "'": 1.0, "′": 1.0}
ARCMINUTES |= dict.fromkeys(("arcsec", '"', "″"), 1 / 60)
UNKNOWN = ("unknown", "nan", "?")
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "=": operator.eq,
    "<": operator.lt, ">": operator.gt,
}  # fmt: skip

_AND = re.compile(r"\s+and\s+|\s*[;&]+\s*", re.IGNORECASE)
_CONDITION = re.compile(r"\s*([^<>=!~]+?)\s*(<=|>=|!=|==|=|<|>|~)\s*(.+?)\s*")
_UNITS = "|".join(map(re.escape, sorted(ARCMINUTES, key=len, reverse=True)))
_RADIUS = re.compile(rf"[\s,;]+(?:within|radius|r)?\s*=?\s*(\d+\.?\d*|\.\d+)\s*({_UNITS})\s*$")
_DEGREES = re.compile(r"([+-]?\d+(?:\.\d*)?)°?d?[\s,]+([+-]?\d+(?:\.\d*)?)°?d?")
_PART = r"\d{1,3}[:hd°\s]\s*\d{1,2}[:m′'\s]\s*\d{1,2}(?:\.\d*)?[s″\"]?"
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

    separation: minutes of arc from the centre, (n,); None without a cone.
    """

    rows: NDArray[np.int64]
    words: str
    separation: NDArray[np.float64] | None = None


def parse_query(text: str) -> Query:
    """Understand a question. Raises BadQuery with what is understood."""
    text = " ".join(text.split())
    if not text or len(text) > MAX_CHARACTERS:
        raise BadQuery(f"search: type 1 to {MAX_CHARACTERS} characters: a name, a position, T < 0")
    name, cone, conditions = "", None, []
    for term in _AND.split(text):
        if (place := parse_position(term)) is not None:
            cone = place
        elif found := _CONDITION.fullmatch(term):
            relation = "=" if found[2] == "==" else found[2]
            conditions.append(ColumnCondition(found[1], relation, found[3].strip("\"'")))
        else:
            name = f"{name} {term}".strip()
    return Query(name, cone, tuple(conditions))


def parse_position(text: str) -> Cone | None:
    """A position with or without a radius; None if the text is none.

    Sexagesimal right ascensions are hours, single numbers degrees. Raises BadQuery for a position
    that is not on the sky.
    """
    from astropy.coordinates import SkyCoord

    radius = DEFAULT_RADIUS_ARCMIN
    if found := _RADIUS.search(text):
        radius = float(found[1]) * ARCMINUTES[found[2]]
        text = text[: found.start()]
    place = text.strip().replace("′", "m").replace("″", "s").replace("°", "d")
    if pair := _DEGREES.fullmatch(text.strip()):
        unit = ("deg", "deg")
    elif pair := _SEXAGESIMAL.fullmatch(place):
        unit = ("hourangle", "deg")
    else:
        return None
    try:
        centre = SkyCoord(pair[1], pair[2].replace("+ ", "+").replace("- ", "-"), unit=unit)
    except ValueError as error:
        raise BadQuery(f"position {text!r}: not on the sky ({error})") from error
    if not 0 < radius <= MAX_RADIUS_ARCMIN:
        raise BadQuery(f"radius {radius:g} arcmin: more than 0, at most 180 degrees")
    return Cone(float(centre.ra.deg), float(centre.dec.deg), radius)


def find(bundle: Bundle, query: Query, derived: Mapping[str, NDArray[Any]] | None = None) -> Found:
    """Galaxies that a query asks for; possibly none.

    derived: further columns (N,), such as "cluster" and "label". Raises BadQuery for a column or
    a value that there is not.
    """
    chosen = np.ones(len(bundle), bool)
    for condition in query.conditions:
        chosen &= holds(bundle, condition, derived or {})
    if query.name:
        chosen &= named(bundle, query.name)
    if query.cone is None:
        return Found(np.flatnonzero(chosen), format_query(query))
    separation = separations(bundle, query.cone)
    chosen &= separation <= query.cone.radius_arcmin  # NaN, no position: never inside
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(separation[rows], kind="stable")]
    return Found(rows, format_query(query), separation[rows])


def separations(bundle: Bundle, cone: Cone) -> NDArray[np.float64]:
    """Angular distance (N,) from the centre of a cone in minutes of arc; NaN without position."""
    from astropy.coordinates import SkyCoord

    ra, dec = bundle.column("ra"), bundle.column("dec")
    known = np.isfinite(ra) & (np.abs(dec) <= 90)
    found = np.full(len(bundle), np.nan)
    places = SkyCoord(ra[known], dec[known], unit="deg")
    found[known] = places.separation(SkyCoord(cone.ra, cone.dec, unit="deg")).arcmin
    return found


def named(bundle: Bundle, name: str) -> NDArray[np.bool_]:
    """Galaxies (N,) of that id or name; if there is none, those whose name begins so or has it."""
    wanted = normal(name)
    if not wanted:
        return np.zeros(len(bundle), bool)
    columns = [column for column in NAME_COLUMNS if column in bundle.column_names]
    names = [[normal(str(value)) for value in bundle.column(column)] for column in columns]
    for test in (str.__eq__, str.startswith, str.__contains__):
        hit = np.array([[bool(test(value, wanted)) for value in column] for column in names])
        if hit.any():
            break
    return np.asarray(hit.any(axis=0))


def normal(name: str) -> str:
    """A name without blanks, case, punctuation and leading zeros: "IC0495" and "ic 495" agree."""
    letters = "".join(c for c in name.casefold() if c.isalnum() or c in "+-.")
    letters = re.sub(r"(?<!\d)[-+.]|[-+.](?!\d)", "", letters)  # signs stay between digits
    return re.sub(r"(?<=[^\W\d])0+(?=\d)", "", letters)


def holds(
    bundle: Bundle, condition: ColumnCondition, derived: Mapping[str, NDArray[Any]]
) -> NDArray[np.bool_]:
    """Where (N,) a condition holds. An unknown number fulfils none but "= unknown"."""
    values = _values(bundle, condition.column, derived)
    if values.dtype.kind not in "iufb":
        return _text_holds(values.astype(str), condition)
    numbers = values.astype(np.float64)
    wanted = condition.value.casefold()
    if wanted in UNKNOWN and condition.relation in {"=", "!="}:
        return np.asarray(np.isnan(numbers) == (condition.relation == "="), bool)
    try:
        bound = float(wanted.replace("−", "-"))
    except ValueError:
        raise BadQuery(f"{condition.column}: {condition.value!r} is no number") from None
    if condition.relation not in COMPARE or np.isnan(bound):
        raise BadQuery(f"{condition.column} holds numbers: use < <= > >= = or !=, not ~")
    compared = COMPARE[condition.relation](numbers, bound)
    return np.asarray(compared & ~np.isnan(numbers), bool)


def _text_holds(values: NDArray[np.str_], condition: ColumnCondition) -> NDArray[np.bool_]:
    folded = np.char.lower(values)
    wanted = condition.value.lower()
    if condition.relation == "~":
        return np.asarray(np.char.find(folded, wanted) >= 0)
    if condition.relation not in {"=", "!="}:
        raise BadQuery(f"{condition.column} holds text: use =, != or ~ (contains)")
    return np.asarray((folded == wanted) == (condition.relation == "="))


def _values(bundle: Bundle, name: str, derived: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    own = {column.casefold(): column for column in bundle.column_names if "/" not in column}
    wanted = name.casefold()
    for candidate in (wanted, ALIASES.get(wanted, "")):
        if candidate in derived:
            return derived[candidate]
        if candidate in own:
            return bundle.column(own[candidate])
    known = sorted({*own.values(), *derived})
    raise BadQuery(f"there is no column {name!r}; there are {', '.join(known)}")


def format_query(query: Query) -> str:
    """A query as a reader would write it."""
    parts = [f"“{query.name}”"] if query.name else []
    if query.cone is not None:
        place = f"RA {query.cone.ra:.4f}°, Dec {query.cone.dec:+.4f}°"
        parts.append(f"within {query.cone.radius_arcmin:g} arcmin of {place}")
    parts += [f"{c.column} {c.relation} {c.value}" for c in query.conditions]
    return " and ".join(parts)


@cache
def bundle_sparsity(bundle: Bundle, key: str) -> Floats:
    """`sparsity` in the code space of a clustering, computed once a process."""
    found = sparsity(bundle.clusterings[key].feature_values)
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
    ids = bundle.column("galaxy_id")
    return {"label": np.array([";".join(sorted(said.get(str(one), ()))) for one in ids], str)}
