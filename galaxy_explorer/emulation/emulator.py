"""The emulator of a bundle: from a request to code maps or latents, and from these to stamps.

Everything that it draws is synthetic.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.bundle.emulation import READ_TTYPE
from galaxy_explorer.bundle.manifest import PriorEntry, main_prior
from galaxy_explorer.emulation.request import Like, Request
from galaxy_explorer.errors import BundleError, RequestError
from galaxy_explorer.models.conditions import Draw, Field, Origin, condition_of
from galaxy_explorer.models.registry import PRIORS

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Prior, PriorSampler, StreamingSampler

__all__ = ["CodeEmulator", "Emulator", "Field", "Partial", "Request"]

CURE = "galaxy-explorer prior BUNDLE --survey SURVEY makes one"
TTYPE = "ttype"
UNDRAWN = -1
BATCH = 256
Stamps = NDArray[np.float32]


def never() -> bool:
    """Nobody has cancelled."""
    return False


@dataclass(frozen=True)
class Partial:
    """Code maps on the way: codes (n, h, w), -1 where none is known yet; share that is done."""

    codes: NDArray[np.int64]
    share: float


class Emulator:
    """A prior over what one model encodes galaxies to, and that model's decoder.

    key: of the prior, "<model>/<kind>". model: its name. fields: what a request may ask for,
    `ttype` first where there is one. kind: of prior. code_shape: of what is drawn of a galaxy.
    guided: whether it can be pulled towards what is asked for; default_guidance: of a request
    without one.
    """

    def __init__(self, bundle: Bundle, entry: PriorEntry) -> None:
        """Of one of the bundle's priors."""
        self.bundle, self.fields = bundle, entry.fields
        self.model, self.key = entry.model, entry.key
        self.default_guidance = entry.default_guidance
        self.kind = PRIORS[entry.kind]
        self.guided = self.kind.guided
        self.code_shape = self.kind.code_shape(entry.config)
        self._lock = threading.Lock()
        self._made: PriorSampler | None = None

    @staticmethod
    def open(bundle: Bundle, model: str | None = None, kind: str | None = None) -> Emulator:
        """The emulator of a model and a kind of prior.

        By default of the kind that ranks highest, a rectified flow before a PixelCNN before others,
        and of the first model that has one. Raises BundleError where the bundle has no such prior.
        """
        if not bundle.priors:
            raise BundleError(f"{bundle.path}: no prior to draw galaxies from; {CURE}")
        entry = main_prior(
            one
            for one in bundle.priors.values()
            if model in (None, one.model) and kind in (None, one.kind)
        )
        if entry is None:
            asked = " ".join(filter(None, ["" if model is None else f"of {model}", kind]))
            has = ", ".join(bundle.priors)
            raise BundleError(f"{bundle.path}: no prior {asked}; there are {has}")
        streams = PRIORS[entry.kind].streams
        return CodeEmulator(bundle, entry) if streams else Emulator(bundle, entry)

    def check(self, request: Request) -> None:
        """Raise RequestError where the request is not possible."""
        request.checked(self.fields)
        if not self.guided and request.guidance not in (None, 1):
            raise RequestError(
                f"guidance {request.guidance:g}: the {self.kind.short} of {self.model} has none;"
                " leave it out"
            )
        if request.like is not None:
            self.row_of(request.like)

    def row_of(self, like: Like) -> int:
        """Row of the galaxy that others are drawn from; raises RequestError where they cannot be.

        Only a rectified flow can be followed back from a galaxy to the noise that it comes of.
        """
        if not self.kind.reversible:
            raise RequestError(f"like {like.galaxy}: the {self.kind.short} draws from noise alone")
        rows = np.flatnonzero(self.bundle.column("galaxy_id") == like.galaxy)
        if not len(rows):
            raise RequestError(f"like {like.galaxy[:60]!r}: not a galaxy of this bundle")
        return int(rows[0])

    def known_of(self, row: int) -> dict[str, float]:
        """What a galaxy may be said to be, by field: the catalogue's values that are known.

        A T that the catalogue does not know is the judge's, where the bundle has one.
        """
        from galaxy_explorer.emulation.likeness import read_samples

        known = {field.name: float(self.values(field)[row]) for field in self.fields}
        if not np.isfinite(known.get(TTYPE, 0.0)):
            read = read_samples(self, self.bundle.encoded(self.model)[[row]], np.zeros(1, np.int64))
            known[TTYPE] = float(read.get(READ_TTYPE, [np.nan])[0])
        ends = {field.name: (field.low, field.high) for field in self.fields}
        return {name: float(np.clip(v, *ends[name])) for name, v in known.items() if np.isfinite(v)}

    def codes(
        self, request: Request, *, cancelled: Callable[[], bool] = never
    ) -> NDArray[np.generic]:
        """What is drawn of each galaxy, (n, ...); raises RequestError, also where cancelled."""
        from galaxy_explorer.models.sampler import drawn

        self.check(request)
        return drawn(self._drawing(), self._draw(request), cancelled)

    def decode(self, codes: NDArray[np.generic]) -> Stamps:
        """Stamps (n, C, S, S), stretched, of whole code maps or latents (n, ...)."""
        return self.bundle.draw(self.model, np.asarray(codes))

    def log_prob(
        self,
        codes: NDArray[np.generic],
        condition: Mapping[str, ArrayLike],
        *,
        quick: bool = False,
    ) -> NDArray[np.float64]:
        """Log-likelihood (n,) of code maps or latents (n, ...), in nats a galaxy.

        condition: by field, a number or one a galaxy; NaN: the catalogue does not know it.
        quick: to compare galaxies by, see `prior_log_prob`.
        """
        from galaxy_explorer.models.inference import prior_log_prob

        asked = condition_of(self.fields, condition, len(codes))
        return prior_log_prob(self.prior, np.asarray(codes), asked, quick=quick)

    @property
    def prior(self) -> Prior:
        """The network itself."""
        return self.bundle.load_prior(self.model, self.kind.name)

    def values(self, field: Field) -> NDArray[np.float64]:
        """The field of every galaxy of the bundle (N,), NaN where unknown."""
        needed = {field.column, field.over} - {""}
        if not needed <= {*self.bundle.column_names}:  # of a survey that was encoded
            return np.full(len(self.bundle), np.nan)
        return field.values(self.bundle.column)

    def _drawing(self) -> PriorSampler:
        """What draws, made at the first call."""
        from galaxy_explorer.models.sampler import sampler_of

        with self._lock:
            if self._made is None:
                self._made = sampler_of(self.prior)
            return self._made

    def _draw(self, request: Request, fixed: NDArray[np.int64] | None = None) -> Draw:
        guidance = self.default_guidance if request.guidance is None else request.guidance
        step, origin = 0 if request.same_noise else 1, None
        if request.like is not None:
            row = self.row_of(request.like)
            known = {n: v for n, v in self.known_of(row).items() if n in request.condition}
            codes = self.bundle.codes(self.model)[row].astype(np.int64)
            condition = condition_of(self.fields, known, 1)
            origin = Origin(codes, condition, request.like.change)
        return Draw(
            seed=request.seed,
            numbers=tuple(request.first + step * sample for sample in range(request.count)),
            condition=condition_of(self.fields, request.condition, request.count),
            temperature=request.temperature,
            guidance=guidance,
            fixed=fixed,
            origin=origin,
        )


class CodeEmulator(Emulator):
    """Draws code maps (h, w), row by row or step by step; num_embeddings: how many codes exist."""

    def __init__(self, bundle: Bundle, entry: PriorEntry) -> None:
        super().__init__(bundle, entry)
        self.num_embeddings = int(entry.config["num_embeddings"])

    def stream(
        self,
        request: Request,
        *,
        fixed: ArrayLike | None = None,
        cancelled: Callable[[], bool] = never,
    ) -> Iterator[Partial]:
        """The code maps after each row, or whole ones after each step, coarse at first.

        fixed: codes (h, w) or (n, h, w) that are given, -1 where they are free: a PixelCNN draws
        those that come later to go with them, a rectified flow all others. Ends early once
        `cancelled()` is true, which is asked before every code or pass of the network. Raises
        RequestError at the call.
        """
        self.check(request)
        draw = self._draw(request, self._fixed(request, fixed))
        sampler = cast("StreamingSampler", self._drawing())  # kinds that stream have `stages`
        return (Partial(codes, share) for share, codes in sampler.stages(draw, cancelled))

    def _fixed(self, request: Request, fixed: ArrayLike | None) -> NDArray[np.int64] | None:
        if fixed is None:
            return None
        codes, shape = np.asarray(fixed), (request.count, *self.code_shape)
        if codes.dtype.kind not in "iu" or codes.shape not in (shape, self.code_shape):
            raise RequestError(f"fixed {codes.shape}: whole numbers of shape {shape} are possible")
        if codes.min() < UNDRAWN or codes.max() >= self.num_embeddings:
            raise RequestError(f"fixed: codes from -1 (free) to {self.num_embeddings - 1}")
        return np.broadcast_to(codes, shape).astype(np.int64)

    def codes(
        self,
        request: Request,
        *,
        cancelled: Callable[[], bool] = never,
        fixed: ArrayLike | None = None,
    ) -> NDArray[np.generic]:
        """Code maps (n, h, w), the end of the stream; fixed: see there."""
        from galaxy_explorer.models.sampler import drawn

        self.check(request)
        return drawn(self._drawing(), self._draw(request, self._fixed(request, fixed)), cancelled)
