"""`evaluation.json`: what `galaxy-explorer evaluate` measured of a bundle, as plain values.

One flat table of figures, the report's claims with their verdicts, and the curves behind them.
Text and numbers only; every field is checked by name and type before anything is used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from galaxy_explorer.errors import BundleError

EVALUATION = "evaluation.json"
CLAIMS = "CLAIMS.md"
FORMAT = 1
QUESTIONS = (
    "reconstruction",
    "vocabulary",
    "agreement",
    "other columns",
    "stability",
    "invariance",
    "number of clusters",
    "baseline",
    "ceiling",
)
VERDICTS = ("holds", "partly", "does not hold", "cannot be told")
MAX_TEXT = 4000
MAX_ITEMS = 20_000_000


@dataclass(frozen=True)
class Row:
    """One figure of the scoreboard.

    model, features, clusterer: "" where a figure has none; a baseline or the supervised judge has
    its name in `model`. question: one of QUESTIONS. figure: name of the figure, such as "AMI".
    value with its 95 % interval low, high: over seeds and galaxies where seed_count > 1, else over
    galaxies alone. chance: the same figure for shuffled labels. ceiling: the most that the errors
    of T allow. n: galaxies (or runs) it rests on. split: "test" unless said. better: "higher",
    "lower" or "" where neither is. None: not applicable.
    """

    model: str
    features: str
    clusterer: str
    clusters: int | None
    seed_count: int
    question: str
    figure: str
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    ceiling: float | None
    n: int
    split: str
    unit: str
    better: str
    note: str


@dataclass(frozen=True)
class ClaimFigure:
    """One figure on which a verdict rests."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str


@dataclass(frozen=True)
class Claim:
    """A claim of the report: its words in short, the test, the figures, the verdict by a rule.

    rule: how the verdict follows from the figures. seeds: trainings behind a trend.
    """

    id: str
    section: str
    words: str
    test: str
    rule: str
    figures: tuple[ClaimFigure, ...]
    verdict: str
    explanation: str
    seeds: int


@dataclass(frozen=True)
class NumberOfClusters:
    """Curves over k of one feature set, and the k they recommend (None: a continuum).

    curves: name -> values, one for each k; None where a curve is not defined.
    """

    model: str
    features: str
    clusterer: str
    k: tuple[int, ...]
    curves: dict[str, tuple[float | None, ...]]
    recommended: int | None
    verdict: str
    rule: str


@dataclass(frozen=True)
class ClusterStability:
    """Bootstrap Jaccard of each cluster of a shipped clustering; below 0.5 it is not to be trusted.

    key: "<model>/<features>". jaccard: one a cluster, None for an empty one.
    """

    key: str
    jaccard: tuple[float | None, ...]


@dataclass(frozen=True)
class TradeoffPoint:
    """Reconstruction against distinction, one point a model; codes: None for a ConvAE."""

    model: str
    features: str
    clusterer: str
    codes: int | None
    nmse: float | None
    nmse_low: float | None
    nmse_high: float | None
    eta2: float | None
    eta2_low: float | None
    eta2_high: float | None
    ami: float | None
    ami_low: float | None
    ami_high: float | None
    seed_count: int


@dataclass(frozen=True)
class TrainingCurve:
    """Held-out figures during training, and where the stop rule was first met (None: never).

    cost: NMSE at the rule's step over the best NMSE of the run, less 1.
    """

    model: str
    seed: int
    step: tuple[float | None, ...]
    nmse: tuple[float | None, ...]
    perplexity: tuple[float | None, ...]
    codes_changed: tuple[float | None, ...]
    rule_step: int | None
    best_step: int
    cost: float | None


@dataclass(frozen=True)
class MergerTree:
    """Ward's tree above its last L leaves: cut it at any k <= L.

    left, right, height: the L - 1 merges in order; nodes below L are leaves, node L + i is merge i.
    count, ttype_mean: of each of the 2 L - 1 nodes. leaf: leaf of each galaxy of the catalogue.
    """

    model: str
    features: str
    leaf: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    height: tuple[float | None, ...]
    count: tuple[int, ...]
    ttype_mean: tuple[float | None, ...]


@dataclass(frozen=True)
class Target:
    """A goal set beforehand for the recommended clustering; met: 1, 0, or None: not measured."""

    name: str
    goal: float
    value: float | None
    low: float | None
    high: float | None
    met: int | None
    note: str


@dataclass(frozen=True)
class Cost:
    """What a stage took: seconds of wall clock, peak memory of the process so far in MiB."""

    stage: str
    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of one bundle.

    settings: how it was run, name -> text. recommended: key of the recommended clustering, "" for
    none, and the rule that chose it.
    """

    settings: dict[str, str]
    recommended: str
    recommended_rule: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    number_of_clusters: tuple[NumberOfClusters, ...]
    stability: tuple[ClusterStability, ...]
    tradeoff: tuple[TradeoffPoint, ...]
    training: tuple[TrainingCurve, ...]
    trees: tuple[MergerTree, ...]
    targets: tuple[Target, ...]
    costs: tuple[Cost, ...]

    def jaccard(self, key: str) -> tuple[float | None, ...]:
        """Bootstrap Jaccard of each cluster of a shipped clustering; empty where not measured."""
        return next((entry.jaccard for entry in self.stability if entry.key == key), ())

    def to_bytes(self) -> bytes:
        """The file. Rows go one to a line, without their field names; NaN is refused."""
        values = {"format": FORMAT, **asdict(self)}
        rows = [[getattr(row, name) for name in ROW_FIELDS] for row in self.rows]
        values["rows"] = {"fields": ROW_FIELDS, "values": rows}
        return (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode()


ROW_FIELDS = [field.name for field in fields(Row)]
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


def _evaluation(values: dict[str, Any]) -> Evaluation:
    if values.pop("format", None) != FORMAT:
        raise _WrongField("format", f"only {FORMAT} is known")
    table = values.get("rows")
    if not isinstance(table, dict) or table.get("fields") != ROW_FIELDS:
        raise _WrongField("rows.fields", f"{ROW_FIELDS} are expected")
    lists = _listed(table.get("values"), "rows.values")
    if any(not isinstance(row, list) or len(row) != len(ROW_FIELDS) for row in lists):
        raise _WrongField("rows.values", f"lists of {len(ROW_FIELDS)} are expected")
    values["rows"] = [dict(zip(ROW_FIELDS, row, strict=True)) for row in lists]
    return _build(Evaluation, values, "")


class _WrongField(ValueError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")


def _build(kind: type[Made], values: Any, where: str) -> Made:
    """An instance of one of the dataclasses above, each field checked by its annotation."""
    if not isinstance(values, dict):
        raise _WrongField(where.rstrip("."), "an object is expected")
    known = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    if wrong := sorted(known.keys() ^ values.keys()):
        raise _WrongField(f"{where}{wrong[0]}", "missing or unknown")
    made = kind(**{n: _value(known[n], values[n], f"{where}{n}") for n in known})
    if choices := CHOICES.get(kind.__name__):
        name, allowed = choices
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
        *(TrainingCurve, MergerTree, Target, Cost),
    )
}
CHOICES = {"Row": ("question", QUESTIONS), "Claim": ("verdict", VERDICTS)}
