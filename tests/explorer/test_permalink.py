"""Links and the selections they name: what is reopened, and that rubbish only warns."""

from __future__ import annotations

import os
from urllib.parse import parse_qsl

import numpy as np
import param
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galaxy_explorer.explorer.brushing import Brush, BrushSet, parse_brushes
from galaxy_explorer.explorer.context import make_context
from galaxy_explorer.explorer.links import (
    MAX_LINK,
    SelectionStore,
    follow,
    link_query,
    restore,
)
from galaxy_explorer.explorer.pages.codebooks.page import WORDS as CODEBOOK_WORDS
from galaxy_explorer.explorer.pages.codebooks.page import CodebooksPage
from galaxy_explorer.explorer.pages.registry import FORMER as FORMER_PAGES
from galaxy_explorer.explorer.pages.registry import PAGES
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.settings import PREFIX, read_settings

WORDS = (
    "page",
    "bundle",
    "model",
    "compare",
    "colour",
    "pictures",
    "display",
    "selection",
    "brush",
    "galaxy",
)


@pytest.fixture
def selections(bundle, tmp_path) -> SelectionStore:
    return SelectionStore(tmp_path / "selections", bundle.hash, len(bundle), kept=5)


class Filtered(param.Parameterized):
    """A page with choices of its own."""

    kind = param.Selector(default="", objects=["", "rings", "codes"])
    page = param.Integer(default=0, bounds=(0, None))
    every = param.Boolean(default=False)
    place = param.Selector(default=2, objects=[0, 1, 2])


PAGE = {"features": "kind", "sheet": "page", "every": "every", "curves": "place"}


def test_choices_of_a_page_are_in_the_address_and_taken_over_from_it(bundle, state) -> None:
    page = Filtered(kind="rings")
    state.page_words = {"seed": "7", "sheet": "3"}
    assert follow(state, page, PAGE) == []
    assert page.page == 3
    page.param.update(kind="", every=True, place=0)
    said = {"seed": "7", "sheet": "3", "features": "all", "every": "True", "curves": "0"}
    assert state.page_words == said
    again = Filtered(kind="rings")
    asked = dict(parse_qsl(link_query(state, "scoreboard", None)))
    fresh = ExplorerState(bundle)
    restore(fresh, asked, None)
    assert follow(fresh, again, PAGE) == []
    assert [getattr(again, name) for name in PAGE.values()] == ["", 3, True, 0]
    page.param.update(kind="rings", page=0, every=False, place=2)
    assert state.page_words == {"seed": "7"}


@pytest.mark.parametrize("rubbish", ["", "-1", "x" * 500, "<script>", "nan", "1e9"])
def test_choices_that_a_page_has_not_are_left_out_and_said(state, rubbish) -> None:
    page = Filtered()
    state.page_words = dict.fromkeys(PAGE, rubbish)
    complaints = follow(state, page, PAGE)
    assert len(complaints) == len(PAGE)
    assert page.param.values() == Filtered(name=page.name).param.values()


def changed(state: ExplorerState) -> ExplorerState:
    state.clustering = "k16-modern-8x8/index"
    state.compare = "k512-paper-8x8/codes"
    state.colour_by, state.pictures, state.focus = "magnitude", "original", 17
    state.display.param.update(stretch="log", percentile=97.5, invert=True, colour_map="magma")
    state.select(range(0, 200, 3), "every third <galaxy>")
    state.brush(parse_brushes("T:-2..6,unknown;source:gz1"))
    return state


def test_a_link_reopens_the_same_state(bundle, state, selections) -> None:
    query = link_query(changed(state), "clusters", selections)
    assert len(query) <= MAX_LINK
    asked = dict(parse_qsl(query))
    assert asked["page"] == "clusters"
    fresh = ExplorerState(bundle)
    assert restore(fresh, asked, selections) == []
    for name in ("clustering", "compare", "colour_by", "pictures", "focus", "selection_label"):
        assert getattr(fresh, name) == getattr(state, name)
    assert (fresh.base_label, fresh.brushes) == (state.base_label, state.brushes)
    np.testing.assert_array_equal(fresh.selection, state.selection)
    assert fresh.display.token() == state.display.token()
    assert link_query(fresh, "clusters", selections) == query


def test_of_brushes_too_long_for_a_link_the_galaxies_are_named(bundle, state, selections) -> None:
    spans = [(14 + i / 49, 14 + (i + 0.5) / 49) for i in range(49)]
    state.brush(BrushSet((Brush("magnitude", tuple(spans)), Brush("source", words=("gz1",)))))
    assert 0 < len(state.selection) < 100
    asked = dict(parse_qsl(link_query(state, "atlas", selections)))
    assert "brush" not in asked
    fresh = ExplorerState(bundle)
    assert restore(fresh, asked, selections) == []
    np.testing.assert_array_equal(fresh.selection, state.selection)


def test_tab_drawer_and_words_of_pages_are_in_the_address(bundle, state, selections) -> None:
    state.select([4, 2], "two")
    state.focus = 4
    state.tab, state.drawer = "selection", "closed"
    state.page_words = {"T": "−3.0", "seed": "7"}
    query = link_query(state, "emulator", selections)
    fresh = ExplorerState(bundle)
    assert restore(fresh, dict(parse_qsl(query)), selections) == []
    assert (fresh.focus, fresh.tab, fresh.drawer) == (4, "selection", "closed")
    assert fresh.page_words == state.page_words
    assert link_query(fresh, "emulator", selections) == query


def test_a_galaxy_in_a_link_opens_its_card(bundle, selections) -> None:
    fresh = ExplorerState(bundle)
    assert restore(fresh, {"page": "atlas", "galaxy": "galaxy-0012"}, selections) == []
    assert (fresh.focus, fresh.tab, fresh.drawer) == (12, "galaxy", "open")


def test_without_its_galaxy_a_link_opens_the_selection(bundle, selections) -> None:
    fresh = ExplorerState(bundle)
    complaints = restore(fresh, {"tab": "galaxy", "galaxy": "NGC 0"}, selections)
    assert len(complaints) == 1
    assert (fresh.focus, fresh.tab) == (None, "selection")


def test_links_of_before_are_understood(bundle, selections) -> None:
    fresh = ExplorerState(bundle)
    assert restore(fresh, {"colour": "cluster_ttype"}, selections) == []
    assert fresh.colour_by == "ttype"
    for page, (now, words) in FORMER_PAGES.items():
        assert page not in PAGES
        assert now in PAGES
        assert restore(ExplorerState(bundle), {"page": page, **words}, selections) == []


def test_a_link_reopens_a_codebook(bundle, context, state, selections) -> None:
    page = CodebooksPage(state, context)
    page.front.view.param.update(codes="16", way="gradients", code_map="16")
    page.unfolded = "curves"
    query = link_query(state, "codebooks", selections)
    asked = dict(parse_qsl(query, keep_blank_values=True))
    assert [asked[word] for word in ("k", "codebook", "map", "unfolded")] == [
        "16", "gradients", "16", "curves",
    ]  # fmt: skip
    fresh = ExplorerState(bundle)
    assert restore(fresh, asked, selections) == []
    again = CodebooksPage(fresh, context)
    view = again.front.view
    assert (view.codes, view.way, view.code_map, again.unfolded) == (
        "16", "gradients", "16", "curves",
    )  # fmt: skip
    assert link_query(fresh, "codebooks", selections) == query
    fresh.page_words = {"k": "77"}
    (complaint,) = follow(fresh, view, CODEBOOK_WORDS)
    assert "77" in complaint
    assert view.codes == "16"


@given(words=st.dictionaries(st.sampled_from(WORDS), st.text(max_size=60)))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_rubbish_is_said_and_changes_nothing(bundle, selections, words) -> None:
    fresh = ExplorerState(bundle)
    complaints = restore(fresh, words, selections)
    assert len(complaints) == len(set(words) - {"page"})
    assert all(len(complaint) < 200 for complaint in complaints)
    untouched = ExplorerState(bundle)
    for name in ("clustering", "compare", "colour_by", "pictures", "focus"):
        assert getattr(fresh, name) == getattr(untouched, name)
    assert len(fresh.selection) == 0


def test_a_link_of_another_bundle_says_so(bundle, selections) -> None:
    (complaint,) = restore(ExplorerState(bundle), {"bundle": "0" * 12}, selections)
    assert "another bundle" in complaint


def test_a_link_is_never_too_long(state, selections, monkeypatch) -> None:
    ids = np.array(["é" * 200] * len(state.bundle))
    monkeypatch.setitem(state.bundle.catalogue._columns, "galaxy_id", ids)
    state.focus = 0
    query = link_query(state, "atlas", selections)
    assert len(query) <= MAX_LINK
    assert dict(parse_qsl(query))["model"] == state.clustering


@given(st.sets(st.integers(0, 199)), st.text(max_size=300))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_selection_comes_back_under_its_hash(selections, rows, words) -> None:
    try:
        digest = selections.put(sorted(rows), words)
    except UnicodeEncodeError:
        pytest.fail("words that cannot be stored")
    back, said = selections.get(digest)
    assert back.tolist() == sorted(rows)
    assert said == words[:200]
    assert selections.put(sorted(rows), words) == digest


def test_only_the_last_used_selections_stay(selections, tmp_path) -> None:
    digests = []
    for row in range(6):
        digests.append(selections.put([row], ""))
        os.utime(tmp_path / "selections" / digests[-1], (row, row))
    selections.get(digests[1])  # used: stays
    selections.put([100], "")
    left = {path.name for path in (tmp_path / "selections").iterdir()}
    assert len(left) == 5
    assert digests[1] in left
    assert digests[2] not in left


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "0" * 24, "Z" * 24, "0" * 23])
def test_what_was_never_kept_is_not_there(selections, digest) -> None:
    with pytest.raises(KeyError):
        selections.get(digest)


def test_a_damaged_selection_is_not_there(selections, tmp_path) -> None:
    digest = selections.put([1, 2], "two")
    path = tmp_path / "selections" / digest
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KeyError):
        selections.get(digest)


def test_the_selections_of_another_bundle_are_not_there(bundle, selections, tmp_path) -> None:
    digest = selections.put([1], "")
    other = SelectionStore(tmp_path / "selections", "1" * 64, len(bundle), kept=5)
    with pytest.raises(KeyError):
        other.get(digest)


def test_selections_that_links_name_lie_beside_the_labels(bundle, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(StampStore, "start_filling", lambda _: None)
    labels = tmp_path / "kept" / "labels.db"
    given = {"BUNDLE": bundle.path, "CACHE": tmp_path / "cache", "LABELS": labels}
    settings = read_settings({f"{PREFIX}{name}": str(value) for name, value in given.items()})
    context = make_context(settings)
    digest = context.selections.put([1, 2], "two")
    context.stamps.close()
    assert (tmp_path / "kept" / "selections" / digest).is_file()
    assert context.first_pictures == "reconstruction"  # no survey on this machine
