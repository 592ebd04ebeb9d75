"""What a user may ask of an emulator, and the refusals; numpy only, so that it loads fast."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from galaxy_explorer.errors import RequestError
from galaxy_explorer.models.conditions import Field

MAX_SAMPLES = 4096
MAX_SEED = 2**32 - 1
MAX_FIRST = 2**40
TEMPERATURE = (0.1, 2.0)
GUIDANCE = (1.0, 5.0)
CHANGE = (0.05, 1.0)
USUAL_CHANGE = 0.9
Value = float | tuple[float, ...]


@dataclass(frozen=True)
class Like:
    """A galaxy of the bundle, by its identifier, that others are drawn from.

    change: how much of it may become another, from CHANGE[0], next to nothing, to 1: all that it
    was not asked to keep.
    """

    galaxy: str
    change: float = USUAL_CHANGE


@dataclass(frozen=True)
class Request:
    """So many galaxies of some kind.

    condition: any of the prior's fields, in the catalogue's unit: one number, or a tuple of as
    many as there are galaxies; none: the fields are left to the prior. first: number of the first
    sample; sample i has noise of its own, a function of (seed, i) alone, so a long run may be made
    in pieces. same_noise: every sample has the noise of number `first`, so that they differ in
    their condition alone. guidance: 1 is the plain prior; None is the prior's default. like: what
    they are drawn from, in place of noise alone.
    """

    count: int
    seed: int = 0
    condition: Mapping[str, Value] = field(default_factory=dict)
    temperature: float = 1.0
    guidance: float | None = None
    first: int = 0
    same_noise: bool = False
    like: Like | None = None

    def checked(self, fields: Sequence[Field]) -> Request:
        """The request itself; raises RequestError naming field, value and permitted range."""
        _whole("count", self.count, 1, MAX_SAMPLES)
        _whole("seed", self.seed, 0, MAX_SEED)
        _whole("first", self.first, 0, MAX_FIRST)
        _number("temperature", self.temperature, *TEMPERATURE)
        if self.guidance is not None:
            _number("guidance", self.guidance, *GUIDANCE)
        if self.like is not None:
            _number("change", self.like.change, *CHANGE)
        known = {known.name: known for known in fields}
        for name, value in self.condition.items():
            if name not in known:
                has = ", ".join(known) or "no field: it is unconditional"
                raise RequestError(f"{name}: not a field of this prior, which has {has}")
            numbers = value if isinstance(value, tuple) else (value,)
            if isinstance(value, tuple) and len(value) != self.count:
                raise RequestError(f"{name}: {len(value)} values for {self.count} galaxies")
            for number in numbers:
                _number(name, number, known[name].low, known[name].high)
        return self

    @property
    def identity(self) -> str:
        """Short hash of everything here that decides the pictures."""
        condition = {
            name: [float(v) for v in value] if isinstance(value, tuple) else float(value)
            for name, value in self.condition.items()
        }
        values = {**asdict(self), "condition": condition}
        if self.like is None:  # as before there was such a thing
            del values["like"]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _whole(name: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise RequestError(f"{name} {value!r}: a whole number from {low} to {high} is possible")


def _number(name: str, value: Any, low: float, high: float) -> None:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or not low <= value <= high:
        raise RequestError(f"{name} {value!r}: a number from {low:g} to {high:g} is possible")
