from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from galaxy_explorer.models.ttype_regressor import (
    JUDGE_RECIPE,
    JudgeTask,
    TTypeRegressor,
    judge_stamps,
    train_judge,
    turned,
)
from tests.small_survey import blobs

RECIPE = replace(JUDGE_RECIPE, steps=60, batch_size=32, warmup_steps=5)


def sample(n, seed):
    rng = np.random.default_rng(seed)
    ttype = rng.uniform(-5, 8, n)
    return blobs(ttype, rng, size=32), ttype


def test_every_parameter_learns():
    task = JudgeTask(*sample(40, 0), sample(8, 1), RECIPE)
    task.model.train()
    task.loss(0).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in task.model.parameters())


def test_the_loss_of_a_step_is_a_function_of_the_step():
    task = JudgeTask(*sample(40, 0), sample(8, 1), RECIPE)
    first, again, other = (task.loss(step).item() for step in (3, 3, 4))
    assert again == pytest.approx(first)
    assert other != pytest.approx(first)


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
    model = TTypeRegressor().eval()
    stamps, _ = sample(5, 2)
    together = judge_stamps(model, stamps)
    alone = [judge_stamps(model, stamps[i : i + 1]) for i in range(5)]
    for place in range(2):
        np.testing.assert_allclose(
            together[place], np.concatenate([a[place] for a in alone]), atol=1e-5
        )


def test_all_orientations_give_one_verdict():
    model = TTypeRegressor().eval()
    stamps, _ = sample(3, 4)
    for view in (np.rot90(stamps, axes=(-2, -1)), stamps[..., ::-1]):
        for one, other in zip(judge_stamps(model, stamps), judge_stamps(model, view), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_it_learns_the_shape_and_resumes(tmp_path):
    train, validation = sample(300, 0), sample(80, 1)
    model = train_judge(*train, validation, tmp_path, RECIPE)
    stamps, ttype = sample(150, 5)
    found, early = judge_stamps(model, stamps)
    assert np.corrcoef(found, ttype)[0, 1] > 0.8
    assert ((early > 0.5) == (ttype <= 0)).mean() > 0.75
    again = train_judge(*train, validation, tmp_path, RECIPE)  # finished: nothing is trained
    np.testing.assert_array_equal(judge_stamps(again, stamps)[0], found)
