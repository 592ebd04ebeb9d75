from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from galaxy_explorer.clustering.codebook_use import (
    ORDERS,
    code_order,
    code_use,
    heaviest_users,
    marked,
    sample_rows,
    surroundings,
)
from galaxy_explorer.explorer.pages import vocabulary as codebook_pictures
from galaxy_explorer.explorer.pages.registry import has_code_maps
from galaxy_explorer.explorer.pages.vocabulary import VocabularyPage, coded_models

K = 12


@pytest.fixture
def codes() -> np.ndarray:
    return np.random.default_rng(3).integers(K - 1, size=(50, 4, 4))  # code 11 is never used


@pytest.fixture
def use(codes):
    rng = np.random.default_rng(4)
    classes = rng.integers(-1, 10, len(codes))
    ttype = np.where(classes >= 0, classes - 3.0, np.nan)
    return code_use(codes, K, ttype, classes)


def test_every_place_and_every_galaxy_is_counted_once(codes, use):
    assert use.places.sum() == codes.size
    assert use.share.sum() == pytest.approx(1)
    for code in range(K):
        holds = (codes == code).any(axis=(1, 2))
        assert use.galaxies[code] == holds.sum() == use.histogram[code].sum() + use.no_t[code]
    assert np.isnan(use.ttype_mean[K - 1])
    assert use.places[K - 1] == 0


def test_the_mean_t_of_a_code_is_that_of_the_galaxies_that_hold_it(codes):
    ttype = np.random.default_rng(5).uniform(-3, 6, len(codes))
    use = code_use(codes, K, ttype, np.zeros(len(codes), np.int64))
    for code in range(K - 1):
        holds = (codes == code).any(axis=(1, 2))
        assert use.ttype_mean[code] == pytest.approx(ttype[holds].mean(), abs=1e-5)


def test_heaviest_users_hold_the_code_most_often(codes):
    rows = heaviest_users(codes, 2, 10)
    places = (codes == 2).sum(axis=(1, 2))
    assert list(places[rows]) == sorted(places[rows], reverse=True)
    assert places[rows].min() >= np.sort(places)[::-1][len(rows) - 1]
    assert len(heaviest_users(codes, K - 1, 10)) == 0


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_holds_every_code_once(use, order):
    book = np.random.default_rng(6).normal(size=(K, 3))
    assert sorted(code_order(use, book, order)) == list(range(K))


def test_similar_codes_are_neighbours(use):
    book = np.concatenate([np.zeros((6, 2)), np.full((6, 2), 9.0)])[
        [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]
    ]
    far = code_order(use, book + np.random.default_rng(1).normal(0, 0.1, book.shape), "similarity")
    assert len(set(book[far[:6], 0])) == len(set(book[far[6:], 0])) == 1


def test_surroundings_are_the_mean_of_what_lies_around_a_code():
    codes = np.zeros((2, 4, 4), np.int64)
    codes[0, 1, 2] = codes[1, 3, 0] = 1
    stamps = np.random.default_rng(7).normal(size=(2, 8, 8)).astype(np.float32)
    found = surroundings(codes, stamps, 3)
    whole = stamps[0, 0:6, 2:8]  # cell (1, 2) with its neighbours
    corner = np.full((6, 6), np.nan, np.float32)
    corner[:4, 2:] = stamps[1, 4:8, 0:4]  # cell (3, 0): beyond the edge there is nothing
    np.testing.assert_allclose(found[1], np.nanmean([whole, corner], axis=0), rtol=1e-6)
    assert np.isnan(found[2]).all()


def test_surroundings_in_colour_are_those_of_each_band(codes):
    stamps = np.random.default_rng(8).normal(size=(len(codes), 8, 8, 3)).astype(np.float32)
    found = surroundings(codes, stamps, K)
    bands = [surroundings(codes, stamps[..., band], K) for band in range(3)]
    np.testing.assert_array_equal(found, np.stack(bands, axis=-1))


def test_every_code_that_is_used_is_in_the_sample(codes):
    rows = sample_rows(codes, K)
    assert set(np.unique(codes[rows])) == set(np.unique(codes))
    assert len(np.unique(rows)) == len(rows)


def test_frames_are_drawn_around_the_places_and_nowhere_else():
    pictures = np.zeros((1, 8, 8, 3), np.uint8)
    places = np.zeros((1, 4, 4), bool)
    places[0, 2, 1] = True
    drawn = marked(pictures, places, [255, 176, 0], zoom=2)
    assert drawn.shape == (1, 16, 16, 3)
    inside = drawn[0, 8:12, 4:8, 0]
    assert (inside[[0, -1]] == 255).all()
    assert (inside[1:-1, 1:-1] == 0).all()
    assert (drawn[..., 0] > 0).sum() == 12


@pytest.fixture
def page(state, stamps, context, monkeypatch) -> VocabularyPage:
    monkeypatch.setattr(stamps, "draw", lambda model, codes: np.zeros((len(codes), 64, 64)))
    codebook_pictures.code_pictures.cache_clear()
    return VocabularyPage(state, context)


def test_all_codes_are_shown_the_most_used_first(page, bundle):
    page.model = "k16-modern-8x8"
    use = np.bincount(bundle.codes(page.model).ravel(), minlength=16)
    shown = [code["id"] for code in page.grid.rows[0]["tiles"]]
    assert sorted(shown) == list(range(16))
    assert list(use[shown]) == sorted(use, reverse=True)
    assert page.grid.chosen == [shown[0]]


def test_the_page_begins_with_how_much_is_used(page, bundle):
    page.model = "k16-modern-8x8"
    share = np.sort(np.bincount(bundle.codes(page.model).ravel(), minlength=16))[::-1]
    most = next(n for n in range(17) if share[:n].sum() >= share.sum() / 2)
    used = (share > 0).sum()
    words = f"{used} of 16 codes are in use; the {most} most used fill half of all places."
    assert page.grid.heading.startswith(words)


def test_a_code_shows_where_it_appears(page, bundle):
    page.model = "k16-modern-8x8"
    page.grid._handle_msg({"tile": 5})
    assert page.code == page.code_map.chosen == 5
    assert page.grid.chosen == [5]
    page.code_map._handle_msg({"code": 6})
    assert page.code == 6
    page.grid._handle_msg({"tile": 5})
    assert "Code 5 of 16" in page.heading.object
    codes = bundle.codes(page.model)
    rows = [tile["id"] for tile in page.users.rows[0]["tiles"]]
    assert all((codes[row] == 5).any() for row in rows)
    assert page.code_map.codes == codes[rows[0]].ravel().tolist()


def test_a_click_on_a_galaxy_lays_its_code_map(page, state, bundle):
    row = page.users.rows[0]["tiles"][3]["id"]
    page.users._handle_msg({"tile": row})
    assert state.focus == row
    assert page.code_map.codes == bundle.codes(page.model)[row].ravel().tolist()
    assert page.code_map.side == 8
    page.model = "k512-modern-16x16"
    assert page.code_map.side == 16


def test_models_without_a_codebook_are_not_offered(page):
    assert "convae-conv" not in page.param["model"].objects


@pytest.mark.parametrize("setting", [{"interval": "minmax"}, {"shared": True}])
def test_pictures_of_galaxies_follow_the_limits(page, state, setting):
    grid, users, mapped = page.grid.stamp, page.users.sheet, page.code_map.picture
    state.display.param.update(**setting)
    assert page.grid.stamp == grid
    assert page.users.sheet != users
    assert page.code_map.picture != mapped


@pytest.mark.parametrize(("kind", "there"), [("vqvae", True), ("vqvae2", False), ("convae", False)])
def test_the_page_is_there_where_a_model_has_one_map_of_codes(kind, there):
    bundle = SimpleNamespace(models={"m": SimpleNamespace(kind=kind)})
    assert has_code_maps(SimpleNamespace(bundle=bundle)) is there
    assert bool(coded_models(bundle)) is there


def test_numbers_outside_the_codebook_are_ignored(page):
    before = page.code
    for code in (-1, 512, "1", None):
        page.grid._handle_msg({"tile": code})
    assert page.code == before
