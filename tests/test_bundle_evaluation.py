from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from galaxy_explorer.bundle.evaluation import TrainingRow, parse_evaluation
from galaxy_explorer.errors import BundleError
from tests.small_evaluation import small_evaluation

PATH = Path("somewhere/evaluation.json")


@pytest.fixture
def values() -> dict:
    return json.loads(small_evaluation().to_bytes())


def test_what_is_written_is_read(values):
    assert parse_evaluation(values, PATH) == small_evaluation()


def test_figures_of_single_trainings_are_read_and_may_be_missing(values):
    row = small_evaluation().rows[0]
    further = replace(small_evaluation(), extra_trainings=(TrainingRow(2, row),))
    stored = json.loads(further.to_bytes())
    assert parse_evaluation(stored, PATH) == further
    put(stored, "further.values.0.0", "two")
    with pytest.raises(BundleError, match=r"further\[0\].seed"):
        parse_evaluation(stored, PATH)
    del values["further"]
    assert parse_evaluation(values, PATH).extra_trainings == ()


def test_jaccard_of_a_clustering():
    evaluation = small_evaluation(keys={"a/codes": 3, "b/codes": 5})
    assert len(evaluation.jaccard("b/codes")) == 5
    assert evaluation.jaccard("c/codes") == ()


def test_a_number_that_is_none_is_not_written():
    evaluation = small_evaluation()
    row = replace(evaluation.rows[0], value=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        replace(evaluation, rows=(row,)).to_bytes()


def put(values: dict, path: str, value: object) -> None:
    *way, last = path.split(".")
    for step in way:
        values = values[int(step) if step.isdigit() else step]
    values[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("format", 2, "format"),
        ("rows", [], "rows.fields"),
        ("rows.fields.0", "modell", "rows.fields"),
        ("rows.values.3", [1, 2], "rows.values"),
        ("rows.values.3.5", "riddle", r"rows\[3\].question"),
        ("rows.values.3.7", "0.5", r"rows\[3\].value"),
        ("rows.values.3.12", 1.5, r"rows\[3\].n"),
        ("rows.values.3.0", None, r"rows\[3\].model"),
        ("claims.1.verdict", "true", r"claims\[1\].verdict"),
        ("claims.1.figures.0.low", True, r"claims\[1\].figures\[0\].low"),
        ("claims.1.extra", 1, r"claims\[1\].extra"),
        ("number_of_clusters.0.curves.gap", [1, "x"], r"number_of_clusters\[0\].curves.gap\[1\]"),
        ("stability.0", None, r"stability\[0\]"),
        ("trees.0.leaf", {}, r"trees\[0\].leaf"),
        ("settings.grid", "x" * 5000, "settings.grid"),
        ("settings", [], "settings"),
        ("costs", 3, "costs"),
    ],
)
def test_the_wrong_field_is_named(values, path, value, named):
    put(values, path, value)
    with pytest.raises(BundleError, match=rf"evaluation.json: {named}: .*evaluate again"):
        parse_evaluation(values, PATH)


@pytest.mark.parametrize("field", ["rows", "claims", "settings", "recommended", "trees"])
def test_a_missing_field_is_named(values, field):
    del values[field]
    with pytest.raises(BundleError, match=field):
        parse_evaluation(values, PATH)
