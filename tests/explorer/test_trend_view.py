from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from galaxy_explorer.clustering.summary import COLUMNS, ENOUGH_TTYPES, representative
from galaxy_explorer.explorer.pages.trend import MAX_COLUMNS, NONE, TrendPage, moved
from galaxy_explorer.explorer.plots.print import DPI, TrendColumn, trend_figure


@pytest.fixture
def page(state, context) -> TrendPage:
    return TrendPage(state, context)


def test_representative_clusters_run_from_early_to_late(bundle):
    for clustering in bundle.clusterings.values():
        chosen = [clustering.clusters[number] for number in representative(clustering.clusters)]
        means = [cluster.ttype_mean for cluster in chosen]
        assert 1 <= len(chosen) <= COLUMNS
        assert means == sorted(means)
        assert len({cluster.id for cluster in chosen}) == len(chosen)


def test_clusters_with_few_types_do_not_represent_while_others_can(bundle):
    clusters = bundle.clusterings["k512-modern-8x8/codes"].clusters
    enough = {cluster.id for cluster in clusters if cluster.n_ttype >= ENOUGH_TTYPES}
    chosen = representative(clusters)
    assert not enough or set(chosen) <= enough


@given(st.lists(st.integers(), max_size=9), st.integers(-2, 11), st.integers(-2, 11))
def test_moving_keeps_every_entry(order, start, end):
    found = moved(order, start, end)
    assert sorted(found) == sorted(order)
    if start in range(len(order)) and end in range(len(order)):
        assert found[end] == order[start]
    else:
        assert found == order


def test_columns_can_be_moved_taken_out_and_added(page):
    before = list(page.chosen)
    page.columns._handle_msg({"move": [0, 1]})
    assert page.chosen == [before[1], before[0], *before[2:]]
    assert [column["id"] for column in page.columns.columns] == page.chosen
    page.sort()
    assert page.chosen == before
    page.columns._handle_msg({"remove": 0})
    assert page.chosen == before[1:]
    page.add.value = before[0]
    assert page.chosen == [*before[1:], before[0]]
    assert page.add.value == NONE


def test_one_column_stays_and_there_are_never_too_many(page):
    for _ in range(20):
        page.columns._handle_msg({"remove": 0})
    assert len(page.chosen) == 1
    while not page.add.disabled:
        page.add.value = next(v for v in page.add.options.values() if v != NONE)
    assert len(page.chosen) == MAX_COLUMNS


def test_below_each_histogram_are_members_of_that_cluster(page, state):
    for column in page.columns.columns:
        rows = [tile[0] for tile in column["tiles"]]
        assert (state.labels[rows] == column["id"]).all()
    places = [tile[2] for column in page.columns.columns for tile in column["tiles"]]
    assert places == list(range(len(places)))


def test_a_heading_selects_its_cluster_and_a_picture_its_galaxy(page, state):
    column = page.columns.columns[1]
    page.columns._handle_msg({"cluster": column["id"]})
    np.testing.assert_array_equal(state.selection, np.flatnonzero(state.labels == column["id"]))
    page.columns._handle_msg({"focus": column["tiles"][0][0]})
    assert state.focus == column["tiles"][0][0]


@pytest.mark.parametrize(
    "message",
    [{"move": [0]}, {"move": ["0", 1]}, {"remove": 99}, {"cluster": -1}, {"focus": 10**9}],
)
def test_messages_that_make_no_sense_change_nothing(page, state, message):
    before = list(page.chosen)
    page.columns._handle_msg(message)
    assert page.chosen == before
    assert state.focus is None
    assert not len(state.selection)


def test_another_clustering_starts_anew(page, state):
    state.clustering = "k16-modern-8x8/index"
    clusters = state.bundle.clusterings[state.clustering].clusters
    assert page.chosen == representative(clusters)


@pytest.fixture
def columns() -> list[TrendColumn]:
    rng = np.random.default_rng(0)
    pictures = rng.integers(255, size=(2, 16, 16, 3), dtype=np.uint8)
    counts = rng.integers(20, size=10)
    return [TrendColumn(f"cluster {i} $<b>", counts, "#3c8fd0", pictures) for i in range(3)]


def test_a_png_has_the_resolution_of_print(columns):
    with Image.open(io.BytesIO(trend_figure(columns, "title", "source", "png"))) as picture:
        assert picture.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)


def test_svg_and_pdf_keep_text_as_text(columns):
    svg = trend_figure(columns, "a title", "the source", "svg").decode()
    assert svg.count("<text") > 6
    assert "cluster 1 $&lt;b&gt;" in svg
    assert "a title" in svg
    assert svg.count("<image") == 1
    pdf = trend_figure(columns, "a title", "the source", "pdf")
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf


def test_the_same_figure_has_the_same_bytes(columns):
    for kind in ("svg", "pdf"):
        first, second = (trend_figure(columns[:1], "t", "s", kind) for _ in range(2))
        assert first == second


def test_a_download_is_named_after_the_clustering(page):
    asyncio.run(page.downloads.deliver("svg"))
    assert page.downloads.buttons.file_name == "trend-k512-modern-8x8-codes.svg"
    assert page.downloads.buttons.media_type == "image/svg+xml"
    assert page.downloads.buttons.data.startswith(b"<?xml")
