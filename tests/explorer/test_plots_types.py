from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.clustering.summary import ClusterSummary, ordered
from galaxy_explorer.explorer.plots.palette import T_COLOURS, cluster_colours
from galaxy_explorer.explorer.plots.ttype_histogram import (
    T_SOURCE,
    format_histogram,
    format_number,
    histogram_columns,
    panels,
    t_histogram,
    update_t_histogram,
    wilson_interval,
)
from galaxy_explorer.explorer.state import ExplorerState


def summary(number: int, histogram: list[int], no_t: int = 0) -> ClusterSummary:
    counts = np.array(histogram)
    known = int(counts.sum())
    values = np.repeat(np.arange(-3, 7), counts)
    mean = float(values.mean()) if known else math.nan
    return ClusterSummary(
        id=number,
        count=known + no_t,
        n_ttype=known,
        ttype_mean=mean,
        ttype_std=float(values.std()) if known else math.nan,
        histogram=tuple(histogram),
        kind="mixed" if known >= 8 else "unknown",
        early_fraction=0.5,
        early_low=0.4,
        early_high=0.6,
        medoid=0 if known + no_t else -1,
        typical=(),
    )


EARLY = summary(0, [30, 5, 0, 0, 0, 0, 0, 0, 0, 0], no_t=7)
LATE = summary(1, [0, 0, 0, 0, 0, 0, 0, 10, 20, 30])
SMALL = summary(2, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
BLIND = summary(3, [0] * 10, no_t=4)
EMPTY = summary(4, [0] * 10)
CLUSTERS = [LATE, EMPTY, SMALL, BLIND, EARLY]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_bars_and_galaxies_without_t_add_up_to_any_selection(bundle, data):
    state = ExplorerState(bundle)
    rows = data.draw(st.sets(st.integers(0, len(bundle) - 1)))
    state.select(rows, "drawn")
    counts, no_t = state.ttype_histogram(state.selection)
    plot = t_histogram(counts, no_t)
    bars = plot.select_one({"name": T_SOURCE}).data["count"]
    written = int(plot.select_one({"name": "no_t"}).data["text"][0].replace(",", ""))
    assert bars.sum() + written == len(rows) == len(state.selection)


def test_wilson_interval_of_five_in_ten():
    low, high = wilson_interval([5, 5, 0, 0, 0, 0, 0, 0, 0, 0])
    assert low[0] == pytest.approx(2.3659, abs=1e-3)
    assert high[0] == pytest.approx(7.6341, abs=1e-3)


@settings(deadline=None)
@given(st.lists(st.integers(0, 500), min_size=10, max_size=10))
def test_interval_holds_the_count(counts):
    low, high = wilson_interval(counts)
    assert (low <= np.array(counts) + 1e-9).all()
    assert (high >= np.array(counts) - 1e-9).all()
    assert (high <= sum(counts) + 1e-9).all()


def test_reference_is_scaled_to_as_many_galaxies():
    columns = histogram_columns([1, 2, 3, 4, 0, 0, 0, 0, 0, 0], reference=[10] * 10)
    assert columns["expected"].sum() == pytest.approx(10)
    assert np.isnan(histogram_columns([1] * 10)["expected"]).all()


def test_update_shows_other_galaxies_in_the_same_figure():
    plot = t_histogram([1] * 10, 3)
    update_t_histogram(plot, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1200], 1234, reference=[5] * 10)
    columns = plot.select_one({"name": T_SOURCE}).data
    assert list(columns["count"]) == [0] * 9 + [1200]
    assert plot.select_one({"name": "no_t"}).data["text"][0] == "1,234"
    assert plot.y_range.end > columns["high"].max()


def test_no_galaxies_make_an_empty_figure():
    plot = t_histogram([0] * 10, 0)
    assert plot.y_range.end == 1


def test_histogram_in_words():
    assert format_histogram([2, 0, 0, 0, 0, 0, 0, 0, 0, 1], 5) == (
        "2 with T ≤−3, 1 with T ≥6, 5 without T"
    )


@pytest.mark.parametrize(
    ("order", "expected"),
    [("mean T", [0, 2, 1, 3, 4]), ("size", [1, 0, 3, 2, 4]), ("number", [0, 1, 2, 3, 4])],
)
def test_orders(order, expected):
    assert [cluster.id for cluster in ordered(CLUSTERS, order)] == expected


def test_counts_share_one_scale():
    bars = {panel["id"]: panel["bars"] for panel in panels(CLUSTERS)}
    assert max(bars[0]) == max(bars[1]) == 1
    assert bars[2][4] == pytest.approx(1 / 30, abs=1e-4)


def test_shares_of_clusters_with_few_types_do_not_set_the_scale():
    bars = {panel["id"]: panel["bars"] for panel in panels(CLUSTERS, share=True)}
    assert bars[0][0] == 1
    assert bars[1][9] == pytest.approx((30 / 60) / (30 / 35), abs=1e-3)
    assert bars[2][4] == 1
    assert bars[4] == [0] * 10


def test_panels_have_the_colours_of_types_and_of_the_cluster():
    shown = {panel["id"]: panel for panel in panels(CLUSTERS)}
    assert all(one["tints"] == list(T_COLOURS) for one in shown.values())
    assert [shown[i]["colour"] for i in range(5)] == cluster_colours(CLUSTERS)


def test_panels_say_what_they_show():
    shown = {panel["id"]: panel for panel in panels(CLUSTERS, picked={0: 21})}
    assert shown[0]["picked"] == 0.5
    assert shown[0]["words"].startswith("Cluster 0: 42 galaxies, 35 of them with T, mean T −2.9")
    assert shown[0]["words"].endswith("21 selected")
    assert shown[4]["words"] == "Cluster 4: empty"
    assert shown[2]["kind"] == ""
    assert [shown[i]["mean"] for i in (0, 3, 4)] == ["T −2.9", "no T", ""]


def test_kind_is_a_word_of_its_own():
    late = dataclasses.replace(LATE, id=0, kind="late")
    assert panels([late])[0]["kind"] == "late"


def test_minus_zero_is_zero():
    assert format_number(-0.04) == "0.0"
    assert format_number(-1.26) == "−1.3"
