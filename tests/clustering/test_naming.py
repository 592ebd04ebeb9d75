from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.naming import ClusterName, name_clusters
from galaxy_explorer.utils.resampling import share_interval

N = 200


def catalogue(**parts: list) -> dict[str, np.ndarray]:
    """Columns of clusters of N galaxies each: for each a list of values, repeated to N."""
    columns = {}
    for name, clusters in parts.items():
        texts = any(isinstance(value, str) for values in clusters for value in values)
        filled = [np.resize(np.array(values, str if texts else float), N) for values in clusters]
        columns[name.rstrip("_")] = np.concatenate(filled)
    return columns


def named(columns: dict[str, np.ndarray]) -> tuple[ClusterName, ...]:
    labels = np.repeat(np.arange(len(next(iter(columns.values()))) // N), N)
    return name_clusters(labels, columns, int(labels.max()) + 1)


def part_known(value: float, known: int) -> list[float]:
    return [value] * known + [np.nan] * (N - known)


def test_volunteers_give_the_noun_and_hubble_types_the_range():
    found = named(
        catalogue(
            class_=[["spiral"] * 9 + ["round"], ["edge_on"], ["round"], ["cigar"]],
            ttype=[[3, 4, 4, 5], [6, 7], [-5, -4, -2], [np.nan]],
        )
    )
    assert [one.name for one in found] == [
        "Sbc spirals", "Scd to Sd edge-on discs", "smooth and round, E to S0",
        "smooth and cigar-shaped",
    ]  # fmt: skip


@pytest.mark.parametrize(("known", "called"), [(59, False), (60, True)])
def test_no_word_rests_on_less_than_thirty_per_cent(known: int, called: bool) -> None:
    columns = catalogue(ttype=[part_known(5, known), part_known(-5, N)])
    columns["bar_length"] = np.concatenate([part_known(1, known), part_known(0, N)])
    name = named(columns)[0]
    assert (name.name == "late types, Sc, barred") is called
    assert name.name == ("late types, Sc, barred" if called else "unnamed, 30 % have a T")
    assert bool(name.evidence) is called


def test_no_word_whose_interval_holds_the_opposite():
    for early in range(N + 1):
        columns = catalogue(ttype=[[-5] * early + [5] * (N - early), [-5, 5]])
        low, high = share_interval(early, N)
        name = named(columns)[0].name
        assert name.startswith("early types") == (low > 0.5)
        assert name.startswith("late types") == (high < 0.5)


def test_an_adjective_must_hold_more_often_than_elsewhere():
    barred = catalogue(class_=[["spiral"], ["edge_on"]], bar_length=[[1.0], [1.0]])
    assert [one.name for one in named(barred)] == ["spirals", "edge-on discs"]
    told = catalogue(class_=[["spiral"], ["edge_on"]], bar_length=[[1.0], [0.0]])
    assert [one.name for one in named(told)] == ["spirals, barred", "edge-on discs"]


def test_evidence_is_share_interval_and_coverage():
    (name,) = named(catalogue(class_=[["spiral"] * 15 + ["round"] * 3 + [""] * 2]))
    (one,) = name.evidence
    low, high = share_interval(150, 180)
    assert (one.value, one.low, one.high) == pytest.approx((150 / 180, float(low), float(high)))
    assert (one.known, one.count, one.others) == (180, 200, pytest.approx(150 / 180))
    assert name.sentences == (
        "83 % spirals (77 to 88 %; 83 % of all galaxies), of the 180 members with a Galaxy Zoo"
        " class (90 %)"
    )


def test_namesakes_are_told_apart_by_what_is_more_frequent_in_one():
    found = named(
        catalogue(
            class_=[["spiral"] * 9 + ["edge_on"], ["spiral"] * 6 + ["edge_on"] * 4, ["round"]]
        )
    )
    names = [one.name for one in found]
    assert names == ["spirals", "spirals, with more edge-on discs", "smooth and round"]
    assert found[1].evidence[-1].among == "clusters of that name"


@pytest.mark.parametrize("seed", range(5))
def test_all_names_differ_and_do_not_depend_on_the_order_of_galaxies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k = 3000, 40
    labels = rng.integers(k - 2, size=n)  # two clusters stay empty
    words = ("round", "in_between", "cigar", "edge_on", "spiral", "")
    kinds = rng.integers(len(words), size=k)
    own = np.array(words)[kinds[labels]]
    columns = {
        "class": np.where(rng.random(n) < 0.6, own, rng.choice(words, n)),
        "ttype": np.where(rng.random(n) < 0.4, 2.0 * kinds[labels] - 4, np.nan),
        "flocculence": rng.choice([0, 0.5, 1, np.nan], n),
    }
    found = name_clusters(labels, columns, k)
    assert len({one.name for one in found}) == k
    order = rng.permutation(n)
    again = name_clusters(labels[order], {c: v[order] for c, v in columns.items()}, k)
    assert again == found


def test_namesakes_that_differ_by_little_are_told_so():
    rare = [["spiral"] * 190 + ["edge_on"] * 10, ["spiral"] * 199 + ["round"]]
    found = named(catalogue(class_=rare))
    assert [one.name for one in found] == ["spirals, with slightly more edge-on discs", "spirals"]
    (share,) = found[0].evidence[1:]
    assert share.among == "clusters of that name"
    assert share.low > share.others


def test_clusters_alike_are_numbered():
    assert [one.name for one in named(catalogue(class_=[["spiral"]] * 3))] == [
        "spirals (1)", "spirals (2)", "spirals (3)",
    ]  # fmt: skip


def test_a_catalogue_without_labels_says_so():
    found = name_clusters(np.zeros(9, int), {"axis_ratio": np.ones(9)}, 2)
    assert [one.name for one in found] == ["unnamed, no galaxy has a T or a class", "empty"]


def test_what_most_see_differently_is_mixed():
    seen = ["spiral"] * 4 + ["round"] * 3 + ["cigar"] * 2 + ["edge_on"]
    (name,) = named(catalogue(class_=[seen]))
    assert name.name == "mixed shapes"
    assert [one.says for one in name.evidence] == ["spirals", "smooth and round"]
