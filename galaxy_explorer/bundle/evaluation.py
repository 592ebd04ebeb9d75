"""`evaluation.json` and `deconvolution.json`: what was measured of a bundle, as plain values.

The evaluation is one flat table of figures, the report's claims with their verdicts, and the curves
behind them; the deconvolution is of a bundle that has a model with the PSF layer. Text and numbers
only; every field is checked before anything is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct, field

from galaxy_explorer.bundle.json_values import FieldError, Many, Text, build, one_of
from galaxy_explorer.errors import BundleError

EVALUATION = "evaluation.json"
CLAIMS = "CLAIMS.md"
FORMAT = 1
CURE = "run galaxy-explorer evaluate again"
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
Question = Annotated[str, one_of(QUESTIONS)]
Verdict = Annotated[str, one_of(VERDICTS)]


class EvaluationRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One figure of the scoreboard.

    model, features, clusterer: "" where a figure has none; a baseline or the supervised judge has
    its name in `model`. question: one of QUESTIONS. figure: name of the figure, such as "AMI".
    value with its 95 % interval low, high: over seeds and galaxies where seed_count > 1, else over
    galaxies alone. chance: the same figure for shuffled labels. ceiling: the most that the errors
    of T allow. n: galaxies (or runs) it rests on. split: "test" unless said. better: "higher",
    "lower" or "" where neither is. None: not applicable.
    """

    model: Text
    features: Text
    clusterer: Text
    clusters: int | None
    seed_count: int
    question: Question
    figure: Text
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    ceiling: float | None
    n: int
    split: Text
    unit: Text
    better: Text
    note: Text


class TrainingRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A figure of one training of a model, by its seed."""

    seed: int
    row: EvaluationRow


class ClaimFigure(Struct, frozen=True, forbid_unknown_fields=True):
    """One figure on which a verdict rests."""

    name: Text
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: Text


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """A claim of the report: its words in short, the test, the figures, the verdict by a rule.

    rule: how the verdict follows from the figures. seeds: trainings behind a trend.
    """

    id: Text
    section: Text
    words: Text
    test: Text
    rule: Text
    figures: Many[ClaimFigure]
    verdict: Verdict
    explanation: Text
    seeds: int


class NumberOfClusters(Struct, frozen=True, forbid_unknown_fields=True):
    """Curves over k of one feature set, and the k they recommend (None: a continuum).

    curves: name -> values, one for each k; None where a curve is not defined.
    """

    model: Text
    features: Text
    clusterer: Text
    k: Many[int]
    curves: dict[Text, Many[float | None]]
    recommended: int | None
    verdict: Text
    rule: Text


class ClusterStability(Struct, frozen=True, forbid_unknown_fields=True):
    """Bootstrap Jaccard of each cluster of a shipped clustering; below 0.5 it is not to be trusted.

    key: "<model>/<features>". jaccard: one a cluster, None for an empty one.
    """

    key: Text
    jaccard: Many[float | None]


class TradeoffPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """Reconstruction against distinction, one point a model; codes: None for a ConvAE."""

    model: Text
    features: Text
    clusterer: Text
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


class TrainingCurve(Struct, frozen=True, forbid_unknown_fields=True):
    """Held-out figures during training, and where the stop rule was first met (None: never).

    cost: NMSE at the rule's step over the best NMSE of the run, less 1.
    """

    model: Text
    seed: int
    step: Many[float | None]
    nmse: Many[float | None]
    perplexity: Many[float | None]
    codes_changed: Many[float | None]
    early_stop_step: int | None = field(name="rule_step")
    best_step: int
    cost: float | None


class StoredMergerTree(Struct, frozen=True, forbid_unknown_fields=True):
    """Ward's tree above its last L leaves: cut it at any k <= L.

    left, right, height: the L - 1 merges in order; nodes below L are leaves, node L + i is merge i.
    count, ttype_mean: of each of the 2 L - 1 nodes. leaf: leaf of each galaxy of the catalogue.
    """

    model: Text
    features: Text
    leaf: Many[int]
    left: Many[int]
    right: Many[int]
    height: Many[float | None]
    count: Many[int]
    ttype_mean: Many[float | None]


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """A goal set beforehand for the recommended clustering; met: 1, 0, or None: not measured."""

    name: Text
    goal: float
    value: float | None
    low: float | None
    high: float | None
    met: int | None
    note: Text


ALL_STAGES = "all stages"
"""The stage of a cost that is that of the whole evaluation."""


class Cost(Struct, frozen=True, forbid_unknown_fields=True):
    """What a stage took: seconds of wall clock, peak memory of the process so far in MiB."""

    stage: Text
    seconds: float
    peak_mib: float


class Evaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything measured of one bundle.

    settings: how it was run, name -> text. recommended: key of the recommended clustering, "" for
    none, and the rule that chose it. rows: joined over trainings. extra_trainings: of each training
    that does not ship, by itself, so that a later evaluation without it can still tell a trend.
    """

    settings: dict[Text, Text]
    recommended: Text
    recommended_rule: Text
    rows: Many[EvaluationRow]
    claims: Many[Claim]
    number_of_clusters: Many[NumberOfClusters]
    stability: Many[ClusterStability]
    tradeoff: Many[TradeoffPoint]
    training: Many[TrainingCurve]
    trees: Many[StoredMergerTree]
    targets: Many[Target]
    costs: Many[Cost]
    extra_trainings: Many[TrainingRow] = field(default=(), name="further")

    def jaccard(self, key: str) -> tuple[float | None, ...]:
        """Bootstrap Jaccard of each cluster of a shipped clustering; empty where not measured."""
        return next((entry.jaccard for entry in self.stability if entry.key == key), ())

    def to_bytes(self) -> bytes:
        """The file. Rows go one to a line, without their field names; NaN is refused."""
        values = {"format": FORMAT, **msgspec.to_builtins(self)}
        values["rows"] = {
            "fields": ROW_FIELDS,
            "values": [list(r.values()) for r in values["rows"]],
        }
        values["further"] = {
            "fields": ["seed", *ROW_FIELDS],
            "values": [[one["seed"], *one["row"].values()] for one in values["further"]],
        }
        return (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode()


ROW_FIELDS = [row_field.name for row_field in msgspec.structs.fields(EvaluationRow)]


def parse_evaluation(values: Mapping[str, Any], path: Path) -> Evaluation:
    """An evaluation from its JSON values, which are left as they are.

    Raises BundleError naming `path` and the first field that is missing, unknown or wrong.
    """
    try:
        if values.get("format") != FORMAT:
            raise FieldError("format", f"only {FORMAT} is known")
        plain = {name: value for name, value in values.items() if name != "format"}
        plain["rows"] = _table(plain, "rows", ROW_FIELDS)
        if plain.get("further") is not None:  # an evaluation of an earlier version knows of none
            extra = _table(plain, "further", ["seed", *ROW_FIELDS])
            plain["further"] = [{"seed": row.pop("seed"), "row": row} for row in extra]
        else:
            plain["further"] = []
        return build(plain, Evaluation)
    except FieldError as error:
        raise BundleError(f"{path}: {error}; {CURE}") from None


def _table(values: Mapping[str, Any], name: str, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of a table that is stored without its field names."""
    table = values.get(name)
    if not isinstance(table, dict) or table.get("fields") != columns:
        raise FieldError(f"{name}.fields", f"{columns} are expected")
    rows = table.get("values")
    if not isinstance(rows, list) or any(
        not isinstance(row, list) or len(row) != len(columns) for row in rows
    ):
        raise FieldError(f"{name}.values", f"lists of {len(columns)} are expected")
    return [dict(zip(columns, row, strict=True)) for row in rows]


DECONVOLUTION = "deconvolution.json"
DECONVOLUTION_FORMAT = 1


class DeconvolutionFigure(Struct, frozen=True):
    """One figure of one method at one peak S/N, with its 95 % interval over n galaxies.

    control: the same figure against the truth of other galaxies, None where there is none.
    """

    peak_sn: float
    method: Text
    name: Text
    value: float
    low: float
    high: float
    n: int
    unit: Text
    control: float | None = None


class Band(Struct, frozen=True):
    """What a PSF lets through: its MTF at frequencies, in cycles per arcsec.

    limit_cycles_per_arcsec: beyond it the MTF is below a tenth.
    """

    limit_cycles_per_arcsec: float
    frequency: Many[float]
    mtf: Many[float]
    nyquist_cycles_per_arcsec: float | None = None


class DeconvolutionMeasures(Struct, frozen=True):
    """What evaluate-deconvolution measured of a model.

    settings, costs: by peak S/N, of each method; stamps, real: reduced chi^2 of stamps as they are.
    """

    format: Literal[1]
    model: Text
    figures: Many[DeconvolutionFigure]
    band: Band
    targets: Many[dict[str, Any]] = ()
    settings: dict[str, Any] = {}
    costs: dict[str, Any] = {}
    stamps: dict[str, Any] = {}
    real: dict[str, Any] = {}
