"""Fields of a prior: which a catalogue has, their ranges, what the network is given."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.models.conditions import (
    GIVEN,
    UNKNOWN,
    WITHHELD,
    condition_of,
    fit_fields,
    quantity,
)


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    ttype = rng.uniform(-5, 9, 400)
    ttype[::4] = np.nan
    size = rng.lognormal(0, 0.6, 400)
    redshift = np.full(400, np.nan)
    redshift[:20] = 0.1
    return {
        "ttype": ttype,
        "majax_arcmin": size,
        "minax_arcmin": size * rng.uniform(0.2, 1, 400),
        "redshift": redshift,
        "train": np.arange(400) < 300,
    }


def test_only_what_the_catalogue_knows_of_enough_galaxies_is_a_field(columns) -> None:
    fields = fit_fields(columns.__getitem__, list(columns), columns["train"])
    assert [field.name for field in fields] == ["ttype", "axis_ratio", "size"]


def test_ranges_and_scales_are_those_of_the_train_split(columns) -> None:
    columns["ttype"][300:] = 50.0
    for field in fit_fields(columns.__getitem__, list(columns), columns["train"]):
        values = field.values(columns.__getitem__)[:300]
        known = values[np.isfinite(values)]
        shown = field.standardised(known)
        assert known.min() <= field.low < field.default < field.high <= known.max()
        assert abs(shown.mean()) < 0.02
        assert shown.std() == pytest.approx(1, abs=0.02)


def test_the_size_enters_by_its_logarithm(columns) -> None:
    *_, size = fit_fields(columns.__getitem__, list(columns), columns["train"])
    one, two, four = size.standardised([1.0, 2.0, 4.0])
    assert two - one == pytest.approx(four - two)


def test_a_ratio_over_nothing_is_unknown() -> None:
    columns = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([2.0, 0.0, np.nan])}
    found = quantity(columns.__getitem__, "a", "b")
    np.testing.assert_array_equal(found, [0.5, np.nan, np.nan])


def test_given_withheld_and_unknown_are_told_apart(columns) -> None:
    fields = fit_fields(columns.__getitem__, list(columns), columns["train"])
    values, states = condition_of(fields, {"ttype": [1.0, np.nan], "size": 2.0}, 2)
    assert states.tolist() == [[GIVEN, WITHHELD, GIVEN], [UNKNOWN, WITHHELD, GIVEN]]
    assert values[0, 0] == pytest.approx(fields[0].standardised(1.0))
    assert (values[states != GIVEN] == 0).all()
