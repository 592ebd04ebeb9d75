"""The one training loop: any model, CPU or GPU, resumable after any kill with the same result.

Batches, rotations and restarts are functions of (seed, step), never of what ran before, so a run
that resumes from a checkpoint takes exactly the steps that an unbroken one would have taken.

Training state on disk is numbers only, replaced in one step: `checkpoint.safetensors` holds the
model and the optimiser, its header the step and the settings that a resumed run must share. Nothing
in it is ever executed.

The number format is bfloat16 where that is really faster, as measured on this machine. A recipe
says how long to train: `tiny` for tests, `quick` for two CPU cores, `paper` as the report did.

A run may stop when nothing that matters still moves between checks 5 % of the training apart.

The report's loss converged long before its reconstructions did (section 5.1); so the rule asks for
all three: the error has stopped falling, the vocabulary has stopped growing, and the codes of held-
out galaxies have stopped changing. An autoencoder without codes has no vocabulary; its latents
stand for the codes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from galaxy_explorer.errors import TrainingError
from galaxy_explorer.models.processes import (
    LEADER,
    as_the_leader,
    average_gradients,
    processes,
    told,
)
from galaxy_explorer.utils.files import atomic_path, atomic_write_text
from galaxy_explorer.utils.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch.nn import Parameter


MODEL, OPTIMISER, MEMORY = "model/", "optimiser/", "memory/"


def save_checkpoint(
    path: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer | None = None,
    *,
    facts: dict[str, Any],
    memory: Mapping[str, Tensor] | None = None,
) -> None:
    """Write module, optimiser, `facts` (JSON values) and `memory` to `path` atomically."""
    tensors = {MODEL + name: value for name, value in module.state_dict().items()}
    tensors |= {MEMORY + name: value for name, value in (memory or {}).items()}
    if optimiser is not None:
        tensors |= _optimiser_tensors(module, optimiser)
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata={"facts": json.dumps(facts)})


def _optimiser_tensors(module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {}
    for name, parameter in module.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{OPTIMISER}{name}/{key}"] = value
    return tensors


def read_facts(path: Path) -> dict[str, Any]:
    """The facts of a checkpoint; raises TrainingError if it cannot be read."""
    try:
        with safe_open(path, framework="pt") as stored:
            facts: dict[str, Any] = json.loads(stored.metadata()["facts"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path}: no checkpoint ({error}); delete it to start anew") from error
    return facts


def load_checkpoint(
    path: Path, module: nn.Module, optimiser: torch.optim.Optimizer | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Restore module and, if given, optimiser from `path`; returns facts and memory.

    Raises TrainingError if the file is damaged or belongs to another model.
    """
    facts = read_facts(path)
    with safe_open(path, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    state = _under(MODEL, tensors)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise TrainingError(f"{path}: belongs to another model; delete it ({error})") from error
    if optimiser is not None:
        _restore_optimiser(module, optimiser, tensors)
    return facts, _under(MEMORY, tensors)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore_optimiser(
    module: nn.Module, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    numbers = {id(p): i for i, p in enumerate(_parameters(optimiser))}
    state: dict[int, dict[str, Tensor]] = {}
    for name, parameter in module.named_parameters():
        kept = _under(f"{OPTIMISER}{name}/", tensors)
        # The fused update walks memory, so the averages must lie as the weights do.
        state[numbers[id(parameter)]] = {
            key: torch.empty_like(parameter).copy_(value) if value.ndim else value
            for key, value in kept.items()
        }
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


PROBE_STEPS = 3
GAIN = 1.1  # bfloat16 must be this much faster to be worth its rounding


class Precision:
    """A device and a number format, such as `cpu bfloat16`; kept in a run's checkpoint."""

    def __init__(self, name: str) -> None:
        self.name = name
        kind, self.format = name.split()
        self.device = torch.device(kind)

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which convolutions run in the chosen format."""
        mixed = self.format == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=mixed)


def has_bfloat16() -> bool:
    """Whether the processor itself multiplies in bfloat16.

    Where it does not, some layers take dozens of times as long: too long even to be timed.
    """
    known = torch.cpu.get_capabilities()
    return any(there for name, there in known.items() if "bf16" in name)


def choose_precision(number_format: str, loss: Callable[[], Tensor]) -> Precision:
    """The format asked for; for `auto` time passes of `loss` in both and keep the faster."""
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    if number_format != "auto":
        return Precision(f"{kind} {number_format}")
    return faster_precision(kind, partial(_pass, loss))


def faster_precision(kind: str, work: Callable[[Precision], object]) -> Precision:
    """The faster format of a device, cpu or cuda, as `work` takes time in it."""
    if kind == "cuda":
        return Precision("cuda bfloat16")
    full, mixed = Precision("cpu float32"), Precision("cpu bfloat16")
    if not has_bfloat16():
        return full
    return mixed if _seconds(full, work) > GAIN * _seconds(mixed, work) else full


def choose_threads(precision: Precision, loss: Callable[[], Tensor]) -> int:
    """As many threads as torch has, or one where passes of `loss` then take less wall time.

    Some passes in bfloat16 wait in a loop for each other's threads: beside a busy program two took
    twenty times as long as one. A number that OMP_NUM_THREADS names is left as it is.
    """
    every = torch.get_num_threads()
    if every == 1 or "OMP_NUM_THREADS" in os.environ or precision.device.type != "cpu":
        return every
    seconds = {}
    try:
        for threads in (1, every):
            torch.set_num_threads(threads)
            seconds[threads] = _seconds(precision, partial(_pass, loss), time.perf_counter)
    finally:
        torch.set_num_threads(every)
    return min(seconds, key=seconds.__getitem__)


def _pass(loss: Callable[[], Tensor], precision: Precision) -> None:
    with precision.autocast():
        value = loss()
    value.backward()  # type: ignore[no-untyped-call]


def _seconds(
    precision: Precision,
    work: Callable[[Precision], object],
    clock: Callable[[], float] = time.process_time,  # which other programs disturb least
) -> float:
    def once() -> float:
        start = clock()
        work(precision)
        return clock() - start

    once()  # the first pass pays for set-up
    return min(once() for _ in range(PROBE_STEPS))


@dataclass(frozen=True)
class Recipe:
    """One schedule, the same for every autoencoder of a bundle."""

    name: str
    steps: int
    batch_size: int = 32
    learning_rate: float = 3e-4
    final_learning_rate: float = 3e-4  # reached on a half cosine; equal to the first: constant
    warmup_steps: int = 0
    stop_early: bool = False  # end where the stop rule is met, not at `steps`
    seed: int = 0
    number_format: str = "auto"  # float32, bfloat16, or auto: the faster one on this machine
    augmented: bool = False  # shown nearer, farther, brighter, smoother, noisier than they are

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of step 0, 1, ...: linear warm-up, then half a cosine."""
        ramp = min(1.0, (step + 1) / (self.warmup_steps + 1))
        span = max(1, self.steps - self.warmup_steps)
        along = min(1.0, max(0.0, (step - self.warmup_steps) / span))
        fall = 0.5 * (1 + math.cos(math.pi * along))
        high, low = self.learning_rate, self.final_learning_rate
        return ramp * (low + (high - low) * fall)

    def clip(self, parameters: Iterable[Parameter]) -> None:
        """Bound the gradients before the optimiser's step; not in this schedule."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self)


RECIPES = {
    # Enough to see every stage work: a minute for a bundle of small models.
    "tiny": Recipe("tiny", steps=60, learning_rate=1e-3, final_learning_rate=1e-4),
    # Three to five minutes a model on two cores with bfloat16: what ships within about an hour.
    "quick": Recipe(
        "quick", steps=3000, learning_rate=1e-3, final_learning_rate=2e-5, warmup_steps=100
    ),
    # A night of one core: for renderings and framings that the survey has not seen.
    "long": Recipe(
        "long",
        steps=30_000,
        learning_rate=1e-3,
        final_learning_rate=2e-5,
        warmup_steps=100,
        augmented=True,
    ),
    # Table 2: 100,000 steps of 32 stamps at a constant rate.
    "paper": Recipe("paper", steps=100_000),
}


SCORE_GAIN = 0.005
PERPLEXITY_CHANGE = 0.02
CODES_CHANGED = 0.02


class StopRule:
    """Feed it the validation figures in order; `step` is where all three first held."""

    def __init__(self) -> None:
        self.step: int | None = None
        self._before: Mapping[str, float] | None = None

    def update(self, step: int, figures: Mapping[str, float]) -> None:
        """Compare `score`, `perplexity` and `codes_changed` with the check before."""
        before, self._before = self._before, figures
        if before is None or self.step is not None:
            return
        gain = 1 - figures["score"] / before["score"]
        grown = figures.get("perplexity", 1.0) / before.get("perplexity", 1.0)
        drift = abs(grown - 1)
        moved = figures.get("codes_changed", 0.0)
        if gain < SCORE_GAIN and drift < PERPLEXITY_CHANGE and moved < CODES_CHANGED:
            self.step = step


CHECKS = 20  # validations in a full run: one every 5 % of the steps
SAVE_INTERVAL_S = 60.0
CHECKPOINT, BEST, CURVE = "checkpoint.safetensors", "best.safetensors", "metrics.csv"


class TrainingTask(Protocol):
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
    early_stop_step: int | None  # where the stop rule was first met
    seconds: float  # of training and validation, over all sittings
    precision: str
    curve: list[dict[str, float]]
    starts: int = 1  # networks begun; all but the last died


def train(
    task: TrainingTask,
    recipe: Recipe,
    work_dir: Path,
    *,
    name: str = "model",
    shared: bool = False,
) -> TrainingResult:
    """Train `task.model` in `work_dir`, which keeps checkpoint, best weights and metrics.csv.

    Ctrl-C or a kill loses at most a minute; calling again resumes. A finished run returns at once.
    shared: every process of `joined_processes` calls this, and the task's losses are means over
    `share`; the leader alone validates, writes and has the best weights at the end. Raises
    TrainingError if `work_dir` belongs to a run with other settings.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    leads = not shared or processes()[0] == LEADER
    try:
        run = _TrainingRun(task, recipe, work_dir, shared=shared)
        words = f"Training {name}"
        bar = progress(recipe.steps, words, unit="steps", done=run.step) if leads else _silence()
        with bar as advance:
            run.until_done(advance)
    finally:
        torch.set_num_threads(threads)
    if leads:
        load_checkpoint(work_dir / BEST, task.model)
    task.model.eval()
    return run.result()


def _silence() -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


class _TrainingRun:
    """One run between start (or resumption) and end."""

    def __init__(self, task: TrainingTask, recipe: Recipe, work_dir: Path, *, shared: bool) -> None:
        self.task, self.recipe, self.work_dir = task, recipe, work_dir
        self.shared = shared
        self.leads = not shared or processes()[0] == LEADER
        self.curve: list[dict[str, float]] = []
        self.step, self.seconds = 0, 0.0
        self.best_score, self.best_step = float("inf"), 0
        self.rule = StopRule()
        path = work_dir / CHECKPOINT
        facts = read_facts(path) if path.exists() else None
        self.precision, self.threads = self._choose() if facts is None else _chosen(facts)
        torch.set_num_threads(self.threads)  # the same ones to the end, for the same rounding
        device = self.precision.device
        task.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # fused=True updates all weights in one pass; on CPU too
        self.optimiser = torch.optim.Adam(task.model.parameters(), recipe.learning_rate, fused=True)
        if facts is not None:
            self._resume(path)
        if shared:
            as_the_leader(task.model)  # also: nobody writes before all have read

    def _choose(self) -> tuple[Precision, int]:
        self.task.model.eval()  # so that timing leaves the codebook alone
        precision = choose_precision(self.recipe.number_format, lambda: self.task.loss(0))
        if self.shared:
            precision = Precision(told(precision.name))
        return precision, choose_threads(precision, lambda: self.task.loss(0))

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
                    if self.leads:
                        self._validate()
                    if self.shared and self.recipe.stop_early:
                        met = told(str(self.rule.step or ""))
                        self.rule.step = int(met) if met else None
                    saved = -SAVE_INTERVAL_S
            advance(1)
            if self.leads and time.monotonic() - saved > SAVE_INTERVAL_S:
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
        if self.shared:
            average_gradients(self.task.model.parameters())
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
        if not math.isfinite(figures["score"]):
            raise TrainingError(
                f"{self.work_dir}: the validation score is {figures['score']} at step {self.step};"
                " are the validation galaxies too few, or all alike?"
            )
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
            "threads": self.threads,
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
            early_stop_step=self.rule.step,
            seconds=self.seconds,
            precision=self.precision.name,
            curve=self.curve,
        )


def _chosen(facts: Mapping[str, Any]) -> tuple[Precision, int]:
    """Number format and threads of a run that goes on; what the user asks for comes first."""
    asked = "OMP_NUM_THREADS" in os.environ or "threads" not in facts
    return Precision(facts["precision"]), torch.get_num_threads() if asked else facts["threads"]


def _as_csv(rows: list[Mapping[str, float]] | list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
