"""Colours: fixed for ever, readable on dark and on light."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from galaxy_explorer.explorer.palette import (
    CLUSTER_COLOURS,
    KIND_COLOURS,
    T_COLOURS,
    UNKNOWN_COLOUR,
    cluster_colour,
    kind_colour,
    type_colour,
)

DARK, LIGHT = "#0a0e16", "#ffffff"
LEAST_CONTRAST = 1.9


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    rgb = np.array(list(bytes.fromhex(colour[1:]))) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_colours_of_clusters_have_not_changed() -> None:
    digest = hashlib.sha256(" ".join(CLUSTER_COLOURS).encode()).hexdigest()
    assert digest == "28e20685216534be3ffcdefc2ecd1684df828acfaab777f8ec146f1dab4ae3d7"


def test_64_clusters_have_64_colours() -> None:
    assert len({cluster_colour(cluster) for cluster in range(64)}) == 64


def test_a_cluster_has_its_colour_whatever_the_others() -> None:
    assert cluster_colour(64) == cluster_colour(0)
    assert cluster_colour(-1) == UNKNOWN_COLOUR


@pytest.mark.parametrize("colour", sorted({*CLUSTER_COLOURS, *T_COLOURS, *KIND_COLOURS.values()}))
def test_each_colour_stands_out_on_dark_and_on_light(colour) -> None:
    assert min(contrast(colour, DARK), contrast(colour, LIGHT)) > LEAST_CONTRAST


@pytest.mark.parametrize(
    ("ttype", "place"), [(-5, 0), (-3, 0), (-2.5, 1), (0, 3), (5.4, 8), (6, 9), (10, 9)]
)
def test_a_type_has_the_colour_of_its_class(ttype, place) -> None:
    assert type_colour(ttype) == T_COLOURS[place]


def test_what_is_unknown_is_grey() -> None:
    assert type_colour(float("nan")) == kind_colour("unknown") == UNKNOWN_COLOUR
