from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy_explorer.survey.preprocessing import (
    ArcsinhStretch,
    balanced_sample,
    rotate_stamps,
    seen_again,
    split_of,
    ttype_class,
)


def test_split_shares_are_80_10_10():
    splits = [split_of(f"galaxy {number}") for number in range(20000)]
    shares = [splits.count(name) / len(splits) for name in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.01)


def test_split_is_the_stated_function_of_the_id():
    for name in ("NGC4321", "588848901537202306", "Ωmega"):
        u = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
        expected = "train" if u < 0.8 else "validation" if u < 0.9 else "test"
        assert split_of(name) == expected


def test_ttype_classes_of_the_report():
    stages = [-6, -5, -3, -2.5, -2.51, 0, 0.49, 0.5, 3, 6, 6.6, 10, np.nan]
    classes = [0, 0, 0, 1, 0, 3, 3, 4, 6, 9, 9, 9, -1]
    result = ttype_class(stages)
    assert result.dtype == np.int8
    assert result.tolist() == classes


@given(
    st.floats(-1e4, 1e4),
    st.floats(-100, 2000),
    st.floats(1e-3, 1e3),
    st.floats(0.1, 50),
    st.floats(0.01, 10),
)
def test_stretch_inverse_is_exact(signal, sky, sigma, softening, scale):
    stretch = ArcsinhStretch(softening=softening, scale=scale)
    flux = sky + signal * sigma
    there = stretch.apply(flux, sky, sigma)
    np.testing.assert_allclose(
        stretch.invert(there, sky, sigma), flux, rtol=1e-6, atol=1e-6 * sigma
    )


def test_stretch_takes_one_sky_per_stamp():
    generator = np.random.default_rng(0)
    stamps = generator.normal(size=(3, 1, 8, 8))
    sky, sigma = generator.normal(size=3), generator.uniform(1, 2, 3)
    stretch = ArcsinhStretch()
    together = stretch.apply(stamps, sky, sigma)
    for i in range(3):
        np.testing.assert_array_equal(together[i], stretch.apply(stamps[i], sky[i], sigma[i]))
    np.testing.assert_allclose(stretch.invert(together, sky, sigma), stamps, atol=1e-12)


def test_stretch_is_its_formula():
    stretch = ArcsinhStretch(softening=3.0, scale=0.2, pedestal=0.1)
    assert stretch.apply(20.0, 8.0, 2.0) == pytest.approx(0.2 * np.arcsinh(2.0) + 0.1, abs=1e-15)
    assert ArcsinhStretch(**stretch.to_dict()) == stretch


@given(
    st.lists(st.integers(-1, 9), min_size=1, max_size=80), st.integers(1, 20), st.integers(0, 99)
)
def test_balanced_sample_laws(classes, per_class, seed):
    classes = np.array(classes)
    rows, angles = balanced_sample(classes, per_class, seed)
    known = np.unique(classes[classes >= 0])
    drawn = classes[rows]
    assert rows.size == angles.size == per_class * known.size
    for label in known:
        chosen = rows[drawn == label]
        members = np.flatnonzero(classes == label)
        assert chosen.size == per_class
        assert np.unique(chosen).size == min(per_class, members.size)  # every member once, first
        unturned = chosen[angles[drawn == label] == 0.0]
        assert unturned.size == np.unique(unturned).size
    again = balanced_sample(classes, per_class, seed)
    np.testing.assert_array_equal(rows, again[0])
    np.testing.assert_array_equal(angles, again[1])


def test_balanced_sample_depends_on_the_seed():
    classes = np.repeat(np.arange(10), 50)
    one, other = balanced_sample(classes, 20, 0)[0], balanced_sample(classes, 20, 1)[0]
    assert not np.array_equal(one, other)


def test_rotation_by_quarters_is_rot90():
    stamps = np.random.default_rng(2).random((4, 2, 16, 16)).astype(np.float32)
    turned = rotate_stamps(stamps, [0.0, 90.0, 180.0, 270.0])
    for quarter in range(4):
        expected = np.rot90(stamps[quarter], quarter, axes=(1, 2))
        np.testing.assert_allclose(turned[quarter], expected, atol=1e-5)


def test_rotation_leaves_no_dark_corners():
    stamps = np.full((1, 1, 32, 32), 0.5, np.float32)
    np.testing.assert_allclose(rotate_stamps(stamps, [37.0]), 0.5, atol=1e-6)


def disc(side: int = 64) -> np.ndarray:
    y, x = np.indices((side, side)) - (side - 1) / 2
    light = np.exp(-np.hypot(x, 2 * y) / 6)
    return np.float32([[0.9 * light, 0.6 * light]])


def test_another_look_keeps_the_galaxy_and_changes_the_picture():
    stamps = np.repeat(disc(), 40, axis=0)
    seen = seen_again(stamps, 3)
    assert seen.shape == stamps.shape
    # The same light within the noise, the brightness and the size; the same colour.
    light = seen.sum((1, 2, 3)) / stamps[0].sum()
    assert ((light > 0.4) & (light < 2.0)).all()
    colour = seen[:, 1].sum((1, 2)) / seen[:, 0].sum((1, 2))
    np.testing.assert_allclose(colour, 2 / 3, atol=0.03)
    # Neither twice the same nor the picture itself, and every direction occurs.
    assert np.abs(seen - stamps).mean((1, 2, 3)).min() > 0.005
    y, x = np.indices((64, 64)) - 31.5
    weight = seen[:, 0].clip(0.1)
    angle = np.arctan2((weight * x * y).sum((1, 2)), (weight * (x * x - y * y)).sum((1, 2)) / 2)
    assert np.histogram(angle, bins=4, range=(-np.pi, np.pi))[0].min() > 2


def test_the_same_seed_gives_the_same_looks():
    stamps = np.repeat(disc(), 3, axis=0)
    np.testing.assert_array_equal(seen_again(stamps, 3), seen_again(stamps, 3))
    assert (seen_again(stamps, 3) != seen_again(stamps, 4)).any()


def test_a_galaxy_stays_within_two_pixels_of_the_middle():
    y, x = np.indices((64, 64)) - 31.5
    seen = seen_again(np.repeat(disc(), 30, axis=0), 5)[:, 0]
    bright = np.where(seen > 0.3, seen, 0)
    for axis in (x, y):
        middle = (bright * axis).sum((1, 2)) / bright.sum((1, 2))
        assert np.abs(middle).max() < 3.2
