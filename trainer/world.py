"""The processes that train one student together: which one this is, and sums over all of them.

A step is split over processes and micro-batches; every term's denominator is the whole step's, so
gradients are partial sums and are added up once a step, flat. That is all `torchrun` needs: no
averaging to undo, and a process without a share in a step adds nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import distributed, nn

from trainer.students.devices import best_device
from trainer.totals import Totals


@dataclass(frozen=True, slots=True)
class World:
    """This process's number among `size`, and the device it trains on."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process writes and shows what all of them compute."""
        return self.rank == 0

    def total(self, totals: Totals) -> Totals:
        """The sum of the processes' shares of a step."""
        if self.size == 1:
            return totals
        packed = totals.packed().to(self.device)
        distributed.all_reduce(packed)
        return Totals.unpacked(packed.cpu())

    def sum_gradients(self, module: nn.Module) -> None:
        """Add up the processes' gradients, in place; a missing one counts as 0."""
        if self.size == 1:
            return
        trained = [p for p in module.parameters() if p.requires_grad]
        shares = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = torch.cat([share.flatten() for share in shares])
        distributed.all_reduce(flat)
        sums = torch.split(flat, [p.numel() for p in trained])
        for parameter, summed in zip(trained, sums, strict=True):
            parameter.grad = summed.view_as(parameter)

    def agree(self, module: nn.Module) -> None:
        """Give every process the first one's weights."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, src=0)


@contextmanager
def joined_world() -> Iterator[World]:
    """The world `torchrun` started this process in, or one of its own; left at the end."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = best_device()
    if size == 1:
        yield World(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(distributed.get_rank(), size, device)
    finally:
        distributed.destroy_process_group()
