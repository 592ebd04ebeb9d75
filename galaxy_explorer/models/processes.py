"""Several processes that train one model together (torchrun), step by step as one process would.

Each takes its slice of the same batch. What a loss makes of means over the batch, the sums that
codebooks follow, and the gradients are joined, so that all take the same step; they differ from a
single process by rounding alone. Without torchrun every function here gives back what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import Parameter

from galaxy_explorer.errors import TrainingError

LEADER = 0  # the process that validates, writes and speaks
WAITING = timedelta(days=30)  # the others wait while the leader does what it does alone


@contextmanager
def joined_processes() -> Iterator[int]:
    """The number of this process among those that torchrun started, 0 where it started none.

    In here `train` with `shared` takes the steps of one process, each process a slice of the batch.
    """
    if not dist.is_torchelastic_launched():
        yield LEADER
        return
    dist.init_process_group("gloo", timeout=WAITING)
    try:
        yield dist.get_rank()
    finally:
        dist.destroy_process_group()


def processes() -> tuple[int, int]:
    """Number of this process and how many train together; (0, 1) outside `joined_processes`."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (LEADER, 1)


def share(batch_size: int) -> slice:
    """The part of a batch that is this process's; raises TrainingError for unequal parts."""
    rank, count = processes()
    if batch_size % count:
        raise TrainingError(
            f"torchrun: {count} processes cannot share batches of {batch_size} stamps evenly;"
            " choose --nproc-per-node so that they can"
        )
    part = batch_size // count
    return slice(rank * part, (rank + 1) * part)


def summed(value: Tensor) -> Tensor:
    """A tensor summed over the processes that train together, without a gradient."""
    if processes()[1] > 1:
        value = value.detach().contiguous().clone()
        dist.all_reduce(value)
    return value


def averaged(value: Tensor) -> Tensor:
    """A mean over a slice as the mean over the batch; its gradient is that of the slice.

    `average_gradients` makes it the batch's, whatever is computed from the mean.
    """
    count = processes()[1]
    return value if count == 1 else value + (summed(value) / count - value.detach())


def average_gradients(parameters: Iterable[Parameter]) -> None:
    """Gradients of the mean loss over the batch, from those over the slices."""
    count = processes()[1]
    gradients = [p.grad for p in parameters if p.grad is not None]
    if count == 1 or not gradients:
        return
    mean = summed(torch.cat([gradient.reshape(-1) for gradient in gradients])) / count
    parts = torch.split(mean, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def gathered(part: Tensor) -> Tensor:
    """The whole batch (B, ...) from the slices, in the order of a single process."""
    count = processes()[1]
    if count == 1:
        return part
    parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(count)]
    dist.all_gather(parts, part.contiguous())
    return torch.cat(parts)


@torch.no_grad()
def as_the_leader(module: nn.Module) -> None:
    """Weights and buffers of every process become the leader's."""
    if processes()[1] > 1:
        for value in module.state_dict().values():
            sent = value.contiguous()
            dist.broadcast(sent, LEADER)
            value.copy_(sent)


def told(text: str = "") -> str:
    """What the leader says to all, in every process; `text` is the leader's."""
    if processes()[1] == 1:
        return text
    said = torch.tensor(list(text.encode()), dtype=torch.uint8)
    length = torch.tensor([len(said)])
    dist.broadcast(length, LEADER)
    said = said if processes()[0] == LEADER else torch.empty(int(length), dtype=torch.uint8)
    if len(said):
        dist.broadcast(said, LEADER)
    return bytes(said.tolist()).decode()
