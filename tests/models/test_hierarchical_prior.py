"""Laws of the prior over two code maps: what the bottom sees, raster order, exact sampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from galaxy_explorer.models.conditions import Condition, Draw
from galaxy_explorer.models.inference import build_prior, load_prior, save_weights
from galaxy_explorer.models.pixelcnn import CoarseEncoder, HierarchicalConfig, HierarchicalPrior
from galaxy_explorer.models.prior_training import (
    PriorData,
    PriorRecipe,
    PriorTask,
    hierarchical_plan,
    likelihood,
)
from galaxy_explorer.models.sampler import HierarchicalSampler, naive_codes
from galaxy_explorer.models.training import train
from tests.models.test_pixelcnn import Given

K, FIELDS = 7, 2
SMALL = HierarchicalConfig(
    height=6, width=4, num_embeddings=K, layers=3, features=6, n_fields=FIELDS, condition_dim=5
)


def lively(config: HierarchicalConfig = SMALL) -> HierarchicalPrior:
    """A prior whose weights are large enough that every code matters."""
    prior = build_prior(config, 1)
    assert isinstance(prior, HierarchicalPrior)
    with torch.no_grad():
        for name, weight in prior.named_parameters():
            fan_in = max(1, weight[0].numel())
            weight.normal_(0, 0.5 if "bias" in name else 1.5 / fan_in**0.5)
    return prior.double().eval()


def asked(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(count, FIELDS).double(), torch.zeros(count, FIELDS, dtype=torch.int64)


def drawing(count: int, **options) -> Draw:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(64, FIELDS)).astype(np.float32)[:count]
    states = rng.integers(0, 3, size=(64, FIELDS))[:count]
    return Draw(3, tuple(range(count)), Condition(values, states), **options)


def test_every_top_code_moves_every_bottom_logit_even_of_places_before_it() -> None:
    prior, condition = lively(), asked(1)
    top, bottom = torch.randint(K, (1, 3, 2)), torch.randint(K, (1, 6, 4))
    with torch.no_grad():
        before = prior.bottom(bottom, *condition, prior.coarse(top))
        for place in range(6):
            changed = top.clone().view(1, -1)
            changed[0, place] = (changed[0, place] + 1) % K
            after = prior.bottom(bottom, *condition, prior.coarse(changed.view_as(top)))
            assert (after != before).any(1).all()


@pytest.mark.parametrize("side", [1, 2, 5, 8])
def test_the_features_of_a_place_see_the_whole_top_map(side: int) -> None:
    config = replace(SMALL, height=2 * side, width=2 * side)
    torch.manual_seed(0)
    coarse = CoarseEncoder(config.level(top=True)).double()
    embedded = coarse.embedding(torch.randint(K, (1, side, side))).detach().abs().requires_grad_()
    coarse.embedding = Given(embedded)  # type: ignore[assignment]
    for layer in coarse.layers:
        torch.nn.init.uniform_(layer.weight, 0.1, 0.2)
        torch.nn.init.ones_(layer.bias)
    features = coarse(torch.zeros(1, side, side, dtype=torch.int64))
    assert features.shape == (1, SMALL.condition_dim, 2 * side, 2 * side)
    for row, column in ((0, 0), (2 * side - 1, 0), (2 * side - 1, 2 * side - 1)):
        (slope,) = torch.autograd.grad(
            features[0, :, row, column].sum(), embedded, retain_graph=True
        )
        assert (slope != 0).any(-1).all()


def test_a_bottom_code_moves_no_logit_at_or_before_it_and_none_of_the_top() -> None:
    prior, condition = lively(), asked(1)
    top, bottom = torch.randint(K, (1, 3, 2)), torch.randint(K, (1, 6, 4))
    with torch.no_grad():
        features = prior.coarse(top)
        before = prior.bottom(bottom, *condition, features)
        for place in range(24):
            changed = bottom.clone().view(1, -1)
            changed[0, place] = (changed[0, place] + 1) % K
            after = prior.bottom(changed.view_as(bottom), *condition, features)
            moved = (after != before).any(1).view(-1)
            assert not moved[: place + 1].any()
            assert place == 23 or moved[place + 1]


def test_the_likelihoods_of_all_maps_add_up_to_one() -> None:
    """Of 2 x 2 bottom codes and the one top code above them, with a codebook of 3."""
    prior = lively(replace(SMALL, height=2, width=2, num_embeddings=3))
    every = torch.cartesian_prod(*[torch.arange(3)] * 5)
    values, states = asked(1)
    with torch.no_grad():
        nats = prior.log_prob(every, values.expand(243, -1), states.expand(243, -1))
    # log_prob reads logits in single precision
    assert float(nats.double().exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (8, 8)])
@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_cached_sampling_is_naive_sampling(size: tuple[int, int], guidance: float) -> None:
    prior = lively(replace(SMALL, height=size[0], width=size[1]))
    draw = drawing(3, temperature=1.2, guidance=guidance)
    codes = HierarchicalSampler(prior).codes(draw)
    assert codes.shape == (3, size[0] * size[1] * 5 // 4)
    assert np.array_equal(codes, naive_codes(prior, draw))


def test_a_sample_is_the_same_in_any_batch_and_both_maps_have_noise_of_their_own() -> None:
    prior = lively(replace(SMALL, height=8, width=8))
    sampler = HierarchicalSampler(prior)
    every = [sampler.codes(drawing(count, guidance=1.5)) for count in (1, 3, 16)]
    assert np.array_equal(every[0], every[2][:1])
    assert np.array_equal(every[1], every[2][:3])
    with torch.no_grad():
        for weight in prior.parameters():
            weight.zero_()  # then the codes are the noise alone
    top, bottom = prior.maps(torch.from_numpy(HierarchicalSampler(prior).codes(drawing(64))))
    agree = float((top[:, 0] == bottom[:, 0, :4]).double().mean())
    assert agree == pytest.approx(1 / K, abs=0.1)


@pytest.mark.parametrize("where", [0, 3, 20])
def test_cancelling_gives_nothing(where: int) -> None:
    asked_so_far = iter(range(100))
    sampler = HierarchicalSampler(lively())
    assert sampler.codes(drawing(1), lambda: next(asked_so_far) >= where) is None


QUICK = PriorRecipe("t", 150, 16, 1e-2, 1e-3, clip_norm=1.0, number_format="float32")
ALWAYS = {"drop_each": 0.0, "subset": 0.0, "alone": 0.0, "drop_all": 0.0}


@pytest.mark.slow
def test_eight_galaxies_are_learnt_by_heart(tmp_path) -> None:
    """Told which of the eight it is, the prior is sure of every code of both maps."""
    rng = np.random.default_rng(0)
    which = Condition(np.linspace(-2, 2, 8, dtype=np.float32)[:, None], np.zeros((8, 1), np.int64))
    data = PriorData(rng.integers(K, size=(8, 1, 20)), which, np.ones(8))
    config = replace(SMALL, height=4, features=24, n_fields=1, condition_dim=16, dropout=0.0)
    recipe = replace(QUICK, **ALWAYS)
    made = PriorTask(build_prior(config, 0), data, data, recipe, jitter=np.zeros(1))
    train(made, recipe, tmp_path)
    figures = likelihood(made.model, data, seed=0)
    assert figures["nll"] < 0.5
    assert figures["bits"] == pytest.approx(figures["nll"] / 20 / np.log(2))


@pytest.mark.slow
def test_the_bottom_is_learnt_from_the_top(tmp_path) -> None:
    """Where the bottom repeats the top, all that is left to pay for is the top."""
    rng = np.random.default_rng(0)
    top = rng.integers(K, size=(500, 2, 2))
    bottom = top.repeat(2, 1).repeat(2, 2)
    codes = np.concatenate([top.reshape(500, -1), bottom.reshape(500, -1)], 1)[:, None]
    none = Condition(np.zeros((500, 1), np.float32), np.ones((500, 1), np.int64))
    data = PriorData(codes, none, np.ones(500))
    config = replace(SMALL, height=4, features=16, n_fields=1, condition_dim=16, dropout=0.0)
    recipe = replace(QUICK, batch_size=32)
    made = PriorTask(build_prior(config, 0), data, data, recipe, jitter=np.zeros(1))
    train(made, recipe, tmp_path)
    assert likelihood(made.model, data, seed=0)["nll"] == pytest.approx(4 * np.log(K), abs=1.0)


def test_stored_weights_make_the_same_prior(tmp_path) -> None:
    prior = lively().float()
    save_weights(prior, tmp_path / "prior.safetensors")
    again = load_prior(SMALL, tmp_path / "prior.safetensors")
    values, states = asked(2)
    codes = torch.randint(K, (2, 30))
    with torch.no_grad():
        found = [one.log_prob(codes, values.float(), states) for one in (prior, again)]
    assert torch.equal(*found)


def test_the_plan_follows_from_the_number_of_codes() -> None:
    config, recipe = hierarchical_plan("modern", (320,), 512, 5)
    assert isinstance(config, HierarchicalConfig)
    assert (config.height, config.width, config.n_fields) == (16, 16, 5)
    assert config.level(top=True).height == 8
    assert recipe.batch_size == 16
    with pytest.raises(ValueError, match="half"):
        HierarchicalConfig(height=5, width=4)
