"""Colours: fixed for ever, readable on dark and on light."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from galaxy_explorer.clustering.summary import MIN_KNOWN, ClusterSummary, group_summaries
from galaxy_explorer.explorer.plots.palette import (
    CATEGORY_COLOURS,
    ORDER_COLOURS,
    T_COLOURS,
    UNKNOWN_COLOUR,
    category_colours,
    cluster_colours,
    ink_on,
    type_colour,
)

DARK, LIGHT = "#0a0e16", "#ffffff"
VISIONS = {
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    "none missing": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
}
"""Linear RGB as seen by people without one kind of cone (Machado et al. 2009, severity 1)."""
NEIGHBOURS, OTHERS, KINDS = 5.0, 10.0, 15.0
"""Least differences (CIEDE2000): about 2 is just seen side by side, 10 at a glance."""
LEAST_CONTRAST = 1.9


def linear(colour: str) -> np.ndarray:
    rgb = np.array(list(bytes.fromhex(colour[1:]))) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def differences(colours: list[str], vision: str) -> np.ndarray:
    """CIEDE2000 between every two colours as seen with a kind of colour vision."""
    seen = np.clip([linear(colour) @ np.array(VISIONS[vision]).T for colour in colours], 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))
    return deltaE_ciede2000(lab[:, None], lab[None])


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_colours_of_categories_have_not_changed() -> None:
    digest = hashlib.sha256(" ".join(CATEGORY_COLOURS).encode()).hexdigest()
    assert digest == "28e20685216534be3ffcdefc2ecd1684df828acfaab777f8ec146f1dab4ae3d7"


def test_64_categories_have_64_colours() -> None:
    assert len(set(category_colours(64))) == 64
    assert category_colours(65)[64] == category_colours(1)[0]


def clusters_of(means: list[float], known: int = MIN_KNOWN) -> list[ClusterSummary]:
    """Clusters of `known` galaxies each, whose T is one number."""
    ttype = np.repeat(means, known)
    labels = np.repeat(np.arange(len(means)), known)
    classes = np.where(np.isnan(ttype), -1, 4)
    return list(group_summaries(labels, len(means), ttype, classes))


def test_clusters_have_colours_in_the_order_of_their_mean_t() -> None:
    found = cluster_colours(clusters_of([5.0, -3.0, 1.0]))
    assert [found[1], found[2], found[0]] == [
        ORDER_COLOURS[0], ORDER_COLOURS[len(ORDER_COLOURS) // 2], ORDER_COLOURS[-1],
    ]  # fmt: skip
    assert len(set(cluster_colours(clusters_of([*range(64)])))) == 64


def test_clusters_of_which_few_have_a_t_are_grey() -> None:
    assert cluster_colours(clusters_of([5.0, -3.0], MIN_KNOWN - 1)) == [UNKNOWN_COLOUR] * 2
    assert cluster_colours(clusters_of([5.0, float("nan")]))[1] == UNKNOWN_COLOUR


@pytest.mark.parametrize("vision", VISIONS)
def test_eight_clusters_keep_apart_for_every_kind_of_colour_vision(vision: str) -> None:
    apart = differences(cluster_colours(clusters_of([*range(8)])), vision)
    assert apart[np.triu_indices(8, 1)].min() > NEIGHBOURS


def test_each_colour_stands_out_on_dark_and_on_light() -> None:
    least = {
        colour: min(contrast(colour, DARK), contrast(colour, LIGHT))
        for colour in (*CATEGORY_COLOURS, *ORDER_COLOURS, *T_COLOURS)
    }
    assert [colour for colour, value in least.items() if value <= LEAST_CONTRAST] == []


def test_figures_on_a_type_can_be_read() -> None:
    assert [c for c in T_COLOURS if contrast(ink_on(c), c) <= 4.5] == []


@pytest.mark.parametrize(
    ("ttype", "place"), [(-5, 0), (-3, 0), (-2.5, 1), (0, 3), (5.4, 8), (6, 9), (10, 9)]
)
def test_a_type_has_the_colour_of_its_class(ttype, place) -> None:
    assert type_colour(ttype) == T_COLOURS[place]


def test_what_is_unknown_is_grey() -> None:
    assert type_colour(float("nan")) == UNKNOWN_COLOUR


@pytest.mark.parametrize("vision", VISIONS)
def test_types_keep_apart_and_in_order_for_every_kind_of_colour_vision(vision: str) -> None:
    apart = differences(list(T_COLOURS), vision)
    n = len(T_COLOURS)
    assert min(apart[i, i + 1] for i in range(n - 1)) > NEIGHBOURS
    assert apart[np.triu_indices(n, 2)].min() > OTHERS
    for half in (apart[:5, :5], apart[5:, 5:]):
        assert (np.diff(half[0]) > 0).all()
    assert apart[:5, 5:].min() > OTHERS
