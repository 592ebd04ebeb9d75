"""`evaluation.json`: what `galaxy-explorer evaluate` measured of a bundle, as plain values.

One flat table of figures, the report's claims with their verdicts, and the curves behind them.
Text and numbers only; `bundle_evaluation_parser` checks every field before anything is used.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

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
    "ceiling",
)
VERDICTS = ("holds", "partly", "does not hold", "cannot be told")


@dataclass(frozen=True)
class EvaluationRow:
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
class TrainingRow:
    """A figure of one training of a model, by its seed."""

    seed: int
    row: EvaluationRow


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
class StoredMergerTree:
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
    none, and the rule that chose it. rows: joined over trainings. extra_trainings: of each
    training that does not ship, by itself, so that a later evaluation can still tell a trend.
    """

    settings: dict[str, str]
    recommended: str
    recommended_rule: str
    rows: tuple[EvaluationRow, ...]
    claims: tuple[Claim, ...]
    number_of_clusters: tuple[NumberOfClusters, ...]
    stability: tuple[ClusterStability, ...]
    tradeoff: tuple[TradeoffPoint, ...]
    training: tuple[TrainingCurve, ...]
    trees: tuple[StoredMergerTree, ...]
    targets: tuple[Target, ...]
    costs: tuple[Cost, ...]
    extra_trainings: tuple[TrainingRow, ...] = ()

    def jaccard(self, key: str) -> tuple[float | None, ...]:
        """Bootstrap Jaccard of each cluster of a shipped clustering; empty where not measured."""
        return next((entry.jaccard for entry in self.stability if entry.key == key), ())

    def to_bytes(self) -> bytes:
        """The file. Rows go one to a line, without their field names; NaN is refused."""
        values = {"format": FORMAT, **asdict(self)}
        values["rows"] = {"fields": ROW_FIELDS, "values": [_listed(row) for row in self.rows]}
        extra = [[one.seed, *_listed(one.row)] for one in self.extra_trainings]
        del values["extra_trainings"]
        values["further"] = {"fields": ["seed", *ROW_FIELDS], "values": extra}
        return (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode()


ROW_FIELDS = [field.name for field in fields(EvaluationRow)]


def _listed(row: EvaluationRow) -> list[object]:
    return [getattr(row, name) for name in ROW_FIELDS]
