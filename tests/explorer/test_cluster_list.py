from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from PIL import Image

from galaxy_explorer.clustering.naming import ClusterName, WordEvidence
from galaxy_explorer.clustering.summary import COLUMNS, ENOUGH_TTYPES, MIN_KNOWN, representative
from galaxy_explorer.explorer import search
from galaxy_explorer.explorer.export.dialog import ExportDialog
from galaxy_explorer.explorer.pages.atlas import AtlasPage
from galaxy_explorer.explorer.plots.palette import UNKNOWN_COLOUR
from galaxy_explorer.explorer.plots.print import DPI, TrendColumn, trend_figure
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets import cluster_list, cluster_names
from galaxy_explorer.explorer.widgets.cluster_headings import cluster_heading
from galaxy_explorer.explorer.widgets.cluster_list import MULTIPLES, PICTURES, ClusterList
from galaxy_explorer.explorer.widgets.cluster_names import given_names
from galaxy_explorer.explorer.widgets.drawer import Drawer
from galaxy_explorer.explorer.widgets.results import search as search_words
from galaxy_explorer.labels.log import Provenance
from galaxy_explorer.labels.store import LabelStore
from galaxy_explorer.utils.tables import decode_table


@pytest.fixture(autouse=True)
def store(bundle, tmp_path, monkeypatch) -> Iterator[LabelStore]:
    """A label log of this test's own."""
    opened = LabelStore(tmp_path / "labels.db", Provenance(bundle.hash, "m", "0.1.0"))
    monkeypatch.setattr(search, "label_store", lambda _: opened)
    yield opened
    opened.close()


@pytest.fixture
def listed(state, context) -> ClusterList:
    return ClusterList(state, context, open=True)


def clusters_of(listed: ClusterList):
    return listed.state.bundle.clusterings[listed.state.clustering].clusters


def largest(listed: ClusterList, place: int = 0) -> int:
    return sorted(clusters_of(listed), key=lambda cluster: -cluster.count)[place].id


def cards(listed: ClusterList) -> dict[int, dict]:
    return {row["id"]: row for row in listed.sheet.rows}


def test_every_cluster_with_galaxies_has_a_card(listed):
    shown = cards(listed)
    assert set(shown) == {cluster.id for cluster in clusters_of(listed) if cluster.count}
    for cluster in clusters_of(listed):
        if cluster.count:
            assert (
                f"{cluster.n_ttype:,} of {cluster.count:,} have a T" in shown[cluster.id]["notes"]
            )
    titles = [card["title"] for card in shown.values()]
    assert len(set(titles)) == len(titles)


def test_pictures_on_a_card_are_of_its_members_and_in_their_places(listed, state, stamps):
    places, rows = [], []
    for number, card in cards(listed).items():
        own = [tile["id"] for tile in card["tiles"]]
        assert (state.labels[own] == number).all()
        assert len(own) <= PICTURES
        rows += own
        places += [tile["place"] for tile in card["tiles"]]
    assert sorted(places) == list(range(len(rows)))
    order = np.array(rows)[np.argsort(places)]
    with Image.open(io.BytesIO(listed.sheet.sheet)) as picture:
        side = picture.width // listed.sheet.sheet_columns
        made = np.asarray(picture.convert("RGB"))[:side, side : 2 * side].astype(int)
    wanted = stamps.pictures(order[1:2], state.display)[0].astype(int)
    assert np.abs(made - wanted).mean() < 8  # JPEG


def test_the_list_runs_along_mean_t_size_and_name(listed):
    clusters = {cluster.id: cluster for cluster in clusters_of(listed)}

    def shown() -> list[int]:
        return [row["id"] for row in listed.sheet.rows]

    means = [clusters[number].ttype_mean for number in shown() if clusters[number].n_ttype]
    assert means == sorted(means)
    listed.order = "size"
    sizes = [clusters[number].count for number in shown()]
    assert sizes == sorted(sizes, reverse=True)
    listed.order = "name"
    titles = [row["title"].casefold() for row in listed.sheet.rows]
    assert titles == sorted(titles)


def test_a_click_selects_the_members_and_marks_the_card(listed, state):
    number = largest(listed)
    listed.sheet._handle_msg({"row": number, "add": False})
    np.testing.assert_array_equal(state.selection, np.flatnonzero(state.labels == number))
    assert listed.sheet.chosen_rows == [number]
    assert state.selection_label == listed.names[number].name
    assert listed.names[number].name in listed.about.object
    assert listed.actions.visible


def test_shift_adds_a_cluster_and_takes_it_away_again(listed, state):
    one, two = sorted([largest(listed), largest(listed, 1)])
    listed.choose(one)
    listed.sheet._handle_msg({"row": two, "add": True})
    assert listed.sheet.chosen_rows == [one, two]
    assert len(state.selection) == np.isin(state.labels, [one, two]).sum()
    assert "2 clusters" in listed.about.object
    listed.sheet._handle_msg({"row": one, "add": True})
    assert listed.sheet.chosen_rows == [two]
    listed.sheet._handle_msg({"row": two, "add": True})
    assert len(state.selection) == 0
    assert not listed.actions.visible


def test_what_is_not_exactly_whole_clusters_marks_none(listed, state):
    members = np.flatnonzero(state.labels == largest(listed))
    state.select(members[:-1], "nearly a cluster")
    assert listed.sheet.chosen_rows == []
    other = np.flatnonzero(state.labels == largest(listed, 1))[:1]
    state.select(np.concatenate([members, other]), "and one more")
    assert listed.sheet.chosen_rows == []


@pytest.mark.parametrize(
    "message",
    [{"row": 64, "add": False}, {"row": -1, "add": False}, {"row": 1}, {"tile": 10**9}, {}, 3],
)
def test_impossible_messages_change_nothing(listed, state, message):
    listed.sheet._handle_msg(message)
    assert len(state.selection) == 0
    assert state.focus is None


def test_a_picture_brings_its_galaxy_into_focus(listed, state):
    row = listed.sheet.rows[0]["tiles"][0]["id"]
    listed.sheet._handle_msg({"tile": row})
    assert state.focus == row
    assert listed.sheet.chosen == [row]


def test_many_clusters_are_histograms_alone_where_all_are_shown(listed):
    listed.show = MULTIPLES
    assert len(cards(listed)) == sum(cluster.count > 0 for cluster in clusters_of(listed))
    assert not any(card["tiles"] for card in cards(listed).values())
    assert listed.sheet.row_width > 0
    assert "multiples" in listed.view.css_classes


def test_another_clustering_changes_cards_and_pictures_but_not_the_selection(listed, state):
    listed.choose(largest(listed))
    before, pictures, selected = listed.sheet.rows, listed.sheet.sheet, state.selection
    state.clustering = state.compare
    assert listed.sheet.rows != before
    assert listed.sheet.sheet != pictures
    assert state.selection is selected


def test_a_list_that_is_closed_draws_nothing(state, context):
    closed = ClusterList(state, context)
    assert not closed.view.visible
    assert closed.sheet.sheet is None
    assert closed.sheet.rows == []
    closed.open = True
    assert closed.view.visible
    assert closed.sheet.sheet is not None


def test_colours_follow_mean_t_where_it_is_known(listed):
    clusters = clusters_of(listed)
    for cluster in clusters:
        if cluster.count:
            grey = cards(listed)[cluster.id]["colour"] == UNKNOWN_COLOUR
            assert grey == (cluster.n_ttype < MIN_KNOWN)


def give(listed: ClusterList, name: str, annotator: str = "Anna") -> None:
    listed.naming.name.value, listed.naming.annotator.value = name, annotator
    asyncio.run(listed.naming._save(None))


def test_a_name_that_is_given_holds_for_everybody_until_it_is_taken_back(listed, state, context):
    number = largest(listed)
    rule = listed.names[number].name
    listed.choose(number)
    assert listed.naming.name.value == rule
    give(listed, "blue diffuse spirals")
    assert cards(listed)[number]["title"] == "blue diffuse spirals"
    assert state.selection_label == "blue diffuse spirals"
    assert f"Named so by Anna; by the rule: {rule}" in listed.about.object
    assert listed.renamed == 1
    other = ClusterList(ExplorerState(state.bundle), context, open=True)
    assert cards(other)[number]["title"] == "blue diffuse spirals"
    give(listed, "")
    assert cards(listed)[number]["title"] == rule


def test_a_name_that_is_given_is_the_one_that_is_shown_found_and_taken_home(
    listed, state, context
) -> None:
    number, words = largest(listed), "blue diffuse spirals"
    page, row = AtlasPage(state, context), int(np.flatnonzero(state.labels == number)[0])
    listed.choose(number)
    give(listed, words)
    state.clear()
    page._on_map({"kind": "name", "cluster": number})
    assert state.selection_label == words
    state.clear()
    found = search_words(state, "blue diffuse", {})
    np.testing.assert_array_equal(found.rows, np.flatnonzero(state.labels == number))
    drawer = Drawer(state, context, lambda: None)
    state.focus = row
    galaxy = drawer.made["galaxy"]
    assert galaxy.large.galaxy["line"].endswith(f"cluster {number}, {words}")
    assert f"{number}, {words}; probability" in galaxy.facts.object
    data = ExportDialog(state, context, lambda: "").prepare_table("ecsv")()[1]
    table = decode_table(data, "ecsv")
    assert set(table["cluster_name"][table["cluster"] == number]) == {words}


def test_of_two_who_name_a_cluster_the_last_one_holds(listed, store):
    number = largest(listed)
    listed.choose(number)
    give(listed, "first")
    give(listed, "second", "Ben")
    give(listed, "third")
    assert listed.names[number].name == "third"
    store.undo("Anna", "u1")
    assert given_names(listed.state.bundle, listed.state.clustering)[number] == ("second", "Ben")


@pytest.mark.parametrize("annotator", ["Anna", ""])
def test_a_name_that_another_cluster_has_or_nobody_gives_is_refused(
    listed, store, monkeypatch, annotator
):
    said = []
    monkeypatch.setattr(cluster_names, "notify", lambda words, **_: said.append(words))
    listed.choose(largest(listed))
    taken = listed.names[largest(listed, 1)].name.upper()
    give(listed, taken if annotator else "a new name", annotator)
    assert len(said) == 1
    assert store.events() == []


def test_names_cannot_bring_html_in():
    hostile = ClusterName("<script>alert(1)</script>")
    cluster = representative_cluster()
    assert "<script>" not in str(cluster_heading(cluster, hostile, "#123456"))


def representative_cluster():
    from galaxy_explorer.clustering.summary import group_summaries

    ttype = np.array([-2.0, 1.0, np.nan])
    return group_summaries(np.zeros(3, np.int64), 1, ttype, np.array([1, 4, -1]))[0]


def test_a_heading_tells_what_the_name_rests_on():
    cluster = representative_cluster()
    share = WordEvidence("edge-on discs", "Galaxy Zoo class", 0.84, 0.82, 0.85, 0.14, 2552, 3462)
    heading = str(cluster_heading(cluster, ClusterName("edge-on discs", (share,)), "#123456"))
    words = "84 % edge-on discs (82 to 85 %; 14 % of all galaxies), of the 2,552 members with a"
    assert f"{words} Galaxy Zoo class (74 %)" in heading
    assert "<p class=" not in str(cluster_heading(cluster, ClusterName("unnamed"), "#123456"))


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
    listed = ClusterList(told, context, open=True)
    assert listed.twice.visible
    cells = re.findall("<td>(.*?)</td>", listed.twice.object.replace("\xa0", " "))
    assert cells == [
        "its picture in repeats", "81 % (76 to 86 %)", "40 % (34 to 47 %)", "21 %", "226", "915",
    ]  # fmt: skip
    told.clustering = next(one for one in state.bundle.clusterings if one != key)
    assert not listed.twice.visible


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


def test_as_many_clusters_as_there_is_room_for_are_printed_in_the_order_of_the_list(
    listed, monkeypatch
):
    monkeypatch.setattr(cluster_list, "PRINTED", 64)
    listed.order = "size"
    assert listed.printed() == listed.ordered()


def test_printed_are_those_that_span_t_or_those_that_are_chosen(listed):
    assert [one.id for one in listed.printed()] == representative(clusters_of(listed))
    one, two = largest(listed), largest(listed, 1)
    listed.choose(one)
    listed.choose(two, add=True)
    assert {cluster.id for cluster in listed.printed()} == {one, two}


def test_the_printed_list_is_named_after_the_clustering(listed):
    asyncio.run(listed.downloads.deliver("svg"))
    assert listed.downloads.buttons.file_name == "clusters-k512-modern-8x8-codes.svg"
    assert listed.downloads.buttons.data.startswith(b"<?xml")


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
