from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from galaxy_explorer.models.conditions import CLASSES, MorphologyLabels, can_be_learnt, labels_of
from galaxy_explorer.models.ttype_regressor import (
    JUDGE_RECIPE,
    MOST_NOISE,
    JudgeTask,
    TTypeRegressor,
    judge_stamps,
    label_weights,
    observed_anew,
    reading_loss,
    taught_by,
    train_judge,
    turned,
)
from tests.small_survey import blobs

RECIPE = replace(JUDGE_RECIPE, steps=60, batch_size=32, warmup_steps=5)
NAMES = ("arms", "bar")


def labels(ttype, *, errors=None, attributes=None, classes=None):
    """Arms grow with T, bars are there or not; nothing has an error unless it is given."""
    n = len(ttype)
    known = np.stack([((ttype + 5) / 13).clip(0, 1), (ttype > 2).astype(float)], 1)
    return MorphologyLabels(
        ttype,
        np.full(n, np.nan) if errors is None else errors,
        NAMES,
        known if attributes is None else attributes,
        np.full((n, len(NAMES)), np.nan),
        np.full(n, -1) if classes is None else classes,
    )


def sample(n, seed):
    rng = np.random.default_rng(seed)
    ttype = rng.uniform(-5, 8, n)
    return blobs(ttype, rng, size=32), labels(ttype)


def partly_classed(n, seed):
    """Of half of the galaxies only a class is known."""
    stamps, known = sample(n, seed)
    half = np.arange(n) < n // 2
    classes = np.where(half, (known.ttype > 0) * (len(CLASSES) - 1), -1)
    unknown = np.where(half[:, None], np.nan, known.attributes)
    ttype = np.where(half, np.nan, known.ttype)
    return stamps, labels(ttype, attributes=unknown, classes=classes)


def test_every_parameter_learns():
    task = JudgeTask(*partly_classed(40, 0), sample(8, 1), RECIPE)
    task.model.train()
    task.loss(0).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in task.model.parameters())


def test_the_loss_of_a_step_is_a_function_of_the_step():
    task = JudgeTask(*sample(40, 0), sample(8, 1), RECIPE)
    first, again, other = (task.loss(step).item() for step in (3, 3, 4))
    assert again == pytest.approx(first)
    assert other != pytest.approx(first)


def test_what_is_unknown_teaches_nothing():
    """An output gets a gradient of those galaxies alone of which the catalogue knows it."""
    torch.manual_seed(0)
    model = TTypeRegressor(1, NAMES, classes=len(CLASSES)).eval()
    ttype = np.array([4.0, np.nan, np.nan, -2.0])
    attributes = np.array([[0.5, np.nan], [np.nan, 1.0], [np.nan, np.nan], [np.nan, np.nan]])
    known = labels(ttype, attributes=attributes, classes=np.array([-1, -1, 2, -1]))
    found = model(torch.rand(4, 1, 32, 32))
    for output in found:
        output.retain_grad()
    reading_loss(found, taught_by(known), model.spread).backward()
    for output, expected in zip(
        found,
        (
            np.isfinite(ttype), np.isfinite(ttype), np.isfinite(attributes),
            np.repeat(known.classes[:, None] >= 0, len(CLASSES), 1),
        ),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(output.grad.numpy() != 0, expected)


def test_nothing_known_is_no_loss():
    model = TTypeRegressor(1, NAMES, classes=len(CLASSES)).eval()
    nothing = np.full(3, np.nan)
    known = labels(nothing, attributes=np.full((3, 2), np.nan))
    assert reading_loss(model(torch.rand(3, 1, 32, 32)), taught_by(known), model.spread) == 0


def test_surer_labels_count_more():
    errors = np.array([0.0, 1.0, 2.0, np.nan, 0.0])
    known = np.array([True, True, True, True, False])
    weights = label_weights(known, errors, 1.0)
    assert weights[0] > weights[1] > weights[2] > 0
    assert weights[0] / weights[2] == pytest.approx((2**2 + 1) / 1)
    assert weights[3] == weights[1]  # as sure as half of the others
    assert weights[4] == 0
    assert weights[known].mean() == pytest.approx(1)
    np.testing.assert_allclose(label_weights(known, np.full(5, np.nan), 1.0), known)


def test_a_catalogue_gives_the_labels_that_it_has():
    columns = {
        "ttype": [1.0, 2.0, np.nan], "ttype_lo": [0.0, 2.0, np.nan], "ttype_hi": [3.0, 2.0, np.nan],
        "arm_strength": [0.0, 1.0, np.nan], "arm_strength_inf": [0.0, 0.5, np.nan],
        "arm_strength_sup": [0.5, 1.0, np.nan],
        "bar_length": [0.0, np.nan, np.nan],  # too few
        "inner_ring": [0.5, 0.5, 0.5],  # tells nothing
        "class": ["", "spiral", "round"],
    }  # fmt: skip
    splits = np.array(["train", "train", "test"])
    found = labels_of(lambda n: np.array(columns[n]), list(columns), splits, {"train": 2})
    assert found.names == ("arms",)
    np.testing.assert_array_equal(found.attributes[:, 0], columns["arm_strength"])
    np.testing.assert_array_equal(found.attribute_errors[:, 0], [0.25, 0.25, np.nan])
    np.testing.assert_array_equal(found.ttype_error, [1.5, 0, np.nan])
    assert [int(place) and CLASSES[place][0] for place in found.classes[1:]] == ["spiral", 0]
    assert found.classes[0] == -1
    assert list(found.read) == [True, True, False]
    bare = labels_of(lambda n: np.array(columns[n]), ["ttype"], splits, {"train": 1})
    assert bare.names == ()
    assert bare.attributes.shape == (3, 0)
    assert (bare.classes == -1).all()


@pytest.mark.parametrize(
    ("test", "learnt"),
    [([1.0, 2.0], True), ([3.0, 3.0], False), ([1.0, np.nan], False), ([np.nan, np.nan], False)],
)
def test_a_label_is_learnt_where_it_varies_within_each_split(test, learnt):
    values = np.array([1.0, 2.0, *test])
    splits = np.array(["train", "train", "test", "test"])
    assert can_be_learnt(values, splits, {"train": 2, "test": 2}) is learnt
    assert can_be_learnt(values, splits, {"train": 2})
    assert not can_be_learnt(values, splits, {"train": 3})


def test_a_stamp_is_seen_anew_without_losing_its_light():
    stamps = torch.from_numpy(sample(200, 3)[0])
    after = observed_anew(stamps, np.random.default_rng(0))
    assert after.shape == stamps.shape
    assert 0.8 < after.mean() / stamps.mean() < 1.25
    rough = (after[..., 1:] - after[..., :-1])[:, :, :4].std((1, 2, 3))
    assert rough.min() < 0.01  # some are blurred, some are under noise
    assert MOST_NOISE < rough.max() < 0.1


def test_turning_keeps_a_round_galaxy_and_its_centre():
    y, x = torch.meshgrid(*[torch.arange(32.0) - 15.5] * 2, indexing="ij")
    stamps = torch.exp(-(x**2 + y**2) / 50).expand(6, 1, 32, 32)
    after = turned(stamps, np.random.default_rng(0))
    light = after[:, 0] / after.sum((1, 2, 3))[:, None, None]
    assert ((light * x).sum((1, 2)).abs() < 0.05).all()
    assert ((light * y).sum((1, 2)).abs() < 0.05).all()
    zoom = (light * (x**2 + y**2)).sum((1, 2)) / 50
    assert ((zoom > 0.7) & (zoom < 1.4)).all()
    assert zoom.std() > 0.02


def test_a_galaxy_is_judged_alone():
    model = TTypeRegressor(1, NAMES).eval()
    stamps, _ = sample(5, 2)
    together = judge_stamps(model, stamps)
    alone = [judge_stamps(model, stamps[i : i + 1]) for i in range(5)]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-5)
    assert together.table.shape == (5, 3)
    assert ((together.attributes > 0) & (together.attributes < 1)).all()


def test_all_orientations_give_one_verdict():
    model = TTypeRegressor(1, NAMES).eval()
    stamps, _ = sample(3, 4)
    for view in (np.rot90(stamps, axes=(-2, -1)), stamps[..., ::-1]):
        for one, other in zip(judge_stamps(model, stamps), judge_stamps(model, view), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_it_learns_the_shape_and_resumes(tmp_path):
    train, validation = sample(300, 0), sample(80, 1)
    model = train_judge(*train, validation, tmp_path, RECIPE)
    stamps, known = sample(150, 5)
    found = judge_stamps(model, stamps)
    assert np.corrcoef(found.ttype, known.ttype)[0, 1] > 0.8
    assert np.corrcoef(found.attributes[:, 0], known.attributes[:, 0])[0, 1] > 0.8
    assert ((found.early > 0.5) == (known.ttype <= 0)).mean() > 0.75
    again = train_judge(*train, validation, tmp_path, RECIPE)  # finished: nothing is trained
    np.testing.assert_array_equal(judge_stamps(again, stamps).table, found.table)
