"""Real or synthetic: pairs of a real galaxy and a sample of the same T, and who tells them apart.

The browser has the pictures, in an order that chance has chosen, and hears which was which when all
are answered. What came of it is kept beside the labels; it is no label.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.emulation.emulator import TTYPE
from galaxy_explorer.emulation.likeness import SkyNoise
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import LabelError
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.pages.emulator.source import (
    DisplayOptions,
    EmulatorSource,
    synthetic_sheet,
)
from galaxy_explorer.explorer.pictures.display import absent, as_shown
from galaxy_explorer.explorer.widgets.components import PairGame
from galaxy_explorer.explorer.widgets.job_bar import JobStep
from galaxy_explorer.explorer.wording import format_ttype, real_mark
from galaxy_explorer.labels.games import (
    ORIGINAL,
    RECONSTRUCTION,
    Game,
    games_path,
    keep_game,
    read_games,
)
from galaxy_explorer.labels.log import log_path
from galaxy_explorer.settings import read_settings
from galaxy_explorer.utils.resampling import share_interval

if TYPE_CHECKING:
    from galaxy_explorer.explorer.background import Work

PAIRS = 20
ASKED = 2  # times as many originals are looked for: of some galaxies there is none
SEED_BITS = 32
NOISE_KIND = 16  # of the noise of the first band: another than what judge and proof draw
LEFT, RIGHT = "left", "right"
INTRODUCTION = (
    "Twenty pairs: a real galaxy that the model was not trained on, {shown}, and one that does not"
    " exist, asked for with the same T. Which one is real? Click it, or press ← or →."
)
SHOWN = {
    RECONSTRUCTION: "as the model draws it",
    ORIGINAL: "as the survey has it (the other is given the survey's noise)",
}


@dataclass(frozen=True)
class Pairs:
    """What is shown: rows and T of real galaxies (n,), whether each stands left, and the seed.

    real: stamps of their originals; None where they are shown as the model draws them.
    """

    rows: NDArray[np.int64]
    ttype: NDArray[np.float64]
    real_left: NDArray[np.bool_]
    seed: int
    real: NDArray[np.float32] | None

    @property
    def pictures(self) -> str:
        """What the real galaxies are shown as."""
        return RECONSTRUCTION if self.real is None else ORIGINAL


class GameView:
    """The game of one visitor; `begin`, `work` and `show` as of other parts of the page."""

    def __init__(self, source: EmulatorSource, start: Callable[[], None] = lambda: None) -> None:
        self.source, self._start = source, start
        shown = SHOWN[self.pictures]
        self.view = PairGame(
            self.on_message, heading=INTRODUCTION.format(shown=shown),
            real_mark=real_mark(source.bundle),
        )  # fmt: skip
        self.pairs: Pairs | None = None

    @staticmethod
    def playable(source: EmulatorSource) -> bool:
        """Whether there are galaxies enough whose T is known, and a prior that is asked for T."""
        typed = any(field.name == TTYPE for field in source.emulator.fields)
        return typed and len(typed_rows(source)) >= PAIRS

    @property
    def pictures(self) -> str:
        """What real galaxies may be shown as: originals need the noise of the survey's sky, too."""
        there = self.source.stamps.originals is not None and self.source.bundle.ttype_regressor
        return ORIGINAL if there else RECONSTRUCTION

    def request_of(self, pairs: Pairs) -> Request:
        """What the samples of pairs are asked for."""
        types = tuple(float(t) for t in pairs.ttype)
        return Request(len(pairs.rows), pairs.seed, {TTYPE: types})

    def begin(self, _request: Request, _options: DisplayOptions, _words: str) -> None:
        """Make room for new pairs."""
        self.pairs = None
        self.view.param.update(sheet=None, count=PAIRS, truth=[], words="", playing=True)

    def choose(self) -> Pairs:
        """New pairs, of galaxies whose originals are at hand where enough are. May wait."""
        seed = secrets.randbits(SEED_BITS)
        rng, rows = np.random.default_rng(seed), typed_rows(self.source)
        rows, real = rng.permutation(rows), None
        if self.pictures == ORIGINAL:
            asked = rows[: ASKED * PAIRS]
            stamps = self.source.stamps.get(asked, ORIGINAL)
            there = ~absent(stamps)
            if there.sum() >= PAIRS:
                rows, real = asked[there], stamps[there][:PAIRS]
        rows = rows[:PAIRS]
        ttype = np.asarray(self.source.bundle.column("ttype"), np.float64)[rows]
        return Pairs(rows, ttype, rng.random(len(rows)) < 0.5, seed, real)

    def work(self, _request: Request, options: DisplayOptions) -> Work:
        """The pairs and their pictures, two in a line."""
        return partial(self._work, options)

    def _work(self, options: DisplayOptions, cancelled: Callable[[], bool]) -> Iterator[JobStep]:
        pairs = self.choose()
        for drawn in self.source.drawn(self.request_of(pairs), cancelled):
            content = None
            if drawn.share == 1:
                real, samples = self._stamps(pairs, drawn.codes)
                left = pairs.real_left.reshape(-1, *[1] * (real.ndim - 1))
                both = np.stack([np.where(left, real, samples), np.where(left, samples, real)], 1)
                sheet = synthetic_sheet(both.reshape(-1, *real.shape[1:]), options.display, 2)
                content = pairs, sheet
            yield JobStep(drawn.share, f"{len(pairs.rows)} pairs", content)

    def _stamps(self, pairs: Pairs, codes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Stamps of the real galaxies and of the samples, under alike noise."""
        if pairs.real is None:
            return self.source.reconstructions(pairs.rows), self.source.stamps_of(codes)
        drawn = self.source.emulator.decode(codes)
        filters = self.source.bundle.load_ttype_regressor().noise.astype(np.float64)
        bands = drawn.shape[1]
        sky = SkyNoise(np.full(len(drawn), bands**0.5), filters)  # known of their mean
        kinds = range(NOISE_KIND, NOISE_KIND + bands)
        noise = [sky.draw(sky.sigma, pairs.rows, kind) for kind in kinds]
        return pairs.real, as_shown(drawn + np.concatenate(noise, axis=1))

    def show(self, content: tuple[Pairs, bytes] | None) -> None:
        """Show the pairs once they are whole."""
        if content is not None:
            self.pairs, sheet = content
            heading = INTRODUCTION.format(shown=SHOWN[self.pairs.pictures])
            self.view.param.update(sheet=sheet, heading=heading, stamp=self.view.stamp + 1)

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser: begin, or count the answers."""
        answers = message.get("answers")
        if message.get("begin"):
            self._start()
        elif isinstance(answers, list) and self.pairs is not None:
            self.finish(answers)

    def finish(self, answers: list[Any]) -> None:
        """Score the answers, "left" or "right" for each pair, keep and show them, once."""
        pairs = self.pairs
        if pairs is None or len(answers) != len(pairs.rows):
            return
        if any(answer not in (LEFT, RIGHT) for answer in answers):
            return  # no page of this app sends such a thing
        self.pairs = None
        right = np.array([answer == LEFT for answer in answers]) == pairs.real_left
        names = self.source.bundle.column("galaxy_id")
        game = Game(
            prior=self.source.emulator.key, prior_sha256=prior_sha256(self.source),
            bundle=self.source.bundle.hash, pictures=pairs.pictures, seed=pairs.seed,
            pairs=tuple(
                (str(names[row]), float(t)) for row, t in zip(pairs.rows, pairs.ttype, strict=True)
            ),
            fooled=tuple(bool(one) for one in ~right),
        )  # fmt: skip
        path = games_path(log_path(read_settings().labels))
        words = f"You took {score_words(game.fooled)} of the synthetic galaxies for the real one."
        try:
            keep_game(path, game)
            others = [one for one in read_games(path) if one.prior_sha256 == game.prior_sha256
                      and one.pictures == game.pictures]  # fmt: skip
            if len(others) > 1:
                fooled = [answer for one in others for answer in one.fooled]
                words += f" All {len(others)} games here: {score_words(fooled)}."
        except (LabelError, OSError) as error:
            notify(str(error), warning=True)
        truth = [
            [bool(left), bool(told), f"{names[row]}, {format_ttype(float(t))}"]
            for left, told, row, t in zip(
                pairs.real_left, right, pairs.rows, pairs.ttype, strict=True
            )
        ]
        self.view.param.update(truth=truth, words=f"{words} Who guesses is fooled by half of them.")


def score_words(fooled: Sequence[bool]) -> str:
    """How many of how many fooled, as a share with its interval."""
    low, high = (100 * float(end) for end in share_interval(sum(fooled), len(fooled)))
    share = 100 * sum(fooled) / len(fooled)
    return (
        f"{sum(fooled)} of {len(fooled)} ({share:.0f}\u00a0%, 95\u00a0% interval {low:.0f} to"
        f" {high:.0f}\u00a0%)"
    )


def typed_rows(source: EmulatorSource) -> NDArray[np.int64]:
    """Held-out galaxies whose T is known and may be asked for."""
    bundle = source.bundle
    ttype = np.asarray(bundle.column("ttype"), np.float64)
    fields = [field for field in source.emulator.fields if field.name == TTYPE]
    if not fields:
        return np.zeros(0, np.int64)
    held_out = np.asarray(bundle.column("split")) == "test"
    return np.flatnonzero(held_out & (ttype >= fields[0].low) & (ttype <= fields[0].high))


def prior_sha256(source: EmulatorSource) -> str:
    """SHA-256 of the weights that draw: what a game is about, whatever else a bundle gains."""
    file = source.bundle.priors[source.emulator.key].file
    return str(source.bundle.manifest.files[file].sha256)
