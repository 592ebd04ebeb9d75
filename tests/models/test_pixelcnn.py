"""Laws of the prior: raster order, no blind spot, conditions, learning, label pairing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from galaxy_explorer.models.conditions import GIVEN, UNKNOWN, WITHHELD, Condition
from galaxy_explorer.models.inference import build_prior, load_prior, save_weights
from galaxy_explorer.models.layers import ConditionEncoder
from galaxy_explorer.models.pixelcnn import PixelCNN, PixelCNNConfig
from galaxy_explorer.models.prior_training import (
    PriorData,
    PriorRecipe,
    PriorTask,
    likelihood,
    prior_plan,
)
from galaxy_explorer.models.training import train

K = 6
SMALL = PixelCNNConfig(
    height=5, width=4, num_embeddings=K, layers=5, features=8, n_fields=2, condition_dim=6
)


def prior_of(config: PixelCNNConfig) -> PixelCNN:
    torch.manual_seed(0)
    prior = PixelCNN(config).double().eval()
    with torch.no_grad():
        prior.position.normal_()
    return prior


def asked(count: int, fields: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(count, fields).double(), torch.zeros(count, fields, dtype=torch.int64)


@pytest.mark.parametrize("kernels", [(3, 1), (3, 3), (5, 3), (7, 5)])
def test_a_code_moves_no_logit_at_or_before_it(kernels: tuple[int, int]) -> None:
    prior = prior_of(replace(SMALL, first_kernel=kernels[0], kernel=kernels[1]))
    codes, condition = torch.randint(K, (1, 5, 4)), asked(1)
    with torch.no_grad():
        before = prior(codes, *condition)
        for place in range(20):
            changed = codes.clone().view(1, -1)
            changed[0, place] = (changed[0, place] + 1) % K
            moved = (prior(changed.view_as(codes), *condition) != before).any(1).view(-1)
            assert not moved[: place + 1].any()
            assert place == 19 or moved[place + 1] or kernels[1] == 1


def test_there_is_no_blind_spot() -> None:
    """With layers enough every earlier code has a gradient on every later logit."""
    prior = prior_of(SMALL)
    codes = torch.randint(K, (1, 5, 4))
    embedded = prior.embedding(codes).detach().requires_grad_()
    prior.embedding = Given(embedded)  # type: ignore[assignment]
    logits = prior(codes, *asked(1))
    for place in range(20):
        (slope,) = torch.autograd.grad(
            logits.reshape(K, 20)[:, place].sum(), embedded, retain_graph=True
        )
        seen = (slope != 0).any(-1).view(-1)
        assert seen[:place].all()
        assert not seen[place:].any()


class Given(torch.nn.Module):
    def __init__(self, embedded: torch.Tensor) -> None:
        super().__init__()
        self.embedded = embedded

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.embedded


def test_each_place_knows_where_it_is_and_what_is_asked() -> None:
    prior = prior_of(SMALL)
    codes = torch.zeros(2, 5, 4, dtype=torch.int64)
    values, states = asked(2)
    with torch.no_grad():
        logits = prior(codes, values, states)
    assert (logits[0] != logits[1]).any(0).all()
    assert len(torch.unique(logits[0].reshape(K, 20), dim=1).T) == 20


def test_a_value_that_is_not_given_does_not_pass() -> None:
    encoder = ConditionEncoder(SMALL)
    values = torch.randn(1, 2)
    other = values + torch.tensor([[3.0, 0.0]])
    for state in (WITHHELD, UNKNOWN):
        states = torch.tensor([[state, GIVEN]])
        assert torch.equal(encoder(values, states), encoder(other, states))
    given = torch.zeros(1, 2, dtype=torch.int64)
    assert not torch.equal(encoder(values, given), encoder(other, given))
    withheld, unknown = (encoder(values, torch.tensor([[s, 0]])) for s in (WITHHELD, UNKNOWN))
    assert not torch.equal(withheld, unknown)


def labelled(n: int, seed: int) -> PriorData:
    """Maps (n, 1, 4, 4) of random codes, the label choosing one half of the codebook."""
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=n)
    codes = rng.integers(K // 2, size=(n, 1, 4, 4)) + (K // 2) * label[:, None, None, None]
    values = (2.0 * label[:, None] - 1).astype(np.float32)
    return PriorData(codes, Condition(values, np.zeros((n, 1), np.int64)), np.ones(n))


LABELLED = PixelCNNConfig(4, 4, K, layers=2, features=12, n_fields=1, condition_dim=8, dropout=0.0)
QUICK = PriorRecipe("t", 50, 32, 1e-2, 1e-3, clip_norm=1.0, number_format="float32")


def task(mismatched: bool = False, recipe: PriorRecipe = QUICK) -> PriorTask:
    data, held_out = labelled(400, 0), labelled(100, 1)
    prior = build_prior(LABELLED, recipe.seed)
    return PriorTask(prior, data, held_out, recipe, jitter=np.full(1, 0.1), mismatched=mismatched)


def test_codes_and_labels_of_a_batch_belong_together() -> None:
    """Fails if the labels slip by one batch, as they did in the report's own code."""
    recipe = replace(QUICK, drop_each=0.0, subset=0.0, alone=0.0, drop_all=0.0)
    codes, values, _ = task(recipe=recipe).batch(3)
    upper = (codes >= K // 2).all((1, 2))
    assert torch.equal(values[:, 0] > 0, upper)
    codes, values, _ = task(mismatched=True, recipe=recipe).batch(3)
    assert not torch.equal(values[:, 0] > 0, (codes >= K // 2).all((1, 2)))


def test_shuffled_labels_cost_likelihood_and_matched_ones_do_not(tmp_path) -> None:
    """The first code costs ln 2 more where the label is of no use; wrong ones cost far more."""
    figures = {}
    for mismatched in (False, True):
        made = task(mismatched)
        train(made, QUICK, tmp_path / str(mismatched))
        figures[mismatched] = likelihood(made.model, labelled(100, 2), seed=0)
    right, wrong = figures[False], figures[True]
    assert right["label_gain"] > 1
    assert abs(wrong["label_gain"]) < 0.2
    assert right["nll"] < wrong["nll"] - 0.5 * np.log(2)
    assert right["nll"] == pytest.approx(16 * np.log(K / 2), abs=0.8)
    assert right["nll_withheld"] > right["nll"]
    assert right["bits"] == pytest.approx(right["nll"] / 16 / np.log(2))


def test_eight_maps_are_learnt_by_heart(tmp_path) -> None:
    """Told which of the eight it is, the prior is sure of every code: about 0 nats a map."""
    rng = np.random.default_rng(0)
    which = Condition(np.linspace(-2, 2, 8, dtype=np.float32)[:, None], np.zeros((8, 1), np.int64))
    data = PriorData(rng.integers(K, size=(8, 1, 4, 4)), which, np.ones(8))
    always = {"drop_each": 0.0, "subset": 0.0, "alone": 0.0, "drop_all": 0.0}
    recipe = replace(QUICK, steps=120, batch_size=16, **always)
    prior = build_prior(replace(LABELLED, features=24), recipe.seed)
    made = PriorTask(prior, data, data, recipe, jitter=np.zeros(1))
    train(made, recipe, tmp_path)
    assert likelihood(made.model, data, seed=0)["nll"] < 0.2


def test_stored_weights_make_the_same_prior(tmp_path) -> None:
    prior = prior_of(SMALL).float()
    save_weights(prior, tmp_path / "prior.safetensors")
    again = load_prior(SMALL, tmp_path / "prior.safetensors")
    codes, (values, states) = torch.randint(K, (2, 5, 4)), asked(2)
    with torch.no_grad():
        assert torch.equal(
            prior(codes, values.float(), states), again(codes, values.float(), states)
        )


def test_the_paper_recipe_is_table_3() -> None:
    config, recipe = prior_plan("paper", (16, 16), 512, 1)
    assert (config.layers, config.features) == (18, 256)
    assert prior_plan("paper", (21, 21), 512, 0)[0].features == 441
    rates = [recipe.learning_rate_at(step) for step in (0, 50_000, 100_000)]
    assert rates == pytest.approx([3e-4, 1.5e-4, 0.75e-4])
    assert (recipe.steps, recipe.clip_value, recipe.clip_norm) == (100_000, 5.0, 0.0)


@pytest.mark.parametrize(
    "wrong", [{"kernel": 2}, {"first_kernel": 1}, {"layers": 0}, {"dropout": 1.0}, {"n_fields": -1}]
)
def test_impossible_shapes_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|lies in"):
        replace(SMALL, **wrong)
