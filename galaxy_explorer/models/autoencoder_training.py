"""Training of any kind of autoencoder on the stamps of a survey.

What every training shares: batches, orientations, scale of the error. Models with codebooks add
their starts and restarts, the VQ-VAE with the PSF layer its scenes, their likelihood, and what
validation measures of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from galaxy_explorer.errors import DeadNetwork
from galaxy_explorer.models.convae import ConvAE
from galaxy_explorer.models.inference import (
    WIDE_BATCH,
    build_model,
    d4,
    decode_codes,
    encode_stamps,
)
from galaxy_explorer.models.processes import LEADER, as_the_leader, gathered, processes, share
from galaxy_explorer.models.protocols import Autoencoder, AutoencoderConfig, StampRows
from galaxy_explorer.models.psf import PSFVQVAE, PSFConvolution, PSFVQVAEConfig, central, stretched
from galaxy_explorer.models.quantizer import Quantizer, perplexity
from galaxy_explorer.models.registry import AUTOENCODERS, load
from galaxy_explorer.models.training import Recipe, TrainingResult, train
from galaxy_explorer.models.vqvae import VQVAE
from galaxy_explorer.models.vqvae2 import VQVAE2

# Of an augmented recipe: shares of the stamps, and by how much at most.
MOVED, ZOOM, SHIFT = 0.5, (0.85, 1.1), 1 / 16  # of half the side
SMOOTHED, SMOOTHING = 0.15, (0.4, 0.8)  # sigma in pixels of a stamp of 64
BRIGHTENED, GAIN = 0.5, 0.18  # of its logarithm
NOISY, MOST_NOISE = 0.25, 0.02  # in stretched units


class StampTask:
    """Train a model of a config to draw stretched stamps (N, C, S, S) again.

    The squared error is divided by the variance of the training pixels, so that a model that draws
    the mean scores 1. Each stamp is shown in one of its eight orientations (D4), drawn anew; by an
    augmented recipe also changed as `varied` says.
    """

    def __init__(
        self, config: AutoencoderConfig, stamps: StampRows, validation: StampRows, recipe: Recipe
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        self.model = build_model(config)
        self.stamps, self.validation, self.recipe = stamps, validation, recipe
        self.variance = data_variance(stamps)
        self.memory: dict[str, Tensor] = {}

    def batch(self, step: int) -> Tensor:
        """The stamps of a step, (B, C, S, S), as the encoder sees them; see `pair`."""
        return self._pair(step)[0]

    def pair(self, step: int) -> tuple[Tensor, Tensor]:
        """What is seen and what is to be drawn of it, (B, C, S, S) each: the same but for noise.

        A function of (seed, step), of which each process takes its `share`.
        """
        part = share(self.recipe.batch_size)
        seen, drawn = self._pair(step)
        return seen[part], drawn[part]

    def _pair(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.recipe.seed, step))
        rows = rng.integers(len(self.stamps), size=self.recipe.batch_size)
        turns = rng.integers(8, size=len(rows))
        stamps = np.stack([d4(self.stamps[r], t) for r, t in zip(rows, turns, strict=True)])
        device, last = next(self.model.parameters()).device, torch.channels_last
        drawn = torch.from_numpy(stamps)
        if not self.recipe.augmented:
            same = drawn.to(device, memory_format=last)
            return same, same
        with torch.autocast("cpu", enabled=False):
            drawn = varied(drawn, rng)
            seen = drawn + _little_noise(drawn.shape, rng)
        return seen.to(device, memory_format=last), drawn.to(device, memory_format=last)

    def error(self, drawn: Tensor, stamps: Tensor) -> Tensor:
        """Mean squared error over the variance of the training pixels."""
        return (drawn.float() - stamps).square().mean() / self.variance

    def after_step(self, step: int, steps: int) -> None:
        """Nothing follows the optimiser's step."""

    def validate(self) -> dict[str, float]:
        """NMSE of the held-out stamps, and what `vocabulary` says of their codes."""
        codes, total = encode_stamps(self.model, self.validation), 0.0
        for start in range(0, len(codes), WIDE_BATCH):
            part = slice(start, start + WIDE_BATCH)
            drawn = decode_codes(self.model, codes[part])
            total += float(np.square(drawn - self.validation[part]).sum(dtype=np.float64))
        nmse = total / math.prod(self.validation.shape) / self.variance
        return {"score": nmse, "nmse": nmse, **self.vocabulary(codes)}

    def vocabulary(self, codes: NDArray[np.generic]) -> dict[str, float]:
        """Figures on the codes of the held-out stamps; `codes_changed` since the check before."""
        raise NotImplementedError


def varied(stamps: Tensor, rng: np.random.Generator) -> Tensor:
    """Stretched stamps (B, C, S, S), each as another observation might have shown it.

    Half of them nearer or farther and off the centre, mirrored at the edge; some smoothed; half of
    them brighter or fainter. The others keep their pixels, so that fine detail stays.
    """
    changed, count, size = stamps.clone(), len(stamps), stamps.shape[-1]
    moved = np.flatnonzero(rng.random(count) < MOVED)
    if moved.size:
        place = np.zeros((moved.size, 2, 3), np.float32)
        place[:, 0, 0] = place[:, 1, 1] = 1 / rng.uniform(*ZOOM, moved.size)
        place[:, :, 2] = rng.uniform(-SHIFT, SHIFT, (moved.size, 2))
        shape = [moved.size, *stamps.shape[1:]]
        grid = functional.affine_grid(torch.from_numpy(place), shape, align_corners=False)
        changed[moved] = functional.grid_sample(
            changed[moved], grid, mode="bicubic", padding_mode="reflection", align_corners=False
        )
    smoothed = np.flatnonzero(rng.random(count) < SMOOTHED)
    if smoothed.size:
        width = float(rng.uniform(*SMOOTHING)) * size / 64
        reach = max(1, round(3 * width))
        kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
        rows = (kernel / kernel.sum()).expand(stamps.shape[1], 1, 1, -1)
        padded = functional.pad(changed[smoothed], (reach,) * 4, mode="reflect")
        groups = stamps.shape[1]
        across = functional.conv2d(padded, rows, groups=groups)
        changed[smoothed] = functional.conv2d(across, rows.transpose(2, 3), groups=groups)
    gain = np.where(rng.random(count) < BRIGHTENED, np.exp(rng.uniform(-GAIN, GAIN, count)), 1.0)
    return changed * torch.from_numpy(gain).float()[:, None, None, None]


def _little_noise(shape: torch.Size, rng: np.random.Generator) -> Tensor:
    sigma = np.where(rng.random(shape[0]) < NOISY, rng.uniform(0, MOST_NOISE, shape[0]), 0.0)
    noise = torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))
    return noise * torch.from_numpy(sigma).float()[:, None, None, None]


def data_variance(stamps: StampRows) -> float:
    """Variance of all pixels of stamps (N, C, S, S), in float64 block by block."""
    total = squares = 0.0
    for rows in np.array_split(np.arange(len(stamps)), max(1, len(stamps) // 1024)):
        block = stamps[rows[0] : rows[-1] + 1]
        total += float(block.sum(dtype=np.float64))
        squares += float(np.square(block, dtype=np.float64).sum())
    size = math.prod(stamps.shape)
    return squares / size - (total / size) ** 2


START_VECTORS = 40_000  # encoder outputs for the k-means start
LONGEST_WARMUP = 300  # steps without quantization before the k-means start
RESTART_INTERVAL = 100  # steps; about the memory of the moving averages
RESTART_UNTIL = 0.8  # of the training: the last fifth leaves the codebook in peace


def check_before(memory: dict[str, Tensor], codes: Tensor) -> Tensor | None:
    """What the check before remembered of the same galaxies; `codes` take its place.

    None at the first check, also where the training was begun with others held out.
    """
    before = memory.get("codes")
    memory["codes"] = codes
    return None if before is None or before.shape != codes.shape else before


def share_changed(memory: dict[str, Tensor], codes: Tensor) -> float:
    """Share of the code indices that are others than at the check before, 1 at the first."""
    before = check_before(memory, codes)
    return 1.0 if before is None else float((before != codes).double().mean())


class CodebookTask(StampTask):
    """Codebooks that may start from data and have their dead codes restarted.

    `quantizers` and `outputs` are of the same length: the encoder outputs (B, D, h, w) that each
    quantizer sees.
    """

    _encoded: Sequence[Tensor] = ()  # of the last step, for restarts

    @property
    def quantizers(self) -> Sequence[Quantizer]:
        """The quantizers, in the order in which a stamp meets them."""
        raise NotImplementedError

    def outputs(self, stamps: Tensor) -> Sequence[Tensor]:
        """What each quantizer would be given, before any codebook has been started."""
        raise NotImplementedError

    @property
    def warmup_without_quantization(self) -> int:
        """Steps that a codebook started from data waits, so that k-means sees settled vectors.

        Started at step 0, all but a few codes were left behind by the encoder's first steps.
        """
        waits = self.quantizers[0].starts_from_data
        return min(LONGEST_WARMUP, self.recipe.steps // 10) if waits else 0

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)

    def after_step(self, step: int, steps: int) -> None:
        """Start the codebooks after the warm-up; later restart codes out of use, at intervals."""
        if step + 1 == self.warmup_without_quantization:
            self._start_codebooks()
        due = (
            (step + 1) % RESTART_INTERVAL == 0
            and self.warmup_without_quantization <= step < RESTART_UNTIL * steps
        )
        if due:
            for quantizer, encoded in zip(self.quantizers, self._encoded, strict=True):
                quantizer.restart_dead(gathered(encoded), self._generator(step))
                as_the_leader(quantizer)

    @torch.no_grad()
    def _start_codebooks(self) -> None:
        if processes()[0] == LEADER:
            self._start_from_stamps()
        for quantizer in self.quantizers:
            as_the_leader(quantizer)

    def _start_from_stamps(self) -> None:
        self.model.eval()
        fewest = min(self.model.config.code_counts)  # vectors that a stamp gives a quantizer
        count = -(-START_VECTORS // (fewest * self.recipe.batch_size))
        batches = [self.outputs(self.batch(step)) for step in range(count)]
        for quantizer, outputs in zip(self.quantizers, zip(*batches, strict=True), strict=True):
            flat = torch.cat([z.float() for z in outputs]).movedim(1, -1)
            vectors = flat.reshape(-1, quantizer.embedding_dim)
            quantizer.start_from(vectors, self._generator(0))

    def vocabulary(self, codes: NDArray[np.generic]) -> dict[str, float]:
        """Perplexity and share of the codes used, level by level, and codes changed."""
        figures = {}
        for level, maps in self.model.config.code_maps(codes).items():
            counts = np.bincount(maps.ravel(), minlength=self.quantizers[0].num_embeddings)
            figures[f"perplexity{level}"] = perplexity(torch.from_numpy(counts))
            figures[f"used_share{level}"] = float((counts > 0).mean())
        changed = share_changed(self.memory, torch.from_numpy(codes.astype(np.int32)))
        return {**figures, "codes_changed": changed}


class VQVAETask(CodebookTask):
    """Train a VQ-VAE on stretched stamps (N, C, S, S); the loss is eq. 3."""

    model: VQVAE

    @property
    def quantizers(self) -> Sequence[Quantizer]:
        """The one quantizer."""
        return (self.model.quantizer,)

    def outputs(self, stamps: Tensor) -> Sequence[Tensor]:
        """z_e (B, D, h, w)."""
        return (self.model.encoder(stamps),)

    def loss(self, step: int) -> Tensor:
        """Report, eq. 3."""
        seen, stamps = self.pair(step)
        encoded = self.model.encoder(seen)
        self._encoded = (encoded.detach(),)
        if step < self.warmup_without_quantization:
            return self.error(self.model.decoder(encoded), stamps)
        quantized = self.model.quantizer(encoded)
        drawn = self.model.decoder(quantized.vectors)
        loss: Tensor = self.error(drawn, stamps) + quantized.loss
        return loss


class VQVAE2Task(CodebookTask):
    """Train the hierarchical model: one reconstruction error, eq. 3's terms of both levels."""

    model: VQVAE2

    @property
    def quantizers(self) -> Sequence[Quantizer]:
        """Top, then bottom."""
        return self.model.quantizers

    def outputs(self, stamps: Tensor) -> Sequence[Tensor]:
        """Vectors of top and bottom, neither quantized."""
        fine, top = self.model.encode_top(stamps)
        return top, self.model.encode_bottom(fine, top)

    def loss(self, step: int) -> Tensor:
        """Eq. 3 with two levels."""
        seen, stamps = self.pair(step)
        if step < self.warmup_without_quantization:
            top, bottom = self.outputs(seen)
            return self.error(self.model.decode_vectors(top, bottom), stamps)
        levels = self.model.quantize(seen)
        self._encoded = levels.encoded
        drawn = self.model.decode_vectors(levels.top, levels.bottom)
        return self.error(drawn, stamps) + levels.loss


class ConvAETask(StampTask):
    """Train an autoencoder without a codebook: the reconstruction error alone."""

    model: ConvAE

    def loss(self, step: int) -> Tensor:
        """The first term of eq. 3."""
        seen, stamps = self.pair(step)
        return self.error(self.model(seen), stamps)

    def vocabulary(self, codes: NDArray[np.generic]) -> dict[str, float]:
        """`codes_changed`: mean square by which latents changed, over their variance.

        Raises DeadNetwork where they do not vary: rectifiers that are off for every galaxy pass no
        gradient either.
        """
        now = torch.from_numpy(codes.astype(np.float32))
        variance = float(now.double().var(0).mean())
        if not variance:
            raise DeadNetwork(
                f"{self.model.config.name}: all galaxies have the same latents; are they all alike,"
                " or is the learning rate of the recipe too high?"
            )
        before = check_before(self.memory, now)
        if before is None:
            return {"codes_changed": 1.0}
        return {"codes_changed": float((now - before).double().square().mean()) / variance}


MOST_STARTS = 5
SEEDS_APART = 1_000  # of one start and the next: far from the seeds that users give


def train_model(
    config: AutoencoderConfig, examples: Any, validation: Any, work_dir: Path, recipe: Recipe
) -> tuple[Autoencoder, TrainingResult]:
    """Train one autoencoder by the task of its kind, resumable in `work_dir`.

    examples, validation: stretched stamps (N, C, S, S), or what else the task learns from, such as
    `Observations` of the model with the PSF layer. By all processes that torchrun started together.
    A network that dies is begun again, with other weights and batches, in a folder within
    `work_dir`; where several processes train it, or none of MOST_STARTS lives, raises DeadNetwork.
    """
    kind, name = AUTOENCODERS[config.kind], config.name
    for start in range(MOST_STARTS):
        begun = replace(recipe, seed=recipe.seed + start * SEEDS_APART)
        folder = work_dir / f"start-{start + 1}" if start else work_dir
        task = load(kind.task)(config, examples, validation, begun)
        words = f"{name}, start {start + 1}" if start else name
        try:
            result = train(task, begun, folder, name=words, shared=True)
        except DeadNetwork:
            if processes()[1] > 1 or start + 1 == MOST_STARTS:
                raise
        else:
            break
    return task.model.cpu(), replace(result, starts=start + 1)


PEAK_SN = (10.0, 400.0)  # of galaxies that are observed anew
CORE_WEIGHT = 0.5  # of the logarithm of the light's error beside its arcsinh
VALIDATION_BATCH = 64

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Observations:
    """Observed galaxies with known truth, in linear flux, N of them.

    stamps, truth (N, S, S); psf (N, P, P); sky, sky_sigma, electrons_per_flux (N,). The truth is
    the un-convolved light within the stamp.
    """

    stamps: Array
    truth: Array
    psf: Array
    sky: Array
    sky_sigma: Array
    electrons_per_flux: Array

    def __len__(self) -> int:
        return len(self.stamps)


class Batch(NamedTuple):
    """What one step sees, in units of the sky's sigma, sky subtracted."""

    pixels: Tensor  # (B, 1, S, S)
    variance: Tensor  # (B, 1, S, S)
    truth: Tensor  # (B, 1, S, S)
    psf: Tensor  # (B, P, P)


def log_chi2(pixels: Tensor, model: Tensor, variance: Tensor) -> Tensor:
    """Logarithm of the reduced chi^2 of each image (B,), the level of the sky left free.

    The Gaussian likelihood with the scale of the noise profiled out: a galaxy counts by how far
    it is from its own noise, so the bright ones do not drown the faint.
    """
    weight = 1 / variance
    residual = pixels - model
    sky = (weight * residual).sum((1, 2, 3), keepdim=True) / weight.sum((1, 2, 3), keepdim=True)
    return (weight * (residual - sky).square()).mean((1, 2, 3)).log()


class PSFVQVAETask(VQVAETask):
    """Train on galaxies with known truth, seen through the PSF layer.

    The loss: `log_chi2` of the blurred light, eq. 3 of the codes, and the error of the light itself
    against the truth: of its arcsinh, over the variance of the truth's, which the faint parts
    decide, and the logarithm of its mean square, which the core decides, weighted CORE_WEIGHT.
    Without the truth, what the PSF removes would be left to chance. Every second galaxy is the
    survey's own stamp, light from beyond its edge and correlated noise included. The others are
    observed anew, with white noise that gives them a peak S/N between the two of PEAK_SN.
    """

    def __init__(
        self, config: PSFVQVAEConfig, train: Observations, validation: Observations, recipe: Recipe
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        self.model: PSFVQVAE = PSFVQVAE(config)
        self.model.psf.copy_(torch.from_numpy(train.psf.mean(0)))
        self.train, self.recipe = train, recipe
        light = train.truth / train.sky_sigma[:, None, None]
        self.variance = float(np.arcsinh(light).var(dtype=np.float64))
        rows = np.arange(len(validation))
        self.held_out = _assemble(validation, rows, np.zeros_like(rows), np.random.default_rng(0))
        self._encoded = ()
        self.memory: dict[str, Tensor] = {}

    def batch(self, step: int) -> Tensor:
        """The encoder's view of the stamps of a step, (B, 1, S, S)."""
        return stretched(self._scene(step).pixels)

    def _scene(self, step: int) -> Batch:
        rng = np.random.default_rng((self.recipe.seed, step))
        rows = rng.integers(len(self.train), size=self.recipe.batch_size)
        made = _assemble(self.train, rows, rng.integers(8, size=len(rows)), rng)
        device = next(self.model.parameters()).device
        return Batch(*(part.to(device) for part in made))

    def loss(self, step: int) -> Tensor:
        """Likelihood, truth and quantization."""
        part = share(self.recipe.batch_size)
        scene = Batch(*(values[part] for values in self._scene(step)))
        encoded = self.model.encoder(stretched(scene.pixels))
        self._encoded = (encoded.detach(),)
        if step < self.warmup_without_quantization:
            return self._misfit(encoded, scene).mean()
        quantized = self.model.quantizer(encoded)
        loss: Tensor = self._misfit(quantized.vectors, scene).mean() + quantized.loss
        return loss

    def _misfit(self, vectors: Tensor, scene: Batch) -> Tensor:
        light = self.model.draw(vectors)
        likelihood = log_chi2(scene.pixels, self.model.blur(light, scene.psf), scene.variance)
        faint, core = self._light_errors(light, scene.truth)
        return likelihood + faint + CORE_WEIGHT * core

    def _light_errors(self, light: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Error of the arcsinh, and logarithm of the squared error over the squared peak, (B,)."""
        inner = central(light, truth.shape[-1])
        faint = (inner.asinh() - truth.asinh()).square().mean((1, 2, 3)) / self.variance
        error = (inner - truth).square().mean((1, 2, 3))
        return faint, (error / truth.amax((1, 2, 3)).square()).log()

    def validate(self) -> dict[str, float]:
        """Reduced chi^2, error of the light, perplexity, codes used and changed."""
        codes, misfits = [], []
        for start in range(0, len(self.held_out.pixels), VALIDATION_BATCH):
            scene = Batch(*(part[start : start + VALIDATION_BATCH] for part in self.held_out))
            indices = self.model.encode(stretched(scene.pixels))
            light = self.model.canvas(indices)
            fit = log_chi2(scene.pixels, self.model.blur(light, scene.psf), scene.variance)
            misfits.append(torch.stack([fit, *self._light_errors(light, scene.truth)]))
            codes.append(indices)
        return self._figures(torch.cat(codes), torch.cat(misfits, 1).mean(1))

    def _figures(self, codes: Tensor, misfits: Tensor) -> dict[str, float]:
        counts = torch.bincount(codes.ravel(), minlength=self.model.config.num_embeddings)
        changed = share_changed(self.memory, codes.int())
        fit, faint, core = (float(value) for value in misfits)
        return {
            "score": math.exp(fit + faint + CORE_WEIGHT * core),
            "chi2": math.exp(fit),
            "nmse": faint,
            "psnr_db": -10 * core / math.log(10),
            "perplexity": perplexity(counts),
            "used_share": float((counts > 0).double().mean()),
            "codes_changed": changed,
        }


def _assemble(
    galaxies: Observations,
    rows: NDArray[np.int64],
    turns: NDArray[np.int64],
    rng: np.random.Generator,
) -> Batch:
    """Galaxies of `rows` in the orientations `turns`, every second one observed anew."""
    size = galaxies.stamps.shape[-1]
    sigma = galaxies.sky_sigma[rows, None, None]
    pixels = (galaxies.stamps[rows] - galaxies.sky[rows, None, None]) / sigma
    truth = torch.from_numpy(galaxies.truth[rows] / sigma)[:, None]  # (B, 1, S, S)
    psf = torch.from_numpy(galaxies.psf[rows])
    blurred = PSFConvolution(size)(truth, psf)
    photons = torch.from_numpy(galaxies.electrons_per_flux[rows, None, None] * sigma)[:, None]
    variance = 1 + blurred.clamp(min=0) / photons
    anew = torch.from_numpy(rng.random(len(rows)) < 0.5)[:, None, None, None]
    low, high = (math.log(sn) for sn in PEAK_SN)
    peak_sn = np.exp(rng.uniform(low, high, size=len(rows))).astype(np.float32)
    scale = torch.from_numpy(peak_sn)[:, None, None, None] / blurred.amax((2, 3), keepdim=True)
    noise = torch.from_numpy(rng.standard_normal(blurred.shape, dtype=np.float32))
    seen = torch.where(anew, scale * blurred + noise, torch.from_numpy(pixels)[:, None])
    made = Batch(seen, torch.where(anew, 1.0, variance), torch.where(anew, scale, 1.0) * truth, psf)
    return Batch(*(_turned(part, turns) for part in made))


def _turned(images: Tensor, turns: NDArray[np.int64]) -> Tensor:
    arrays = images.numpy()
    return torch.from_numpy(np.stack([d4(a, t) for a, t in zip(arrays, turns, strict=True)]))


def psf_recipe(recipe: Recipe) -> Recipe:
    """A recipe for stamps of 84 pixels on a larger canvas: half the batch, a quarter more steps."""
    return replace(recipe, batch_size=recipe.batch_size // 2, steps=recipe.steps * 5 // 4)
