"""A small supervised network: how much these pictures tell of the morphology at all.

It reads the Hubble type, the odds of an early one and, where the catalogue has them, visual
attributes such as the strength of the arms. No clustering of the same pictures can be expected to
follow T better. It also serves as an independent judge of generated galaxies: it has learnt from
pixels of real ones, nothing of it from what draws. Trained by the one training loop.

A galaxy of which only a class is known teaches it too, through outputs that are then left away.
What is known better counts more; what is unknown counts nothing.

It is stored with its weights in half precision and the noise of what it has learnt from. The noise
lies beside the weights because a network that has only seen real stamps takes drawn ones, which
have none, for smoother galaxies than they are. For the same reason it is shown stamps that are
blurred, brightened and under noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from galaxy_explorer.models.conditions import CLASSES, MorphologyLabels
from galaxy_explorer.models.inference import d4
from galaxy_explorer.models.protocols import StampRows
from galaxy_explorer.models.training import Recipe, train

CHANNELS = (24, 48, 96, 160)
DROPOUT = 0.3
LARGEST_ZOOM = 1.15
GAIN = 0.2  # of the logarithm of the brightness, at most
SMOOTHED, SMOOTHING = 0.4, (0.4, 1.2)  # share of the stamps; sigma in pixels of a stamp of 64
NOISY, MOST_NOISE = 0.5, 0.03  # share of the stamps; sigma in stretched units
EARLY_TTYPE = 0.0
# Beside the errors of the catalogue: what a label is uncertain by in any case.
TTYPE_SCATTER, ATTRIBUTE_SCATTER = 1.0, 0.15
BATCH = 256
Floats = NDArray[np.float64]

JUDGE_RECIPE = Recipe(
    "judge",
    steps=1500,
    batch_size=64,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    warmup_steps=100,
)


class Outputs(NamedTuple):
    """T (B,) in stages; logits of "early" (B,), of attributes (B, A) and of classes (B, C)."""

    ttype: Tensor
    early: Tensor
    attributes: Tensor
    classes: Tensor


class Readings(NamedTuple):
    """Of N stamps: T (N,) in stages, the probability of T <= 0 (N,), attributes (N, A), 0 to 1.

    features (N, 160): what the network makes of a stamp before it reads anything.
    """

    ttype: Floats
    early: Floats
    attributes: Floats
    features: Floats

    @property
    def table(self) -> Floats:
        """T and the attributes (N, 1 + A), in the order of `conditions.read_columns`."""
        return np.column_stack([self.ttype, self.attributes])


class TTypeRegressor(nn.Module):
    """Four stages of two convolutions, the first of stride 2; then T, the odds of T <= 0, the rest.

    attributes: names of what else it reads. classes: how many it is taught by.
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self, channels: int = 1, attributes: Sequence[str] = (), *, classes: int = 0
    ) -> None:
        super().__init__()
        widths = (channels, *CHANNELS)
        self.attributes = tuple(attributes)
        self.stages = nn.Sequential(*(_stage(a, b) for a, b in zip(widths, CHANNELS, strict=False)))
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(CHANNELS[-1], 2 + len(self.attributes))
        self.class_head = nn.Linear(CHANNELS[-1], classes) if classes else None
        self.register_buffer("mean", torch.zeros(()))  # of the T that it was trained on
        self.register_buffer("spread", torch.ones(()))

    def features(self, stamps: Tensor) -> Tensor:
        """What is read from, (B, 160), of stretched stamps (B, C, S, S)."""
        pooled: Tensor = self.stages(stamps).mean((-2, -1))
        return pooled

    def read(self, features: Tensor) -> Outputs:
        """What it reads of features (B, 160)."""
        dropped = self.dropout(features)
        found = self.head(dropped).float()
        ttype, early = found[:, 0], found[:, 1]
        nothing = found[:, :0]
        classes = nothing if self.class_head is None else self.class_head(dropped).float()
        return Outputs(ttype * self.spread + self.mean, early, found[:, 2:], classes)

    def forward(self, stamps: Tensor) -> Outputs:
        """What it reads of stretched stamps (B, C, S, S)."""
        return self.read(self.features(stamps))


def _stage(inward: int, outward: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, stride in ((inward, 2), (outward, 1)):
        layers.append(nn.Conv2d(width, outward, 3, stride, padding=1, bias=False))
        layers += [nn.BatchNorm2d(outward), nn.ReLU()]
    return nn.Sequential(*layers)


def label_weights(known: NDArray[np.bool_], errors: Floats, scatter: float) -> Floats:
    """What each label (N, ...) counts: 1 / (error^2 + scatter^2), of mean 1; 0 where unknown.

    known, errors (N, ...); a label without an error has the median one.
    """
    stated = known & np.isfinite(errors)
    usual = float(np.median(errors[stated])) if stated.any() else 0.0
    weights = known / (np.where(stated, errors, usual) ** 2 + scatter**2)
    mean: Floats = weights.sum(0) / np.maximum(known.sum(0), 1)
    counted: Floats = weights / np.where(mean > 0, mean, 1.0)
    return counted


class Taught(NamedTuple):
    """Labels as a loss takes them, NaN replaced: of each a weight, 0 where it is unknown."""

    ttype: Tensor
    ttype_weight: Tensor
    attributes: Tensor
    attribute_weight: Tensor
    classes: Tensor

    def rows(self, rows: NDArray[np.int64], device: torch.device) -> Taught:
        """Those of some of the galaxies."""
        return Taught(*(values[torch.from_numpy(rows)].to(device) for values in self))


def taught_by(labels: MorphologyLabels) -> Taught:
    """Labels of N galaxies with their weights."""

    def weighted(values: Floats, errors: Floats, scatter: float) -> tuple[Tensor, Tensor]:
        weights = label_weights(np.isfinite(values), errors, scatter)
        return torch.from_numpy(np.nan_to_num(values)).float(), torch.from_numpy(weights).float()

    return Taught(
        *weighted(labels.ttype, labels.ttype_error, TTYPE_SCATTER),
        *weighted(labels.attributes, labels.attribute_errors, ATTRIBUTE_SCATTER),
        torch.from_numpy(labels.classes),
    )


def reading_loss(found: Outputs, taught: Taught, spread: Tensor) -> Tensor:
    """Squared error of T in units of its variance, and cross-entropies of all else.

    Each a weighted mean over the labels that are known, or 0 where none is.
    """
    weight = taught.ttype_weight
    early = (taught.ttype <= EARLY_TTYPE).float()
    error = ((found.ttype - taught.ttype) / spread).square()
    sides = functional.binary_cross_entropy_with_logits(found.early, early, reduction="none")
    loss = (weight * (error + sides)).sum() / (weight > 0).sum().clamp(min=1)
    if found.attributes.shape[1]:
        each = functional.binary_cross_entropy_with_logits(
            found.attributes, taught.attributes, weight=taught.attribute_weight, reduction="none"
        )
        known = (taught.attribute_weight > 0).sum(0).clamp(min=1)
        loss = loss + (each.sum(0) / known).mean()
    if found.classes.shape[1]:
        classes = functional.cross_entropy(
            found.classes, taught.classes, ignore_index=-1, reduction="sum"
        )
        loss = loss + classes / (taught.classes >= 0).sum().clamp(min=1)
    return loss


class JudgeTask:
    """Train a judge on stamps (N, C, S, S) with labels, shown anew at every step.

    Half of a batch are galaxies of which T or an attribute is known, half those of which only a
    class is, where there are any.
    """

    def __init__(
        self,
        stamps: StampRows,
        labels: MorphologyLabels,
        validation: tuple[StampRows, MorphologyLabels],
        recipe: Recipe,
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        self.read = np.flatnonzero(labels.read)
        self.classed = np.flatnonzero(~labels.read & (labels.classes >= 0))
        classes = len(CLASSES) if len(self.classed) else 0
        self.model = TTypeRegressor(stamps.shape[1], labels.names, classes=classes)
        self.model.mean.fill_(float(np.nanmean(labels.ttype)))
        self.model.spread.fill_(float(np.nanstd(labels.ttype)))
        self.stamps, self.taught = stamps, taught_by(labels)
        self.validation, self.recipe = validation, recipe
        self.memory: dict[str, Tensor] = {}

    def loss(self, step: int) -> Tensor:
        """What `reading_loss` says of the batch of a step."""
        rng = np.random.default_rng((self.recipe.seed, step))
        count = self.recipe.batch_size
        others = count // 2 if len(self.classed) else 0
        rows = rng.choice(self.read, count - others)
        if others:
            rows = np.concatenate([rows, rng.choice(self.classed, others)])
        device = next(self.model.parameters()).device
        with torch.autocast("cpu", enabled=False):
            stamps = observed_anew(torch.from_numpy(self.stamps[rows]), rng)
        torch.manual_seed(step)  # dropout is a function of the step too
        found = self.model(stamps.to(device))
        return reading_loss(found, self.taught.rows(rows, device), self.model.spread)

    def after_step(self, step: int, steps: int) -> None:
        """Nothing follows a step."""

    def validate(self) -> dict[str, float]:
        """Weighted mean squared error over the variance: of T, and the mean over attributes."""
        stamps, labels = self.validation
        found, taught = judge_stamps(self.model, stamps, turns=1), taught_by(labels)
        misses = [
            _miss(found.ttype, labels.ttype, taught.ttype_weight.numpy()),
            *(
                _miss(read, truth, weight)
                for read, truth, weight in zip(
                    found.attributes.T, labels.attributes.T, taught.attribute_weight.numpy().T,
                    strict=True,
                )
            ),
        ]  # fmt: skip
        typed = np.isfinite(labels.ttype)
        r = np.corrcoef(found.ttype[typed], labels.ttype[typed])[0, 1]
        others = float(np.mean(misses[1:])) if len(misses) > 1 else 0.0
        return {"score": misses[0] + others, "r": float(r), "attributes": others}


def _miss(found: Floats, truth: Floats, weight: NDArray[np.float32]) -> float:
    known = np.isfinite(truth)
    squared = np.square(found[known] - truth[known])
    return float(np.average(squared, weights=weight[known]) / truth[known].var())


def observed_anew(stamps: Tensor, rng: np.random.Generator) -> Tensor:
    """Stamps (B, C, S, S), each turned, zoomed and brightened; some blurred, some under noise."""
    changed, count, size = turned(stamps, rng), len(stamps), stamps.shape[-1]
    gain = np.exp(rng.uniform(-GAIN, GAIN, count)).astype(np.float32)
    changed = changed * torch.from_numpy(gain)[:, None, None, None]
    smoothed = torch.from_numpy(np.flatnonzero(rng.random(count) < SMOOTHED))
    width = float(rng.uniform(*SMOOTHING)) * size / 64
    reach = max(1, round(3 * width))
    if len(smoothed) and reach < size:
        kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
        bands = stamps.shape[1]
        rows = (kernel / kernel.sum()).expand(bands, 1, 1, -1)
        padded = functional.pad(changed[smoothed], (reach,) * 4, mode="reflect")
        across = functional.conv2d(padded, rows, groups=bands)
        down = functional.conv2d(across, rows.transpose(2, 3), groups=bands)
        changed = changed.index_copy(0, smoothed, down)
    sigma = np.where(rng.random(count) < NOISY, rng.uniform(0, MOST_NOISE, count), 0)
    noise = torch.from_numpy(rng.standard_normal(tuple(stamps.shape), dtype=np.float32))
    return changed + noise * torch.from_numpy(sigma).float()[:, None, None, None]


def turned(stamps: Tensor, rng: np.random.Generator) -> Tensor:
    """Stamps (B, C, S, S) each turned by any angle, perhaps mirrored, and zoomed by up to 15 %."""
    n = len(stamps)
    angle = torch.from_numpy(rng.uniform(0, 2 * np.pi, n)).float()
    zoom = torch.from_numpy(np.exp(rng.uniform(-1, 1, n) * np.log(LARGEST_ZOOM))).float()
    mirror = torch.from_numpy(rng.choice([-1.0, 1.0], n)).float()
    cos, sin, zero = zoom * angle.cos(), zoom * angle.sin(), torch.zeros(n)
    rows = [torch.stack(row, 1) for row in ((mirror * cos, -sin, zero), (mirror * sin, cos, zero))]
    grid = functional.affine_grid(torch.stack(rows, 1), list(stamps.shape), align_corners=False)
    return functional.grid_sample(
        stamps, grid.to(stamps.device), padding_mode="reflection", align_corners=False
    )


@torch.inference_mode()
def judge_stamps(model: TTypeRegressor, stamps: StampRows, *, turns: int = 8) -> Readings:
    """What is read of stretched stamps (N, C, S, S), a mean of the first `turns` orientations."""
    model.eval()
    device, count = next(model.parameters()).device, len(stamps)
    widths = ((), (), (len(model.attributes),), (CHANNELS[-1],))
    found = Readings(*(np.zeros((count, *width)) for width in widths))
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        block = stamps[part]
        for turn in range(turns):
            view = torch.from_numpy(np.ascontiguousarray(d4(block, turn))).to(device)
            features = model.features(view).float()
            read = model.read(features)
            seen = (read.ttype, read.early.sigmoid(), read.attributes.sigmoid(), features)
            for total, values in zip(found, seen, strict=True):
                total[part] += values.cpu().numpy() / turns
    return found


def train_judge(
    stamps: StampRows,
    labels: MorphologyLabels,
    validation: tuple[StampRows, MorphologyLabels],
    work_dir: Path,
    recipe: Recipe = JUDGE_RECIPE,
) -> TTypeRegressor:
    """Train on stretched stamps (N, C, S, S), each with a label; resumable in `work_dir`.

    The weights are rounded, and lie in memory, as those that are read from a file: what is measured
    is what ships.
    """
    task = JudgeTask(stamps, labels, validation, recipe)
    train(task, recipe, work_dir, name="judge")
    trained: TTypeRegressor = task.model.cpu().half().float()
    trained.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return trained


NOISE = "noise"
TRAINING_ONLY = ("num_batches_tracked", "class_head.weight", "class_head.bias")


@dataclass(frozen=True)
class StoredRegressor:
    """noise (S, S // 2 + 1): amplitude of the sky's noise a frequency (rfft2), stretched units."""

    model: TTypeRegressor
    noise: NDArray[np.float32]


def judge_bytes(judge: StoredRegressor) -> bytes:
    """The file."""
    tensors = {**judge.model.state_dict(), NOISE: torch.from_numpy(judge.noise)}
    return save({k: v.cpu().half().contiguous() for k, v in tensors.items() if _shipped(k)})


def parse_judge(
    data: bytes, attributes: Sequence[str] = (), *, channels: int, side: int
) -> StoredRegressor:
    """Rebuild a judge of stamps (C, S, S) from its file; raises ValueError where it is none.

    attributes: names of what it reads beside T, in the order of its outputs.
    """
    model, stored = TTypeRegressor(channels, attributes), load(data)
    shapes = {k: v.shape for k, v in model.state_dict().items() if _shipped(k)}
    shapes[NOISE] = torch.Size((side, side // 2 + 1))
    wrong = [k for k in shapes | stored if k not in stored or stored[k].shape != shapes.get(k)]
    if wrong:
        raise ValueError(f"{wrong[0]} is missing, unknown or of another shape")
    noise = stored.pop(NOISE).float().numpy()
    model.load_state_dict({k: v.float() for k, v in stored.items()}, strict=False)
    return StoredRegressor(model.eval(), noise)


def _shipped(name: str) -> bool:
    return not name.endswith(TRAINING_ONLY)
