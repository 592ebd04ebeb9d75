"""Aligned features: what a look at a galaxy changes is shrunk, what makes galaxies differ stays."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.features import FeatureMap, fit_aligned, fit_pca, moved_share

N, F = 3000, 40


@pytest.fixture(scope="module")
def survey() -> dict[str, np.ndarray]:
    """Galaxies that differ by type along one axis, and far more along two axes of how they lie."""
    rng = np.random.default_rng(4)
    axes = np.linalg.qr(rng.standard_normal((F, F)))[0]
    ttype = rng.standard_normal(N)
    own = np.outer(ttype, axes[0]) + 0.3 * rng.standard_normal((N, 10)) @ axes[3:13]

    def looks(count: int) -> np.ndarray:
        turned = 4 * rng.standard_normal((count, 1)) * axes[1]
        return turned + 0.05 * rng.standard_normal((count, F))

    def rendered(count: int) -> np.ndarray:
        return 2 * axes[2] + 0.3 * rng.standard_normal((count, 1)) * axes[2]

    vectors = own + looks(N) + np.where(np.arange(N)[:, None] % 2, rendered(N), 0)
    return {
        "ttype": ttype,
        "vectors": vectors.astype(np.float32),
        "views": (looks(600) - looks(600)).astype(np.float32),
        "views_held": (looks(600) - looks(600)).astype(np.float32),
        "renderings": rendered(200).astype(np.float32),
        "renderings_held": rendered(200).astype(np.float32),
    }


def correlation(fitted: FeatureMap, survey: dict[str, np.ndarray], component: int = 0) -> float:
    features = fitted.apply(survey["vectors"])[:, component]
    return abs(float(np.corrcoef(features, survey["ttype"])[0, 1]))


def test_the_first_direction_is_what_makes_galaxies_differ(survey) -> None:
    vectors = survey["vectors"]
    aligned = fit_aligned(vectors, [survey["views"], survey["renderings"]], 4)
    assert correlation(fit_pca(vectors, 4), survey) < 0.3
    assert correlation(aligned, survey) > 0.9


def test_without_repeated_renderings_the_catalogue_itself_is_a_direction(survey) -> None:
    vectors = survey["vectors"]
    catalogue = np.arange(N) % 2
    views = fit_aligned(vectors, [survey["views"]], 1).apply(vectors)[:, 0]
    both = fit_aligned(vectors, [survey["views"], survey["renderings"]], 1).apply(vectors)[:, 0]
    assert abs(np.corrcoef(views, catalogue)[0, 1]) > 0.8
    assert abs(np.corrcoef(both, catalogue)[0, 1]) < 0.2


@pytest.mark.parametrize("kind", ["views", "renderings"])
def test_a_move_that_the_fit_did_not_see_is_shrunk(survey, kind) -> None:
    vectors = survey["vectors"]
    aligned = fit_aligned(vectors, [survey["views"], survey["renderings"]], 4)
    held = survey[f"{kind}_held"]
    assert moved_share(aligned, vectors, held) < 0.2 * moved_share(
        fit_pca(vectors, 4), vectors, held
    )


def test_moves_are_measured_in_units_of_all_moves(survey) -> None:
    """v^T W v is one number for all directions, and directions are uncorrelated under W."""
    moves = survey["views"].astype(float)
    aligned = fit_aligned(survey["vectors"], [survey["views"]], 4)
    within = (moves @ aligned.components.T).T @ (moves @ aligned.components.T) / (2 * len(moves))
    features = aligned.apply(survey["vectors"])
    assert np.all(np.diff(features.var(0)) <= 1e-6)
    assert features[:, 0].std() == pytest.approx(1, abs=0.01)
    off = within - np.diag(np.diag(within))
    assert np.abs(off).max() < 0.05 * features.var(0).max()


def test_galaxies_whose_vectors_are_in_other_units_get_the_same_features(survey) -> None:
    moves = [survey["views"], survey["renderings"]]
    one = fit_aligned(survey["vectors"], moves, 3)
    two = fit_aligned(7 * survey["vectors"], [7 * move for move in moves], 3)
    np.testing.assert_allclose(
        one.apply(survey["vectors"]), two.apply(7 * survey["vectors"]), atol=1e-3
    )


def test_the_share_is_one_where_the_other_look_is_another_galaxy(survey) -> None:
    vectors = survey["vectors"]
    others = vectors - np.roll(vectors, 1001, axis=0)
    assert moved_share(fit_pca(vectors, 4), vectors, others) == pytest.approx(1, abs=0.1)
    assert moved_share(fit_pca(vectors, 4), vectors, np.zeros((5, F), np.float32)) == 0


def test_without_a_second_look_there_is_nothing_to_align() -> None:
    vectors = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    with pytest.raises(ValueError, match="looked at twice"):
        fit_aligned(vectors, [])
    with pytest.raises(ValueError, match="too few"):
        fit_aligned(vectors[:3], [vectors[:2]], 8)
