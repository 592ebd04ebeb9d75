from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from galaxy_explorer.models.quantizer import (
    DEAD_SHARE,
    DECAY,
    EVENNESS,
    LAPLACE,
    EMAQuantizer,
    GradientQuantizer,
    Quantizer,
    nearest_code,
    perplexity,
)

KINDS = [GradientQuantizer, EMAQuantizer]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(kind: type[Quantizer], codes: int = 32, dim: int = 8) -> Quantizer:
    torch.manual_seed(1)
    return kind(codes, dim, 0.25)


def test_nearest_code_is_the_brute_force_one_for_10_000_vectors() -> None:
    vectors = torch.randn(10_000, 64, generator=generator(), dtype=torch.float64)
    codebook = torch.randn(512, 64, generator=generator(1), dtype=torch.float64)
    found = nearest_code(vectors, codebook).numpy()
    v, e = vectors.numpy(), codebook.numpy()
    for start in range(0, len(v), 500):
        block = v[start : start + 500]
        distance = np.square(block[:, None, :] - e[None]).sum(2)
        np.testing.assert_array_equal(found[start : start + 500], distance.argmin(1))


def test_nearest_codes_are_the_same_in_mixed_precision() -> None:
    vectors = 10 + torch.randn(2000, 64, generator=generator())  # a common offset eats bits
    codebook = 10 + torch.randn(64, 64, generator=generator(1))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = nearest_code(vectors, codebook)
    assert torch.equal(mixed, nearest_code(vectors, codebook))
    rounded = nearest_code(vectors.bfloat16().float(), codebook.bfloat16().float())
    assert not torch.equal(rounded, mixed)  # so the law has something to forbid


def test_nearest_code_of_no_vectors_is_empty() -> None:
    assert nearest_code(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0,)


@pytest.mark.parametrize("kind", KINDS)
def test_straight_through_gradient(kind: type[Quantizer]) -> None:
    quantizer = make(kind).eval()
    z = torch.randn(2, 8, 3, 3, generator=generator(), requires_grad=True)
    weight = torch.randn(2, 8, 3, 3, generator=generator(2))
    (quantizer(z).vectors * weight).sum().backward()
    torch.testing.assert_close(z.grad, weight)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_returns_the_codes_themselves(kind: type[Quantizer]) -> None:
    quantizer = make(kind).eval()
    output = quantizer(torch.randn(2, 8, 3, 3, generator=generator()))
    torch.testing.assert_close(output.vectors, quantizer.lookup(output.code_indices))


def test_paper_loss_is_equation_3() -> None:
    quantizer = make(GradientQuantizer)
    z = torch.randn(2, 8, 3, 3, generator=generator(), requires_grad=True)
    output = quantizer(z)
    codes = quantizer.lookup(output.code_indices)
    difference = (z - codes).square().mean()
    torch.testing.assert_close(output.loss, 1.25 * difference)
    output.loss.backward()
    # The encoder feels the commitment term alone, the codebook the other alone.
    torch.testing.assert_close(z.grad, 0.25 * 2 * (z - codes).detach() / z.numel())
    assert quantizer.codebook.grad is not None
    pulled = torch.zeros_like(quantizer.codebook).index_add_(
        0,
        output.code_indices.reshape(-1),
        (2 * (codes - z) / z.numel()).detach().movedim(1, -1).reshape(-1, 8),
    )
    torch.testing.assert_close(quantizer.codebook.grad, pulled)


def test_moving_averages_against_a_hand_computation() -> None:
    assert DECAY == 0.99  # van den Oord et al. 2017, appendix A.1
    quantizer = EMAQuantizer(3, 2, 0.25)
    start = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    quantizer._set(start, torch.ones(3))
    z = torch.tensor([[1.0, 0.0], [3.0, 0.0], [9.0, 1.0], [1.0, 1.0]])  # codes 0, 0, 1, 0
    quantizer.train()(z.t().reshape(1, 2, 2, 2))
    size = np.array([1.0, 1.0, 1.0]) * DECAY + (1 - DECAY) * np.array([3, 1, 0])
    total = start.numpy() * DECAY + (1 - DECAY) * np.array([[5, 1], [9, 1], [0, 0]])
    smoothed = (size + LAPLACE) / (size.sum() + 3 * LAPLACE) * size.sum()
    np.testing.assert_allclose(quantizer.size.numpy(), size, rtol=1e-6)
    np.testing.assert_allclose(quantizer.codebook.numpy(), total / smoothed[:, None], rtol=1e-5)


def test_evaluation_moves_nothing() -> None:
    quantizer = make(EMAQuantizer).eval()
    before = {k: v.clone() for k, v in quantizer.state_dict().items()}
    quantizer(torch.randn(4, 8, 5, 5))
    for name, value in quantizer.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_is_a_batch_of_many(kind: type[Quantizer]) -> None:
    quantizer = make(kind).eval()
    z = torch.randn(6, 8, 4, 4, generator=generator())
    together = quantizer(z).code_indices
    alone = torch.cat([quantizer(z[i : i + 1]).code_indices for i in range(6)])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_dimension_is_refused(kind: type[Quantizer]) -> None:
    with pytest.raises(ValueError, match="9 dimensions"):
        make(kind)(torch.zeros(1, 9, 2, 2))


def test_k_means_finds_separate_groups_and_sets_the_averages_to_match() -> None:
    centres = torch.eye(4) * 20
    labels = torch.randint(4, (2000,), generator=generator())
    vectors = centres[labels] + torch.randn(2000, 4, generator=generator(3)) * 0.1
    quantizer = EMAQuantizer(4, 4, 0.25)
    # Lloyd's rounds may settle with two starts in one group; a start in each is what is asked here.
    first = torch.stack([vectors[labels == k][0] for k in range(4)])
    quantizer.start_from(torch.cat([first, vectors]), generator(5))
    inertia = (vectors - quantizer.codebook[nearest_code(vectors, quantizer.codebook)]).square()
    assert float(inertia.mean()) < 60  # no worse than one group without a code of its own
    torch.testing.assert_close(quantizer.total, quantizer.codebook * quantizer.size[:, None])
    assert math.isclose(float(quantizer.size.mean()), 1.0, rel_tol=0.05)


def test_too_few_vectors_cannot_start_a_codebook() -> None:
    with pytest.raises(ValueError, match="3 vectors"):
        EMAQuantizer(4, 2, 0.25).start_from(torch.zeros(3, 2), generator())


def test_restart_moves_dead_codes_onto_data_and_leaves_the_living() -> None:
    quantizer = make(EMAQuantizer, codes=6, dim=2)
    size = torch.tensor([5.0, 4.0, 0.0, 6.0, DEAD_SHARE * 0.1, 5.0])
    quantizer._set(torch.randn(6, 2, generator=generator()), size)
    before = quantizer.codebook.clone()
    z = torch.randn(1, 2, 10, 10, generator=generator(4)) + 50
    assert quantizer.restart_dead(z, generator()) == 2
    data = z.movedim(1, -1).reshape(-1, 2)
    for code in (2, 4):
        assert bool((data == quantizer.codebook[code]).all(1).any())
    for code in (0, 1, 3, 5):
        assert torch.equal(quantizer.codebook[code], before[code])
    assert quantizer.restart_dead(z, generator()) == 0  # revived codes count as used


def test_perplexity_of_known_counts() -> None:
    assert perplexity(torch.tensor([5, 5, 5, 5])) == pytest.approx(4)
    assert perplexity(torch.tensor([9, 0, 0])) == pytest.approx(1)


def pressure(quantizer: EMAQuantizer, z: torch.Tensor) -> torch.Tensor:
    codes = quantizer.lookup(quantizer.indices(z))
    return quantizer.train().codebook_loss(z, codes)


def corners(counts: list[int]) -> tuple[EMAQuantizer, torch.Tensor]:
    """A codebook of far corners and vectors near them, so many at each."""
    quantizer = EMAQuantizer(len(counts), len(counts), 0.25)
    quantizer._set(torch.eye(len(counts)) * 100, torch.ones(len(counts)))
    near = torch.repeat_interleave(torch.eye(len(counts)) * 100, torch.tensor(counts), dim=0)
    z = near + torch.randn(near.shape, generator=generator())
    return quantizer, z.t().reshape(1, len(counts), 1, -1)


def test_pressure_for_even_use_is_log_k_minus_the_entropy_of_separate_groups() -> None:
    even, z_even = corners([6, 6, 6])
    assert float(pressure(even, z_even)) == pytest.approx(0, abs=1e-5)
    uneven, z_uneven = corners([16, 1, 1])
    share = np.array([16, 1, 1]) / 18
    expected = math.log(3) + (share * np.log(share)).sum()
    assert float(pressure(uneven, z_uneven)) == pytest.approx(EVENNESS * expected, rel=1e-3)


def test_pressure_has_a_finite_slope_where_a_code_is_not_used_at_all() -> None:
    quantizer, z = corners([9, 0, 3])
    z.requires_grad_()
    pressure(quantizer, z).backward()
    assert z.grad is not None
    assert bool(torch.isfinite(z.grad).all())


def test_pressure_moves_vectors_towards_codes_less_used() -> None:
    quantizer = EMAQuantizer(2, 1, 0.25)
    quantizer._set(torch.tensor([[0.0], [1.0]]), torch.ones(2))
    z = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.9]).reshape(1, 1, 1, 5).requires_grad_()
    pressure(quantizer, z).backward()
    assert z.grad is not None
    assert bool((z.grad.flatten()[:4] < 0).all())  # down the slope is towards code 1
    assert float(quantizer.eval().codebook_loss(z, z)) == 0
