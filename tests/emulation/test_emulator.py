"""Requests and the emulator of a bundle: refusals, laws of seeds, pictures, likelihood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.emulation.emulator import Emulator, Request
from galaxy_explorer.errors import BundleError, RequestError
from tests.small_bundle import PRIOR, write_small_bundle

ASKED = Request(3, seed=4, condition={"ttype": 2.0}, guidance=1.5)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory) -> Emulator:
    return Emulator.open(load_bundle(write_small_bundle(tmp_path_factory.mktemp("b") / "b")))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("count", {"count": 0}),
        ("count", {"count": 5000}),
        ("count", {"count": True}),
        ("count", {"count": 2.0}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 2**32}),
        ("first", {"first": -1}),
        ("temperature", {"temperature": 0.0}),
        ("temperature", {"temperature": float("nan")}),
        ("temperature", {"temperature": "hot"}),
        ("guidance", {"guidance": 0.5}),
        ("guidance", {"guidance": 6}),
        ("ttype", {"condition": {"ttype": 99.0}}),
        ("ttype", {"condition": {"ttype": float("inf")}}),
        ("ttype", {"condition": {"ttype": "late"}}),
        ("ttype", {"condition": {"ttype": (1.0, 2.0)}}),
        ("ttype", {"condition": {"ttype": (1.0, 2.0, 99.0)}}),
        ("colour", {"condition": {"colour": 1.0}}),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(emulator, field, change) -> None:
    """At the call, before anything is drawn, with the permitted range or the fields there are."""
    wrong = replace(ASKED, **change)
    with pytest.raises(RequestError, match=rf"^{field}.*(from|has|galaxies)"):
        wrong.checked(emulator.fields)
    with pytest.raises(RequestError, match=rf"^{field}"):
        emulator.stream(wrong)


def test_the_type_comes_first_among_the_fields(emulator) -> None:
    assert [field.name for field in emulator.fields] == ["ttype", "magnitude"]
    for field in emulator.fields:
        values = emulator.values(field)[emulator.bundle.column("split") == "train"]
        assert field.low <= field.default <= field.high
        assert np.nanmin(values) <= field.low < field.high <= np.nanmax(values)


def test_a_sample_depends_on_seed_and_number_alone(emulator) -> None:
    codes = emulator.codes(ASKED)
    assert np.array_equal(codes[:2], emulator.codes(replace(ASKED, count=2)))
    assert np.array_equal(codes[2:], emulator.codes(replace(ASKED, count=1, first=2)))
    assert not np.array_equal(codes, emulator.codes(replace(ASKED, seed=5)))
    each = replace(ASKED, condition={"ttype": (2.0, -1.0, 2.0)})
    assert np.array_equal(codes[[0, 2]], emulator.codes(each)[[0, 2]])


def test_identity_tells_requests_apart() -> None:
    others = [
        replace(ASKED, seed=5),
        replace(ASKED, condition={"ttype": 2.5}),
        replace(ASKED, condition={"magnitude": 2.0}),
        replace(ASKED, guidance=None),
        replace(ASKED, temperature=0.9),
        replace(ASKED, first=1),
    ]
    assert replace(ASKED, condition={"ttype": 2}).identity == ASKED.identity
    assert len({request.identity for request in [ASKED, *others]}) == 7


def test_the_stream_ends_in_the_codes(emulator) -> None:
    parts = list(emulator.stream(ASKED))
    assert [part.share for part in parts] == [row / 8 for row in range(1, 9)]
    codes = emulator.codes(ASKED)
    assert np.array_equal(parts[-1].codes, codes)
    drawn = emulator.decode(codes)
    assert drawn.shape == (3, 1, 64, 64)


def test_cancelling_ends_the_stream(emulator) -> None:
    asked = iter(range(10**6))
    parts = list(emulator.stream(ASKED, cancelled=lambda: next(asked) >= 20))
    assert len(parts) == 2
    with pytest.raises(RequestError, match="cancelled"):
        emulator.codes(ASKED, cancelled=lambda: True)


def test_given_codes_are_kept_and_impossible_ones_refused(emulator) -> None:
    given = np.full((8, 8), -1)
    given[3, 2:5] = 7
    assert (emulator.codes(ASKED, fixed=given)[:, 3, 2:5] == 7).all()
    for wrong in (given[:3], given.astype(float), np.full((8, 8), 512), np.full((8, 8), -2)):
        with pytest.raises(RequestError, match=r"^fixed"):
            emulator.stream(ASKED, fixed=wrong)


def test_likelihoods_add_up(emulator) -> None:
    """Over all 512 values of the last code the likelihoods are those of the rest of the map."""
    codes = np.repeat(emulator.codes(replace(ASKED, count=1)), 512, 0)
    codes[:, -1, -1] = np.arange(512)
    nats = emulator.log_prob(codes, {"ttype": 2.0})
    shares = np.exp(nats - np.logaddexp.reduce(nats))
    assert shares.sum() == pytest.approx(1)
    other = emulator.log_prob(codes[:2], {"ttype": np.array([2.0, np.nan])})
    assert other[0] == pytest.approx(nats[0], abs=1e-3)
    assert other[1] != pytest.approx(nats[1], abs=1e-3)


def test_a_bundle_without_a_prior_says_how_to_make_one(tmp_path) -> None:
    bundle = load_bundle(write_small_bundle(tmp_path / "b", prior=None))
    with pytest.raises(BundleError, match="galaxy-explorer prior"):
        Emulator.open(bundle)


def test_a_prior_of_another_model_is_not_made_up(emulator) -> None:
    with pytest.raises(BundleError, match=f"no prior of k16-modern-8x8; there are {PRIOR}"):
        Emulator.open(emulator.bundle, "k16-modern-8x8")
