"""How near synthetic galaxies are to real ones, and how likely the prior finds them.

The noise that a decoder leaves out is put back, so that drawn and real stamps are measured alike.
It is measured where there is sky only: stamp minus reconstruction has a sigma for each galaxy and
an autocorrelation common to all, since stamps that were resampled have no white noise.

T and attributes of drawn galaxies are read by an independent network, under noise as of real
stamps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.observation import numbers_of
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.models.conditions import read_columns
from galaxy_explorer.models.registry import AUTOENCODERS
from galaxy_explorer.survey.photometry import segment

if TYPE_CHECKING:
    from galaxy_explorer.models.ttype_regressor import Readings, StoredRegressor


Floats = NDArray[np.float64]
Stamps = NDArray[np.float32]

GROWTH_PX = 3  # about each source, where its faint light may be
LARGEST_LAG_PX = 4
CLIP_SIGMA = 4.0
LEAST_SKY = 0.05  # of the stamp; with less, the sigma is that of all the rest
FAINTEST = 1e-6


@dataclass(frozen=True)
class SkyNoise:
    """sigma (N,) of the galaxies it was measured on; filter (S, S/2+1): amplitude a frequency."""

    sigma: Floats
    filter: Floats

    def draw(self, sigma: Floats, numbers: NDArray[np.int64], kind: int = 0) -> Stamps:
        """Noise (n, 1, S, S) of these sigmas (n,), a function of (kind, number) of each alone."""
        side = len(self.filter)
        out = np.empty((len(sigma), 1, side, side), np.float32)
        for place, (level, number) in enumerate(zip(sigma, numbers, strict=True)):
            white = np.random.default_rng((kind, int(number))).standard_normal((side, side))
            shaped = np.fft.rfft2(white) * self.filter
            out[place, 0] = level * np.fft.irfft2(shaped, s=(side, side))
        return out


def left_out_noise(stamps: Stamps, drawn: Stamps) -> SkyNoise:
    """The noise of stamps (N, C, S, S) that their reconstructions lack; of the mean over bands."""
    from scipy import ndimage

    real, smooth = stamps.mean(1, dtype=np.float64), drawn.mean(1, dtype=np.float64)
    side, lags = real.shape[-1], LARGEST_LAG_PX
    sigma = np.full(len(real), np.nan)
    products = np.zeros((2 * lags + 1, 2 * lags + 1))
    counts = np.zeros_like(products)
    for number, (stamp, reconstruction) in enumerate(zip(real, smooth, strict=True)):
        sources = segment(stamp).labels > 0
        sky = np.asarray(~ndimage.binary_dilation(sources, iterations=GROWTH_PX))
        if sky.mean() < LEAST_SKY:
            continue
        left = np.where(sky, stamp - reconstruction, 0.0)
        left -= np.where(sky, left.sum() / sky.sum(), 0.0)
        spread = max(float(np.sqrt(np.square(left).sum() / sky.sum())), FAINTEST)
        sky &= np.abs(left) < CLIP_SIGMA * spread
        left *= sky
        sigma[number] = max(float(np.sqrt(np.square(left).sum() / sky.sum())), FAINTEST)
        part = left / sigma[number]
        products += _lagged(part, part, lags)
        counts += _lagged(sky, sky, lags)
    known = np.isfinite(sigma)
    sigma[~known] = np.median(sigma[known]) if known.any() else 0.0
    # square root of the power spectrum of the autocorrelation, for unit variance
    window = np.hanning(2 * lags + 3)[1:-1]
    wrapped = np.zeros((side, side))
    place = np.arange(-lags, lags + 1) % side
    wrapped[np.ix_(place, place)] = products / np.maximum(counts, 1) * np.outer(window, window)
    wrapped[0, 0] = max(float(wrapped[0, 0]), FAINTEST)
    full = np.fft.fft2(wrapped).real.clip(0)
    return SkyNoise(sigma, np.asarray(np.sqrt(full / full.mean())[:, : side // 2 + 1]))


def _lagged(a: NDArray[Any], b: NDArray[Any], lags: int) -> Floats:
    """Sums (2 L + 1, 2 L + 1) of a(x) b(x + lag) over all pixels, for lags up to L each way."""
    inner = a[lags:-lags, lags:-lags].astype(np.float64)
    height, width = inner.shape
    sums = [
        [(inner * b[i : i + height, j : j + width]).sum() for j in range(2 * lags + 1)]
        for i in range(2 * lags + 1)
    ]
    return np.array(sums)


KIND = 2  # of its noise: another than what the proof puts back (0) or adds to samples (1)


def read_drawn(
    judge: StoredRegressor, drawn: NDArray[np.float32], numbers: NDArray[np.int64]
) -> Readings:
    """What is read of stretched stamps (n, C, S, S) as a model draws them, in eight orientations.

    The median noise of real stamps is added; numbers (n,): that of each is a function of its own.
    """
    from galaxy_explorer.models.ttype_regressor import judge_stamps

    one = np.ones(len(drawn))
    noise = SkyNoise(one, judge.noise.astype(np.float64)).draw(one, numbers, kind=KIND)
    return judge_stamps(judge.model, drawn + noise)


def read_samples(
    emulator: Emulator, codes: NDArray[Any], numbers: NDArray[np.int64]
) -> dict[str, Floats]:
    """What the bundle's judge reads of samples (n, ...): read_ttype (n,), then attributes (n,).

    Before any camera; numbers (n,): of the samples, see `read_drawn`. Empty without a judge.
    """
    judge = emulator.bundle.ttype_regressor
    if judge is None:
        return {}
    regressor = emulator.bundle.load_ttype_regressor()
    found = read_drawn(regressor, emulator.decode(codes), numbers).table
    return dict(zip(read_columns(judge.attributes), found.T, strict=True))


REFERENCES = 256
"""Real galaxies, unknown to the prior, that samples are compared with."""
COMPARED = 64
"""Of these, whose distances from training galaxies are looked up: each takes a pass over all."""


@dataclass(frozen=True)
class Facts:
    """What is known of n samples.

    rows, distances (n,): nearest galaxy of the train split in the space of code vectors or latents,
    and how far it is. usual: median of such distances of some held-out real galaxies. log_prob
    (n,): nats a galaxy; percentile (n,): share (%) of held-out real galaxies that are less likely.
    read: what the bundle's judge reads, name to (n,), see `read_samples`; empty without a judge.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float64]
    usual: float
    log_prob: NDArray[np.float64]
    percentile: NDArray[np.float64]
    read: Mapping[str, Floats] = field(default_factory=dict)


class Likeness:
    """Compares samples of an emulator, code maps or latents (n, ...), with its real galaxies."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator, self.bundle = emulator, emulator.bundle
        self._typical: dict[tuple[str, ...], NDArray[np.float64]] = {}

    @property
    def space(self) -> str:
        """What distances are measured in."""
        return "code vectors" if self.has_codes else "latents"

    @property
    def has_codes(self) -> bool:
        """Whether code maps are compared, rather than latents."""
        return AUTOENCODERS[self.bundle.models[self.emulator.model].kind].maps > 0

    def _rows(self, split: str) -> NDArray[np.int64]:
        return np.flatnonzero(np.asarray(self.bundle.column("split")) == split)

    def _encoded(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """What galaxies are encoded to, (n, F)."""
        return self.bundle.encoded(self.emulator.model)[rows].reshape(len(rows), -1)

    @cached_property
    def _training(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        rows = self._rows("train")
        return rows, self._encoded(rows)

    @cached_property
    def held_out(self) -> NDArray[np.int64]:
        """Rows of real galaxies that the prior does not know, at most REFERENCES."""
        rows = self._rows("test")
        return rows[np.linspace(0, len(rows) - 1, min(len(rows), REFERENCES)).astype(np.int64)]

    @cached_property
    def _apart(self) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]]:
        """Mean squared distance of one galaxy (F,) from others (n, F), over codes or latents."""
        model = self.bundle.load_model(self.emulator.model)
        if not model.codebooks:
            return lambda one, others: np.square(others - one).mean(1, dtype=np.float64)
        ends = np.cumsum((0, *model.config.code_counts)).tolist()
        places = [slice(start, end) for start, end in pairwise(ends)]  # of a row of codes
        parts = []
        for codebook, place in zip(model.codebooks, places, strict=True):
            vectors = codebook.cpu().numpy()
            norms = np.square(vectors).sum(1)
            squared = norms[:, None] + norms - 2 * vectors @ vectors.T  # (K, K)
            parts.append((np.asarray(np.maximum(squared, 0), np.float32), place))

        def apart(one: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
            summed = np.zeros(len(others))
            for table, part in parts:
                summed += table[one[part], others[:, part]].sum(1, dtype=np.float64)
            return summed / len(one)

        return apart

    def nearest(self, codes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Nearest training galaxy of each of codes (n, ...): its row, and the distance.

        Root mean square, over the codes of a map or the latents, of how far their vectors are.
        """
        rows, known = self._training
        found = np.empty(len(codes), np.int64)
        far = np.empty(len(codes))
        for i, one in enumerate(codes.reshape(len(codes), -1)):
            squared = self._apart(one, known)
            found[i] = rows[best := int(squared.argmin())]
            far[i] = math.sqrt(squared[best])
        return found, far

    @cached_property
    def _usual_distance(self) -> float:
        few = self.held_out[:: max(1, len(self.held_out) // COMPARED)]
        return float(np.median(self.nearest(self._encoded(few))[1]))

    def _usual_log_prob(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """Log-likelihood of held-out real galaxies, ascending, given their own fields `names`."""
        if names not in self._typical:
            emulator, rows = self.emulator, self.held_out
            fields = [field for field in emulator.fields if field.name in names]
            values = {field.name: emulator.values(field)[rows] for field in fields}
            known = np.isfinite(np.array([*values.values(), np.zeros(len(rows))])).all(axis=0)
            given = {name: value[known] for name, value in values.items()}
            codes = self.bundle.encoded(emulator.model)[rows[known]]
            self._typical[names] = np.sort(emulator.log_prob(codes, given, quick=True))
        return self._typical[names]

    def facts(self, request: Request, codes: NDArray[Any]) -> Facts:
        """What is known of samples (n, ...) that were asked for so."""
        rows, far = self.nearest(codes)
        log_prob = self.emulator.log_prob(codes, request.condition, quick=True)
        usual = self._usual_log_prob(tuple(sorted(request.condition)))
        below = np.searchsorted(usual, log_prob)
        share = 100 * below / max(1, len(usual))
        read = read_samples(self.emulator, codes, numbers_of(request))
        return Facts(rows, far, self._usual_distance, log_prob, share, read)
