from __future__ import annotations

from dataclasses import replace

import holoviews as hv
import numpy as np
import pytest
from msgspec.structs import replace as replace_fields

from galaxy_explorer.explorer.pages.codebooks.page import CodebooksPage
from galaxy_explorer.explorer.pages.codebooks.table import (
    COLUMNS,
    choices,
    format_choice,
    header,
    scoreboard,
)
from galaxy_explorer.explorer.pages.registry import offered_pages
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.plots.clusterings import MEMBERS
from galaxy_explorer.explorer.widgets.controls import report_models
from galaxy_explorer.explorer.widgets.strips import Strips, format_mse, varied_galaxies
from tests.explorer.fakes import drawn

UNCLUSTERED = "k512-modern-16x16"


@pytest.fixture
def page(state, context) -> CodebooksPage:
    return CodebooksPage(state, context)


@pytest.fixture
def groups(page):
    return page.part("groups")


@pytest.fixture
def pictures(page):
    return page.part("pictures")


def test_parts_for_experts_are_made_when_they_are_unfolded(page):
    assert page.parts == {}
    page.unfolded = "curves"
    assert list(page.parts) == ["curves"]
    assert page.folded.active == [2]
    page.folded.active = [1]
    assert page.unfolded == "table"
    assert set(page.parts) == {"curves", "table"}
    page.folded.active = []
    assert page.unfolded == ""


def test_a_bundle_with_one_model_has_nothing_to_compare(bundle, context):
    assert "codebooks" in offered_pages(context)
    (one, *_) = bundle.models
    alone = replace(
        bundle, manifest=replace_fields(bundle.manifest, models={one: bundle.models[one]})
    )
    assert "codebooks" not in offered_pages(replace(context, bundle=alone))


def test_every_clustering_and_every_other_model_can_be_chosen(bundle):
    offered = choices(bundle)
    assert offered == [*bundle.clusterings, UNCLUSTERED]
    assert format_choice(bundle, UNCLUSTERED).endswith("16×16 map, not clustered")


def test_choosing_a_side_changes_state_and_table(page, groups, state):
    groups.right = "k512-paper-8x8/codes"
    assert state.compare == "k512-paper-8x8/codes"
    assert [row["side"] for row in page.part("table").table.rows].count("right") == 1


def test_experts_begin_with_the_models_of_the_report(page, pictures, bundle):
    assert pictures.models == report_models(bundle)
    assert pictures.models == ["k512-paper-8x8", "k16-modern-8x8", "convae-conv"]
    assert pictures.strips.models == page.part("curves").training.models == pictures.models


def test_any_set_of_models_can_be_shown(pictures):
    pictures.models = ["k512-modern-16x16"]
    lines = pictures.strips.table.rows
    assert [line["title"] for line in lines] == ["512 codes, modern, 16×16 map"]
    pictures.models = []
    assert pictures.strips.table.rows == []
    assert pictures.strips.table.sheet is None


def test_the_page_follows_the_state(groups, state):
    state.clustering = "k16-modern-8x8/codes"
    assert groups.left == "k16-modern-8x8/codes"
    assert "16 codes, modern" in groups.comparison.heads["left"].object


def test_a_model_without_clusters_is_not_compared(groups, state):
    before = state.clustering
    groups.left = UNCLUSTERED
    assert state.clustering == before
    assert groups.unclustered.visible
    assert not groups.comparison.view.visible
    assert not groups.comparison.heat_view.visible
    groups.left = before
    assert groups.comparison.view.visible
    assert not groups.unclustered.visible


def test_both_sides_may_be_the_same(page, groups):
    groups.right = groups.left
    assert [row["side"] for row in page.part("table").table.rows].count("both") == 1
    assert "ARI" in groups.comparison.scores.object
    assert groups.comparison.scores.object.count("<b>1.000</b>") == 2


def cells(groups):
    return groups.comparison.heat.object.Rectangles.I


def test_a_cell_selects_the_galaxies_in_both_clusters(groups, state):
    counts = cells(groups).dimension_values("count")
    place = int(np.argmax(counts))
    sides = ("left_cluster", "right_cluster")
    left, right = (int(cells(groups).dimension_values(side)[place]) for side in sides)
    (stream,) = hv.streams.Stream.registry[cells(groups)]
    stream.event(index=[place])
    labels = [groups.comparison.clustering(side).labels for side in ("left", "right")]
    expected = np.flatnonzero((labels[0] == left) & (labels[1] == right))
    np.testing.assert_array_equal(state.selection, expected)
    assert len(expected) == counts[place]
    assert f"{len(expected):,} selected" in groups.comparison.picked.object


def test_cells_hold_every_galaxy_once(groups, state):
    assert cells(groups).dimension_values("count").sum() == len(state.bundle)
    groups.left = "k512-paper-8x8/index"
    assert cells(groups).dimension_values("count").sum() == len(state.bundle)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_cluster_of_either_side_is_highlighted_on_both(groups, state, side):
    labels = groups.comparison.clustering(side).labels
    cluster = int(np.bincount(labels).argmax())
    groups.comparison.multiples[side]._handle_msg({"row": cluster})
    np.testing.assert_array_equal(state.selection, np.flatnonzero(labels == cluster))
    assert groups.comparison.multiples[side].chosen_rows == [cluster]
    for other in ("left", "right"):
        places = groups.comparison.maps[other].select_one({"name": MEMBERS}).data["x"]
        assert len(places) == len(state.selection)
        shown = groups.comparison.multiples[other].rows
        clusters = groups.comparison.clustering(other).clusters
        picked = sum(panel["share"] * clusters[panel["id"]].count for panel in shown)
        assert picked == pytest.approx(len(state.selection))


def test_strips_show_one_galaxy_of_each_type(bundle):
    rows = varied_galaxies(bundle, bundle.manifest.display_model)
    classes = bundle.column("ttype_class")[rows]
    known = np.unique(bundle.column("ttype_class"))
    assert list(classes) == list(known[known >= 0])


def test_strips_without_originals_say_so_and_give_stored_errors(pictures, state):
    lines, models = pictures.strips.table.rows, pictures.strips.models
    assert len(lines) == len(models)
    assert "not on this machine" in pictures.strips.table.heading
    rows = pictures.strips.rows()
    errors = np.array([state.bundle.column(f"{model}/error")[rows] for model in models])
    for line, own in zip(lines, errors, strict=True):
        figures = [tile["foot"] for tile in line["tiles"]]
        least = (own == errors.min(0)).tolist()
        assert figures == [
            [(format_mse(error), best)] for error, best in zip(own, least, strict=True)
        ]
        assert line["notes"] == [f"mean {format_mse(own.mean())}"]


def test_an_error_is_written_with_a_true_minus():
    assert format_mse(3.91e-4) == "MSE 3.9e−4"


def test_strips_with_originals_show_residuals(bundle, state, stamps, tmp_path):
    store = StampStore(bundle, tmp_path / "other", lambda rows: drawn(rows)[:, 0])
    strips = Strips(state, store, models=["k16-modern-8x8", "convae-conv"])
    store.close()
    labels = [line["title"] for line in strips.table.rows]
    words = ["16 codes, modern, 8×8 map", "ConvAE without dense layers"]
    assert labels == ["Original", words[0], "residual", words[1], "residual"]
    n = len(strips.table.columns)
    assert [line["tiles"][0]["place"] for line in strips.table.rows] == [i * n for i in range(5)]
    assert strips.table.sheet_rows == 5


def test_galaxies_are_picked_by_name(pictures, state):
    pictures.pick("galaxy-0007, GALAXY - 0003; ngc5, nothing")
    assert [galaxy["id"] for galaxy in pictures.strips.table.columns] == [7, 3, 5]
    assert "nothing" in pictures.missing.object
    pictures.pick("")
    assert not pictures.missing.visible
    assert pictures.strips.picked == []


def test_a_name_that_nothing_has_is_shown_as_it_is(pictures):
    pictures.pick("<b>x</b>")
    assert "&lt;b&gt;x&lt;/b&gt;" in pictures.missing.object


def test_strips_follow_the_selection(pictures, state):
    state.select(range(40), "forty")
    shown = [galaxy["id"] for galaxy in pictures.strips.table.columns]
    assert len(shown) == 10
    assert set(shown) <= set(range(40))
    pictures.strips.table._handle_msg({"tile": shown[2]})
    assert state.focus == shown[2]


def test_scoreboard_gives_every_figure_with_its_meaning(bundle):
    rows = scoreboard(bundle, "k16-modern-8x8/index", UNCLUSTERED)
    assert len(rows) == len(choices(bundle))
    assert all(len(row["cells"]) == len(COLUMNS) + 1 == len(header()) for row in rows)
    assert all(column["explanation"] for column in header())
    ami = [column["name"] for column in header()].index("AMI with T")
    assert rows[0]["cells"][ami]["note"] == "0.050 to 0.150, chance 0.010"
    unclustered = next(row for row in rows if row["cells"][0]["text"].endswith("not clustered"))
    assert unclustered["cells"][ami]["text"] == "–"
    assert unclustered is rows[-1]
    assert [row["side"] for row in rows if row["side"]] == ["left", "right"]


def test_the_best_of_a_column_is_marked(bundle, monkeypatch):
    monkeypatch.setitem(bundle.models["k16-modern-8x8"].metrics, "nmse", 0.5)
    monkeypatch.setitem(bundle.models[UNCLUSTERED].metrics, "nmse", 0.001)
    rows = scoreboard(bundle, "", "")
    best = [row["cells"][1].get("best", False) for row in rows]
    assert best == [False] * (len(rows) - 1) + [True]
