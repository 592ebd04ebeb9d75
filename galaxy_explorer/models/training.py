"""The one training loop: any model, CPU or GPU, resumable after any kill with the same result.

Batches, rotations and restarts are functions of (seed, step), never of what ran before, so a run
that resumes from a checkpoint takes exactly the steps that an unbroken one would have taken.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from galaxy_explorer.errors import TrainingError
from galaxy_explorer.files import atomic_write_text
from galaxy_explorer.models.checkpoint import load_checkpoint, read_facts, save_checkpoint
from galaxy_explorer.models.precision import Precision, choose_precision
from galaxy_explorer.models.recipes import Recipe
from galaxy_explorer.models.stopping import StopRule
from galaxy_explorer.progress import progress

CHECKS = 20  # validations in a full run: one every 5 % of the steps
SAVE_INTERVAL_S = 60.0
CHECKPOINT, BEST, CURVE = "checkpoint.safetensors", "best.safetensors", "metrics.csv"


class Task(Protocol):
    """What the loop needs to know of a model and its data."""

    memory: dict[str, Tensor]  # what validation remembers; kept in the checkpoint

    @property
    def model(self) -> nn.Module:
        """The model being trained."""

    def loss(self, step: int) -> Tensor:
        """Loss of the batch of this step, with gradient."""

    def after_step(self, step: int, steps: int) -> None:
        """Anything that follows the optimiser's step, such as restarting codes."""

    def validate(self) -> dict[str, float]:
        """Figures on the validation split; `score`, lower is better, picks the best step."""


@dataclass(frozen=True)
class TrainingResult:
    """Where a run ended; the model holds the weights of its best step."""

    steps: int  # run in all
    best_step: int
    rule_step: int | None  # where the stop rule was first met
    seconds: float  # of training and validation, over all sittings
    precision: str
    curve: list[dict[str, float]]


def train(task: Task, recipe: Recipe, work_dir: Path, *, name: str = "model") -> TrainingResult:
    """Train `task.model` in `work_dir`, which keeps checkpoint, best weights and metrics.csv.

    Ctrl-C or a kill loses at most a minute; calling again resumes. A finished run returns at once.
    Raises TrainingError if `work_dir` belongs to a run with other settings.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    run = _Run(task, recipe, work_dir)
    with progress(recipe.steps, f"Training {name}", unit="steps", done=run.step) as advance:
        run.until_done(advance)
    load_checkpoint(work_dir / BEST, task.model)
    task.model.eval()
    return run.result()


class _Run:
    """One run between start (or resumption) and end."""

    def __init__(self, task: Task, recipe: Recipe, work_dir: Path) -> None:
        self.task, self.recipe, self.work_dir = task, recipe, work_dir
        self.curve: list[dict[str, float]] = []
        self.step, self.seconds = 0, 0.0
        self.best_score, self.best_step = float("inf"), 0
        self.rule = StopRule()
        path = work_dir / CHECKPOINT
        facts = read_facts(path) if path.exists() else None
        self.precision = Precision(facts["precision"]) if facts else self._choose()
        device = self.precision.device
        task.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # fused=True updates all weights in one pass; on CPU too
        self.optimiser = torch.optim.Adam(task.model.parameters(), recipe.learning_rate, fused=True)
        if facts is not None:
            self._resume(path)

    def _choose(self) -> Precision:
        self.task.model.eval()  # so that timing leaves the codebook alone
        return choose_precision(self.recipe.number_format, lambda: self.task.loss(0))

    def _resume(self, path: Path) -> None:
        facts, self.task.memory = load_checkpoint(path, self.task.model, self.optimiser)
        if facts["recipe"] != self.recipe.to_dict():
            raise TrainingError(
                f"{path}: made with another recipe; delete {self.work_dir} or give it back"
            )
        self.step, self.seconds = facts["step"], facts["seconds"]
        self.best_score, self.best_step = facts["best_score"], facts["best_step"]
        self.curve = facts["curve"]
        for row in self.curve:
            self.rule.update(int(row["step"]), row)

    @property
    def done(self) -> bool:
        stopped = self.recipe.stop_early and self.rule.step is not None
        return self.step >= self.recipe.steps or stopped

    def until_done(self, advance: Callable[[int], None]) -> None:
        interval = max(1, self.recipe.steps // CHECKS)
        saved = time.monotonic()
        while not self.done:
            with self._clock():
                self._one_step()
                if self.step % interval == 0 or self.step == self.recipe.steps:
                    self._validate()
                    saved = -SAVE_INTERVAL_S
            advance(1)
            if time.monotonic() - saved > SAVE_INTERVAL_S:
                self._save()
                saved = time.monotonic()

    @contextmanager
    def _clock(self) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds += time.monotonic() - start

    def _one_step(self) -> None:
        self.task.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        with self.precision.autocast():
            loss = self.task.loss(self.step)
        loss.backward()  # type: ignore[no-untyped-call]
        self.recipe.clip(self.task.model.parameters())
        self.optimiser.step()
        self.task.after_step(self.step, self.recipe.steps)
        self.step += 1
        if self.step % 100 == 0 and not torch.isfinite(loss):
            raise TrainingError(
                f"{self.work_dir}: the loss is {float(loss.detach())} at step {self.step};"
                " lower the learning rate of the recipe"
            )

    def _validate(self) -> None:
        self.task.model.eval()
        with torch.no_grad(), self.precision.autocast():
            figures = self.task.validate()
        row = {"step": float(self.step), **figures}
        self.curve.append(row)
        self.rule.update(self.step, row)
        if figures["score"] < self.best_score:
            self.best_score, self.best_step = figures["score"], self.step
            save_checkpoint(self.work_dir / BEST, self.task.model, facts={"step": self.step})
        atomic_write_text(self.work_dir / CURVE, _as_csv(self.curve))

    def _save(self) -> None:
        facts = {
            "recipe": self.recipe.to_dict(),
            "precision": self.precision.name,
            "step": self.step,
            "seconds": self.seconds,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "curve": self.curve,
        }
        save_checkpoint(
            self.work_dir / CHECKPOINT,
            self.task.model,
            self.optimiser,
            facts=facts,
            memory=self.task.memory,
        )

    def result(self) -> TrainingResult:
        return TrainingResult(
            steps=self.step,
            best_step=self.best_step,
            rule_step=self.rule.step,
            seconds=self.seconds,
            precision=self.precision.name,
            curve=self.curve,
        )


def _as_csv(rows: list[Mapping[str, float]] | list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
