"""Samples, ladder and the galaxy under the slider: what each asks for, and how it is shown.

Each has a `work(request, options)` for the queue and a `show` for what a step of it made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.emulation import CLASSES, LOWEST_CLASS, READ_TTYPE
from galaxy_explorer.emulation.emulator import TTYPE, Field
from galaxy_explorer.emulation.likeness import Facts
from galaxy_explorer.emulation.observation import ObservationSettings
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.pages.emulator.controls import stages, whole_types
from galaxy_explorer.explorer.pages.emulator.detail import (
    READ_HEADING,
    Chosen,
    SampleDetail,
    sample_cards,
)
from galaxy_explorer.explorer.pages.emulator.source import (
    DisplayOptions,
    EmulatorSource,
    along_types,
    synthetic_sheet,
)
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    encode_sheet,
    limits,
    render_stamps,
)
from galaxy_explorer.explorer.plots.palette import T_RANGE, type_colour
from galaxy_explorer.explorer.widgets.components import (
    CARD_STYLES,
    HtmlPane,
    LadderTable,
    SampleCards,
    TypeMorph,
)
from galaxy_explorer.explorer.widgets.job_bar import JobStep
from galaxy_explorer.explorer.wording import real_mark

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.background import Work

COLUMNS = 8
LADDER_LINES, REAL_LINES = 4, 2
TWIN_HEADING = (
    " Right of each galaxy stands its deconvolved twin: what the model draws before the PSF, in the"
    " same limits"
)
WITHIN = 0.5
SAMPLES_HEADING = (
    "None of these galaxies exists. Beside each: the training galaxy nearest in {space}, as the"
    " model draws it, at distance d; and the share of held-out galaxies that the prior finds less"
    " likely."
)
LADDER_HEADING = (
    "Above: real galaxies of each type, as the model draws them. Below: synthetic ones; along a"
    " line the random numbers are the same, only T differs."
)
STAGE_HEADING = (
    "Drag: the random numbers stay, T changes, and with it what depends on the type. Let go, and"
    " galaxies of that type are drawn below."
)
LIKE_HEADING = (
    "Drag: the galaxy beside it, asked for as another type. What may change was followed back to"
    " noise and drawn anew; what may not has stayed."
)


class SamplesView:
    """Galaxies of one request, each beside its nearest real galaxy."""

    def __init__(
        self,
        source: EmulatorSource,
        focus: Callable[[int], None],
        display: DisplaySettings,
        drag: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.source, self._focus = source, focus
        self.detail = SampleDetail(source, display, self.close, drag)
        self.view = SampleCards(
            self.on_message, margin=0, sheet_columns=COLUMNS, real_mark=real_mark(source.bundle)
        )
        self.made: tuple[Request, NDArray[Any], NDArray[np.float32]] | None = None
        self.facts: Facts | None = None
        self.heading = ""
        self.headline = HtmlPane("", stylesheets=CARD_STYLES, margin=(2, 0, 6, 0))

    def begin(self, request: Request, options: DisplayOptions, words: str) -> None:
        """Make room for what is coming."""
        self.made = self.facts = None
        self.headline.object = ""
        self.close()
        self.heading = SAMPLES_HEADING.format(space=self.source.likeness.space)
        self.heading += f"{TWIN_HEADING}." if options.twins else ""
        # The galaxies before these stay, dimmed, until these come; cut up in another way, the sheet
        # would show none.
        alike = (self.view.count, self.view.twins) == (request.count, options.twins)
        self.view.param.update(
            count=request.count, cards=[], real_sheet=None, chosen=-1, twins=options.twins,
            sheet=self.view.sheet if alike else None, pending=True,
            words=f"Synthetic galaxy, {words}", heading=self.heading,
        )  # fmt: skip

    def work(self, request: Request, options: DisplayOptions) -> Work:
        """The galaxies on the way and whole, then what is known of them."""
        return partial(self._work, request, options)

    def _work(
        self, request: Request, options: DisplayOptions, cancelled: Callable[[], bool]
    ) -> Iterator[JobStep]:
        for drawn in self.source.seen(request, options.observation, cancelled):
            share, codes, stamps = drawn
            shown = self.source.sheet(drawn, options, COLUMNS)
            words = f"{share:.0%} drawn"
            made = (request, codes, stamps) if share == 1 else None
            yield JobStep(0.9 * share, words, (shown, made, None, None))
            if share == 1 and not cancelled():
                facts = self.source.facts(request, codes)
                real = render_stamps(self.source.reconstructions(facts.rows), options.display)
                yield JobStep(1.0, "compared", (shown, made, facts, encode_sheet(real, COLUMNS)))

    def show(self, content: tuple[bytes, Any, Facts | None, bytes | None]) -> None:
        """Show a step of the work."""
        sheet, self.made, self.facts, real = content
        known: dict[str, Any] = {}
        if self.facts is not None:
            usual = f" Held-out galaxies of the survey have d {self.facts.usual:.2f} in the median."
            usual += READ_HEADING if self.facts.read else ""
            asked = None if self.made is None else self.made[0].condition.get(TTYPE)
            types = asked if isinstance(asked, tuple) else ()
            known = {
                "cards": sample_cards(self.source.likeness, self.facts, types), "real_sheet": real,
                "heading": self.heading + usual,
            }  # fmt: skip
            words = headline_words(self.source.bundle, asked, self.facts.read.get(READ_TTYPE))
            self.headline.object = render("emulator.headline", words=words) if words else ""
        self.view.param.update(sheet=sheet, pending=False, stamp=self.view.stamp + 1, **known)

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        row, place = message.get("focus"), message.get("sample")
        if isinstance(row, int) and 0 <= row < len(self.source.bundle):
            self._focus(row)
        elif isinstance(place, int) and 0 <= place < len(self.view.cards):
            self.choose(place)

    def choose(self, place: int) -> None:
        """Show a sample large, with what it measures; the one that is shown: close it."""
        if self.made is None or self.facts is None or place == self.view.chosen:
            self.close()
            return
        words = self.view.words.removeprefix("Synthetic galaxy, ")
        self.view.chosen = place
        request, codes, stamps = self.made
        typed = TTYPE in request.condition and not request.same_noise
        self.detail.show(Chosen(stamps[place], codes[place], self.facts, place, words, typed))

    def close(self) -> None:
        """Show no sample large."""
        self.view.chosen = -1
        self.detail.show(None)


def headline_words(bundle: Bundle, asked: Any, read: NDArray[np.float64] | None) -> str:
    """What was asked for and what the judge reads; as what real galaxies of that T are read.

    read (n,): T of the samples as read; None: there is no judge, and nothing to say.
    """
    if read is None:
        return ""
    if isinstance(asked, tuple):
        r = float(np.corrcoef(asked, read)[0, 1]) if np.ptp(asked) and np.ptp(read) else 0.0
        return (
            f"Asked for T {asked[0]:.1f} to {asked[-1]:.1f}: an independent judge reads"
            f" {read[0]:.1f} to {read[-1]:.1f} (correlation {r:.2f})"
        ).replace("-", "−")
    what = "Asked for any T" if asked is None else f"Asked T {asked:.1f}"
    words = f"{what}: an independent judge reads {read.mean():.1f}"
    words += f" ± {read.std(ddof=1):.1f}" if len(read) > 1 else ""
    known = None if bundle.emulation is None else bundle.emulation.trend(READ_TTYPE, "real")
    if asked is not None and known is not None:
        # The end classes hold what lies beyond them, too.
        place = int(np.clip(np.floor(asked + 0.5) - LOWEST_CLASS, 0, CLASSES - 1))
        end = {0: " and earlier", CLASSES - 1: " and later"}.get(place, "")
        if (usual := known.means[place]) is not None:
            words += f"; real T {LOWEST_CLASS + place} galaxies{end} are read as {usual:.1f}"
    return words.replace("-", "−")


class Ladder:
    """Types from left to right (report, Fig 12): real galaxies above, synthetic ones below."""

    def __init__(self, source: EmulatorSource, field: Field, focus: Callable[[int], None]) -> None:
        self.source, self._focus = source, focus
        self.types = [t for t in whole_types(field) if T_RANGE[0] <= t <= T_RANGE[1]]
        columns = [
            {"words": f"{t:g}".replace("-", "−"), "colour": type_colour(t)} for t in self.types
        ]
        self.view = LadderTable(self.on_message, margin=0, columns=columns, heading=LADDER_HEADING)
        self._real: list[int] = []

    def begin(self, request: Request, options: DisplayOptions, _words: str) -> None:
        """Make room for what is coming."""
        # Galaxies of each type, chosen by the seed, line after line; -1 where there is none.
        ttype = np.asarray(self.source.bundle.column("ttype"), np.float64)
        chosen = np.full((REAL_LINES, len(self.types)), -1)
        for place, t in enumerate(self.types):
            rows = np.flatnonzero(np.abs(ttype - t) <= WITHIN)
            order = np.random.default_rng((request.seed, place)).permutation(rows)[:REAL_LINES]
            chosen[: len(order), place] = order
        self._real = [int(row) for row in chosen.ravel()]
        ids = self.source.bundle.column("galaxy_id")
        columns = len(self.types)
        lines = [_line("Real", "as the model draws them", n * columns) for n in range(REAL_LINES)]
        for n in range(LADDER_LINES):
            words = f"seed {request.seed}, number {n + 1}"
            lines += [_line("Synthetic", words, n * columns)]
            if options.twins:
                lines += [_line("Twin", "before the PSF", (LADDER_LINES + n) * columns)]
        self.view.param.update(
            lines=lines,
            ready=0,
            real_names=[str(ids[row]) if row >= 0 else "" for row in self._real],
        )

    def work(self, request: Request, options: DisplayOptions) -> Work:
        """Real galaxies first, then the synthetic ones line by line, row by row."""
        return partial(self._work, request, options, np.array(self._real))

    def _work(
        self,
        request: Request,
        options: DisplayOptions,
        real: NDArray[np.int64],
        cancelled: Callable[[], bool],
    ) -> Iterator[JobStep]:
        stamps = self.source.reconstructions(np.maximum(real, 0))
        stamps[real < 0] = 0.0
        shown = render_stamps(stamps, options.display)
        yield JobStep(0.0, "real galaxies", {"real_sheet": encode_sheet(shown, len(self.types))})
        self.source.check(options.observation, request.condition)
        done: list[NDArray[np.float32]] = []
        maps: list[tuple[Request, NDArray[np.integer]]] = []
        for line in range(LADDER_LINES):
            asked = along_types(request, self.types, first=line)
            for share, codes, stamps in self.source.drawn(asked, cancelled):
                words, on_the_way = f"line {line + 1} of {LADDER_LINES}", share < 1
                drawn = np.concatenate([*done, stamps])
                content = self._content(drawn, options, unfinished=len(stamps) * on_the_way)
                yield JobStep((line + share) / LADDER_LINES, words, content)
                if share == 1:
                    done.append(stamps)
                    maps.append((asked, codes))
            if cancelled():
                return
        if options.twins:
            twins = self.source.twins(np.concatenate([codes for _, codes in maps]))
            yield JobStep(1.0, "deconvolved", self._content(np.concatenate(done), options, twins))
        elif options.observation != ObservationSettings():
            seen = [
                self.source.observed(codes, one, options.observation, cancelled)
                for one, codes in maps
            ]
            yield JobStep(1.0, "observed", self._content(np.concatenate(seen), options))

    def _content(
        self,
        stamps: NDArray[np.float32],
        options: DisplayOptions,
        twins: NDArray[np.float32] | None = None,
        *,
        unfinished: int = 0,
    ) -> dict[str, Any]:
        """The sheet: all lines, then their twins in the same limits, where they are wished for.

        The last `unfinished` stamps are drawn in the limits usual for galaxies.
        """
        ready, columns = len(stamps), len(self.types)
        whole = np.zeros((LADDER_LINES * columns, *stamps.shape[1:]), np.float32)
        whole[:ready] = stamps
        between = limits(whole, options.display).copy()
        between[ready - unfinished : ready] = self.source.usual_limits(options.display)
        stamps = whole
        if options.twins:
            stamps = np.concatenate([whole, np.zeros_like(whole) if twins is None else twins])
            between = np.concatenate([between, between])
            ready += 0 if twins is None else len(twins)
        return {"sheet": synthetic_sheet(stamps, options.display, columns, between), "ready": ready}

    def show(self, content: dict[str, Any]) -> None:
        """Show a step of the work."""
        self.view.param.update(**content, stamp=self.view.stamp + 1)

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        place = message.get("real")
        if isinstance(place, int) and 0 <= place < len(self._real) and self._real[place] >= 0:
            self._focus(self._real[place])


class StageView:
    """One galaxy at every half stage of T, for the visitor to drag; `view` is its slider too."""

    def __init__(self, source: EmulatorSource, field: Field, view: TypeMorph) -> None:
        self.source, self.view, self.values = source, view, stages(field)
        self.view.param.update(sheet_columns=COLUMNS, real_mark=real_mark(source.bundle))

    def begin(self, request: Request, _options: DisplayOptions, _words: str) -> None:
        """Make room for what is coming."""
        number = f", number {request.first + 1}" if request.first else ""
        self.view.param.update(
            words=f"seed {request.seed}{number}", original=None, original_words="",
            heading=STAGE_HEADING if request.like is None else LIKE_HEADING,
        )  # fmt: skip

    def work(self, request: Request, options: DisplayOptions) -> Work:
        """All frames, coarse ones at first."""
        return partial(self._work, request, options)

    def _work(
        self, request: Request, options: DisplayOptions, cancelled: Callable[[], bool]
    ) -> Iterator[JobStep]:
        if request.like is not None:
            row = self.source.emulator.row_of(request.like)
            original, kind = self.source.picture_of(row, options.display)
            words = f"{self.source.galaxy_words(row)}, {kind}"
            yield JobStep(0.0, words, {"original": original, "original_words": words})
        asked = along_types(request, self.values, first=request.first)
        for drawn in self.source.seen(asked, options.observation, cancelled):
            sheet = self.source.sheet(drawn, replace(options, twins=False), COLUMNS)
            yield JobStep(drawn.share, f"{len(self.values)} types", {"sheet": sheet})

    def show(self, content: dict[str, Any]) -> None:
        """Show a step of the work."""
        self.view.param.update(**content, stamp=self.view.stamp + 1)


def _line(label: str, note: str, first: int) -> dict[str, Any]:
    """A line of the ladder; first: its place among those of its sheet."""
    return {"label": label, "note": note, "synthetic": label != "Real", "first": first}
