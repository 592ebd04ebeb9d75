"""Training state on disk: numbers only, replaced in one step.

`checkpoint.safetensors` holds the model and the optimiser, its header the step and the settings
that a resumed run must share. Nothing in it is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from galaxy_explorer.errors import TrainingError
from galaxy_explorer.files import atomic_path

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
