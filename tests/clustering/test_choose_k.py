from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.number_of_clusters import (
    SIGNIFICANT,
    choose_k,
    count_modes,
    dip,
    gap_statistic,
    valley,
)

N, P = 2000, 20
KNOWN = (3, 5, 8, 12)


def centres(rng: np.random.Generator, k: int, apart: float) -> np.ndarray:
    """k points in the first ten of P dimensions, the nearest two `apart`."""
    points = np.zeros((k, P))
    points[:, :10] = rng.normal(size=(k, 10))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(k)
    return points * apart / distances.min()


def blobs(rng: np.random.Generator, k: int) -> np.ndarray:
    """Round Gaussians of equal size, five standard deviations apart."""
    return centres(rng, k, 5.0)[rng.integers(k, size=N)] + rng.normal(size=(N, P))


def uneven(rng: np.random.Generator, k: int) -> np.ndarray:
    """Unequal numbers, each group with axes of its own, heavy tails, ten dimensions of noise."""
    group = rng.choice(k, p=rng.dirichlet(np.full(k, 8.0)), size=N)
    features = centres(rng, k, 4.0)[group]
    for i in range(k):
        members = group == i
        tails = rng.standard_t(8, size=(members.sum(), P)) / np.sqrt(8 / 6)
        axes = np.linalg.qr(rng.normal(size=(P, P)))[0]
        features[members] += tails * rng.uniform(0.5, 1.3, P) @ axes
    return features


def curved(rng: np.random.Generator, k: int) -> np.ndarray:
    """Groups that bend: galaxies of one kind seen from face-on to edge-on."""
    group, along = rng.integers(k, size=N), rng.uniform(-1, 1, (N, 1))
    features = centres(rng, k, 5.0)[group] + rng.normal(0, 0.7, (N, P))
    for i in range(k):
        plane = np.linalg.qr(rng.normal(size=(P, 2)))[0].T
        arc = 1.5 * (along * plane[0] + np.square(along) * plane[1])
        features[group == i] += arc[group == i]
    return features


CONTINUA = {
    "round Gaussian": lambda rng: rng.normal(size=(N, P)),
    "elongated Gaussian": lambda rng: rng.normal(size=(N, P)) * [10, *[1] * 19],
    "uniform strip": lambda rng: np.c_[rng.uniform(-15, 15, N), rng.normal(size=(N, 19))],
    "heavy tails": lambda rng: rng.standard_t(5, size=(N, P)),
}


def share_found(seeds: range) -> float:
    """Share of all sets, known numbers and seeds in which the number is right to one."""
    cases = [(make, k, seed) for make in (blobs, uneven, curved) for k in KNOWN for seed in seeds]
    found = [
        count_modes(make(np.random.default_rng(seed), k), k_max=20, seed=seed).n_modes
        for make, k, seed in cases
    ]
    return float(np.mean([abs(n - k) <= 1 for n, (_, k, _) in zip(found, cases, strict=True)]))


def test_a_known_number_of_groups_is_found():
    assert share_found(range(1)) >= 0.8


@pytest.mark.long
def test_a_known_number_of_groups_is_found_in_many_draws():
    assert share_found(range(1, 6)) >= 0.8


@pytest.mark.parametrize("kind", CONTINUA)
def test_a_continuum_has_one_peak(kind):
    assert count_modes(CONTINUA[kind](np.random.default_rng(0))).n_modes == 1


@pytest.mark.parametrize(("make", "k"), [(blobs, 5)])
def test_clusters_are_recommended_with_their_number(make, k):
    choice = choose_k(make(np.random.default_rng(5), k), k_max=7)
    assert choice.structure == "clusters"
    assert abs(choice.recommended - k) <= 1
    stability = {i: score["value"] for i, score in zip(choice.ks, choice.stability, strict=True)}
    assert stability[k] > 0.9 > stability[7]
    assert choice.instability[k - 2] < 0.05 < choice.instability[5]
    assert np.nanargmin(choice.bic) + 2 >= k
    assert choice.gap_gaussian[k - 2] > 0.1


@pytest.mark.parametrize("kind", ["elongated Gaussian", "uniform strip"])
def test_a_continuum_is_called_one_and_cut_no_finer_than_repeats(kind):
    choice = choose_k(CONTINUA[kind](np.random.default_rng(3)), k_max=6)
    assert choice.structure == "continuum"
    values = {1: 1.0, **{k: s["value"] for k, s in zip(choice.ks, choice.stability, strict=True)}}
    assert values[choice.recommended] >= 0.7
    assert all(value < 0.7 for k, value in values.items() if k > choice.recommended)


def test_units_and_orientation_of_the_features_do_not_matter():
    rng = np.random.default_rng(0)
    features = blobs(rng, 4)
    turned = 37 * features @ np.linalg.qr(rng.normal(size=(P, P)))[0] + 5
    assert count_modes(features).n_modes == count_modes(turned).n_modes == 4


def test_too_few_galaxies_are_refused():
    with pytest.raises(ValueError, match="79 galaxies are too few for 20"):
        choose_k(np.zeros((79, 2)))


def test_dip_of_two_points_and_of_even_steps():
    two = np.concatenate([np.linspace(0, 1e-9, 50), 1 + np.linspace(0, 1e-9, 50)])
    assert dip(two) == pytest.approx(0.25, abs=0.005)
    assert dip(np.arange(50.0)) == pytest.approx(1 / 100)
    assert dip(np.ones(50)) == pytest.approx(1 / 100)


def test_dip_ignores_units_and_order():
    values = np.random.default_rng(0).normal(size=100)
    assert dip(values) == pytest.approx(dip(3 - 5 * values[::-1]))


def test_one_uniform_sample_in_a_hundred_counts_as_two_peaks():
    rng = np.random.default_rng(0)
    exceeded = [dip(rng.uniform(size=200)) * np.sqrt(200) > SIGNIFICANT for _ in range(600)]
    assert np.mean(exceeded) < 0.025


def test_a_small_group_beside_a_large_one_is_seen():
    rng = np.random.default_rng(0)
    assert valley(rng.normal(size=1000), rng.normal(6, 1, 60))
    assert not valley(rng.normal(size=1000), rng.normal(1, 1, 60))
    halves = np.sort(rng.normal(size=1000))
    assert not valley(halves[:900], halves[900:])


def test_gap_of_clusters_peaks_at_their_number_and_a_gaussian_has_none():
    features = blobs(np.random.default_rng(0), 4)[:600]
    gap, error = gap_statistic(features, (2, 3, 4, 5, 6), "gaussian")
    assert gap.argmax() == 2
    assert gap[2] > 10 * error[2]
    plain = np.random.default_rng(0).normal(size=(600, 5))
    assert np.abs(gap_statistic(plain, (2, 3, 4), "gaussian")[0]).max() < 0.05


def test_unknown_null_is_refused():
    with pytest.raises(ValueError, match="choose uniform, gaussian"):
        gap_statistic(np.zeros((9, 2)), (2,), "flat")
