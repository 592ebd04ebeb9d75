"""JSON of a bundle: strict text first, then the struct that it must be, refused by its field.

A struct's annotations are the whole of the check: types, limits, what may be absent. What they
cannot say (one field against another) is checked by whoever builds the struct.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from galaxy_explorer.errors import BundleError

MAX_TEXT = 4000
MAX_ITEMS = 20_000_000
MAX_REASON = 300  # characters of a refusal, which may quote the file

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Count = Annotated[int, Meta(ge=0, le=1 << 40)]
Numbers = dict[Text, int | float]
"""Figures by name; a whole number stays one."""

Item = TypeVar("Item")
Made = TypeVar("Made")
Many = Annotated[tuple[Item, ...], Meta(max_length=MAX_ITEMS)]


def one_of(names: Iterable[str]) -> Meta:
    """The limit of a text to some names."""
    return Meta(pattern=rf"\A(?:{'|'.join(map(re.escape, names))})\Z")


_PLACE = re.compile(r"(?:`key` in )?`\$(.*)`", re.DOTALL)
_OBJECT = re.compile(r"Object (?:missing required|contains unknown) field `(.*)`", re.DOTALL)
_STEP = re.compile(r"\[\.\.\.\]|\[(\d+)\]|\.([^.\[]+)")


class FieldError(ValueError):
    """A field is missing, unknown or wrong; its place, such as "models.k16.steps", and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field[:MAX_REASON]}: {reason[:MAX_REASON]}")


def check_known(name: object, table: Iterable[str], field: str) -> None:
    """Raise FieldError where a name is not in a table."""
    names = set(table)
    if name not in names:
        raise FieldError(field, f"{name!r} is not one of {sorted(names)[:12]}")


def strict_json(text: bytes, path: Path) -> dict[str, Any]:
    """Parse JSON, refusing duplicate keys, NaN, infinities and anything but an object."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) != len(pairs):
            raise ValueError("a key appears twice")
        return keys

    def finite(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"{text[:40]} is not a finite number")
        return value

    try:
        value = json.loads(
            text.decode(), object_pairs_hook=unique, parse_constant=finite, parse_float=finite
        )
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not strict JSON: {error}") from None
    if not isinstance(value, dict):
        raise BundleError(f"{path}: an object is expected")
    return value


def build(values: object, kind: type[Made]) -> Made:
    """The struct of JSON values. Raises FieldError for the first field that is not as annotated."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        message = str(error)
    head, _, tail = message.rpartition(" - at ")
    found = _PLACE.fullmatch(tail)
    reason, place = (head, found[1]) if found else (message, "")
    try:
        names = _names(place, values, lambda part: _refusal(part, kind) == message)
    except (LookupError, TypeError):  # no place at all, but a name of the file that looks like one
        reason, names = message, []
    field = "".join(f"[{n}]" if isinstance(n, int) else f".{n}" for n in names)
    if absent := _OBJECT.fullmatch(reason):
        field += f".{absent[1]}"
        reason = "is missing" if "missing" in reason else "is unknown"
    raise FieldError(field.removeprefix("."), reason)


def _refusal(values: object, kind: type[Any]) -> str | None:
    try:
        msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _names(place: str, values: Any, refused_alike: Callable[[object], bool]) -> list[str | int]:
    """Keys and numbers of a place such as ".models[...].steps", with the keys it leaves out.

    Such a key is found by halves: the half of the object alone with which the refusal stands.
    """
    names: list[str | int] = []
    here = values
    for step in _STEP.finditer(place):
        if step[0] == "[...]":
            keys = list(here)
            while len(keys) > 1:
                half = keys[: len(keys) // 2]
                part = {key: here[key] for key in half}
                keys = half if refused_alike(_with(values, names, part)) else keys[len(half) :]
            names.append(keys[0])
        else:
            names.append(int(step[1]) if step[1] else step[2])
        here = here[names[-1]]
    return names


def _with(values: Any, names: list[str | int], part: object) -> Any:
    """The values with another part in a place; what lies beside the way stays the same object."""
    if not names:
        return part
    copy = values.copy()
    copy[names[0]] = _with(values[names[0]], names[1:], part)
    return copy
