"""The front of the Codebooks page: steps, answers, flows, and what a click selects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_fields
from sklearn.metrics import adjusted_rand_score

from galaxy_explorer.bundle.codebooks import codebooks, map_sides, sizes, ways
from galaxy_explorer.bundle.evaluation import Claim, ClaimFigure
from galaxy_explorer.clustering.validation import adjusted_rand
from galaxy_explorer.explorer.pages.codebooks import answers, changes
from galaxy_explorer.explorer.pages.codebooks.answers import Share, lost
from galaxy_explorer.explorer.pages.codebooks.changes import (
    UNTOLD,
    bands,
    flow_between,
    flow_values,
    picked,
)
from galaxy_explorer.explorer.pages.codebooks.page import CodebooksPage, Front
from galaxy_explorer.explorer.pages.codebooks.steps import (
    dial_values,
    shipped,
    sides_of,
    step_values,
    way_values,
)

KEYS = "k16-modern-8x8/codes", "k512-modern-8x8/codes"
LABELS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), min_size=1, max_size=60)


def slope(claim: str, low: float, high: float) -> Claim:
    figure = ClaimFigure("x, modern", (low + high) / 2, low, high, 9, "per doubling of K")
    return Claim(claim, "4", "what it said (of x)", "", "", (figure,), "partly", "", 3)


def judged(bundle, drawn: tuple[float, float], grouped: tuple[float, float]):
    """The bundle with the two slopes that the verdict rests on."""
    claims = slope(answers.PICTURE_CLAIM, *drawn), slope(answers.GROUP_CLAIM, *grouped)
    return replace(bundle, evaluation=replace_fields(bundle.evaluation, claims=claims))


@pytest.fixture
def told(monkeypatch) -> Iterator[int]:
    """Members with a T from which a group's mean is told; few, for few galaxies have groups."""
    monkeypatch.setattr(changes, "ENOUGH", 2)
    changes.flow_between.cache_clear()
    yield 2
    changes.flow_between.cache_clear()


@pytest.fixture
def front(state, stamps) -> Front:
    return Front(state, stamps)


def test_codebooks_are_known_by_size_way_and_map(bundle):
    assert sizes(bundle) == [16, 512]
    assert map_sides(bundle) == (8, 16)
    assert ways(bundle) == ["averages", "gradients"]
    assert {book.name for book in codebooks(bundle)} == set(bundle.models) - {"convae-conv"}


def test_each_way_has_a_step_of_each_size_and_lacking_ones_are_marked(bundle):
    steps = {(step["way"], step["codes"]): step["views"] for step in step_values(bundle)}
    assert len(steps) == 4
    models = {place: [view["model"] for view in views] for place, views in steps.items()}
    assert models["averages", "16"] == ["k16-modern-8x8", ""]
    assert models["averages", "512"] == ["k512-modern-8x8", "k512-modern-16x16"]
    assert models["gradients", "16"] == ["", ""]
    assert set(shipped(bundle)) == {name for row in models.values() for name in row if name}


def test_a_training_that_does_not_ship_has_figures_but_no_pictures(evaluated):
    entry = evaluated.models["k512-paper-8x8"]
    models = {name: one for name, one in evaluated.models.items() if name != "k512-paper-8x8"}
    extra = SimpleNamespace(name="k512-paper-8x8", kind=entry.kind, config=entry.config)
    manifest = replace_fields(evaluated.manifest, models=models, extra_trainings=(extra,))
    bundle = replace(evaluated, manifest=manifest)
    (book,) = [one for one in codebooks(bundle) if not one.ships]
    assert lost(bundle, book).value == lost(evaluated, book).value is not None
    assert ways(bundle) == ["averages"]


def test_every_figure_stands_in_its_sentence(evaluated):
    for step in step_values(evaluated):
        for view in step["views"]:
            for dial in view["dials"]:
                assert dial["text"] in dial["answer"] or dial["value"] is None
    first = step_values(evaluated)[0]["views"][0]["dials"]
    assert "more than chance" in first[1]["answer"]
    assert "codes occur" in first[2]["answer"]


def test_axes_hold_every_dot_and_interval(evaluated):
    ends = [dial["end"] for dial in dial_values(evaluated)]
    for step in step_values(evaluated):
        for dial, end in zip(step["views"][0]["dials"], ends, strict=False):
            assert dial["value"] is None or 0 <= dial["value"] <= end


@pytest.mark.parametrize(
    ("drawn", "grouped", "words"),
    [
        ((-2, -1), (-1, 1), "draw galaxies better, more than chance; but whether their groups"),
        ((-2, -1), (1, 2), "chance; and their groups follow the Hubble type better, more than"),
        ((-2, -1), (-2, -1), "chance; but their groups follow the Hubble type worse, more than"),
        ((-1, 1), (-1, 1), "better cannot be told, nor whether"),
        ((1, 2), (-2, -1), "draw galaxies worse, more than chance; and their groups"),
    ],
)
def test_the_verdict_says_no_more_than_the_claims(evaluated, drawn, grouped, words):
    assert words in answers.verdict(judged(evaluated, drawn, grouped), "averages")


def test_without_claims_nothing_is_judged(bundle, evaluated):
    for one in (bundle, evaluated):
        assert all(way["verdict"] == answers.NOT_EVALUATED for way in way_values(one))
        assert answers.evidence(one) == ""
    said = answers.evidence(judged(evaluated, (-2, -1), (-1, 1)))
    assert "“what it said”: partly" in said


def test_figures_that_may_be_chance_are_not_called_different():
    apart, near = Share(0.1, 0.05, 0.15), Share(0.5, 0.14, 0.9)
    assert apart.overlaps(near)
    assert not apart.overlaps(replace(near, low=0.16))
    assert apart.overlaps(Share(0.5))
    assert Share(0.5, 0.2, 0.6, chance=0.2).beyond_chance is False
    assert Share(0.5).beyond_chance is None


def test_the_larger_map_is_weighed_with_its_cost(bundle):
    words, codes = answers.worth_answer(bundle, "averages")
    assert codes == "512"
    assert "256 numbers a galaxy instead of 64" in words
    assert answers.worth_answer(bundle, "gradients") == ("", "")


def test_flows_hold_every_galaxy_once(bundle):
    found = flow_between(bundle, *KEYS)
    assert found.table.sum() == len(bundle)
    assert sum(count for *_, count in found.links) <= len(bundle)
    values = flow_values(found, bundle, ("16 codes", "512 codes"))
    for nodes in values["nodes"]:
        assert sum(node["count"] for node in nodes) == len(bundle)
        assert [node["band"] for node in nodes] == sorted(node["band"] for node in nodes)
    assert np.sum(picked(found, np.arange(17))) == 17


def test_bands_follow_the_mean_type_of_groups(bundle, told):
    clustering = bundle.clusterings[KEYS[0]]
    found = bands(clustering)
    pairs = [
        (cluster.ttype_mean, set(found[clustering.labels == cluster.id].tolist()))
        for cluster in clustering.clusters
        if cluster.n_ttype >= told
    ]
    in_order = [band for _, (band,) in sorted(pairs)]
    assert in_order == sorted(in_order)
    assert max(in_order) < UNTOLD
    few = [cluster.id for cluster in clustering.clusters if cluster.n_ttype < told]
    assert set(found[np.isin(clustering.labels, few)].tolist()) <= {UNTOLD}


def test_a_clustering_against_itself_changes_nothing(bundle, told):
    same = flow_between(bundle, KEYS[0], KEYS[0])
    assert same.changed == pytest.approx(0)
    assert same.agreement == pytest.approx(1)
    assert len(same.movers) == 0
    assert same.chance > 0


@settings(deadline=None, max_examples=50)
@given(LABELS)
def test_the_rand_index_is_that_of_scikit_learn(pairs):
    left, right = np.array(pairs).T
    assert adjusted_rand(left, right) == pytest.approx(adjusted_rand_score(left, right))


def test_a_flow_leads_from_the_fewest_codes_or_the_smaller_map(bundle):
    sides = sides_of(bundle, "512", "averages", "8")
    assert sides.keys == KEYS
    assert [sides.title(0), sides.title(1)] == ["16 codes", "512 codes"]
    assert sides_of(bundle, "16", "averages", "8") is None
    assert sides_of(bundle, "512", "gradients", "8") is None
    assert sides_of(bundle, "512", "averages", "16") is None  # not clustered


def test_a_band_a_flow_and_all_movers_select_their_galaxies(told, front, state):
    found = front.sides().flow(state.bundle)
    left, right, count = found.links[0]
    front.view._handle_msg({"link": [left, right]})
    assert len(state.selection) == count
    assert "16 codes, then groups of mean" in state.selection_label
    assert front.view.picked[left][right] == count == np.sum(front.view.picked)
    front.view._handle_msg({"node": [1, right]})
    np.testing.assert_array_equal(state.selection, np.flatnonzero(found.right == right))
    front.view._handle_msg({"movers": True})
    np.testing.assert_array_equal(state.selection, found.movers)
    assert front.view.selected
    front.view._handle_msg({"clear": True})
    assert len(state.selection) == 0
    assert front.view.picked == []


@pytest.mark.parametrize(
    "message", [{"link": [0]}, {"link": ["0", 1]}, {"node": [2, 0]}, {"node": [0, 99]}, {"link": 3}]
)
def test_rubbish_from_the_browser_selects_nothing(front, state, message):
    front.view._handle_msg(message)
    assert len(state.selection) == 0


def test_the_browser_chooses_among_the_codebooks_that_there_are(front, state):
    front.view.codes = "16"
    assert state.page_words == {"k": "16"}
    with pytest.raises(ValueError, match="17"):
        front.view.codes = "17"


def test_pictures_of_all_sizes_are_there_from_the_start(front, bundle):
    drawn = [line["model"] for line in front.view.rows]
    assert drawn == shipped(bundle)
    assert front.view.sheet_rows == len(drawn)
    assert "One galaxy of each Hubble type" in front.view.heading


def test_what_is_selected_is_drawn(front, state):
    state.select(range(30, 33), "three")
    assert {galaxy["id"] for galaxy in front.view.columns} == {30, 31, 32}
    front.view._handle_msg({"tile": 31})
    assert state.focus == 31


def test_models_without_codebooks_of_several_sizes_have_no_slider(bundle, state, context):
    models = {name: bundle.models[name] for name in ("k16-modern-8x8", "convae-conv")}
    few = replace(bundle, manifest=replace_fields(bundle.manifest, models=models))
    state.bundle = few
    assert CodebooksPage(state, context).front is None
