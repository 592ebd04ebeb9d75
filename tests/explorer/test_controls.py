"""Controls that several pages share: what the browser sends is checked at the server."""

from __future__ import annotations

import math

import pytest

from galaxy_explorer.explorer.widgets.controls import whole_number


def test_a_whole_number_in_range_is_taken() -> None:
    field = whole_number("How many", 24, 1, 500)
    for typed in (1, 500, 7):
        field.on_message({"value": typed})
        assert (field.value, field.refusals) == (typed, 0)
    assert field.label == "How many (1 to 500)"


@pytest.mark.parametrize(
    "typed", [0, 501, -3, 10**30, 2.5, math.nan, math.inf, None, "", "<b>", True, [3], {}]
)
def test_anything_else_is_refused_and_the_old_one_shown_again(typed) -> None:
    field = whole_number("How many", 24, 1, 500)
    field.on_message({"value": typed})
    assert (field.value, field.refusals) == (24, 1)
