from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.clustering.validation import compare_labels
from galaxy_explorer.explorer.plots.clusterings import (
    DIVERGING,
    MEMBERS,
    cell_columns,
    contingency,
    density,
    place_figure,
    residual_pictures,
    update_place,
)
from galaxy_explorer.explorer.plots.palette import SELECTION_COLOUR

LABELS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=80)


def test_residuals_are_centred_on_zero():
    values = np.array([[[-0.2, -0.1, 0.0, 0.1, 0.2, np.nan]]])
    (low, negative, zero, positive, high, absent) = residual_pictures(values, 0.1)[0, 0].astype(int)
    assert (low == negative).all()
    assert (high == positive).all()
    assert (zero == absent).all()
    assert zero.min() > 240
    assert negative[2] > negative[0] + 100
    assert positive[0] > positive[2] + 100


def test_opposite_residuals_are_equally_far_from_white():
    last = len(DIVERGING) - 1
    values = np.array([[[-0.05, 0.05]]])
    pair = residual_pictures(values, 0.1)[0, 0]
    places = [int(np.flatnonzero((colour == DIVERGING).all(1))[0]) for colour in pair]
    assert abs(sum(places) - last) <= 1


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_must_be_above_zero(limit):
    with pytest.raises(ValueError, match="above 0"):
        residual_pictures(np.zeros((1, 2, 2)), limit)


@settings(deadline=None)
@given(LABELS)
def test_contingency_counts_each_galaxy_once(pairs):
    left, right = np.array(pairs).T
    table = contingency(left, right, n=6)
    assert table.sum() == len(pairs)
    for i in range(6):
        for j in range(6):
            assert table[i, j] == sum(pair == (i, j) for pair in pairs)


@settings(deadline=None)
@given(LABELS)
def test_each_cell_names_its_own_clusters(pairs):
    left, right = np.array(pairs).T
    table = contingency(left, right, n=6)
    columns = cell_columns(table, [3, 1, 0, 5, 2, 4], [0, 2, 4, 1, 3, 5])
    assert columns["count"].sum() == len(pairs)
    for a, b, count in zip(columns["left"], columns["right"], columns["count"], strict=True):
        assert count == table[a, b]


def test_the_cells_follow_the_order_of_the_clusters():
    table = contingency([0, 0, 1, 2], [1, 1, 0, 1], n=3)
    made = cell_columns(table, [2, 0, 1], [1, 0])
    places = zip(made["x"], made["y"], made["count"], strict=True)
    cells = {(int(x), int(y)): int(n) for x, y, n in places}
    assert cells == {(0, 0): 1, (0, 1): 2, (1, 2): 1}
    assert made["of_left"].tolist() == [1, 2, 1]
    assert made["of_right"].tolist() == [3, 3, 1]


def test_same_partition_agrees_whatever_its_numbers():
    labels = np.repeat(np.arange(8), 12)
    scores = compare_labels(labels, (labels * 3) % 8)
    assert scores["ari"] == pytest.approx(1)
    assert scores["ami"] == pytest.approx(1)


def test_independent_partitions_agree_as_by_chance():
    rng = np.random.default_rng(0)
    scores = compare_labels(rng.integers(8, size=4000), rng.integers(8, size=4000))
    assert abs(scores["ari"]) < 0.01
    assert abs(scores["ami"]) < 0.01


def test_agreement_of_a_known_table():
    scores = compare_labels(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]))
    assert scores["ari"] == pytest.approx(4 / 7)


def test_density_is_opaque_where_galaxies_are():
    places = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    image, (x, y, width, height) = density(places)
    alpha = image.view(np.uint8).reshape(*image.shape, 4)[..., 3]
    assert (alpha > 0).sum() == 2
    assert alpha[0:5, 0:5].any()
    assert alpha.max() == alpha[-5:, -5:].max()
    assert x < 0 < x + width
    assert y < 0 < y + height


def test_place_shows_the_rows_asked_for():
    places = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    plot = place_figure(places)
    dots = plot.select_one({"name": MEMBERS})
    assert len(dots.data["x"]) == 0
    update_place(plot, places, np.array([3, 7]), SELECTION_COLOUR)
    np.testing.assert_array_equal(dots.data["x"], places[[3, 7], 0])
    np.testing.assert_array_equal(dots.data["y"], places[[3, 7], 1])
