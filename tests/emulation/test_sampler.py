"""The cached sampler draws what the plain definition draws; streaming, cancelling, in-painting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxy_explorer.models.conditions import Condition, Draw
from galaxy_explorer.models.pixelcnn import PixelCNN, PixelCNNConfig
from galaxy_explorer.models.sampler import GumbelNoise, Sampler, naive_rows

K, FIELDS = 17, 2


def lively(config: PixelCNNConfig) -> PixelCNN:
    """A prior whose weights are large enough that every code matters to every later one."""
    torch.manual_seed(1)
    prior = PixelCNN(config).eval()
    with torch.no_grad():
        for name, weight in prior.named_parameters():
            fan_in = max(1, weight[0].numel())
            weight.normal_(0, 0.5 if "bias" in name else 1.5 / fan_in**0.5)
    return prior


def small(height: int = 4, width: int = 5, kernel: int = 3, first_kernel: int = 5) -> PixelCNN:
    shape = {"height": height, "width": width, "kernel": kernel, "first_kernel": first_kernel}
    sizes = {"layers": 3, "features": 6, "condition_dim": 5}
    return lively(PixelCNNConfig(num_embeddings=K, n_fields=FIELDS, **shape, **sizes))


def drawing(count: int, **options) -> Draw:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(64, FIELDS)).astype(np.float32)[:count]
    states = rng.integers(0, 3, size=(64, FIELDS))[:count]
    return Draw(3, tuple(range(count)), Condition(values, states), **options)


SIZES, KERNELS, LARGE = ((1, 1), (3, 3), (5, 4)), ((1, 3), (3, 5), (5, 3)), (8, 8)
DRAWN_TWICE = [(size, *kernels) for size in SIZES for kernels in KERNELS] + [(LARGE, 3, 5)]
LONG = [pytest.param(LARGE, *kernels, marks=pytest.mark.long) for kernels in ((1, 3), (5, 3))]


@pytest.mark.parametrize(("size", "kernel", "first_kernel"), DRAWN_TWICE + LONG)
@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_cached_sampling_is_naive_sampling(
    size: tuple[int, int], kernel: int, first_kernel: int, guidance: float
) -> None:
    """Row after row the same codes, under the same noise, with and without guidance."""
    prior = small(*size, kernel, first_kernel)
    draw = drawing(3, temperature=1.2, guidance=guidance)
    cached = list(Sampler(prior).rows(draw))
    plain = list(naive_rows(prior.double(), draw))
    assert len(cached) == len(plain) == size[0]
    assert all(np.array_equal(*rows) for rows in zip(cached, plain, strict=True))


def test_a_sample_is_the_same_in_any_batch() -> None:
    sampler = Sampler(small(8, 8))
    every = [list(sampler.rows(drawing(count, guidance=1.5)))[-1] for count in (1, 3, 16)]
    assert np.array_equal(every[0], every[2][:1])
    assert np.array_equal(every[1], every[2][:3])
    assert len({maps.tobytes() for maps in every[2]}) == 16


def test_rows_appear_one_by_one() -> None:
    rows = list(Sampler(small()).rows(drawing(2)))
    for number, codes in enumerate(rows, 1):
        assert (codes[:, :number] >= 0).all()
        assert (codes[:, number:] == -1).all()
        assert np.array_equal(codes[:, :number], rows[-1][:, :number])


@pytest.mark.parametrize("where", [0, 7])
def test_cancelling_ends_it_before_the_next_code(where: int) -> None:
    asked = iter(range(100))
    rows = list(Sampler(small()).rows(drawing(1), lambda: next(asked) >= where))
    assert len(rows) == where // 5


def test_given_codes_stay_and_the_rest_follows_them() -> None:
    prior = small()
    rng = np.random.default_rng(0)
    given = np.where(rng.random((2, 4, 5)) < 0.4, rng.integers(K, size=(2, 4, 5)), -1)
    free = list(Sampler(prior).rows(drawing(2)))[-1]
    draw = drawing(2, fixed=given, guidance=2.0)
    cached = list(Sampler(prior).rows(draw))[-1]
    assert np.array_equal(cached[given >= 0], given[given >= 0])
    assert not np.array_equal(cached[given < 0], free[given < 0])
    assert np.array_equal(cached, list(naive_rows(prior.double(), draw))[-1])


def test_frequencies_are_the_probabilities() -> None:
    """Of 4,000 first codes each is drawn as often as its probability says, within 5 sigma."""
    prior, count = small(1, 1), 4000
    nothing = Condition(np.zeros((count, FIELDS), np.float32), np.ones((count, FIELDS), np.int64))
    drawn = next(Sampler(prior).rows(Draw(0, tuple(range(count)), nothing)))[:, 0, 0]
    one = torch.zeros(1, FIELDS), torch.ones(1, FIELDS, dtype=torch.int64)
    with torch.no_grad():
        chance = prior(torch.zeros(1, 1, 1, dtype=torch.int64), *one)[0, :, 0, 0].softmax(0).numpy()
    share = np.bincount(drawn, minlength=K) / count
    assert (np.abs(share - chance) < 5 * np.sqrt(chance * (1 - chance) / count)).all()


def test_a_low_temperature_takes_the_likeliest_code() -> None:
    prior = small(1, 1)
    cold = next(Sampler(prior).rows(drawing(32, temperature=0.01)))[:, 0, 0]
    values, states = (torch.from_numpy(part) for part in drawing(32).condition)
    with torch.no_grad():
        logits = prior(torch.zeros(32, 1, 1, dtype=torch.int64), values, states)[:, :, 0, 0]
    assert (cold == logits.argmax(1).numpy()).mean() > 0.9


def test_guidance_one_is_the_plain_prior_and_more_goes_towards_what_is_asked() -> None:
    """The likelihood ratio of asked over withheld rises with guidance."""
    prior, count = small(), 48
    given = Condition(np.ones((count, FIELDS), np.float32), np.zeros((count, FIELDS), np.int64))
    ratios = []
    for guidance in (1.0, 3.0):
        draw = Draw(0, tuple(range(count)), given, guidance=guidance)
        codes = torch.from_numpy(list(Sampler(prior).rows(draw))[-1])
        values, states = (torch.from_numpy(part) for part in given)
        with torch.no_grad():
            asked = prior.log_prob(codes, values, states)
            plain = prior.log_prob(codes, values, torch.ones_like(states))
        ratios.append(float((asked - plain).mean()))
    assert ratios[1] > ratios[0] + 1


def test_guidance_goes_so_many_times_the_way_from_the_prior_withheld_to_the_prior_asked() -> None:
    """By hand, where it is too cold for the noise to matter."""
    prior, count = small(1, 1), 64
    draw = drawing(count, guidance=3.0, temperature=1e-9)
    values, states = (torch.from_numpy(part) for part in draw.condition)
    nothing = torch.zeros(count, 1, 1, dtype=torch.int64)
    with torch.no_grad():
        asked = prior(nothing, values, states)[:, :, 0, 0]
        plain = prior(nothing, values, torch.where(states == 0, 1, states))[:, :, 0, 0]
    expected = (plain + 3 * (asked - plain)).argmax(1)
    assert np.array_equal(next(Sampler(prior).rows(draw))[:, 0, 0], expected)
    for other in (asked, plain, plain + 4 * (asked - plain)):
        assert not torch.equal(expected, other.argmax(1))


def test_noise_belongs_to_the_sample() -> None:
    alone, among = GumbelNoise(7, (5,)), GumbelNoise(7, (3, 4, 5))
    for _ in range(2):
        assert np.array_equal(alone.row(4, K)[0], among.row(4, K)[2])
    assert not np.array_equal(GumbelNoise(7, (5,)).row(4, K), GumbelNoise(8, (5,)).row(4, K))


def test_memory_follows_the_width_of_the_map_not_its_height() -> None:
    kept = {size: Sampler(small(*size)).kept_bytes(2) for size in ((4, 6), (40, 6), (4, 12))}
    assert kept[4, 6] == kept[40, 6]
    assert kept[4, 6] < kept[4, 12] < 2 * kept[4, 6]
