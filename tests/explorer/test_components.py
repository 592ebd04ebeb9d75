from __future__ import annotations

import asyncio
import errno
import io

import numpy as np
import pytest
from PIL import Image

from galaxy_explorer.errors import BundleError, in_words
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.display import encode_sheet
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.widgets.detail import facts, galaxy_card
from galaxy_explorer.explorer.widgets.gallery import SHEET_COLUMNS, Gallery
from galaxy_explorer.explorer.wording import (
    caption,
    error_percentile,
    format_position,
    format_ttype,
    medoids,
    typical_order,
)
from tests.explorer.fakes import drawn


@pytest.fixture
def gallery(state, stamps) -> Gallery:
    return Gallery(state, stamps, page_size=24)


def shown(gallery: Gallery) -> list[int]:
    return [tile["id"] for tile in gallery.sheet.rows[0]["tiles"]]


def clustering_of(state):
    return state.bundle.clusterings[state.clustering]


def test_typical_order_is_a_permutation_that_starts_with_the_surest(state):
    clustering = clustering_of(state)
    rows = np.flatnonzero(clustering.labels == clustering.labels[0])
    order = typical_order(clustering, rows)
    assert sorted(order) == sorted(rows)
    sure = clustering.responsibility[order].round(3)
    assert (np.diff(sure) <= 0).all()


def test_clusters_take_turns(state):
    clustering = clustering_of(state)
    order = typical_order(clustering, np.arange(len(state.bundle)))
    labels = clustering.labels[order]
    n = len(np.unique(labels))
    assert len(np.unique(labels[:n])) == n


def test_the_pages_beside_the_one_that_is_shown_are_drawn_ahead(gallery, state, stamps):
    state.select(range(100), "a hundred")
    stamps.get(gallery.order)  # what is not decoded yet is not drawn ahead
    gallery.page = 1
    asyncio.run(gallery._look_ahead())
    before, after = gallery.order[:24], gallery.order[48:72]
    assert set(gallery._ahead) == {gallery._key(before), gallery._key(after)}
    ahead = gallery._ahead[gallery._key(after)]
    pictures = stamps.pictures(after, state.display)
    assert ahead == encode_sheet(pictures, SHEET_COLUMNS)
    gallery.page = 2
    assert gallery.sheet.sheet == ahead


def test_pictures_drawn_ahead_are_not_shown_in_other_colours(gallery, state, stamps):
    state.select(range(100), "a hundred")
    stamps.get(gallery.order)
    gallery.page = 1
    asyncio.run(gallery._look_ahead())
    state.display.invert = True
    gallery.page = 0
    rows = gallery.order[:24]
    assert gallery.sheet.sheet == encode_sheet(stamps.pictures(rows, state.display), SHEET_COLUMNS)


def test_without_a_selection_one_galaxy_of_each_cluster_is_shown(gallery, state):
    filled = [cluster for cluster in clustering_of(state).clusters if cluster.count]
    assert len(gallery.order) == len(filled)
    assert set(gallery.order) == {cluster.medoid for cluster in filled}
    assert list(medoids(clustering_of(state))) == list(gallery.order)


def test_pages_hold_exactly_the_selection(gallery, state):
    state.select(range(60), "sixty")
    seen = []
    for page in range(gallery.pages):
        gallery.page = page
        seen += shown(gallery)
    assert gallery.pages == 3
    assert sorted(seen) == list(range(60))


def test_a_new_selection_starts_on_its_first_page(gallery, state):
    state.select(range(100), "hundred")
    gallery.page = 2
    state.select(range(30), "thirty")
    assert gallery.page == gallery.sheet.page == 0
    assert "30 galaxies, thirty" in gallery.sheet.heading


def test_sheet_is_one_image_of_all_pictures(gallery, state):
    state.select(range(24), "two rows")
    with Image.open(io.BytesIO(gallery.sheet.sheet)) as picture:
        assert picture.size == (SHEET_COLUMNS * 64, 2 * 64)


def test_a_click_focuses_the_galaxy_it_names(gallery, state):
    gallery.sheet._handle_msg({"tile": 17})
    assert state.focus == 17
    assert gallery.sheet.chosen == [17]


@pytest.mark.parametrize(
    "message",
    [{"tile": 10**9}, {"tile": -1}, {"tile": "3"}, {"page": 99}, {"page": -1}, {}, "x"],
)
def test_impossible_messages_change_nothing(gallery, state, message):
    gallery.sheet._handle_msg(message)
    assert state.focus is None
    assert gallery.page == 0


def test_display_settings_change_the_pictures(gallery, state):
    before = gallery.sheet.sheet
    state.display.invert = True
    assert gallery.sheet.sheet != before


def test_an_overtaken_drawing_is_dropped(gallery, state):
    state.select(range(24), "first")

    async def race() -> None:
        late = asyncio.ensure_future(gallery.task.draw())
        await asyncio.sleep(0)
        gallery.order = np.arange(100, 110)
        await gallery.task.draw()
        await late

    asyncio.run(race())
    assert shown(gallery) == list(range(100, 110))
    assert gallery.sheet.stamp == gallery.task.number


@pytest.mark.parametrize(
    "error", [BundleError("weights: missing"), OSError(errno.EIO, "cannot be read", "weights")]
)
def test_a_drawing_in_vain_says_why(error, monkeypatch):
    said, drawn = [], []
    monkeypatch.setattr(
        "galaxy_explorer.explorer.background.notify", lambda words, warning: said.append(words)
    )

    def refuse() -> None:
        raise error

    asyncio.run(LatestTask(lambda: refuse, drawn.append).draw())
    assert said == [in_words(error)]
    assert drawn == []


def test_pictures_are_named_for_what_they_are(gallery, state):
    assert "reconstructions by the model" in gallery.sheet.heading
    state.pictures = "original"
    assert "not on this machine" in gallery.sheet.heading


def test_missing_originals_are_counted(bundle, state, stamps, tmp_path):
    def originals(rows: np.ndarray) -> np.ndarray:
        found = drawn(rows)[:, 0].copy()
        found[np.asarray(rows) % 2 == 1] = np.nan
        return found

    store = StampStore(bundle, tmp_path / "other", originals)
    state.select(range(10), "ten")
    state.pictures = "original"
    gallery = Gallery(state, store)
    store.close()
    assert "originals (5 not at hand)" in gallery.sheet.heading
    assert gallery.sheet.pictures_words == "Original of"


def test_caption_names_galaxy_type_and_cluster(state):
    clustering = clustering_of(state)
    words = caption(state.bundle, clustering, 5)
    assert words.startswith("galaxy-0005 · ")
    assert f"cluster {clustering.labels[5]} (probability" in words
    assert format_ttype(float("nan")) == "no T"
    assert format_ttype(-2.0) == "T −2.0"


@pytest.mark.parametrize(
    ("ra", "dec", "words"),
    [
        (10.0, -0.5, "RA 00h 40m 00.0s, Dec −00° 30′ 00″"),
        (359.9999999, 89.0, "Dec +89° 00′ 00″"),
        (float("nan"), 1.0, "–"),
    ],
)
def test_positions_keep_their_sign(ra, dec, words):
    assert words in format_position(ra, dec)


def test_error_percentile_is_counted_among_training_galaxies(bundle):
    model = bundle.manifest.display_model
    errors = bundle.column(f"{model}/error")
    training = errors[bundle.column("split") == "train"]
    error, percentile = error_percentile(bundle, model, 3)
    assert error == pytest.approx(errors[3])
    assert percentile == pytest.approx(100 * np.mean(training <= errors[3]))


def test_a_card_shows_a_galaxy(state, stamps):
    card = galaxy_card(state, stamps, 8)
    assert "galaxy-0008" in card
    assert card.count("<img") == 1
    assert "The original is not on this machine" in card
    assert galaxy_card(state, stamps, None) == ""


def test_a_card_with_an_original_shows_the_residual(bundle, state, tmp_path):
    store = StampStore(bundle, tmp_path / "other", lambda rows: drawn(rows)[:, 0])
    card = galaxy_card(state, store, 4)
    store.close()
    assert card.count("<img") == 3
    assert "Residual" in card


def test_text_of_the_catalogue_is_not_html(state, monkeypatch):
    names = np.array(["<img src=x onerror=alert(1)>"] * len(state.bundle))
    monkeypatch.setitem(state.bundle.catalogue._columns, "galaxy_id", names)
    text = facts(state, 0, state.bundle.cluster_names(state.clustering))
    assert "<img" not in text
    assert "&lt;img" in text


def test_a_hidden_gallery_draws_once_it_is_shown(gallery, state):
    before = gallery.sheet.stamp
    gallery.task.shown = False
    state.select(range(5), "five")
    state.select(range(6), "six")
    assert gallery.sheet.stamp == before
    gallery.task.shown = True
    assert gallery.sheet.stamp == before + 1
    assert len(shown(gallery)) == 6
