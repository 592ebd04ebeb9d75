"""Laws of the rectified flow: its bound, its draws, what it is asked, its training and storage."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from galaxy_explorer.models import sampler as sampler_module
from galaxy_explorer.models.conditions import (
    GIVEN,
    WITHHELD,
    Condition,
    Draw,
    Origin,
    catalogued_errors,
    fit_fields,
)
from galaxy_explorer.models.flow import EncodedViews, RectifiedConfig, RectifiedFlow
from galaxy_explorer.models.inference import build_prior, d4, load_prior, save_weights
from galaxy_explorer.models.prior_training import PriorData, PriorRecipe, PriorTask, likelihood
from galaxy_explorer.models.sampler import RectifiedSampler
from galaxy_explorer.models.training import train
from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig

SMALL = RectifiedConfig(
    height=4, width=4, num_embeddings=5, embedding_dim=3, components=3, layers=2, features=32,
    heads=4, steps=16, n_fields=1, condition_dim=16,
)  # fmt: skip
CODEBOOK = torch.tensor(
    [[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 2.0, 0.5], [0.0, -2.0, -0.5], [0.0, 0.0, 1.5]]
)
SHARES = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05])
QUICK = PriorRecipe(
    "t", 200, 32, 3e-3, 3e-4, warmup_steps=20, clip_norm=1.0, number_format="float32", validated=50
)


def vectors_of(codes: np.ndarray) -> np.ndarray:
    """Vectors (n, 1, h, w, D) near the codes' own, as an encoder gives them."""
    rng = np.random.default_rng(8)
    exact = CODEBOOK.numpy()[codes]
    return (exact + 0.15 * rng.normal(size=exact.shape))[:, None].astype(np.float32)


def flow_of(config: RectifiedConfig = SMALL, seed: int = 0) -> RectifiedFlow:
    """A flow that knows the codebook, untrained but for weights that are not zero."""
    flow = build_prior(config, seed)
    assert isinstance(flow, RectifiedFlow)
    codes = np.random.default_rng(0).choice(5, size=(64, 4, 4), p=SHARES.numpy())
    flow.begin(SimpleNamespace(codebooks=(CODEBOOK,)), vectors_of(codes))  # type: ignore[arg-type]
    with torch.no_grad():
        for weight in flow.average.parameters():
            weight.add_(0.05 * torch.randn(weight.shape))
    return flow.eval()


class KnownFlow(RectifiedFlow):
    """The flow of maps whose codes are drawn one by one with SHARES: its prediction is known."""

    def predicted(self, mixed, time, values, states):
        del states
        centres = self.components(self.codebook)
        at = time[:, None, None, None]
        far = (mixed[..., None, :] - at[..., None] * centres).square().sum(-1)
        weights = torch.softmax(self.logits(values) - far / (2 * (1 - at) ** 2), -1)
        return weights @ centres

    def logits(self, values):
        del values
        return SHARES.log()


class LabelledFlow(KnownFlow):
    """The same where the label says which of two codes most of a map is of."""

    def logits(self, values):
        usual = torch.where(values[:, 0] > 0, 0, 1)
        shares = torch.full((len(values), 5), 0.05).scatter(1, usual[:, None], 0.8)
        return shares.log()[:, None, None]


def known_flow(kind: type[KnownFlow] = KnownFlow) -> KnownFlow:
    flow = kind(SMALL)
    flow.load_state_dict({k: v for k, v in flow_of().state_dict().items() if "trained" not in k})
    return flow.eval()


def asked(count: int, value: float = 0.5, state: int = GIVEN) -> Condition:
    return Condition(np.full((count, 1), value, np.float32), np.full((count, 1), state))


def draw_of(count: int, **changes) -> Draw:
    return replace(Draw(3, tuple(range(count)), asked(count)), **changes)


def test_the_bound_is_reached_where_the_prediction_is_exact() -> None:
    """By the I-MMSE relation the bound is then the entropy of the codes.

    All codes are equally likely here, so that the last step is exact too.
    """
    flow = known_flow()
    uniform = torch.full_like(SHARES, 0.2)
    codes = torch.from_numpy(np.random.default_rng(1).integers(5, size=(1500, 4, 4)))
    values, states = (torch.from_numpy(part) for part in asked(1500))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "SHARES", uniform)
        nats = -flow.log_prob(codes, values, states)
    error = float(nats.std()) / np.sqrt(1500)
    assert float(nats.mean()) == pytest.approx(16 * np.log(5), abs=4 * error)
    assert error < 0.3
    # A worse prediction costs likelihood.
    worse = -flow.log_prob(codes, values, states)  # expects the shares of other maps
    assert float(worse.mean()) > float(nats.mean()) + 3


def test_samples_follow_the_flow_to_the_codes_that_it_knows() -> None:
    flow = known_flow()
    codes = RectifiedSampler(flow).codes(draw_of(150))
    assert codes is not None
    shares = np.bincount(codes.ravel(), minlength=5) / codes.size
    assert shares == pytest.approx(SHARES.numpy(), abs=0.03)
    rows = codes.reshape(150, -1)
    assert abs(np.corrcoef(rows[:, 0] == 0, rows[:, 1] == 0)[0, 1]) < 0.25


def test_codes_are_those_of_the_components_and_back() -> None:
    flow = flow_of()
    codes = torch.from_numpy(np.random.default_rng(1).integers(5, size=(3, 4, 4)))
    assert torch.equal(flow.codes_of(flow.components(flow.codebook[codes])), codes)
    spread = flow.components(torch.from_numpy(vectors_of(codes.numpy()))).std()
    assert 0.3 < float(spread) < 3


def test_the_same_seed_draws_the_same_codes_however_many_are_drawn() -> None:
    sampler = RectifiedSampler(flow_of())
    for guidance in (1.0, 2.0):
        draw = draw_of(5, guidance=guidance)
        codes = sampler.codes(draw)
        assert codes.shape == (5, 4, 4)
        for row in range(5):
            one = replace(draw, numbers=(row,), condition=asked(1))
            assert np.array_equal(sampler.codes(one)[0], codes[row])
    assert not np.array_equal(sampler.codes(draw_of(5, seed=4)), sampler.codes(draw_of(5)))
    assert sampler.codes(draw_of(2), lambda: True) is None


def test_the_solver_is_of_second_order(monkeypatch) -> None:
    """Half the step leaves a fourth of the error, and less of it than Euler's method."""
    monkeypatch.setattr(sampler_module, "has_bfloat16", lambda: False)  # rounding would hide it
    flow = known_flow()

    def error(steps: int, *, first_order: bool = False) -> float:
        block = sampler_module._FlowBlock(flow, draw_of(4), 0, {})
        times = np.linspace(0, 0.8, steps + 1)
        for now, then in pairwise(times.tolist()):
            if first_order:
                block.before = None
            block.go(now, then)
        return float((block.mixed - exact).norm())

    exact = _end(flow)
    second = [error(steps) for steps in (20, 40, 80)]
    for coarse, fine in pairwise(second):
        assert 3 < coarse / fine < 5.5
    assert second[-1] < error(80, first_order=True) / 5


def _end(flow: RectifiedFlow) -> torch.Tensor:
    """Where the flow ends at t = 0.8, by many steps."""
    block = sampler_module._FlowBlock(flow, draw_of(4), 0, {})
    for now, then in pairwise(np.linspace(0, 0.8, 801).tolist()):
        block.go(now, then)
    return block.mixed


def test_stages_are_what_is_expected_and_end_in_the_codes() -> None:
    sampler = RectifiedSampler(flow_of())
    draw = draw_of(5, guidance=1.5)
    stages = list(sampler.stages(draw))
    assert [share for share, _ in stages] == pytest.approx(np.arange(1, 17) / 16)
    assert all(codes.shape == (5, 4, 4) for _, codes in stages)
    assert np.array_equal(stages[-1][1], sampler.codes(draw))
    asked_for = iter(range(1000))  # two passes a step: five samples are two blocks
    assert len(list(sampler.stages(draw, lambda: next(asked_for) >= 5))) == 2


def test_given_codes_are_held_and_the_others_see_them() -> None:
    sampler, free = RectifiedSampler(flow_of()), np.full((3, 4, 4), -1)
    given = free.copy()
    given[:, 1:3, 1:3] = 4
    assert np.array_equal(sampler.codes(draw_of(3, fixed=free)), sampler.codes(draw_of(3)))
    codes = sampler.codes(draw_of(3, fixed=given))
    assert (codes[:, 1:3, 1:3] == 4).all()
    assert not np.array_equal(codes[given < 0], sampler.codes(draw_of(3))[given < 0])


def test_a_galaxy_asked_for_as_it_is_comes_back_and_asked_for_otherwise_changes() -> None:
    """The law of an origin; how much may change says how far the flow is followed back."""
    sampler = RectifiedSampler(known_flow(LabelledFlow))
    codes = sampler.codes(draw_of(1, seed=9, condition=asked(1, -1.0)))[0]
    shares = {}
    for change in (0.05, 1.0):
        for value in (-1.0, 1.0):
            origin = Origin(codes, asked(1, -1.0), change)
            draw = draw_of(3, condition=asked(3, value), origin=origin)
            drawn = sampler.codes(draw)
            assert np.array_equal(drawn, sampler.codes(draw))
            one = replace(draw, numbers=(2,), condition=asked(1, value))
            assert np.array_equal(sampler.codes(one)[0], drawn[2])
            shares[change, value] = float((drawn == codes).mean())
    assert shares[1.0, -1.0] > 0.8 > shares[1.0, 1.0] + 0.2
    assert shares[0.05, 1.0] > 0.8


def test_asked_for_nothing_guidance_changes_nothing_and_what_is_withheld_is_not_seen() -> None:
    sampler = RectifiedSampler(flow_of())
    plain = sampler.codes(draw_of(4, condition=asked(4, 0.0, WITHHELD)))
    for value, guidance in ((1.5, 1.0), (-1.0, 3.0)):
        free = draw_of(4, condition=asked(4, value, WITHHELD), guidance=guidance)
        assert np.array_equal(sampler.codes(free), plain)
    early, late = (sampler.codes(draw_of(8, condition=asked(8, v))) for v in (-2.0, 2.0))
    assert not np.array_equal(early, late)
    # Guidance is linear in the predictions: none is the prior itself, 0 would be the free one.
    pulled = sampler.codes(draw_of(8, condition=asked(8, 2.0), guidance=4.0))
    assert not np.array_equal(pulled, late)


def labelled(n: int, seed: int) -> PriorData:
    """Maps of mostly one code, which the label tells, and vectors near them."""
    rng = np.random.default_rng(seed)
    label = 2.0 * rng.integers(2, size=n) - 1
    usual = np.where(label > 0, 0, 1)[:, None, None]
    codes = np.where(rng.random((n, 4, 4)) < 0.8, usual, rng.integers(2, 5, size=(n, 4, 4)))
    condition = Condition(label[:, None].astype(np.float32), np.zeros((n, 1), np.int64))
    return PriorData(codes[:, None].astype(np.uint16), condition, np.ones(n))


def task(*, mismatched: bool = False, recipe: PriorRecipe = QUICK) -> PriorTask:
    maps = labelled(400, 0)
    data = maps._replace(codes=vectors_of(maps.codes[:, 0]))
    flow = build_prior(SMALL, recipe.seed)
    flow.begin(SimpleNamespace(codebooks=(CODEBOOK,)), data.codes)
    held_out = labelled(150, 1)
    return PriorTask(
        flow, data, held_out, recipe, jitter=np.full((400, 1), 0.1), mismatched=mismatched
    )


@pytest.mark.slow
def test_labels_are_learnt_where_they_belong_to_their_maps_and_only_there(tmp_path) -> None:
    gains = {}
    for mismatched in (False, True):
        made = task(mismatched=mismatched)
        result = train(made, QUICK, tmp_path / str(mismatched))
        assert result.curve[-1]["nll"] < result.curve[0]["nll"]
        figures = likelihood(made.model, labelled(200, 2), seed=0)
        gains[mismatched] = figures["label_gain"], figures["label_gain_error"]
        drawn = RectifiedSampler(made.model).codes(draw_of(40, condition=asked(40, 1.0)))
        share = float((drawn == 0).mean())
        assert share > 0.6 if not mismatched else share < 0.6
    assert gains[False][0] > 3 * gains[False][1] > 0
    assert abs(gains[True][0]) < gains[False][0] / 4


def test_a_training_that_resumes_ends_as_an_unbroken_one(tmp_path) -> None:
    recipe = replace(QUICK, steps=20)
    whole = task(recipe=recipe)
    train(whole, recipe, tmp_path / "whole")
    cut = task(recipe=recipe)
    loss = cut.loss

    def stopping(step: int) -> torch.Tensor:
        if step == 12:
            raise KeyboardInterrupt
        return loss(step)

    cut.loss = stopping  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(cut, recipe, tmp_path / "cut")
    again = task(recipe=recipe)
    train(again, recipe, tmp_path / "cut")
    state = again.model.state_dict()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, state[name]), name
    moved = [n for n, v in whole.model.average.named_parameters() if not torch.equal(
        v, dict(whole.model.trained.named_parameters())[n])]  # fmt: skip
    assert moved  # the average lags behind


def test_averaged_weights_follow_those_that_are_trained() -> None:
    flow = flow_of()
    before = flow.average.outward.weight.clone()
    with torch.no_grad():
        flow.trained.outward.weight.fill_(1.0)
    flow.follow(29)
    expected = before * (30 / 49) + (1 - 30 / 49)
    torch.testing.assert_close(flow.average.outward.weight, expected)


def test_only_the_weights_that_draw_are_stored_and_they_draw_the_same(tmp_path) -> None:
    flow, path = flow_of(), tmp_path / "flow.safetensors"
    save_weights(flow, path)
    assert not [name for name in load_file(path) if name.startswith("trained")]
    again = load_prior(SMALL, path)
    draws = [RectifiedSampler(one).codes(draw_of(6)) for one in (flow, again)]
    assert np.array_equal(*draws)


def test_views_are_the_vectors_of_the_turned_stamps() -> None:
    torch.manual_seed(0)
    model = VQVAE(VQVAEConfig(map_size=8, num_embeddings=16)).eval()
    stamps = np.random.default_rng(0).random((3, 1, 64, 64)).astype(np.float16)
    views = EncodedViews(model, stamps)
    assert views.shape == (3, 8, 8, 8, 64)
    found = views[np.array([2, 0]), np.array([5, 1])]
    for vectors, row, turn in zip(found, (2, 0), (5, 1), strict=True):
        turned = torch.from_numpy(d4(stamps[row], turn).astype(np.float32).copy())[None]
        with torch.no_grad():
            expected = model.unquantized(turned)[0].movedim(0, -1)
        np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "changes", [{"patch": 3}, {"heads": 5}, {"components": 4}, {"components": 0}]
)
def test_a_shape_that_cannot_be_built_is_refused(changes) -> None:
    with pytest.raises(ValueError, match=r"fill|shared|components"):
        replace(SMALL, **changes)


def test_classes_are_fields_and_limits_are_errors() -> None:
    rng = np.random.default_rng(0)
    words = rng.choice(["", "spiral", "round", "cigar"], size=900, p=[0.2, 0.4, 0.38, 0.02])
    ttype = rng.uniform(-5, 9, 900)
    columns = {"class": words, "ttype": ttype, "ttype_lo": ttype - 1, "ttype_hi": ttype + 2}
    columns["ttype_lo"][0] = np.nan
    fields = {
        field.name: field
        for field in fit_fields(columns.__getitem__, list(columns), np.ones(900, dtype=bool))
    }
    assert list(fields) == ["ttype", "round", "spiral"] or "cigar" in fields
    spiral = fields["spiral"].values(columns.__getitem__)
    assert np.array_equal(np.isnan(spiral), words == "")
    assert np.array_equal(spiral[words != ""], (words[words != ""] == "spiral").astype(float))
    assert (fields["spiral"].low, fields["spiral"].high, fields["spiral"].default) == (0, 1, 1)
    errors = catalogued_errors(fields["ttype"], columns.__getitem__, list(columns))
    assert np.isnan(errors[0])
    assert errors[1:] == pytest.approx(1.5)
    assert catalogued_errors(fields["spiral"], columns.__getitem__, list(columns)) is None
