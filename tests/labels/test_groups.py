"""Groups: a partition whatever is merged and split; reversible; labels spread as derived ones."""

from __future__ import annotations

import pytest

from galaxy_explorer.errors import LabelError
from galaxy_explorer.labels.groups import Groups, spread
from galaxy_explorer.labels.log import Change, Provenance, new_event_id
from galaxy_explorer.labels.store import LabelStore
from tests.labels.conftest import KEY


@pytest.fixture
def groups(store, sample):
    return lambda: Groups(store, sample, store.layer("Ada"), KEY)


def test_clusters_are_merged_and_split_by_name(store, groups):
    store.record("Ada", [groups().merge(["0", "1"], "discs")])
    store.record("Ada", [groups().split("discs", ["g0", "g1", "g2"], "odd")])
    assert sorted(set(groups().names)) == ["2", "discs", "odd"]
    assert [int(row) for row in groups().members("odd")] == [0, 1]
    assert len(groups().names) == 12


def test_undo_and_redo_take_a_merger_back_and_again(store, groups):
    before = list(groups().names)
    store.record("Ada", [groups().merge(["0", "1"], "discs")])
    after = list(groups().names)
    store.undo("Ada", new_event_id())
    assert list(groups().names) == before
    store.redo("Ada", new_event_id())
    assert list(groups().names) == after


def test_a_merger_can_be_reversed_out_of_turn_unless_others_stand_on_it(store, groups):
    first = store.record("Ada", [groups().merge(["0", "1"], "discs")])[0]
    store.record("Ada", [Change("g1", "stage", "T3")])
    split = store.record("Ada", [groups().split("discs", ["g0"], "odd")])[0]
    with pytest.raises(LabelError, match="odd stands on it"):
        groups().reverse(first.seq)
    store.record("Ada", [groups().reverse(split.seq)])
    store.record("Ada", [groups().reverse(first.seq)])
    assert sorted(set(groups().names)) == ["0", "1", "2"]
    store.undo("Ada", new_event_id())
    assert "discs" in groups().names
    assert store.said("Ada", "g1")["stage"].label == "T3"


@pytest.mark.parametrize(
    ("groups_named", "name", "reason"),
    [
        (["0"], "x", "at least two"),
        (["0", "9"], "x", "has no galaxies"),
        (["0", "1"], "2", "is taken"),
        (["0", "1"], "77", "cluster's number"),
        (["0", "1"], "", "empty"),
    ],
)
def test_an_impossible_merger_is_refused(store, groups, groups_named, name, reason):
    with pytest.raises(LabelError, match=reason):
        store.record("Ada", [groups().merge(groups_named, name)])
    assert store.events() == []


@pytest.mark.parametrize("members", [[], ["g1"], ["g0", "g3", "g6", "g9"]])
def test_a_split_takes_some_but_not_all(groups, members):
    with pytest.raises(LabelError, match="some but not all of its 4"):
        groups().split("0", members, "odd")


def test_labels_spread_from_clusters_and_selections_the_newest_first(store, sample):
    target = store.provenance.cluster_target(KEY, 1)
    store.record("Ada", [Change(target, "stage", "T3", "cluster")])
    store.record("Ada", [Change("", "stage", "T5", "selection", members=("g1", "g2"))])
    found = spread(store, sample, store.layer("Ada"))
    stages = {galaxy: said["stage"][0].label for galaxy, said in found.items()}
    assert stages == {"g1": "T5", "g2": "T5", "g4": "T3", "g7": "T3", "g10": "T3"}
    assert found["g4"]["stage"][1] == "cluster k512/codes#1"
    assert store.layer("Ada").galaxies() == {}, "nothing was typed"


def test_a_label_of_a_merged_group_spreads_to_all_of_it(store, sample, groups):
    store.record("Ada", [groups().merge(["0", "1"], "discs")])
    target = store.provenance.cluster_target(KEY, "discs")
    store.record("Ada", [Change(target, "bar", "bar", "cluster")])
    assert len(spread(store, sample, store.layer("Ada"))) == 8
    assert spread(store, sample, store.layer("Bo")) == {}


def test_a_label_of_a_cluster_stays_with_its_galaxies_when_it_is_merged_or_split(
    store, sample, groups
):
    target = store.provenance.cluster_target(KEY, 1)
    store.record("Ada", [Change(target, "stage", "T3", "cluster")])
    store.record("Ada", [groups().merge(["1", "2"], "discs")])
    store.record("Ada", [groups().split("discs", ["g1"], "odd")])
    discs = store.provenance.cluster_target(KEY, "discs")
    store.record("Ada", [Change(discs, "bar", "bar", "cluster")])
    found = spread(store, sample, store.layer("Ada"))
    assert {galaxy for galaxy, said in found.items() if "stage" in said} == {
        "g1",
        "g4",
        "g7",
        "g10",
    }
    assert {galaxy for galaxy, said in found.items() if "bar" in said} == {
        "g2", "g4", "g5", "g7", "g8", "g10", "g11",
    }  # fmt: skip


def test_clusters_of_another_bundle_say_nothing_here(store, sample):
    target = Provenance("cd" * 32, KEY, "0").cluster_target(KEY, 1)
    store.record("Ada", [Change(target, "stage", "T3", "cluster")])
    assert spread(store, sample, store.layer("Ada")) == {}
    assert isinstance(store, LabelStore)
