"""A small supervised network: how much these pictures tell about the Hubble type at all.

No clustering of the same pictures can be expected to follow T better. It also serves as an
independent judge of generated galaxies. Trained by the one training loop.

It is stored with its weights in half precision and the noise of what it has learnt from. The noise
lies beside the weights because a network that has only seen real stamps takes drawn ones, which
have none, for smoother galaxies than they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from galaxy_explorer.models.inference import d4
from galaxy_explorer.models.training import Recipe, train

CHANNELS = (24, 48, 96, 160)
DROPOUT = 0.3
LARGEST_ZOOM = 1.15
EARLY_TTYPE = 0.0
BATCH = 256
Stamps = NDArray[np.float32]
Floats = NDArray[np.float64]

JUDGE_RECIPE = Recipe(
    "judge",
    steps=1500,
    batch_size=64,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    warmup_steps=100,
)


class TTypeRegressor(nn.Module):
    """Four stages of two convolutions, the first of stride 2; then T and the odds of T <= 0."""

    mean: Tensor
    spread: Tensor

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        widths = (channels, *CHANNELS)
        self.stages = nn.Sequential(*(_stage(a, b) for a, b in zip(widths, CHANNELS, strict=False)))
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(CHANNELS[-1], 2)
        self.register_buffer("mean", torch.zeros(()))  # of the T that it was trained on
        self.register_buffer("spread", torch.ones(()))

    def forward(self, stamps: Tensor) -> tuple[Tensor, Tensor]:
        """T (B,) and the logit of "early" (B,) of stretched stamps (B, C, S, S)."""
        pooled = self.stages(stamps).mean((-2, -1))  # (B, 160)
        ttype, early = self.head(self.dropout(pooled)).float().unbind(1)
        return ttype * self.spread + self.mean, early


def _stage(inward: int, outward: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, stride in ((inward, 2), (outward, 1)):
        layers.append(nn.Conv2d(width, outward, 3, stride, padding=1, bias=False))
        layers += [nn.BatchNorm2d(outward), nn.ReLU()]
    return nn.Sequential(*layers)


class JudgeTask:
    """Train a judge on stamps (N, C, S, S) with T (N,), turned by any angle and zoomed anew."""

    def __init__(
        self,
        stamps: Stamps,
        ttype: Floats,
        validation: tuple[Stamps, Floats],
        recipe: Recipe,
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        self.model = TTypeRegressor(stamps.shape[1])
        self.model.mean.fill_(float(ttype.mean()))
        self.model.spread.fill_(float(ttype.std()))
        self.stamps, self.ttype, self.validation, self.recipe = stamps, ttype, validation, recipe
        self.memory: dict[str, Tensor] = {}

    def loss(self, step: int) -> Tensor:
        """Squared error of T in units of its variance, plus cross-entropy of early and late."""
        rng = np.random.default_rng((self.recipe.seed, step))
        rows = rng.integers(len(self.stamps), size=self.recipe.batch_size)
        device = next(self.model.parameters()).device
        stamps = turned(torch.from_numpy(self.stamps[rows]).to(device), rng)
        ttype = torch.from_numpy(self.ttype[rows]).float().to(device)
        torch.manual_seed(step)  # dropout is a function of the step too
        found, early = self.model(stamps)
        error = ((found - ttype) / self.model.spread).square().mean()
        sides = functional.binary_cross_entropy_with_logits(early, (ttype <= EARLY_TTYPE).float())
        loss: Tensor = error + sides
        return loss

    def after_step(self, step: int, steps: int) -> None:
        """Nothing follows a step."""

    def validate(self) -> dict[str, float]:
        """Mean squared error of T over its variance on the validation galaxies."""
        stamps, ttype = self.validation
        found, _ = judge_stamps(self.model, stamps, turns=1)
        score = float(np.square(found - ttype).mean() / ttype.var())
        return {"score": score, "r": float(np.corrcoef(found, ttype)[0, 1])}


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
def judge_stamps(model: TTypeRegressor, stamps: Stamps, *, turns: int = 8) -> tuple[Floats, Floats]:
    """T (N,) and the probability of T <= 0 (N,) of stretched stamps (N, C, S, S).

    Averaged over the first `turns` of the eight orientations.
    """
    model.eval()
    device = next(model.parameters()).device
    ttype, early = np.zeros(len(stamps)), np.zeros(len(stamps))
    for start in range(0, len(stamps), BATCH):
        part = slice(start, start + BATCH)
        for turn in range(turns):
            view = torch.from_numpy(np.ascontiguousarray(d4(stamps[part], turn))).to(device)
            found, odds = model(view)
            ttype[part] += found.cpu().numpy() / turns
            early[part] += odds.sigmoid().cpu().numpy() / turns
    return ttype, early


def train_judge(
    stamps: Stamps,
    ttype: Floats,
    validation: tuple[Stamps, Floats],
    work_dir: Path,
    recipe: Recipe = JUDGE_RECIPE,
) -> TTypeRegressor:
    """Train on stretched stamps (N, C, S, S) with T (N,), none unknown; resumable in `work_dir`."""
    task = JudgeTask(stamps, ttype, validation, recipe)
    train(task, recipe, work_dir, name="judge")
    return task.model.cpu()


NOISE = "noise"
COUNTED = "num_batches_tracked"  # only training needs them


@dataclass(frozen=True)
class StoredRegressor:
    """noise (S, S // 2 + 1): amplitude of the sky's noise a frequency (rfft2), stretched units."""

    model: TTypeRegressor
    noise: NDArray[np.float32]


def judge_bytes(judge: StoredRegressor) -> bytes:
    """The file."""
    tensors = {**judge.model.state_dict(), NOISE: torch.from_numpy(judge.noise)}
    return save({k: v.cpu().half().contiguous() for k, v in tensors.items() if not _counted(k)})


def parse_judge(data: bytes, *, channels: int, side: int) -> StoredRegressor:
    """Rebuild a judge of stamps (C, S, S) from its file; raises ValueError where it is none."""
    model, stored = TTypeRegressor(channels), load(data)
    shapes = {k: v.shape for k, v in model.state_dict().items() if not _counted(k)}
    shapes[NOISE] = torch.Size((side, side // 2 + 1))
    wrong = [k for k in shapes | stored if k not in stored or stored[k].shape != shapes.get(k)]
    if wrong:
        raise ValueError(f"{wrong[0]} is missing, unknown or of another shape")
    noise = stored.pop(NOISE).float().numpy()
    model.load_state_dict({k: v.float() for k, v in stored.items()}, strict=False)
    return StoredRegressor(model.eval(), noise)


def _counted(name: str) -> bool:
    return name.endswith(COUNTED)
