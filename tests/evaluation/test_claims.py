from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec.structs import replace

from galaxy_explorer.bundle.card import claims_text
from galaxy_explorer.evaluation.claims import CONV, LARGE, SMALL, judge_all
from galaxy_explorer.evaluation.evidence import (
    ClaimEstimate,
    Evidence,
    difference,
    sign,
    verdict_of,
)
from galaxy_explorer.evaluation.rows import RowKey, make_row
from galaxy_explorer.pipeline.plan import config_of
from tests.small_evaluation import small_evaluation

SIZES = (16, 32, 64, 128, 256, 512)


STAMPS = {"stamp_size": 64, "channels": 1}


def evidence(rows):
    names = [f"k{size}-{quantizer}-8x8" for quantizer in ("paper", "modern") for size in SIZES]
    configs = {name: config_of(name, STAMPS) for name in (*names, "k512-modern-4x4", CONV)}
    return Evidence([row for row, _ in rows], [seed for _, seed in rows], configs)


def judged(claim_id, found):
    return next(claim for claim in judge_all(found, []) if claim.id == claim_id)


def errors(slope, seeds=3, scatter=0.0002):
    """NMSE that changes by `slope` for each doubling of K."""
    rows = []
    for quantizer in ("paper", "modern"):
        for number, size in enumerate(SIZES):
            for seed in range(seeds):
                value = 0.05 + slope * number + scatter * (seed - 1)
                score = {"value": value, "low": value - 0.001, "high": value + 0.001}
                subset = RowKey(f"k{size}-{quantizer}-8x8")
                rows.append((make_row(subset, "reconstruction", "NMSE", score, n=100), seed))
    return rows


@pytest.mark.parametrize(
    ("slope", "verdict"),
    [(-0.003, "holds"), (0.003, "does not hold"), (0.0, "cannot be told")],
)
def test_a_trend_is_judged_by_its_interval(slope, verdict):
    claim = judged("reconstruction-k", evidence(errors(slope)))
    assert claim.verdict == verdict
    assert claim.seeds == 3
    assert claim.figures[0].value == pytest.approx(slope, abs=2e-4)


def test_one_training_each_is_not_enough_for_a_trend():
    claim = judged("reconstruction-k", evidence(errors(-0.003, seeds=1)))
    assert claim.verdict == "cannot be told"
    assert "Fewer than 3 trainings" in claim.explanation


def test_sizes_trained_once_do_not_count_where_three_were_trained_often():
    seldom = (32, 128, 256)  # their errors are off the trend by far
    rows = []
    for row, seed in errors(-0.003):
        if int(row.model[1:].split("-")[0]) not in seldom:
            rows.append((row, seed))
        elif seed == 0:
            rows.append((replace(row, value=1.0), seed))
    claim = judged("reconstruction-k", evidence(rows))
    assert (claim.verdict, claim.seeds) == ("holds", 3)


def test_only_models_of_64_features_are_in_a_trend():
    """A point far off, of a model with another map or without codes, changes nothing."""
    far = {"value": 9.0, "low": 8.9, "high": 9.1}
    others = [
        (make_row(RowKey(name), "reconstruction", "NMSE", far, n=100), 0)
        for name in ("k512-modern-4x4", CONV, "k64-unheard-of-8x8")
    ]
    with_others = judged("reconstruction-k", evidence([*errors(-0.003), *others]))
    assert with_others == judged("reconstruction-k", evidence(errors(-0.003)))


def test_trainings_are_counted_of_the_model_that_has_fewest():
    """A claim on several models is on as many trainings as the least often trained of them."""
    rows = [figure("fine structure kept", RowKey(name), 0.3) for name in (SMALL, LARGE, CONV)]
    again = [(row, seed) for row, _ in rows[:2] for seed in (1, 2)]
    claim = judged("smoother", evidence(rows + again))
    assert (claim.verdict, claim.seeds) == ("holds", 1)
    assert judged("smoother", evidence(rows[:2] + again)).seeds == 3


def test_nothing_measured_is_no_verdict_and_no_error():
    empty = evidence([])
    for claim in judge_all(empty, []):
        assert claim.verdict == "cannot be told"


def figure(name, subset, value, half=0.01):
    score = {"value": value, "low": value - half, "high": value + half}
    return make_row(subset, "reconstruction", name, score, n=50), 0


@pytest.mark.parametrize(
    ("dense", "verdict"), [(0.2, "holds"), (0.045, "partly"), (0.01, "does not hold")]
)
def test_the_worst_of_four(dense, verdict):
    values = {SMALL: 0.06, LARGE: 0.03, "convae-conv": 0.03, "convae-dense": dense}
    rows = [figure("NMSE", RowKey(name), value, 0.001) for name, value in values.items()]
    assert judged("dense-worst", evidence(rows)).verdict == verdict


@pytest.mark.parametrize(
    ("codes", "latents", "verdict"),
    [(0.95, 0.3, "holds"), (0.1, 0.3, "does not hold"), (0.95, 0.95, "partly")],
)
def test_rotation(codes, latents, verdict):
    name = "ARI, rotated by 90 degrees"
    rows = [figure(name, RowKey(m, "index", "gmm", 64), codes) for m in (SMALL, LARGE)]
    convaes = ("convae-conv", "convae-dense")
    rows += [figure(name, RowKey(m, "latents", "gmm", 64), latents) for m in convaes]
    assert judged("rotation", evidence(rows)).verdict == verdict


@pytest.mark.parametrize(
    ("signs", "verdict"),
    [
        ([True, True], "holds"),
        ([True, False], "partly"),
        ([True, None], "partly"),
        ([False, None], "does not hold"),
        ([None, None], "cannot be told"),
        ([], "cannot be told"),
    ],
)
def test_verdicts(signs, verdict):
    assert verdict_of(signs) == verdict


def test_difference_and_its_sign():
    one, other = ClaimEstimate("a", 0.5, 0.4, 0.6, 9), ClaimEstimate("b", 0.1, 0.05, 0.15, 8)
    found = difference("a less b", one, other)
    assert found.value == pytest.approx(0.4)
    assert found.low == pytest.approx(0.4 - np.hypot(0.1, 0.05))
    assert sign(found, positive=True) is True
    assert sign(found, positive=False) is False
    assert sign(ClaimEstimate("c", 0.01, -0.1, 0.1), positive=True) is None
    assert sign(difference("none", one, ClaimEstimate("d", None)), positive=True) is None


def test_the_text_has_every_claim_with_its_verdict_and_figures():
    evaluation = small_evaluation()
    text = claims_text("random", evaluation)
    for claim in evaluation.claims:
        assert f"Verdict: **{claim.verdict}**" in text
        assert f"{claim.figures[0].value:.4g}" in text
    assert json.loads(evaluation.to_bytes())["claims"][0]["words"] in text
