"""The machinery of the proof on simulated galaxies of known T: what is sound passes, what is broken
in a known way fails where it must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from galaxy_explorer.bundle.emulation import headline
from galaxy_explorer.evaluation.emulator import comparison
from galaxy_explorer.evaluation.emulator import comparison as scores
from galaxy_explorer.evaluation.emulator import figures as proof_figures
from galaxy_explorer.evaluation.emulator.figures import (
    Sets,
    all_figures,
    distribution_figures,
    judge_figures,
    label_figures,
    memory_figures,
    verdict,
)
from galaxy_explorer.evaluation.emulator.trends import (
    best_guidance,
    guidance_point,
    histograms,
    holm,
    trends,
    two_sided,
    with_p,
)
from tests.emulation.simulated_sets import as_galaxies, blurred, simulated_stamps
from tests.small_emulation import small_emulation

N = 120
FAILED = "not reached"


def rolled(galaxies):
    """The same pictures, each with the T of another."""
    return replace(galaxies, ttype=np.roll(galaxies.ttype, 7))


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "FEW_RESAMPLES", 60)
        patch.setattr(comparison, "TREES", 40)
        yield


@pytest.fixture(scope="module")
def parts():
    """Training, held-out and, as samples of a perfect emulator, further held-out galaxies."""
    from sklearn.ensemble import ExtraTreesRegressor

    train, real, made = (simulated_stamps(N * i, N) for i in range(3))
    training = as_galaxies(*train)
    forest = ExtraTreesRegressor(100, min_samples_leaf=3, random_state=0)
    judge = forest.fit(training.features, training.ttype).predict
    return {
        "training": training,
        "real": as_galaxies(*real, judge),
        "made": as_galaxies(*made, judge),
        "blurred": as_galaxies(blurred(made[0]), made[1], judge),
    }


@pytest.fixture(scope="module")
def perfect(parts):
    """Held-out truth in place of samples; an autoencoder that loses nothing."""
    training, real, made = parts["training"], parts["real"], parts["made"]
    return Sets(real, real, made, made, rolled(made), training, training.vectors, real.vectors)


def failed(*figures):
    return {figure.name for part in figures for figure in part if figure.verdict == FAILED}


SLOPE = "slope against T, sample over reconstruction"
SIGMAS = "slope of samples, in its errors"
JUDGED = "correlation with the judge's T, sample over reconstruction"
READ_SLOPE = "slope against T of what the judge reads, sample over reconstruction"
OFFSET = "read T, samples less reconstructions, in stages"
FRECHET = "Frechet distance of the judge's features from reconstructions"
DISTANCES = {"mean W1 / sigma from real", "mean W1 / sigma from reconstructions"}
AUC = "classifier, samples from reconstructions: AUC on radial profiles"
NEIGHBOURS = "nearest neighbours in code space, training over held-out"


@pytest.fixture(scope="module")
def figures(perfect):
    return all_figures(perfect)


def test_a_perfect_emulator_passes(figures):
    assert [f for f in figures if f.verdict in (FAILED, "not measured")] == []
    assert {f.group for f in figures} == {"label", "judge", "distribution", "memory"}
    controls = [f for f in figures if f.name == SLOPE]
    assert all(abs(f.control) < 0.4 < f.value for f in controls)


def test_its_floor_and_a_collapsed_one_stand_beside_it(figures):
    for figure in figures:
        if figure.name in DISTANCES:
            assert figure.value < 1.5 * figure.floor < figure.collapsed
        if figure.name == FRECHET:
            assert max(figure.value, figure.floor) < figure.collapsed
        if figure.name in (SLOPE, JUDGED, READ_SLOPE):
            assert abs(figure.collapsed) < 0.6 < figure.value
        if figure.name == AUC:
            assert figure.floor < 0.65
            assert figure.collapsed > 0.95
        if figure.name == NEIGHBOURS:
            assert figure.collapsed < 0.5 < figure.value


def test_mismatched_labels_fail(perfect):
    wrong = rolled(perfect.samples)
    sets = replace(perfect, samples_with_ttype=wrong)
    assert failed(label_figures(sets), judge_figures(sets)) >= {SLOPE, SIGMAS, JUDGED, READ_SLOPE}


def read_as(galaxies, **read):
    return replace(galaxies, read=galaxies.read | read)


def test_arms_that_are_not_drawn_are_seen(perfect):
    """Samples whose arms do not change with T fail, whatever their T is read as."""
    flat = read_as(perfect.samples, read_arms=np.roll(perfect.samples.read["read_arms"], 11))
    found = {
        f.statistic: f
        for f in judge_figures(replace(perfect, samples_with_ttype=flat))
        if f.name == READ_SLOPE
    }
    assert found["read_arms"].verdict == FAILED
    assert found["read_ttype"].verdict in {"reached", "within error"}
    assert (found["read_arms"].goal_low, found["read_arms"].goal_high) == (0.8, 1.2)


def test_an_offset_is_found_in_the_class_that_has_it(perfect):
    """Also where the samples of a class were asked for other stages of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof_figures, "FEWEST", 5)
        ttype, read = perfect.samples.ttype, perfect.samples.read["read_ttype"]
        early = read_as(perfect.samples, read_ttype=np.where(ttype >= 5.5, read - 2, read))
        before, after = (
            {
                f.statistic: f
                for f in judge_figures(replace(perfect, samples_with_ttype=samples))
                if f.name == OFFSET
            }
            for samples in (perfect.samples, early)
        )
    assert after["T 6"].value == pytest.approx(before["T 6"].value - 2)
    assert after["T 6"].verdict == FAILED
    assert {n: f.value for n, f in after.items() if n != "T 6"} == {
        n: f.value for n, f in before.items() if n != "T 6"
    }
    shifted = replace(perfect.real, ttype=perfect.real.ttype + 0.3)
    shifted = read_as(shifted, read_ttype=perfect.real.read["read_ttype"] + 0.3)
    assert comparison.read_offset(shifted, perfect.real).value == pytest.approx(0)


def test_frechet_of_known_gaussians():
    """Of N(0, 1) and N(m, s^2) in each dimension: m^2 + (s - 1)^2, whatever the axes."""
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    one = rng.standard_normal((40_000, 3))
    other = rng.standard_normal((40_000, 3)) * [1, 2, 0.5] + [1, 0, 0]
    unit = np.ones(3)
    expected = (1 + (2 - 1) ** 2 + 0.5**2) / 3
    assert comparison.frechet(one, other, unit).value == pytest.approx(expected, abs=0.02)
    turned = comparison.frechet(one @ turn, other @ turn, unit).value
    assert turned == pytest.approx(expected, abs=0.02)
    assert comparison.frechet(one, one, unit).value == pytest.approx(0, abs=1e-9)
    assert 0 < comparison.frechet_floor(one[:500], (500, 500), unit) < 0.02


def test_the_headline_says_what_was_read(perfect):
    found = structs.replace(small_emulation(), trends=tuple(trends(perfect)))
    sentences = headline(found)
    assert sentences
    samples = perfect.samples
    members = np.flatnonzero(proof_figures.classes_of(samples.ttype) == 4)
    read = samples.read["read_ttype"][members]
    mean, spread = read.mean(), read.std(ddof=1)
    (said,) = [s for s in sentences if s.startswith("asked T 4:")]
    assert said.startswith(f"asked T 4: the judge reads {mean:.1f} ± {spread:.1f}; real galaxies")
    assert f"arms {samples.read['read_arms'][members].mean():.2f}, real" in said
    assert headline(small_emulation()) == []


def test_labels_that_do_work_are_no_control(perfect):
    words = "slope with mismatched labels, in its errors"
    assert words in failed(label_figures(replace(perfect, control=perfect.samples)))


def test_a_collapsed_emulator_fails(perfect):
    sets = replace(perfect, samples=perfect.samples.collapsed)
    assert failed(distribution_figures(sets)) >= {*DISTANCES, AUC}


def test_a_blurred_emulator_fails(perfect, parts):
    sets = replace(perfect, samples=parts["blurred"])
    assert failed(distribution_figures(sets)) >= {*DISTANCES, AUC}


def test_a_copying_emulator_fails(perfect, parts):
    assert NEIGHBOURS in failed(memory_figures(replace(perfect, samples=parts["training"])))


def test_without_types_nothing_is_said_of_types(perfect):
    def untyped(galaxies):
        return replace(galaxies, ttype=np.full(len(galaxies), np.nan))

    real, made = untyped(perfect.real), untyped(perfect.samples)
    sets = replace(
        perfect,
        real=real,
        reconstructions=real,
        samples_with_ttype=made.typed,
        control=None,
        training=None,
    )
    assert {f.group for f in all_figures(sets)} == {"distribution", "memory"}
    assert trends(sets) == []


def test_trends_show_the_chain_and_the_control(perfect):
    found = {(t.statistic, t.kind): t for t in trends(perfect)}
    assert len(found) == 4 * (len(perfect.names) + 2)
    assert abs(found["read_arms", "sample"].sigmas) > 5
    assert abs(found["concentration", "sample"].sigmas) > 5
    assert abs(found["concentration", "control"].sigmas) < 3
    assert sum(found["gini", "real"].counts) == found["gini", "real"].n == N


def test_slopes_are_tested_together_those_of_each_kind_by_themselves(perfect):
    found = trends(perfect)
    for kind in ("sample", "control"):
        tested = [t for t in found if t.kind == kind]
        own = [two_sided(t.sigmas) for t in tested]
        assert [t.p_holm for t in tested] == holm(own)
        assert all(p >= one for p, one in zip(holm(own), own, strict=True))
    assert with_p([structs.replace(t, p_holm=None) for t in found]) == found
    assert found[2].format_p == "< 1e-6"
    assert [t.statistic for t in found[:5]] == ["concentration"] * 4 + [perfect.names[1]]


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 4 x .005, 3 x .01, 2 x .03, .06
        ([0.5, 0.6, 0.01], [1.0, 1.0, 0.03]),  # 2 x .5 is one at most, and .6 is not below it
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm_by_hand(p, corrected):
    assert holm(p) == pytest.approx(corrected)


def test_two_sided_p_of_known_deviations():
    for sigmas, p in ((0, 1), (-1.959964, 0.05), (2.575829, 0.01), (4.417173, 1e-5)):
        assert two_sided(sigmas) == pytest.approx(p, rel=1e-4)


def test_histograms_hold_every_galaxy(perfect):
    for histogram in histograms(perfect):
        assert set(histogram.shares) == {"real", "reconstruction", "sample"}
        for shares in histogram.shares.values():
            assert sum(shares) == pytest.approx(1, abs=1e-3)


def test_the_guidance_that_follows_best_is_chosen(perfect):
    labels = perfect.samples.ttype
    weak = replace(perfect.samples, ttype=labels + np.random.default_rng(0).normal(0, 4, N))
    curve = [guidance_point(w, perfect.real, m) for w, m in ((1.0, weak), (1.5, perfect.samples))]
    assert curve[0].slope_ratio < curve[1].slope_ratio
    assert best_guidance(curve) == 1.5
    assert best_guidance([structs.replace(curve[1], guidance=w) for w in (3.0, 2.0)]) == 2.0
    assert guidance_point(1.0, perfect.real, perfect.real).cost == pytest.approx(0)


def test_a_guidance_that_does_not_obey_is_not_chosen_for_its_looks(perfect):
    """The cheapest of those that obey; of none, the most obedient."""
    point = guidance_point(1.0, perfect.real, perfect.samples)

    def curve(*parts):
        return [
            structs.replace(point, guidance=g, cost=c, obedience=o) for g, c, o in parts
        ]  # fmt: skip

    cheap = (1.0, 0.1, 0.9)
    assert best_guidance(curve(cheap, (1.5, 0.3, 0.98), (2.0, 0.2, 0.99), (3.0, 0.4, 1.0))) == 2.0
    assert best_guidance(curve(cheap, (1.5, 0.3, 0.95), (2.0, 0.2, 0.94))) == 1.5
    assert best_guidance(curve(cheap, (1.5, 0.3, None))) == 1.5


@pytest.mark.parametrize(
    ("value", "low", "high", "goal", "floor", "word"),
    [
        (1.0, 0.8, 1.2, (0.9, 1.1), None, "reached"),
        (0.8, 0.7, 0.95, (0.9, 1.1), None, "within error"),
        (0.8, 0.7, 0.85, (0.9, 1.1), None, "not reached"),
        (0.08, 0.07, 0.09, (None, 0.06), 0.075, "at the floor"),
        (0.08, 0.07, 0.09, (None, 0.06), 0.05, "not reached"),
        (6.0, None, None, (5.0, None), None, "reached"),
        (4.0, None, None, (5.0, None), None, "not reached"),
        (4.0, None, None, (None, None), None, "no goal"),
        (None, None, None, (5.0, None), None, "not measured"),
    ],
)
def test_verdicts(value, low, high, goal, floor, word):  # noqa: PLR0917
    assert verdict(value, low, high, goal, floor) == word
