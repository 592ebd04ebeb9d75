"""What is usual among galaxies, and what is told as unlike them: laws on synthetic stamps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from galaxy_explorer.bundle import novelty
from galaxy_explorer.bundle.novelty import NOMINAL, NOVELTY, fit_novelty, judge_novelty, novelty_of
from galaxy_explorer.classification import Classification, Prepared
from galaxy_explorer.errors import BundleError
from galaxy_explorer.survey.photometry import detail_measures

SIDE, MODEL = 64, "m"
Y, X = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2


def galaxies(n: int, seed: int, scale: float = 1.0) -> np.ndarray:
    """Discs with arms of any strength and sky noise, (n, 1, S, S); scale: of their size."""
    rng = np.random.default_rng(seed)
    stamps = np.empty((n, 1, SIDE, SIDE), np.float32)
    for stamp in stamps:
        angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.5, 1)
        along = X * np.cos(angle) + Y * np.sin(angle)
        across = (Y * np.cos(angle) - X * np.sin(angle)) / ratio
        radius = np.hypot(along, across) / scale
        phase = 2 * np.arctan2(across, along) + 4 * np.log(radius + 1)
        arms = 1 + rng.uniform(0, 0.6) * np.cos(phase)
        light = rng.uniform(0.4, 0.7) * np.exp(-radius / rng.uniform(7, 9)) * arms
        stamp[0] = 0.02 + light + rng.normal(0, rng.uniform(0.01, 0.02), light.shape)
    return stamps


def errors_of(stamps: np.ndarray, seed: int) -> np.ndarray:
    """Errors of a model that draws fine detail badly, (n,)."""
    detail = np.exp(detail_measures(stamps)[:, 1])
    return (detail**2 * np.random.default_rng(seed).lognormal(0, 0.1, len(stamps))).astype("f4")


class FakeBundle(SimpleNamespace):
    """What the rule asks of a bundle."""

    __hash__ = object.__hash__

    def __len__(self) -> int:
        return len(self.columns["galaxy_id"])

    def column(self, name: str) -> np.ndarray:
        return self.columns[name]


@pytest.fixture(scope="module")
def known():
    """A bundle, its survey and what is usual in it."""
    stamps = galaxies(1000, seed=0)
    split = np.where(np.arange(1000) % 10 < 6, "train", "validation")
    columns = {"galaxy_id": np.arange(1000), "split": split, f"{MODEL}/error": errors_of(stamps, 1)}
    bundle = FakeBundle(columns=columns, models={MODEL: None}, path="b", manifest=None)
    survey = SimpleNamespace(
        path="s", column=columns.__getitem__, model_input=lambda rows: stamps[rows]
    )
    usual = fit_novelty(bundle, survey)
    assert usual is not None
    return bundle, survey, usual


def flagged(usual, stamps: np.ndarray, seed: int = 5) -> list[str]:
    verdicts = usual.judge(stamps, {MODEL: errors_of(stamps, seed)})
    return [verdict.reason for verdict in verdicts if verdict.unusual]


def test_galaxies_like_those_of_the_training_are_flagged_at_the_nominal_rate(known) -> None:
    fresh = galaxies(600, seed=7)
    assert len(flagged(known[2], fresh)) <= 3 * 600 * NOMINAL  # of 400 the limit is a rough one


def test_detail_alone_is_no_novelty(known) -> None:
    """The tenth with the finest detail, whose errors are the largest, is flagged no more often."""
    fresh = galaxies(600, seed=8)
    errors, detail = errors_of(fresh, 5), detail_measures(fresh)[:, 1]
    fine = (detail > np.quantile(detail, 0.85)) & (detail < np.quantile(detail, 0.95))
    verdicts = known[2].judge(fresh[fine], {MODEL: errors[fine]})
    assert sum(verdict.unusual for verdict in verdicts) <= 4
    usual_errors = known[0].column(f"{MODEL}/error")
    assert np.mean(errors[fine] > np.quantile(usual_errors, 0.75)) > 0.8


def test_an_error_above_the_usual_one_is_told(known) -> None:
    fresh = galaxies(40, seed=9)
    verdicts = known[2].judge(fresh, {MODEL: 4 * errors_of(fresh, 5)})
    assert all("of as much detail and noise" in verdict.reason for verdict in verdicts)


def star(stamp: np.ndarray) -> np.ndarray:
    spikes = 0.5 * np.exp(-np.minimum(np.abs(X), np.abs(Y)) - np.hypot(X, Y) / 15)
    peak = np.minimum(1.0, 3 * (1 + (X**2 + Y**2) / 4) ** -2.2 + spikes)
    return (0.02 + peak + stamp - stamp.mean()).clip(0, 1) * 0.9


def trail(stamp: np.ndarray) -> np.ndarray:
    return stamp + 0.8 * np.exp(-np.square(X - 0.4 * Y - 6) / 2)


def empty_half(stamp: np.ndarray) -> np.ndarray:
    return np.where(X < 0, 0.0, stamp)


def noise(stamp: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).normal(0.02, 0.03, stamp.shape)


@pytest.mark.parametrize("spoil", [star, trail, empty_half, noise])
def test_what_is_no_galaxy_is_flagged_however_well_it_is_drawn(known, spoil) -> None:
    spoilt = np.array([spoil(stamp) for stamp in galaxies(30, seed=11)], np.float32)
    tiny = {MODEL: np.full(30, 1e-9, np.float32)}
    assert sum(verdict.unusual for verdict in known[2].judge(spoilt, tiny)) >= 29


@pytest.mark.parametrize(("scale", "low", "high"), [(0.5, 0.4, 0.65), (2.0, 1.4, 2.6)])
def test_another_scale_is_told(known, scale: float, low: float, high: float) -> None:
    stamps = galaxies(30, seed=12, scale=scale)
    verdicts = known[2].judge(stamps, {MODEL: errors_of(stamps, 5)})
    filled = np.array([verdict.filled for verdict in verdicts])
    assert low < np.median(filled) < high
    assert np.mean(["the part of its frame" in verdict.words for verdict in verdicts]) > 0.8
    usual = known[2].judge(galaxies(30, seed=12), {MODEL: errors_of(stamps, 5)})
    assert np.median([verdict.filled for verdict in usual]) == pytest.approx(1, abs=0.15)


def test_the_frame_to_try_is_named_where_the_picture_is_wide_enough() -> None:
    found = Classification("", out_of_distribution="yes: why", frame_filled=0.5, other_scale=True)
    stamp = np.zeros((1, SIDE, SIDE), np.float32)
    prepared = Prepared(stamp, None, np.zeros((1, 200, 200)), side=200)
    assert "--frame 100" in prepared.described(found).out_of_distribution
    large = Classification("", out_of_distribution="yes: why", frame_filled=2.0, other_scale=True)
    assert "wider picture" in prepared.described(large).out_of_distribution
    plain = Classification("", out_of_distribution="no", frame_filled=0.9)
    assert prepared.described(plain).out_of_distribution == "no"


def test_few_galaxies_teach_nothing_and_others_are_refused(known) -> None:
    bundle, survey, _ = known
    few = FakeBundle(**{**vars(bundle), "columns": {n: v[:50] for n, v in bundle.columns.items()}})
    assert fit_novelty(few, survey) is None
    other = SimpleNamespace(**{**vars(survey), "column": lambda _: np.arange(1000) + 1})
    with pytest.raises(BundleError, match="other galaxies"):
        fit_novelty(bundle, other)


def stored(monkeypatch, known, data: bytes):
    """The bundle with a file that says what is usual."""
    bundle = FakeBundle(**vars(known[0]))
    bundle.manifest = SimpleNamespace(files={NOVELTY: NOVELTY})
    monkeypatch.setattr(novelty, "verified_bytes", lambda *_: data)
    bundle.path = Path("b")
    return bundle


def test_what_is_stored_comes_back(monkeypatch, known) -> None:
    fresh = galaxies(20, seed=13)
    errors = {MODEL: errors_of(fresh, 5)}
    bundle = stored(monkeypatch, known, known[2].to_bytes())
    again = [vars(one) for one in judge_novelty(bundle, fresh, errors)]
    assert again == [vars(one) for one in known[2].judge(fresh, errors)]
    assert novelty.known_percentiles(bundle, MODEL).shape == (1000,)


def test_a_file_of_another_bundle_is_refused(monkeypatch, known) -> None:
    short = novelty.Novelty(**{**vars(known[2]), "known": {MODEL: np.zeros(3, np.float32)}})
    with pytest.raises(BundleError, match="evaluate again"):
        novelty_of(stored(monkeypatch, known, short.to_bytes()))


def test_an_older_bundle_is_asked_for_the_error_alone_and_says_so(known) -> None:
    bundle = FakeBundle(**vars(known[0]))
    bundle.manifest = SimpleNamespace(files={})
    fresh = galaxies(3, seed=14)
    usual = np.median(bundle.column(f"{MODEL}/error"))
    verdicts = judge_novelty(bundle, fresh, {MODEL: np.array([usual, 1e3, 0.0])})
    assert [verdict.unusual for verdict in verdicts] == [False, True, False]
    assert "by the error alone" in verdicts[1].reason
    assert np.isnan(verdicts[1].filled)
