"""Laws of the flow: a density, invertible, exact; conditions, learning, label pairing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.conditions import GIVEN, UNKNOWN, WITHHELD, Condition
from galaxy_explorer.models.flow import FlowConfig, LatentFlow
from galaxy_explorer.models.inference import build_prior, load_prior, prior_log_prob, save_weights
from galaxy_explorer.models.prior_training import (
    PriorData,
    PriorRecipe,
    PriorTask,
    flow_plan,
    likelihood,
)
from galaxy_explorer.models.training import train

SMALL = FlowConfig(latents=5, transforms=3, hidden=32, bins=5, n_fields=2, condition_dim=8)
PLANE = replace(SMALL, latents=2, n_fields=1)


def flow_of(config: FlowConfig) -> LatentFlow:
    """A flow with weights large enough to be far from the Gaussian that it starts as."""
    flow = build_prior(config, 3).double().eval()
    assert isinstance(flow, LatentFlow)
    rng = np.random.default_rng(1)
    flow.start_from(torch.from_numpy(correlated(rng, 500, config.latents)))
    with torch.no_grad():
        for weight in flow.splines.parameters():
            weight.mul_(2.0)
    return flow.double()


def correlated(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    return 2 + rng.normal(size=(n, size)) @ rng.normal(size=(size, size))


def asked(count: int, fields: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(count, fields).double(), torch.zeros(count, fields, dtype=torch.int64)


def test_the_density_over_a_plane_adds_up_to_one() -> None:
    flow = flow_of(PLANE)
    side, reach = 400, 12.0
    line = torch.linspace(-reach, reach, side, dtype=torch.float64)
    whitened = torch.cartesian_prod(line, line)
    latents = torch.linalg.solve(flow.whitening, whitened.T).T + flow.center
    cell = (2 * reach / (side - 1)) ** 2 / float(torch.linalg.det(flow.whitening).abs())
    values, states = asked(1, 1)
    with torch.no_grad():
        density = flow.log_prob(
            latents, values.expand(len(latents), 1), states.expand(len(latents), 1)
        ).exp()
    assert float(density.sum() * cell) == pytest.approx(1, abs=2e-3)
    assert not torch.allclose(density, flow.gaussian_log_prob(latents).exp(), atol=1e-3)


def test_the_inverse_is_the_inverse() -> None:
    flow, (values, states) = flow_of(SMALL), asked(200)
    latents = torch.from_numpy(3 * correlated(np.random.default_rng(4), 200, 5))
    with torch.no_grad():
        noise = flow.noise_of(latents, values, states)
        again = flow.made_from(noise, values, states)
    torch.testing.assert_close(again, latents, rtol=1e-7, atol=1e-7)
    assert not torch.allclose(noise, flow.whitened(latents), atol=1e-2)


def test_the_density_is_that_of_the_change_of_variables() -> None:
    flow, (values, states) = flow_of(SMALL), asked(1)
    latents = torch.from_numpy(correlated(np.random.default_rng(5), 1, 5))
    slopes = torch.autograd.functional.jacobian(
        lambda x: flow.noise_of(x, values, states)[0], latents
    )[:, 0]
    with torch.no_grad():
        noise, found = (part(latents, values, states) for part in (flow.noise_of, flow.log_prob))
    expected = torch.distributions.Normal(0, 1).log_prob(noise).sum() + slopes.det().abs().log()
    assert float(found) == pytest.approx(float(expected), abs=1e-8)


def test_whitened_latents_are_uncorrelated_largest_first() -> None:
    latents = torch.from_numpy(correlated(np.random.default_rng(6), 4000, 5))
    flow = build_prior(SMALL, 0).double()
    assert isinstance(flow, LatentFlow)
    flow.start_from(latents)
    torch.testing.assert_close(
        torch.cov(flow.whitened(latents).T), torch.eye(5).double(), atol=1e-9, rtol=0
    )
    lengths = flow.whitening.norm(dim=1)
    assert (lengths.diff() > 0).all()  # the largest component is divided by most
    gaussian = torch.distributions.MultivariateNormal(latents.mean(0), torch.cov(latents.T))
    torch.testing.assert_close(flow.gaussian_log_prob(latents), gaussian.log_prob(latents))


def test_latents_that_never_vary_do_not_break_it() -> None:
    flow = build_prior(SMALL, 0)
    assert isinstance(flow, LatentFlow)
    latents = torch.randn(100, 5)
    latents[:, 2] = 1.0
    flow.start_from(latents)
    values, states = (part[:100] for part in asked(100))
    assert torch.isfinite(flow.log_prob(latents, values.float(), states)).all()


def test_what_is_asked_moves_the_density_and_what_is_withheld_does_not() -> None:
    flow, (values, _) = flow_of(SMALL), asked(1)
    latents = torch.from_numpy(correlated(np.random.default_rng(5), 1, 5))
    other = values + torch.tensor([[1.0, 0.0]])
    with torch.no_grad():
        found = {
            state: [
                float(flow.log_prob(latents, v, torch.tensor([[state, GIVEN]])))
                for v in (values, other)
            ]
            for state in (GIVEN, WITHHELD, UNKNOWN)
        }
    assert found[GIVEN][0] != found[GIVEN][1]
    assert found[WITHHELD][0] == found[WITHHELD][1]
    assert found[UNKNOWN][0] == found[UNKNOWN][1] != found[WITHHELD][0]


def labelled(n: int, seed: int) -> PriorData:
    """Latents (n, 1, 5), bent, on one side or the other as the label says."""
    rng = np.random.default_rng(seed)
    label = 2.0 * rng.integers(2, size=n) - 1
    latents = rng.normal(size=(n, 5))
    latents[:, 0] = 0.5 * latents[:, 0] + label
    latents[:, 1] = 0.3 * latents[:, 1] + latents[:, 0] ** 2
    values = label[:, None].astype(np.float32)
    condition = Condition(values, np.zeros((n, 1), np.int64))
    return PriorData(latents[:, None].astype(np.float16), condition, np.ones(n))


LABELLED = replace(SMALL, n_fields=1)
QUICK = PriorRecipe("t", 250, 64, 1e-2, 1e-3, clip_norm=5.0, number_format="float32")


def task(mismatched: bool = False, recipe: PriorRecipe = QUICK) -> PriorTask:
    data, flow = labelled(600, 0), build_prior(LABELLED, recipe.seed)
    assert isinstance(flow, LatentFlow)
    flow.start_from(torch.from_numpy(data.codes[:, 0].astype(np.float32)))
    return PriorTask(
        flow, data, labelled(200, 1), recipe, jitter=np.full(1, 0.1), mismatched=mismatched
    )


def test_latents_and_labels_of_a_batch_belong_together() -> None:
    recipe = replace(QUICK, drop_each=0.0, subset=0.0, alone=0.0, drop_all=0.0)
    for mismatched in (False, True):
        latents, values, _ = task(mismatched, recipe).batch(3)
        agree = float(((latents[:, 0] > 0) == (values[:, 0] > 0)).double().mean())
        assert (agree > 0.9) != mismatched


def test_what_a_request_leaves_open_is_seen_whatever_the_catalogue_knows() -> None:
    """Galaxies of several catalogues: of each another field is unknown, and none has them all."""
    rng = np.random.default_rng(0)
    states = np.full((60, 3), GIVEN)
    states[:30, 1], states[30:, 2] = UNKNOWN, UNKNOWN
    condition = Condition(np.zeros((60, 3), np.float32), states)
    data = PriorData(rng.normal(size=(60, 1, 5)), condition, np.ones(60))
    flow = build_prior(replace(SMALL, n_fields=3), 0)
    shares = {"drop_each": 0.0, "subset": 0.0, "alone": 0.0, "drop_all": 0.0}
    for name, seen in (
        ("alone", {(GIVEN, WITHHELD, WITHHELD)}),
        ("drop_all", {(WITHHELD, WITHHELD, WITHHELD)}),
        ("", {(GIVEN, UNKNOWN, GIVEN), (GIVEN, GIVEN, UNKNOWN)}),
    ):
        recipe = replace(QUICK, **(shares | ({name: 1.0} if name else {})))
        made = PriorTask(flow, data, data, recipe, jitter=np.zeros(3))
        assert {tuple(row) for row in made.batch(0)[2].tolist()} == seen


@pytest.mark.slow
def test_shuffled_labels_cost_likelihood_and_matched_ones_do_not(tmp_path) -> None:
    """What is there to be learnt is known: the density of `labelled` itself."""
    figures = {}
    for mismatched in (False, True):
        made = task(mismatched)
        train(made, QUICK, tmp_path / str(mismatched))
        figures[mismatched] = likelihood(made.model, labelled(600, 2), seed=0)
    right, wrong = figures[False], figures[True]
    assert right["label_gain"] > 1
    assert abs(wrong["label_gain"]) < 0.2
    truth = 5 * 0.5 * np.log(2 * np.pi * np.e) + np.log(0.5) + np.log(0.3)
    assert right["nll"] == pytest.approx(truth, abs=0.35)
    assert right["nll_withheld"] > right["nll"] + 0.4  # of ln 2 at most
    assert right["nll_gaussian"] > right["nll_withheld"] + 0.5
    assert "bits" not in right


@pytest.mark.slow
def test_eight_galaxies_are_learnt_by_heart(tmp_path) -> None:
    """Told which of the eight it is, the density at each grows without bound."""
    rng = np.random.default_rng(0)
    which = Condition(np.linspace(-2, 2, 8, dtype=np.float32)[:, None], np.zeros((8, 1), np.int64))
    data = PriorData(rng.normal(size=(8, 1, 5)), which, np.ones(8))
    always = {"drop_each": 0.0, "subset": 0.0, "alone": 0.0, "drop_all": 0.0}
    recipe = replace(QUICK, steps=240, batch_size=16, **always)
    flow = build_prior(LABELLED, 0)
    assert isinstance(flow, LatentFlow)
    flow.start_from(torch.from_numpy(data.codes[:, 0].astype(np.float32)))
    made = PriorTask(flow, data, data, recipe, jitter=np.zeros(1))
    train(made, recipe, tmp_path)
    figures = likelihood(made.model, data, seed=0)
    assert figures["nll"] < figures["nll_gaussian"] - 10


def test_a_training_that_resumes_ends_as_an_unbroken_one(tmp_path) -> None:
    recipe = replace(QUICK, steps=20)
    whole = task(recipe=recipe)
    train(whole, recipe, tmp_path / "whole")
    cut = task(recipe=recipe)
    cut.loss = _stops_at(12, cut.loss)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(cut, recipe, tmp_path / "cut")
    again = task(recipe=recipe)
    train(again, recipe, tmp_path / "cut")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def _stops_at(step: int, loss):
    def stopping(at: int) -> torch.Tensor:
        if at == step:
            raise KeyboardInterrupt
        return loss(at)

    return stopping


def test_stored_weights_make_the_same_flow(tmp_path) -> None:
    flow = flow_of(SMALL).float()
    path = tmp_path / "flow.safetensors"
    save_weights(flow, path)
    assert not [name for name in load_file(path) if "mask" in name or "order" in name]
    again = load_prior(SMALL, path)
    latents = correlated(np.random.default_rng(4), 9, 5)
    condition = Condition(*(part.numpy() for part in (asked(9)[0].float(), asked(9)[1])))
    stored = [prior_log_prob(one, latents, condition) for one in (flow, again)]
    np.testing.assert_array_equal(*stored)


def test_weights_of_other_masks_are_refused(tmp_path) -> None:
    path = tmp_path / "flow.safetensors"
    save_weights(flow_of(SMALL).float(), path)
    stored = load_file(path)
    name = next(n for n in stored if n.endswith("hyper.0.weight"))
    stored[name] = torch.ones_like(stored[name])
    save_file(stored, path)
    with pytest.raises(BundleError, match="zuko"):
        load_prior(SMALL, path)


def test_the_recipes_have_a_flow_for_any_latents() -> None:
    config, recipe = flow_plan("modern", (64,), 0, 5)
    assert (config.latents, config.n_fields, recipe.number_format) == (64, 5, "float32")
    assert config == FlowConfig(n_fields=5)
    with pytest.raises(KeyError):
        flow_plan("paper", (64,), 0, 5)


@pytest.mark.parametrize(
    "wrong", [{"latents": 1}, {"bins": 1}, {"transforms": 0}, {"octaves": -1}, {"bound": 0}]
)
def test_impossible_shapes_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="at least"):
        replace(SMALL, **wrong)
