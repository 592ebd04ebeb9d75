"""What the Emulator page shows, made step by step, and files of it; shared by all visitors.

Everything here may be slow and belongs into the thread of the `JobQueue`. Files (FITS, PNG and
catalogue) are marked as synthetic.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galaxy_explorer.bundle.placing import Choice, read_stamps
from galaxy_explorer.emulation.emulator import TTYPE
from galaxy_explorer.emulation.light import light_without_psf, units_of
from galaxy_explorer.emulation.likeness import Facts, Likeness
from galaxy_explorer.emulation.observation import ObservationSettings, Observer
from galaxy_explorer.emulation.output import cards, catalogue, file_stem, fits_bytes, png_bytes
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.explorer.background import JobQueue
from galaxy_explorer.explorer.pages.emulator.controls import first_request, stages
from galaxy_explorer.explorer.pictures.display import (
    SHEET_QUALITY,
    DisplaySettings,
    absent,
    as_shown,
    encode,
    encode_sheet,
    limits,
    render_stamps,
    sheet,
    without_colour,
)
from galaxy_explorer.explorer.pictures.tiles import unit_map
from galaxy_explorer.explorer.state import Ghosts
from galaxy_explorer.explorer.widgets.controls import Made
from galaxy_explorer.explorer.wording import format_ttype
from galaxy_explorer.utils.tables import encode_table

if TYPE_CHECKING:
    from galaxy_explorer.emulation.emulator import Emulator
    from galaxy_explorer.emulation.likeness import Facts
    from galaxy_explorer.emulation.request import Request
    from galaxy_explorer.explorer.context import AppContext


KEPT = 200
"""Requests whose galaxies are kept: 16 maps of 8 x 8 are 2 kB."""
REFERENCE_STAMPS = 32
COMMENT = b"SYNTHETIC=T galaxies that do not exist"

MAX_SIDE_PX = 800
"""Pixels a side of an observed galaxy: 64 of them take 160 MB."""
SHOWN_PX = 256
"""Pixels a side of what is shown of it: more are averaged."""

Stamps = NDArray[np.float32]
"""(n, S, S), or (n, S, S, 3) where the survey has three bands."""
Codes = NDArray[Any]


@dataclass(frozen=True)
class DisplayOptions:
    """How galaxies are shown: the display settings of the page, and how they are observed.

    twins: whether each galaxy is shown a second time, before the PSF of the survey (Fig 10).
    """

    display: DisplaySettings
    observation: ObservationSettings = field(default_factory=ObservationSettings)
    twins: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides what is seen."""
        return self.display.token(), self.observation, self.twins


class Drawn(NamedTuple):
    """Share that is done, code maps or latents (n, ...), and their stamps (n, S, S)."""

    share: float
    codes: Codes
    stamps: Stamps


def emulator_source(context: AppContext, prior: str | None = None) -> EmulatorSource:
    """The source of a process for a prior "<model>/<kind>", by default the main one.

    Raises BundleError where there is none.
    """
    from galaxy_explorer.emulation.emulator import Emulator

    return _source(context, Emulator.open(context.bundle).key if prior is None else prior)


@lru_cache(8)
def _source(context: AppContext, prior: str) -> EmulatorSource:
    return EmulatorSource(context, prior, _queue(context))


@lru_cache(2)
def _queue(_context: AppContext) -> JobQueue:
    return JobQueue()


class EmulatorSource:
    """Draws, decodes and judges; `line` is where visitors wait for it, whatever the prior."""

    def __init__(
        self, context: AppContext, prior: str | None = None, queue: JobQueue | None = None
    ) -> None:
        from galaxy_explorer.emulation.emulator import Emulator

        self.bundle, self.stamps = context.bundle, context.stamps
        asked = (None, None) if prior is None else prior.split("/")
        self.emulator: Emulator = Emulator.open(self.bundle, *asked)
        self.likeness = Likeness(self.emulator)
        self.queue = queue or JobQueue()
        self._kept: OrderedDict[str, Codes] = OrderedDict()
        self._measured: list[dict[str, float]] = []
        self._measuring = False

    def warm(self) -> None:
        """Get ready what the page shows first, so that its first visitor does not wait for it.

        One thing after the other: whoever comes meanwhile waits for one of them at most.
        """
        request = first_request(self.emulator.fields)
        typed = [one for one in self.emulator.fields if one.name == TTYPE]
        stage = [along_types(request, stages(one)) for one in typed]
        steps = [partial(self._drawn_whole, asked) for asked in (*stage, request)]
        self._prepare([*steps, lambda: self.facts(request, self._drawn_whole(request))])

    def _prepare(self, steps: list[Callable[[], object]]) -> None:
        def first() -> None:
            steps[0]()
            self._prepare(steps[1:])

        if steps:
            self.queue.prepare(first)

    def _drawn_whole(self, request: Request) -> Codes:
        return deque(self.drawn(request, lambda: False), maxlen=1)[0].codes

    def drawn(self, request: Request, cancelled: Callable[[], bool]) -> Iterator[Drawn]:
        """What the prior draws and its stamps (n, S, S): code maps after each row or step.

        Where no code is drawn yet (-1) there is sky.
        """
        from galaxy_explorer.emulation.emulator import CodeEmulator

        known = self._kept.get(request.identity)
        if known is not None:
            self._kept.move_to_end(request.identity)
            yield Drawn(1.0, known, self.stamps_of(known))
        elif isinstance(self.emulator, CodeEmulator):
            for part in self.emulator.stream(request, cancelled=cancelled):
                if part.share == 1:
                    self._keep(request, part.codes)
                shown = np.where(part.codes < 0, self._sky, part.codes)
                yield Drawn(part.share, part.codes, self.stamps_of(shown))
        else:
            codes = self.emulator.codes(request, cancelled=cancelled)
            self._keep(request, codes)
            yield Drawn(1.0, codes, self.stamps_of(codes))

    def _keep(self, request: Request, codes: Codes) -> None:
        self._kept[request.identity] = codes
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    @cached_property
    def _sky(self) -> int:
        """The code that is found most often in the corners of the maps."""
        maps = self.bundle.codes(self.emulator.model)
        return int(np.bincount(maps[:, [0, 0, -1, -1], [0, -1, 0, -1]].ravel()).argmax())

    def stamps_of(self, codes: Codes) -> Stamps:
        """Stamps (n, S, S) that the model draws of code maps or latents (n, ...)."""
        return as_shown(self.emulator.decode(codes))

    def check(self, observation: ObservationSettings, condition: Mapping[str, Any]) -> None:
        """Raise RequestError where galaxies cannot be observed so, or would be too large here."""
        side = Observer(self.emulator, observation, condition).side
        if side > MAX_SIDE_PX:
            raise RequestError(
                f"{side} pixels a side: at most {MAX_SIDE_PX} on this page; fewer arcsec a pixel"
                " make the galaxies smaller, and galaxy-explorer generate makes larger ones"
            )

    def seen(
        self, request: Request, observation: ObservationSettings, cancelled: Callable[[], bool]
    ) -> Iterator[Drawn]:
        """As `drawn`; at the end as a camera sees the galaxies, where one is wished for."""
        self.check(observation, request.condition)
        for drawn in self.drawn(request, cancelled):
            if drawn.share < 1 or observation == ObservationSettings():
                yield drawn
            else:
                stamps = self.observed(drawn.codes, request, observation, cancelled)
                yield drawn._replace(stamps=stamps)

    def observed(
        self,
        codes: Codes,
        request: Request,
        observation: ObservationSettings,
        cancelled: Callable[[], bool],
    ) -> Stamps:
        """Stamps (n, T, T), stretched for the eye, as a camera would see the galaxies."""
        observer = Observer(self.emulator, observation, request.condition)
        seen = observer.observe(codes, request, cancelled=cancelled)
        return reduced(as_shown(seen.stretched), SHOWN_PX)

    def facts(self, request: Request, codes: Codes) -> Facts:
        """What is known of samples that were asked for so."""
        return self.likeness.facts(request, codes)

    def reconstructions(self, rows: NDArray[np.int64]) -> Stamps:
        """Stamps (n, S, S) of real galaxies, from their own code maps."""
        return self.stamps.decode(self.emulator.model, rows)

    def twins(self, codes: Codes) -> Stamps:
        """Stamps (n, S, S) of code maps (n, h, w) before the PSF layer: the deconvolved twins."""
        light = light_without_psf(self.bundle, codes)
        return as_shown(units_of(self.bundle).stamps(light))

    def picture_of(self, row: int, display: DisplaySettings) -> tuple[bytes, str]:
        """A galaxy of the bundle as an image file, and what it is: original or reconstruction."""
        rows, words = np.array([row]), "original"
        if self.stamps.originals is None or absent(stamp := self.stamps.get(rows, words)).any():
            stamp, words = self.reconstructions(rows), "as the model draws it"
        return encode_sheet(render_stamps(stamp, display), 1), words

    def galaxy_words(self, row: int) -> str:
        """A galaxy in words: its name and T, the judge's where the catalogue has none."""
        name, ttype = self.bundle.column("galaxy_id")[row], self.bundle.column("ttype")[row]
        if np.isfinite(ttype):
            return f"{name}, {format_ttype(float(ttype))}"
        read = self.emulator.known_of(row).get(TTYPE)
        return f"{name}" if read is None else f"{name}, T {read:.1f} as read".replace("-", "−")

    def ghosts(
        self, request: Request, codes: Codes, clustering: str, display: DisplaySettings
    ) -> Ghosts:
        """Samples at the places where the map of a clustering would have galaxies like them."""
        stamps, known = self.emulator.decode(codes), self.bundle.clusterings[clustering]
        read = read_stamps(self.bundle, stamps, Choice((known.model,), (clustering,)))
        places = unit_map(known.coordinates, read.placements[clustering].places)
        shown = render_stamps(as_shown(stamps), display)
        pictures = [encode(picture, "JPEG") for picture in shown]
        addresses = [f"data:image/jpeg;base64,{b64encode(one).decode()}" for one in pictures]
        words = [f"Synthetic, seed {request.seed}, number {n + 1}" for n in range(len(codes))]
        return Ghosts(clustering, places, tuple(addresses), tuple(words))

    def sheet(self, drawn: Drawn, options: DisplayOptions, columns: int) -> bytes:
        """One JPEG of galaxies; those that are not whole in the limits usual for galaxies.

        With twins each picture is twice as wide: right of a galaxy that is whole stands its twin,
        in the same limits.
        """
        stamps, display, whole = drawn.stamps, options.display, drawn.share == 1
        between = limits(stamps, display) if whole else self.usual_limits(display)
        if options.twins:
            twins = self.twins(drawn.codes) if whole else np.full_like(stamps, between[0])
            stamps = np.concatenate([stamps, twins], axis=2)
        return synthetic_sheet(stamps, display, columns, between)

    def usual_limits(self, display: DisplaySettings) -> NDArray[np.float64]:
        """Lower and upper limit (2,) in which a real galaxy is usually drawn."""
        own = limits(self._reference_stamps, display)
        return np.asarray(np.median(own, axis=0))

    def measure_references(self) -> None:
        """Measure some held-out real galaxies, one at a time, so that no visitor waits for it."""
        if not self._measuring:
            self._measuring = True
            self.queue.prepare(self._measure_next)

    def _measure_next(self) -> None:
        stamps, done = self._reference_stamps, len(self._measured)
        if done < len(stamps):
            self._measured.append(measured(stamps[done]))
            self.queue.prepare(self._measure_next)

    @property
    def references(self) -> list[dict[str, float]]:
        """What held-out real galaxies measure, drawn from their codes; empty until all are done."""
        whole = len(self._measured) == min(REFERENCE_STAMPS, len(self.likeness.held_out))
        return self._measured if whole else []

    @cached_property
    def _reference_stamps(self) -> Stamps:
        return self.reconstructions(self.likeness.held_out[:REFERENCE_STAMPS])


def measured(stamp: Stamps) -> dict[str, float]:
    """What statmorph measures of a stamp (S, S[, 3]), by name; NaN where it cannot."""
    from galaxy_explorer.emulation.morphology import MEASURED, measure_one

    *values, _flag = measure_one(without_colour(stamp[None])[0]).tolist()
    return dict(zip(MEASURED, values, strict=True))


def reduced(stamps: Stamps, side: int) -> Stamps:
    """Stamps (n, T, T[, 3]) of at most `side` pixels a side: means of whole blocks, edges cut."""
    factor = -(-stamps.shape[1] // side)
    few = stamps.shape[1] // factor
    shape = (len(stamps), few, factor, few, factor, *stamps.shape[3:])
    blocks = stamps[:, : few * factor, : few * factor].reshape(shape)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float32)


def synthetic_sheet(
    stamps: Stamps,
    display: DisplaySettings,
    columns: int,
    between: NDArray[np.float64] | None = None,
) -> bytes:
    """One JPEG of synthetic stamps (n, S, S); its comment says what they are."""
    buffer = io.BytesIO()
    pictures = sheet(render_stamps(stamps, display, between), columns)
    Image.fromarray(pictures).save(buffer, "JPEG", quality=SHEET_QUALITY, comment=COMMENT)
    return buffer.getvalue()


def along_types(request: Request, types: Iterable[float], first: int = 0) -> Request:
    """The request at several types, with the noise of sample number `first` at each."""
    types = tuple(float(value) for value in types)
    return replace(
        request, count=len(types), first=first, same_noise=True,
        condition={**request.condition, TTYPE: types},
    )  # fmt: skip


KINDS = ["fits", "png", "ecsv"]


def made_file(
    source: EmulatorSource,
    request: Request,
    codes: NDArray[np.integer],
    facts: Facts | None,
    *,
    observation: ObservationSettings,
    kind: str,
) -> Made:
    """Name and bytes of a file of the galaxies of a request.

    kind: "fits" (cube, catalogue, codes), "png" (a sheet) or "ecsv" (the catalogue alone). Raises
    RequestError for what cannot be observed.
    """
    observer = Observer(source.emulator, observation, request.condition)
    stem, lines = file_stem(observer, request), cards(observer, request)
    observed = observer.observe(codes, request)
    if kind == "png":
        return stem, png_bytes(observed.stretched, lines)
    known = {} if facts is None else known_facts(source, facts)
    flux = observed.pixels.sum((2, 3), dtype=np.float64)
    table = catalogue(
        observer, request, codes, flux[:, 0] if flux.shape[1] == 1 else flux,
        log_prob=None if facts is None else facts.log_prob, measured=known,
    )  # fmt: skip
    if kind == "ecsv":
        return stem, encode_table(table, "ecsv")
    return stem, fits_bytes(observed.pixels, table, codes, lines, observer.setup.psf)


def known_facts(source: EmulatorSource, facts: Facts) -> dict[str, NDArray[Any]]:
    """What is known of samples, as columns of their catalogue."""
    ids = np.asarray(source.bundle.column("galaxy_id"), str)[facts.rows]
    return {"nearest_real": ids, "nearest_distance": facts.distances, **facts.read}
