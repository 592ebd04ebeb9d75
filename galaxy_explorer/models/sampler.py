"""Code maps drawn from a prior, code by code, row by row.

Sample i has Gumbel noise of its own, a function of (seed, i) alone: the code at a place is the
argmax of logits / temperature + noise, which is an exact draw (Gumbel 1954). The arithmetic is in
double precision, so that rounding, which differs with the batch size, decides no code.

Latents are drawn from a flow as normal deviates, sent through the inverse of its splines. Sample i
has deviates of its own, a function of (seed, i) alone. The arithmetic is in double precision and
its result is kept in half, as latents are: rounding, which differs with the number of samples drawn
together, decides nothing.

A rectified flow is followed from noise to vectors for a fixed number of samples at a time, so that
its arithmetic is the same however many are drawn, and the codebook quantizes them. A processor that
multiplies in bfloat16 does so for its network, in 0.4 of the time; 3 % of the codes are other ones
then, as many as change between 40 steps and 80.

Both code maps of a VQ-VAE-2 are drawn from its prior: the top one, then the bottom one given it.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from galaxy_explorer.errors import RequestError
from galaxy_explorer.models.conditions import GIVEN, WITHHELD, Draw, Origin
from galaxy_explorer.models.flow import LAST_TIME, LatentFlow, RectifiedFlow
from galaxy_explorer.models.pixelcnn import (
    GatedLayer,
    HierarchicalPrior,
    PixelCNN,
    PixelCNNConfig,
    gate,
)
from galaxy_explorer.models.protocols import Prior, PriorSampler
from galaxy_explorer.models.registry import PRIORS
from galaxy_explorer.models.training import has_bfloat16

Codes = NDArray[np.int64]
UNDRAWN = -1


class GumbelNoise:
    """Gumbel noise of each sample, (n, w, K) a row, drawn row after row.

    level: of a map of the same sample, 0 or above; each has noise of its own.
    """

    def __init__(self, seed: int, numbers: tuple[int, ...], level: int = 0) -> None:
        key = (level,) if level else ()
        seeds = (np.random.SeedSequence((seed, number), spawn_key=key) for number in numbers)
        self._generators = [np.random.default_rng(one) for one in seeds]

    def row(self, width: int, num_embeddings: int) -> NDArray[np.float64]:
        """The noise of the next row."""
        shape = (width, num_embeddings)
        return np.stack([generator.gumbel(size=shape) for generator in self._generators])


def never() -> bool:
    """Nobody has cancelled."""
    return False


class Passes:
    """The condition of each pass, one after another: asked for, and withheld where guided.

    values, states (P, F): P is twice the number of samples where guided.
    """

    def __init__(self, draw: Draw, dtype: torch.dtype) -> None:
        values, states = (torch.from_numpy(part) for part in draw.condition)
        self.guided = draw.guidance != 1 and bool((states == GIVEN).any())
        self.guidance, self.temperature = draw.guidance, draw.temperature
        if self.guided:
            values = torch.cat([values, values])
            states = torch.cat([states, torch.where(states == GIVEN, WITHHELD, states)])
        self.values, self.states = values.to(dtype), states
        self.features = None if draw.features is None else self.repeated(draw.features.to(dtype))

    def repeated(self, codes: Tensor) -> Tensor:
        """Codes (n, ...) once for each pass, (P, ...)."""
        return torch.cat([codes, codes]) if self.guided else codes

    def guide(self, found: Tensor) -> Tensor:
        """What comes of the predictions (P, ...) of all passes, (n, ...)."""
        if not self.guided:
            return found
        asked, plain = found.chunk(2)
        return plain + self.guidance * (asked - plain)

    def chosen(self, logits: Tensor, noise: NDArray[np.float64]) -> Tensor:
        """The codes (n,) of logits (P, K) under noise (n, K)."""
        guided = self.guide(logits).double()
        return (guided / self.temperature + torch.from_numpy(noise)).argmax(1)


class _Canvas:
    """The maps being drawn, with the noise of the samples and the codes that are given."""

    def __init__(self, config: PixelCNNConfig, draw: Draw) -> None:
        self._noise, self._fixed = GumbelNoise(draw.seed, draw.numbers, draw.level), draw.fixed
        self._shape = (config.width, config.num_embeddings)
        shape = (len(draw.numbers), config.height, config.width)
        self.codes = torch.full(shape, UNDRAWN)

    def begin_row(self) -> None:
        """Draw the noise of the next row."""
        self._row = self._noise.row(*self._shape)

    def put(self, row: int, column: int, logits: Tensor, passes: Passes) -> Tensor:
        """Draw the codes (n,) of one place from its logits (P, K), unless they are given."""
        codes = passes.chosen(logits, self._row[:, column])
        if self._fixed is not None:
            given = torch.from_numpy(self._fixed[:, row, column])
            codes = torch.where(given >= 0, given, codes)
        self.codes[:, row, column] = codes
        return codes

    def copy(self) -> Codes:
        """The maps as they are now, (n, h, w)."""
        return self.codes.numpy().copy()


@torch.inference_mode()
def naive_rows(
    prior: PixelCNN, draw: Draw, cancelled: Callable[[], bool] = never
) -> Iterator[Codes]:
    """Code maps (n, h, w) after each row, -1 where not drawn: a whole forward pass for each code.

    The plain definition, which `Sampler` must match code by code.
    """
    config, passes = prior.config, Passes(draw, prior.position.dtype)
    canvas = _Canvas(config, draw)
    for row in range(config.height):
        canvas.begin_row()
        for column in range(config.width):
            if cancelled():
                return
            seen = passes.repeated(canvas.codes.clamp(min=0))
            logits = prior(seen, passes.values, passes.states, passes.features)[:, :, row, column]
            canvas.put(row, column, logits, passes)
        yield canvas.copy()


class Sampler:
    """Draws the same codes as `naive_rows` at the cost of about one forward pass in all.

    Each layer keeps what later codes need: its input on the last rows, for the vertical stack,
    which runs once a row; its input on this row, for the horizontal stack. So a code costs one
    column of the horizontal stack, and memory grows with the width of the map, not its area.
    """

    def __init__(self, prior: PixelCNN, dtype: torch.dtype = torch.float64) -> None:
        self.prior = copy.deepcopy(prior).to(dtype).eval()
        with torch.inference_mode():
            self._layers = [_Layer(layer) for layer in self.prior.stack]
            self._head = [_matrix(layer) for layer in (self.prior.head, self.prior.logits)]

    @torch.inference_mode()
    def rows(self, draw: Draw, cancelled: Callable[[], bool] = never) -> Iterator[Codes]:
        """Code maps (n, h, w) after each row, -1 where not drawn; ends early where cancelled."""
        config, passes = self.prior.config, Passes(draw, self.prior.position.dtype)
        canvas = _Canvas(config, draw)
        asked = self.prior.encoder(passes.values, passes.states)
        place = self.prior.place(passes.features).movedim(1, -1)  # (1 or P, h, w, E)
        states = [_State(layer, asked, config.width) for layer in self._layers]
        for row in range(config.height):
            canvas.begin_row()
            for state in states:
                state.begin_row(place[:, row])
            embedded = asked.new_empty(len(asked), config.width, config.features)
            for column in range(config.width):
                if cancelled():
                    return
                codes = canvas.put(row, column, self._logits(states, column), passes)
                embedded[:, column] = self.prior.embedding(passes.repeated(codes))
                states[0].see(column, embedded[:, column])
            for state in states:
                embedded = state.end_row(embedded)
            yield canvas.copy()

    def stages(
        self, draw: Draw, cancelled: Callable[[], bool] = never
    ) -> Iterator[tuple[float, Codes]]:
        """The same with the share of the rows that are drawn."""
        height = self.prior.config.height
        return ((row / height, codes) for row, codes in enumerate(self.rows(draw, cancelled), 1))

    def codes(self, draw: Draw, cancelled: Callable[[], bool] = never) -> Codes | None:
        """Whole code maps (n, h, w), None where cancelled."""
        rows = list(self.rows(draw, cancelled))
        return rows[-1] if len(rows) == self.prior.config.height else None

    def kept_bytes(self, passes: int) -> int:
        """Memory that the layers keep of maps being drawn: no more for a higher map."""
        dtype, width = self.prior.position.dtype, self.prior.config.width
        asked = torch.zeros(passes, self.prior.config.condition_dim, dtype=dtype)
        states = [_State(layer, asked, width) for layer in self._layers]
        return sum(state.kept_bytes for state in states)

    def _logits(self, states: list[_State], column: int) -> Tensor:
        """Logits (P, K) of one place, all earlier codes being known to the states."""
        h = states[0].beside(column)
        for state in states[1:]:
            state.see(column, h)
            h = h + state.beside(column)
        for weight, bias in self._head:
            h = torch.addmm(bias, torch.relu(h), weight)
        return h


def _matrix(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """A convolution as a matrix (places x inputs, outputs) for flattened windows, and its bias."""
    matrix = conv.weight.permute(2, 3, 1, 0).reshape(-1, conv.out_channels).contiguous()
    bias = conv.bias
    return matrix, matrix.new_zeros(conv.out_channels) if bias is None else bias


class _Layer:
    """The weights of one layer as matrices."""

    def __init__(self, layer: GatedLayer) -> None:
        self.reach, self.first, self.across = layer.kernel // 2, layer.first, layer.across
        self.kernel, self.features = layer.kernel, layer.out.in_channels
        self.vertical, self.vertical_bias = _matrix(layer.vertical)
        self.horizontal, self.horizontal_bias = _matrix(layer.horizontal)
        self.down, self.down_bias = _matrix(layer.down)
        self.out, self.out_bias = _matrix(layer.out)
        self.condition = layer.condition


class _State:
    """What one layer keeps of P passes on the way through the map.

    The rows above (P, R + 1, w + 2R, C) with zeros at the margins, R the reach of the kernel; this
    row (P, (w + R) C) with zeros at the left; what comes from the row above (P, w, 2C).
    """

    def __init__(self, layer: _Layer, asked: Tensor, width: int) -> None:
        passes, features, reach = len(asked), layer.features, layer.reach
        self._layer, self._width = layer, width
        self._above, self._beside = layer.condition(asked).chunk(2, 1)  # (P, 2C) each
        self._rows = asked.new_zeros(passes, reach + 1, width + 2 * reach, features)
        self._row = asked.new_zeros(passes, (width + reach) * features)
        self._from_above = layer.down_bias.expand(passes, width, -1)

    @property
    def kept_bytes(self) -> int:
        """Memory of the rows above, of this row, and of what comes from above."""
        parts = (self._rows, self._row, self._from_above, self._above, self._beside)
        return sum(part.numel() * part.element_size() for part in parts)

    def begin_row(self, place: Tensor) -> None:
        """All that this row's convolutions are added to; place (1 or P, w, E): what is known."""
        self._above_here, here = self._layer.condition(place).chunk(2, -1)  # (1 or P, w, 2C) each
        constant = (self._beside + self._layer.horizontal_bias)[:, None]
        self._base = self._from_above + constant + here  # (P, w, 2C)

    def see(self, column: int, h: Tensor) -> None:
        """Keep the input h (P, C) of the horizontal stack at a place."""
        start = (column + self._layer.reach) * self._layer.features
        self._row[:, start : start + self._layer.features] = h

    def beside(self, column: int) -> Tensor:
        """What the horizontal stack makes of this row up to a place, (P, C)."""
        layer, start = self._layer, column * self._layer.features
        window = self._row[:, start : start + layer.across * layer.features]
        opened = gate(torch.addmm(self._base[:, column], window, layer.horizontal))
        return torch.addmm(layer.out_bias, opened, layer.out)

    def end_row(self, v: Tensor) -> Tensor:
        """Run the vertical stack over the finished row of its input v (P, w, C); its output."""
        layer, reach = self._layer, self._layer.reach
        self._rows = torch.roll(self._rows, -1, 1)
        self._rows[:, -1, reach : reach + self._width] = v
        windows = self._rows.unfold(2, layer.kernel, 1)  # (P, R + 1, w, C, k)
        flat = windows.permute(0, 2, 1, 4, 3).reshape(-1, len(layer.vertical))
        seen = torch.addmm(layer.vertical_bias, flat, layer.vertical)  # (P w, 2C)
        down = torch.addmm(layer.down_bias, seen, layer.down)
        self._from_above = down.reshape(len(v), self._width, -1)
        above = self._above[:, None] + self._above_here
        return v + gate(seen.reshape(above.shape) + above, 2)


BATCH = 64  # samples between two looks at whether somebody cancelled


class FlowSampler:
    """Draws from one flow. A draw's guidance and given codes have no meaning here."""

    def __init__(self, flow: LatentFlow) -> None:
        self.flow = copy.deepcopy(flow).double().eval()

    @torch.inference_mode()
    def codes(
        self, draw: Draw, cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float16] | None:
        """Latents (n, D), None where cancelled.

        temperature: the variance of the deviates, which of a Gaussian is what it is of logits.
        """
        size, spread, parts = self.flow.config.latents, draw.temperature**0.5, []
        values, states = (torch.from_numpy(part) for part in draw.condition)
        for start in range(0, len(draw.numbers), BATCH):
            if cancelled():
                return None
            part = slice(start, start + BATCH)
            generators = (np.random.default_rng((draw.seed, n)) for n in draw.numbers[part])
            noise = np.stack([generator.normal(size=size) for generator in generators])
            deviates = torch.from_numpy(noise * spread)
            made = self.flow.made_from(deviates, values[part].double(), states[part])
            parts.append(made.numpy().astype(np.float16))
        return np.concatenate(parts)


SAMPLES_A_PASS = 4  # of a rectified flow, always as many, so that no batch changes the arithmetic
# Above 1 the first steps are the shortest: what goes wrong early ends in another galaxy.
EARLY_STEPS = 1.25
# What a galaxy is, is settled early: half of what may change is back at a tenth of the times.
LATE = 3


class RectifiedSampler:
    """Draws code maps from one rectified flow, step by step."""

    def __init__(self, flow: RectifiedFlow) -> None:
        self.flow = copy.deepcopy(flow).eval()

    @torch.inference_mode()
    def stages(
        self, draw: Draw, cancelled: Callable[[], bool] = never
    ) -> Iterator[tuple[float, Codes]]:
        """Share of the steps that are done and the code maps (n, h, w) that are expected then.

        The first are blurred, the last are the sample. Ends early where cancelled, which is asked
        before every pass. temperature: the variance of the noise. guidance: of the predictions.
        Given codes stand for what is predicted at their places: the rest is drawn to go with them.
        """
        steps, numbers = self.flow.config.steps, len(draw.numbers)
        starts = range(0, numbers, SAMPLES_A_PASS)
        first = 0.0 if draw.origin is None else LAST_TIME * (1 - draw.origin.change) ** LATE
        times = (first + (LAST_TIME - first) * np.linspace(0, 1, steps) ** EARLY_STEPS).tolist()
        begun = {} if draw.origin is None else self._traced(draw, draw.origin, times)
        blocks = [_FlowBlock(self.flow, draw, start, begun) for start in starts]
        for step, (now, then) in enumerate(pairwise([*times, 1.0]), 1):
            for block in blocks:
                if cancelled():
                    return
                block.go(now, then)
            expected = torch.cat([self.flow.codes_of(block.expected) for block in blocks])
            codes = expected[:numbers].numpy()
            yield step / steps, codes if draw.fixed is None else _kept(codes, draw.fixed)

    def codes(self, draw: Draw, cancelled: Callable[[], bool] = never) -> Codes | None:
        """Code maps (n, h, w), None where cancelled."""
        last = deque(self.stages(draw, cancelled), maxlen=1)
        return last[0][1] if last and last[0][0] == 1 else None

    def _traced(self, draw: Draw, origin: Origin, times: list[float]) -> dict[int, Tensor]:
        """The mixture (h, w, P) at the first of `times` that flows to the origin, by number.

        The origin's codes stand under the little noise of LAST_TIME, that of each number its own;
        from there the flow is followed back, under what is known of the origin: asked for the same,
        it comes back to it. The temperature is that of the noise that is added.
        """
        flow, distinct = self.flow, tuple(dict.fromkeys(draw.numbers))
        clean = flow.components(flow.codebook[torch.from_numpy(origin.codes)])
        known = origin.condition.rows(np.zeros(len(distinct), np.int64))
        back = replace(draw, numbers=distinct, condition=known, guidance=1.0, fixed=None)
        found: dict[int, Tensor] = {}
        for start in range(0, len(distinct), SAMPLES_A_PASS):
            block = _FlowBlock(flow, back, start, {})
            block.mixed = LAST_TIME * clean + (1 - LAST_TIME) * block.mixed
            for now, then in pairwise(times[::-1]):
                block.go(now, then)
            found |= zip(distinct[start : start + SAMPLES_A_PASS], block.mixed, strict=False)
        return found


class _FlowBlock:
    """SAMPLES_A_PASS samples on their way, the last of the draw again where it has no more.

    begun: mixtures (h, w, P) that those of some numbers begin with, in place of noise.
    """

    def __init__(
        self, flow: RectifiedFlow, draw: Draw, start: int, begun: Mapping[int, Tensor]
    ) -> None:
        config = flow.config
        rows = np.arange(start, start + SAMPLES_A_PASS).clip(max=len(draw.numbers) - 1)
        numbers = tuple(draw.numbers[row] for row in rows)
        part = replace(draw, numbers=numbers, condition=draw.condition.rows(rows))
        shape = (config.height, config.width, config.components)
        generators = (np.random.default_rng((draw.seed, number)) for number in numbers)
        noise = np.stack([generator.normal(size=shape) for generator in generators])
        self.flow, self.passes = flow, Passes(part, torch.float32)
        self.mixed = torch.from_numpy(noise * draw.temperature**0.5).float()
        for place, number in enumerate(numbers):
            if number in begun:
                self.mixed[place] = begun[number]
        self.given, self.known = None, None
        if draw.fixed is not None:
            fixed = torch.from_numpy(draw.fixed[rows])
            self.given = (fixed >= 0)[..., None]
            self.known = flow.components(flow.codebook[fixed.clamp(min=0)])
        self.before: tuple[float, Tensor] | None = None

    def go(self, now: float, then: float) -> None:
        """One step from a time to a later one, by what is expected now and was expected before.

        The exact solution of dx/dt = (y - x) / (1 - t) for an expectation y that goes on as it went
        since the last step, linear in t: of second order for one pass a step, as the multistep
        solvers of Lu et al. (2022) are, which take it as linear in the logarithm of t / (1 - t).
        """
        passes, mixed = self.passes, self.passes.repeated(self.mixed)
        time = torch.full((len(mixed),), now)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            predicted = self.flow.predicted(mixed, time, passes.values, passes.states)
        found = passes.guide(predicted)
        if self.given is not None and self.known is not None:
            found = torch.where(self.given, self.known, found)
        left, after = 1 - now, 1 - then
        self.mixed = found + (self.mixed - found) * (after / left)
        if self.before is not None and after > 0:
            change = (found - self.before[1]) / (now - self.before[0])
            self.mixed = self.mixed + change * (left - after + after * math.log(after / left))
        self.expected, self.before = found, (now, found)


def _kept(codes: Codes, fixed: Codes) -> Codes:
    """Code maps with the codes that were given, which rounding may have moved."""
    return np.where(fixed >= 0, fixed, codes)


class HierarchicalSampler:
    """Draws both maps by cached sampling, code by code what `naive_codes` draws."""

    def __init__(self, prior: HierarchicalPrior) -> None:
        self._coarse = copy.deepcopy(prior.coarse).double().eval()
        self._top, self._bottom = Sampler(prior.top), Sampler(prior.bottom)

    def codes(self, draw: Draw, cancelled: Callable[[], bool] = never) -> Codes | None:
        """Codes (n, F), top map then bottom map, row by row; None where cancelled."""
        top = self._top.codes(draw, cancelled)
        if top is None:
            return None
        bottom = self._bottom.codes(_below(draw, top, self._coarse), cancelled)
        return None if bottom is None else _joined(top, bottom)


def naive_codes(prior: HierarchicalPrior, draw: Draw) -> Codes:
    """The same codes (n, F), by a whole forward pass for each; the plain definition."""
    plain = copy.deepcopy(prior).double().eval()
    *_, top = naive_rows(plain.top, draw)
    *_, bottom = naive_rows(plain.bottom, _below(draw, top, plain.coarse))
    return _joined(top, bottom)


@torch.inference_mode()
def _below(draw: Draw, top: Codes, coarse: torch.nn.Module) -> Draw:
    """What to draw of the bottom map, under noise of its own, given top maps (n, h, w)."""
    return replace(draw, level=1, features=coarse(torch.from_numpy(top)))


def _joined(top: Codes, bottom: Codes) -> NDArray[np.int64]:
    return np.concatenate([level.reshape(len(level), -1) for level in (top, bottom)], 1)


def sampler_of(prior: Prior) -> PriorSampler:
    """What draws from a prior, by its kind."""
    return PRIORS[prior.config.kind].sampler_of(prior)


def drawn(
    sampler: PriorSampler, draw: Draw, cancelled: Callable[[], bool] = never
) -> NDArray[np.generic]:
    """Code maps or latents (n, ...) as a bundle holds them; raises RequestError where cancelled."""
    codes = sampler.codes(draw, cancelled)
    if codes is None:
        raise RequestError("cancelled before the last galaxy was drawn")
    return codes if codes.dtype.kind == "f" else codes.astype(np.uint16)
