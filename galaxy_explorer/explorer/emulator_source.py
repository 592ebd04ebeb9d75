"""What the Emulator page shows, made step by step; shared by all visitors of a process.

Everything here may be slow and belongs into the thread of `emulating.Line`.
"""

from __future__ import annotations

import io
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from galaxy_explorer.emulation.maker import Maker, Wish
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import BundleError, RequestError
from galaxy_explorer.explorer.display import SHEET_QUALITY, DisplaySettings, limits, render, sheet
from galaxy_explorer.explorer.emulating import Line
from galaxy_explorer.explorer.emulator_wishes import first_request

if TYPE_CHECKING:
    from galaxy_explorer.emulation.emulator import CodeEmulator
    from galaxy_explorer.explorer.context import AppContext

KEPT_MAPS = 200
"""Requests whose code maps are kept: 16 maps of 8 x 8 are 2 kB."""
REFERENCES = 256
"""Real galaxies, unknown to the prior, that samples are compared with."""
REFERENCE_STAMPS = 32
NO_MAPS = "this page needs one that does: galaxy-explorer prior BUNDLE --survey SURVEY"
COMMENT = b"SYNTHETIC=T galaxies that do not exist"

MAX_SIDE_PX = 800
"""Pixels a side of an observed galaxy: 64 of them take 160 MB."""
SHOWN_PX = 256
"""Pixels a side of what is shown of it: more are averaged."""

Stamps = NDArray[np.float32]
Codes = NDArray[np.integer]


@dataclass(frozen=True)
class Look:
    """How galaxies are shown: the display settings of the page, and how they are observed."""

    display: DisplaySettings
    wish: Wish = field(default_factory=Wish)


class Drawn(NamedTuple):
    """Share that is done, code maps (n, h, w), -1 where not drawn yet, and stamps (n, S, S)."""

    share: float
    codes: Codes
    stamps: Stamps


@dataclass(frozen=True)
class Facts:
    """What is known of n samples.

    rows, distances (n,): nearest galaxy of the train split in code-vector space, and how far it
    is. usual: median of such distances of held-out real galaxies. log_prob (n,): nats a map;
    percentile (n,): share (%) of held-out real galaxies that are less likely.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]
    usual: float
    log_prob: NDArray[np.float64]
    percentile: NDArray[np.float64]


@lru_cache(2)
def emulator_source(context: AppContext) -> EmulatorSource:
    """The source of a process."""
    return EmulatorSource(context)


class EmulatorSource:
    """Draws, decodes and judges; `line` is where visitors wait for it."""

    def __init__(self, context: AppContext) -> None:
        self.bundle, self.stamps = context.bundle, context.stamps
        self.line = Line()
        self._kept: OrderedDict[str, Codes] = OrderedDict()
        self._typical: dict[tuple[str, ...], NDArray[np.float64]] = {}
        self._measured: list[dict[str, float]] = []
        self._measuring = False

    @cached_property
    def emulator(self) -> CodeEmulator:
        """The emulator of the bundle. Raises BundleError where it has no prior over code maps."""
        from galaxy_explorer.emulation.emulator import CodeEmulator, Emulator

        found = Emulator.open(self.bundle)
        if not isinstance(found, CodeEmulator):
            raise BundleError(f"{self.bundle.path}: its prior draws no code map; {NO_MAPS}")
        return found

    def warm(self) -> None:
        """Get ready what the page shows first, so that its first visitor does not wait for it."""
        self.line.prepare(self._warm)

    def _warm(self) -> None:
        request = first_request(self.emulator.fields)
        codes = deque(self.drawn(request, lambda: False), maxlen=1)[0].codes
        self.facts(request, codes)

    def drawn(self, request: Request, cancelled: Callable[[], bool]) -> Iterator[Drawn]:
        """Code maps and stamps (n, S, S) after each row of the maps.

        Where no code is drawn yet there is sky.
        """
        emulator, known = self.emulator, self._kept.get(request.identity)
        if known is not None:
            self._kept.move_to_end(request.identity)
            yield Drawn(1.0, known, self.stamps_of(known))
            return
        rows = emulator.code_shape[0]
        for part in emulator.stream(request, cancelled=cancelled):
            if part.rows == rows:
                self._keep(request, part.codes)
            shown = np.where(part.codes < 0, self._sky, part.codes)
            yield Drawn(part.rows / rows, part.codes, self.stamps_of(shown))

    def _keep(self, request: Request, codes: Codes) -> None:
        self._kept[request.identity] = codes
        if len(self._kept) > KEPT_MAPS:
            self._kept.popitem(last=False)

    @cached_property
    def _sky(self) -> int:
        """The code that is found most often in the corners of the maps."""
        corners = self.bundle.codes(self.emulator.model)[:, :: self.emulator.code_shape[0] - 1]
        return int(np.bincount(corners[:, :, :: self.emulator.code_shape[1] - 1].ravel()).argmax())

    def stamps_of(self, codes: Codes) -> Stamps:
        """Stamps (n, S, S) that the model draws of code maps (n, h, w)."""
        return np.asarray(self.emulator.decode(codes).mean(axis=1), np.float32)

    def check(self, wish: Wish, condition: Mapping[str, Any]) -> None:
        """Raise RequestError where galaxies cannot be observed so, or would be too large here."""
        side = Maker(self.emulator, wish, condition).side
        if side > MAX_SIDE_PX:
            raise RequestError(
                f"{side} pixels a side: at most {MAX_SIDE_PX} on this page; fewer arcsec a pixel"
                " make the galaxies smaller, and galaxy-explorer generate makes larger ones"
            )

    def seen(self, request: Request, wish: Wish, cancelled: Callable[[], bool]) -> Iterator[Drawn]:
        """As `drawn`; at the end as a camera sees the galaxies, where one is wished for."""
        self.check(wish, request.condition)
        for drawn in self.drawn(request, cancelled):
            if drawn.share < 1 or wish == Wish():
                yield drawn
            else:
                stamps = self.observed(drawn.codes, request, wish, cancelled)
                yield drawn._replace(stamps=stamps)

    def observed(
        self, codes: Codes, request: Request, wish: Wish, cancelled: Callable[[], bool]
    ) -> Stamps:
        """Stamps (n, T, T), stretched for the eye, as a camera would see the galaxies."""
        maker = Maker(self.emulator, wish, request.condition)
        seen = maker.observe(codes, request, cancelled=cancelled)
        return reduced(seen.stretched.mean(axis=1), SHOWN_PX)

    @cached_property
    def _squared(self) -> NDArray[np.float32]:
        """Squared distances (K, K) between the vectors of the codebook."""
        model: Any = self.bundle.load_model(self.emulator.model)
        vectors = model.codebook.cpu().numpy()
        norms = np.square(vectors).sum(1)
        squared = norms[:, None] + norms - 2 * vectors @ vectors.T
        return np.asarray(np.maximum(squared, 0), np.float32)

    @cached_property
    def _training(self) -> tuple[NDArray[np.int64], Codes]:
        rows = np.flatnonzero(np.asarray(self.bundle.column("split")) == "train")
        return rows, self.bundle.codes(self.emulator.model)[rows].reshape(len(rows), -1)

    def nearest(self, codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Nearest training galaxy of each code map (n, h, w): its row, and the distance.

        Euclidean distance of the maps of code vectors, over the root of their number of codes.
        """
        rows, known = self._training
        found = np.empty(len(codes), np.int64)
        far = np.empty(len(codes))
        for i, flat in enumerate(codes.reshape(len(codes), -1)):
            squared = self._squared[flat, known].mean(axis=1, dtype=np.float64)
            found[i] = rows[best := int(squared.argmin())]
            far[i] = math.sqrt(squared[best])
        return found, far

    @cached_property
    def _held_out(self) -> NDArray[np.int64]:
        rows = np.flatnonzero(np.asarray(self.bundle.column("split")) == "test")
        return rows[np.linspace(0, len(rows) - 1, min(len(rows), REFERENCES)).astype(np.int64)]

    @cached_property
    def _usual_distance(self) -> float:
        codes = self.bundle.codes(self.emulator.model)[self._held_out]
        return float(np.median(self.nearest(codes)[1]))

    def _usual_log_prob(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """Log-likelihood of held-out real galaxies, ascending, given their own fields `names`."""
        if names not in self._typical:
            emulator, rows = self.emulator, self._held_out
            fields = [field for field in emulator.fields if field.name in names]
            values = {field.name: emulator.values(field)[rows] for field in fields}
            known = np.isfinite(np.array([*values.values(), np.zeros(len(rows))])).all(axis=0)
            given = {name: value[known] for name, value in values.items()}
            found = emulator.log_prob(self.bundle.codes(emulator.model)[rows[known]], given)
            self._typical[names] = np.sort(found)
        return self._typical[names]

    def facts(self, request: Request, codes: Codes) -> Facts:
        """What is known of samples that were asked for so."""
        rows, far = self.nearest(codes)
        log_prob = self.emulator.log_prob(codes, request.condition)
        usual = self._usual_log_prob(tuple(sorted(request.condition)))
        below = np.searchsorted(usual, log_prob)
        share = 100 * below / max(1, len(usual))
        return Facts(rows, far, self._usual_distance, log_prob, share)

    def reconstructions(self, rows: NDArray[np.int64]) -> Stamps:
        """Stamps (n, S, S) of real galaxies, from their own code maps."""
        return self.stamps.decode(self.emulator.model, rows)

    def sheet(self, drawn: Drawn, display: DisplaySettings, columns: int) -> bytes:
        """One JPEG of galaxies; those that are not whole in the limits usual for galaxies."""
        if drawn.share == 1:
            return synthetic_sheet(drawn.stamps, display, columns)
        return synthetic_sheet(drawn.stamps, display, columns, self.usual_limits(display))

    def usual_limits(self, display: DisplaySettings) -> NDArray[np.float64]:
        """Lower and upper limit (2,) in which a real galaxy is usually drawn."""
        own = limits(self._reference_stamps, display)
        return np.asarray(np.median(own, axis=0))

    def measure_references(self) -> None:
        """Measure some held-out real galaxies, one at a time, so that no visitor waits for it."""
        if not self._measuring:
            self._measuring = True
            self.line.prepare(self._measure_next)

    def _measure_next(self) -> None:
        stamps, done = self._reference_stamps, len(self._measured)
        if done < len(stamps):
            self._measured.append(measured(stamps[done]))
            self.line.prepare(self._measure_next)

    @property
    def references(self) -> list[dict[str, float]]:
        """What held-out real galaxies measure, drawn from their codes; empty until all are done."""
        whole = len(self._measured) == min(REFERENCE_STAMPS, len(self._held_out))
        return self._measured if whole else []

    @cached_property
    def _reference_stamps(self) -> Stamps:
        return self.reconstructions(self._held_out[:REFERENCE_STAMPS])


def measured(stamp: Stamps) -> dict[str, float]:
    """What statmorph measures of a stamp (S, S), by name; NaN where it cannot."""
    from galaxy_explorer.emulation.morphology import MEASURED, measure_one

    *values, _flag = measure_one(stamp).tolist()
    return dict(zip(MEASURED, values, strict=True))


def reduced(stamps: Stamps, side: int) -> Stamps:
    """Stamps (n, T, T) of at most `side` pixels a side: means of whole blocks, edges cut."""
    factor = -(-stamps.shape[-1] // side)
    kept = stamps.shape[-1] // factor * factor
    blocks = stamps[:, :kept, :kept].reshape(len(stamps), kept // factor, factor, -1, factor)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float32)


def synthetic_sheet(
    stamps: Stamps,
    display: DisplaySettings,
    columns: int,
    between: NDArray[np.float64] | None = None,
) -> bytes:
    """One JPEG of synthetic stamps (n, S, S); its comment says what they are."""
    buffer = io.BytesIO()
    pictures = sheet(render(stamps, display, between), columns)
    Image.fromarray(pictures).save(buffer, "JPEG", quality=SHEET_QUALITY, comment=COMMENT)
    return buffer.getvalue()
