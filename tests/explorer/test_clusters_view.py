from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from galaxy_explorer.clustering.naming import ClusterName, WordEvidence
from galaxy_explorer.explorer.pages.clusters import ClustersPage
from galaxy_explorer.explorer.plots.clusterings import MEMBERS
from galaxy_explorer.explorer.plots.palette import SELECTION_COLOUR, cluster_colour
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.cluster_headings import cluster_heading


@pytest.fixture
def page(state, context) -> ClustersPage:
    return ClustersPage(state, context)


def bars(page: ClustersPage) -> tuple[int, int]:
    figure = page.histogram.object
    no_t = figure.Labels.I.dimension_values("text")[-1]
    counts = figure.Rectangles.I.dimension_values("count")
    return int(counts.sum()), int(no_t.replace(",", ""))


def largest(page: ClustersPage) -> int:
    clusters = page.state.bundle.clusterings[page.state.clustering].clusters
    return max(clusters, key=lambda cluster: cluster.count).id


def test_every_cluster_has_a_panel(page, state):
    clusters = state.bundle.clusterings[state.clustering].clusters
    assert sorted(panel["id"] for panel in page.multiples.panels) == [c.id for c in clusters]


def test_a_click_on_a_cluster_selects_its_members_everywhere(page, state):
    cluster = largest(page)
    page.multiples._handle_msg({"cluster": cluster})
    members = np.flatnonzero(state.labels == cluster)
    np.testing.assert_array_equal(state.selection, members)
    assert sorted(page.gallery.order) == list(members)
    assert sum(bars(page)) == len(members)
    assert page.multiples.chosen == cluster
    name = state.bundle.cluster_names(state.clustering)[cluster]
    assert f"Cluster {cluster}: " in page.heading.object
    assert name.name in page.heading.object
    dots = page.place.select_one({"name": MEMBERS})
    assert len(dots.data["x"]) == len(members)
    assert _dot_colour(page) == cluster_colour(cluster)


def _dot_colour(page: ClustersPage) -> str:
    source = page.place.select_one({"name": MEMBERS})
    return next(r.glyph.fill_color for r in page.place.renderers if r.data_source is source)


@pytest.mark.parametrize("message", [{"cluster": 64}, {"cluster": -1}, {"cluster": None}, {}, 3])
def test_impossible_clusters_change_nothing(page, state, message):
    page.multiples._handle_msg(message)
    assert len(state.selection) == 0


def test_a_selection_from_elsewhere_is_shown_as_such(page, state):
    state.select([1, 5, 9, 60], "lasso on the map")
    assert page.multiples.chosen == -1
    assert "lasso on the map" in page.heading.object
    assert sum(bars(page)) == 4
    assert _dot_colour(page) == SELECTION_COLOUR


def test_with_nothing_selected_the_whole_sample_is_shown(page, state):
    state.select_cluster(largest(page))
    state.clear()
    assert sum(bars(page)) == len(state.bundle)
    assert "All galaxies" in page.heading.object
    assert page.chosen() is None


def test_an_empty_cluster_selects_nothing(page, state):
    empty = [c.id for c in state.bundle.clusterings[state.clustering].clusters if not c.count]
    page.multiples._handle_msg({"cluster": empty[0]})
    assert len(state.selection) == 0
    assert page.multiples.chosen == -1


def test_labels_cannot_bring_html_in(page, state):
    state.select([1], "<script>alert(1)</script>")
    assert "<script>" not in page.heading.object


def test_order_and_scale_change_the_panels(page):
    shares = page.multiples.panels
    page.scale = "counts"
    assert page.multiples.panels != shares
    page.order = "number"
    assert [panel["id"] for panel in page.multiples.panels] == list(range(64))


def test_another_clustering_changes_panels_but_not_the_selection(page, state):
    page.multiples._handle_msg({"cluster": largest(page)})
    before, selected = page.multiples.panels, state.selection
    state.clustering = state.compare
    assert page.multiples.panels != before
    assert state.selection is selected
    assert page.multiples.chosen == -1


def test_titles_tell_no_lie_about_all_members(page, state):
    members = np.flatnonzero(state.labels == largest(page))
    state.select(members[:-1], "nearly a cluster")
    assert page.chosen() is None


def test_a_heading_tells_what_the_name_rests_on(page, state):
    cluster = state.bundle.clusterings[state.clustering].clusters[largest(page)]
    share = WordEvidence("edge-on discs", "Galaxy Zoo class", 0.84, 0.82, 0.85, 0.14, 2552, 3462)
    heading = str(cluster_heading(cluster, ClusterName("edge-on discs", (share,))))
    words = "84 % edge-on discs (82 to 85 %; 14 % of all galaxies), of the 2,552 members with a"
    assert f"{words} Galaxy Zoo class (74 %)" in heading
    assert "<p class=" not in str(cluster_heading(cluster, ClusterName("unnamed")))


ALIGNED = {
    "looks": [
        {
            "name": "repeats", "found": "1,141 by same_as", "used": 915, "held": 226,
            "before": {"same_cluster": 0.403, "same_cluster_low": 0.335,
                       "same_cluster_high": 0.468, "chance": 0.152},
            "after": {"same_cluster": 0.814, "same_cluster_low": 0.764,
                      "same_cluster_high": 0.862, "chance": 0.207},
        },
        {"name": "nobody", "found": "0", "used": 3, "held": 0},
    ]
}  # fmt: skip


def test_galaxies_seen_twice_are_told_before_and_after_alignment(state, context):
    key = state.clustering
    entry = msgspec.structs.replace(state.bundle.manifest.clusterings[key], alignment=ALIGNED)
    clusterings = {**state.bundle.manifest.clusterings, key: entry}
    manifest = msgspec.structs.replace(state.bundle.manifest, clusterings=clusterings)
    told = ExplorerState(replace(state.bundle, manifest=manifest))
    page = ClustersPage(told, context)
    assert page.twice.visible
    cells = re.findall("<td>(.*?)</td>", page.twice.object.replace("\xa0", " "))
    assert cells == [
        "its picture in repeats", "81 % (76 to 86 %)", "40 % (34 to 47 %)", "21 %", "226", "915",
    ]  # fmt: skip
    told.clustering = next(one for one in state.bundle.clusterings if one != key)
    assert not page.twice.visible


def test_few_clusters_have_room_for_their_names(page, state):
    assert page.multiples.panel_width == 75  # 64 clusters
    names = [one.name for one in state.bundle.cluster_names(state.clustering)]
    assert all(panel["name"] == names[panel["id"]] for panel in page.multiples.panels)
    assert all(names[p["id"]] in p["words"] for p in page.multiples.panels if p["count"])
