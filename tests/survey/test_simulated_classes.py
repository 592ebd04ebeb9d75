from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.survey.simulation.survey import draw_prototypes, simulate_classes
from galaxy_explorer.survey.telescopes import TELESCOPES


def test_classes_are_of_equal_size_and_a_seed_fixes_every_pixel():
    one, other = (simulate_classes(3, 9, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.stamps, other.stamps)
    assert np.bincount(one.label).tolist() == [3, 3, 3]
    assert (one.stamps != simulate_classes(3, 9, seed=5).stamps).any()


def test_members_share_their_type_and_nothing_drawn_by_chance():
    made = simulate_classes(2, 6)
    for label in range(2):
        assert len(np.unique(made.ttype[made.label == label])) == 1
    first, second = made.stamps[made.label == 0][:2]
    assert (first != second).all()


def test_a_continuous_population_has_no_classes():
    made = simulate_classes(0, 6)
    assert len(np.unique(made.ttype)) == 6
    assert (made.label == 0).all()


@pytest.mark.parametrize("classes", [3, 12])
def test_prototypes_differ(classes):
    rng = np.random.default_rng(0)
    prototypes = draw_prototypes(TELESCOPES["sdss"], classes, rng)
    assert len(prototypes) == classes
    assert len({galaxy.ttype for galaxy in prototypes}) == classes
