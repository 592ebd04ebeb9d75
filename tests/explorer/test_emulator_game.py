"""Real or synthetic: what a game shows, what it keeps, and what the evaluation reads of it."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import NotSaved
from galaxy_explorer.evaluation.emulator.figures import fooling_figures
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pages.emulator.game import PAIRS, GameView, prior_sha256, typed_rows
from galaxy_explorer.explorer.pages.emulator.source import DisplayOptions, EmulatorSource
from galaxy_explorer.explorer.pictures.display import DisplaySettings
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.labels.games import ORIGINAL, RECONSTRUCTION, Game, keep_game, read_games
from galaxy_explorer.settings import read_settings
from tests.small_bundle import write_small_bundle

LOOK = DisplayOptions(DisplaySettings())
ANY = Request(1)


def game(fooled: tuple[bool, ...], prior: str = "a", pictures: str = RECONSTRUCTION) -> Game:
    pairs = tuple((f"g{number}", 1.0) for number in range(len(fooled)))
    return Game("m/flow", prior, "bundle", pictures, 1, pairs, fooled)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> EmulatorSource:
    folder = tmp_path_factory.mktemp("game")
    bundle = load_bundle(write_small_bundle(folder / "bundle", n=500))
    store = SelectionStore(folder / "selections", bundle.hash, len(bundle), 10)
    stamps = StampStore(bundle, folder / "stamps")
    yield EmulatorSource(AppContext(bundle, stamps, None, store, read_settings({})))
    stamps.close()


@pytest.fixture
def kept(label_log):
    return label_log.with_name("labels.db.games.jsonl")


def begun(source: EmulatorSource) -> GameView:
    view = GameView(source)
    view.begin(ANY, LOOK, "")
    for step in view.work(ANY, LOOK)(lambda: False):
        view.show(step.content)
    return view


def test_a_pair_is_a_held_out_galaxy_and_a_sample_of_its_t_in_an_order_by_chance(source) -> None:
    view = begun(source)
    pairs = view.pairs
    held_out = np.asarray(source.bundle.column("split")) == "test"
    assert held_out[pairs.rows].all()
    assert len(set(pairs.rows.tolist())) == PAIRS == view.view.count
    assert 0 < pairs.real_left.sum() < PAIRS
    asked = view.request_of(pairs)
    np.testing.assert_array_equal(
        asked.condition["ttype"], source.bundle.column("ttype")[pairs.rows]
    )
    picture = np.asarray(Image.open(io.BytesIO(view.view.sheet)))
    assert picture.shape == (64 * PAIRS, 128, 3)
    assert view.view.truth == []  # the browser does not know before it has answered
    assert set(pairs.rows) <= set(typed_rows(source))


def test_a_game_is_scored_kept_and_told_once(source, kept) -> None:
    view = begun(source)
    pairs = view.pairs
    answers = ["left" if left else "right" for left in pairs.real_left]
    answers[:5] = ["right" if left else "left" for left in pairs.real_left[:5]]
    view.on_message({"answers": answers})
    (only,) = read_games(kept)
    assert only.fooled == (*[True] * 5, *[False] * 15)
    assert only.prior_sha256 == prior_sha256(source)
    assert only.pairs[0] == (str(source.bundle.column("galaxy_id")[pairs.rows[0]]), pairs.ttype[0])
    assert "5 of 20 (25\u00a0%, 95\u00a0% interval 11 to 47\u00a0%)" in view.view.words
    assert [told for _, told, _ in view.view.truth] == [False] * 5 + [True] * 15
    view.on_message({"answers": answers})  # sent twice, counted once
    assert len(read_games(kept)) == 1
    again = begun(source)
    again.on_message({"answers": ["left"] * PAIRS})
    assert "All 2 games here" in again.view.words


@pytest.mark.parametrize(("share", "shown"), [(0.8, ORIGINAL), (0.2, RECONSTRUCTION)])
def test_a_game_is_of_originals_only_where_all_that_are_shown_are(
    source, kept, monkeypatch, share, shown
) -> None:
    asked = []

    def originals(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        there = np.arange(len(rows)) < share * len(rows)
        return np.where(there[:, None, None], np.float32(0.5), np.nan) * np.ones((64, 64))

    stored = SimpleNamespace(noise=np.ones((64, 33)))
    monkeypatch.setattr(source.stamps, "originals", originals)
    monkeypatch.setattr(Bundle, "ttype_regressor", property(lambda _: stored))
    monkeypatch.setattr(Bundle, "load_ttype_regressor", lambda _: stored)
    view = begun(source)
    assert len(view.pairs.rows) == PAIRS
    assert (view.pairs.pictures == ORIGINAL) == ("as the survey has it" in view.view.heading)
    view.on_message({"answers": ["left"] * PAIRS})
    (only,) = read_games(kept)
    assert only.pictures == shown
    if shown == ORIGINAL:
        names = source.bundle.column("galaxy_id")[asked[0][:PAIRS]]
        assert [name for name, _ in only.pairs] == names.tolist()


def test_answers_that_no_page_sends_are_no_game(source, kept) -> None:
    view = begun(source)
    for answers in ([], ["left"] * 19, ["up"] * PAIRS, [None] * PAIRS, [["left"]] * PAIRS, "left"):
        view.on_message({"answers": answers})
        assert read_games(kept) == []
        assert view.view.words == ""
    view.on_message({"answers": ["left"] * PAIRS})
    assert len(read_games(kept)) == 1


def test_the_log_only_grows_and_a_line_that_was_cut_off_is_left_out(tmp_path) -> None:
    path = tmp_path / "deep" / "games.jsonl"
    assert read_games(path) == []
    first = keep_game(path, game((True, False)))
    with path.open("ab") as stream:
        stream.write(b'{"prior": "cut o')
    second = keep_game(path, game((True,)))
    assert read_games(path) == [first, second]
    assert first.at
    path.chmod(0o400)
    folder = tmp_path / "file"
    folder.write_text("no folder")
    with pytest.raises(NotSaved, match="not kept"):
        keep_game(folder / "games.jsonl", first)


def test_the_evaluation_has_a_row_of_all_games_of_the_prior_and_none_where_nobody_played() -> None:
    assert fooling_figures([], "a") == []
    games = [game((True, False)), game((True,) * 3), game((False,), "other"),
             game((False, True), pictures=ORIGINAL)]  # fmt: skip
    rows = {figure.statistic: figure for figure in fooling_figures(games, "a")}
    assert list(rows) == ["against reconstructions", "against originals"]
    row = rows["against reconstructions"]
    assert (row.value, row.n, row.verdict) == (0.8, 5, "no goal")
    assert row.low == pytest.approx(0.3755, abs=1e-3)
    assert row.high == pytest.approx(0.9638, abs=1e-3)
    assert "2 games" in row.note
    assert rows["against originals"].n == 2
