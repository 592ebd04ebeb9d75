"""Reading `evaluation.json`, `emulation.json`: every field by name and type, before any is used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from galaxy_explorer import bundle_emulation
from galaxy_explorer.bundle_emulation import (
    Emulation,
    EmulationFigure,
    GuidancePoint,
    Histogram,
    Proof,
    Trend,
)
from galaxy_explorer.bundle_evaluation import (
    FORMAT,
    QUESTIONS,
    ROW_FIELDS,
    VERDICTS,
    Claim,
    ClaimFigure,
    ClusterStability,
    Cost,
    Evaluation,
    MergerTree,
    NumberOfClusters,
    Row,
    Target,
    TradeoffPoint,
    TrainingCurve,
    TrainingRow,
)
from galaxy_explorer.errors import BundleError

MAX_TEXT = 4000
MAX_ITEMS = 20_000_000

Made = TypeVar("Made")


def parse_evaluation(values: Mapping[str, Any], path: Path) -> Evaluation:
    """Check and rebuild an evaluation from its JSON values.

    Raises BundleError naming `path` and the first field that is missing, unknown or wrong.
    """
    try:
        return _evaluation(dict(values))
    except _WrongField as error:
        cure = "run galaxy-explorer evaluate again"
        raise BundleError(f"{path}: {error}; {cure}") from None


def parse_emulation(values: Mapping[str, Any], path: Path) -> Emulation:
    """Check and rebuild what `evaluate --emulator` measured; errors as of `parse_evaluation`."""
    try:
        if values.get("format") != bundle_emulation.FORMAT:
            raise _WrongField("format", f"only {bundle_emulation.FORMAT} is known")
        plain = {name: value for name, value in values.items() if name != "format"}
        made = _build(Emulation, plain, "")
        for proof in (made, *made.others):
            _check_lengths(proof)
    except _WrongField as error:
        cure = "run galaxy-explorer evaluate --emulator again"
        raise BundleError(f"{path}: {error}; {cure}") from None
    return made


def _check_lengths(made: Proof) -> None:
    for number, histogram in enumerate(made.histograms):
        bins = len(histogram.edges) - 1
        if bins < 1 or any(len(shares) != bins for shares in histogram.shares.values()):
            raise _WrongField(f"histograms[{number}]", "as many shares as bins are expected")
    for number, trend in enumerate(made.trends):
        if not len(trend.means) == len(trend.counts) == bundle_emulation.CLASSES:
            raise _WrongField(f"trends[{number}]", "a mean and a count for each class")


def _evaluation(values: dict[str, Any]) -> Evaluation:
    if values.pop("format", None) != FORMAT:
        raise _WrongField("format", f"only {FORMAT} is known")
    values["rows"] = _table(values, "rows", ROW_FIELDS)
    # An evaluation of an earlier version knows of none.
    further = _table(values, "further", ["seed", *ROW_FIELDS]) if "further" in values else []
    values["further"] = [{"seed": one.pop("seed"), "row": one} for one in further]
    return _build(Evaluation, values, "")


def _table(values: dict[str, Any], name: str, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of a table that is stored without its field names."""
    table = values.get(name)
    if not isinstance(table, dict) or table.get("fields") != columns:
        raise _WrongField(f"{name}.fields", f"{columns} are expected")
    lists = _listed(table.get("values"), f"{name}.values")
    if any(not isinstance(row, list) or len(row) != len(columns) for row in lists):
        raise _WrongField(f"{name}.values", f"lists of {len(columns)} are expected")
    return [dict(zip(columns, row, strict=True)) for row in lists]


class _WrongField(ValueError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")


def _build(kind: type[Made], values: Any, where: str) -> Made:
    """An instance of one of the dataclasses above, each field checked by its annotation.

    Fields with a default may be absent, as they are in files of before.
    """
    if not isinstance(values, dict):
        raise _WrongField(where.rstrip("."), "an object is expected")
    known = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    needed = {f.name for f in fields(kind) if f.default is MISSING}  # type: ignore[arg-type]
    if wrong := sorted((needed - values.keys()) | (values.keys() - known)):
        raise _WrongField(f"{where}{wrong[0]}", "missing or unknown")
    made = kind(**{n: _value(known[n], value, f"{where}{n}") for n, value in values.items()})
    for name, allowed in CHOICES.get(kind.__name__, {}).items():
        if getattr(made, name) not in allowed:
            raise _WrongField(f"{where}{name}", f"is none of {', '.join(allowed)}")
    return made


def _value(annotation: str, value: Any, where: str) -> Any:
    if annotation.startswith("tuple["):
        inner = annotation.removeprefix("tuple[").removesuffix(", ...]")
        items = enumerate(_listed(value, where))
        return tuple(_value(inner, item, f"{where}[{i}]") for i, item in items)
    if annotation.startswith("dict[str, "):
        if not isinstance(value, dict):
            raise _WrongField(where, "an object is expected")
        inner = annotation.removeprefix("dict[str, ").removesuffix("]")
        return {_text(k, where): _value(inner, v, f"{where}.{k}") for k, v in value.items()}
    if annotation in NESTED:
        return _build(NESTED[annotation], value, f"{where}.")
    return SCALARS[annotation](value, where)


def _listed(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise _WrongField(where, "a list is expected")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _WrongField(where, f"text of at most {MAX_TEXT} characters is expected")
    return value


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise _WrongField(where, "a number is expected")
    return float(value)


def _integer(value: Any, where: str) -> int:
    if type(value) is not int:
        raise _WrongField(where, "a whole number is expected")
    return value


SCALARS: dict[str, Callable[[Any, str], Any]] = {
    "str": _text,
    "float": _number,
    "int": _integer,
    "float | None": lambda value, where: None if value is None else _number(value, where),
    "int | None": lambda value, where: None if value is None else _integer(value, where),
}
NESTED: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Row, ClaimFigure, Claim, NumberOfClusters, ClusterStability, TradeoffPoint),
        *(TrainingCurve, MergerTree, Target, Cost, TrainingRow),
        *(EmulationFigure, Trend, Histogram, GuidancePoint, Proof),
    )
}
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "Row": {"question": QUESTIONS},
    "Claim": {"verdict": VERDICTS},
    "EmulationFigure": {
        "group": bundle_emulation.GROUPS,
        "verdict": bundle_emulation.VERDICTS,
    },
    "Trend": {"kind": bundle_emulation.KINDS},
}
