"""One training by several processes, each with its own GPU or on the CPU.

``torchrun`` starts the same command once per process and tells each by the environment which one it is. Every process
draws its share of each batch and holds the whole network; gradients are averaged before the optimiser, so the weights
stay equal. The first process alone renders phantoms, logs, validates and saves; all must see the same folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

#: How long processes wait for the first one, which may have thousands of phantoms to render.
PATIENCE = timedelta(hours=12)


class WorkersUnfit(ValueError):
    """These processes cannot train together what they are asked to train."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """This process among those of a training; by default it is alone."""

    #: Counted from 0.
    rank: int = 0
    #: Processes together.
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes for all of them."""
        return self.rank == 0

    def share(self, batch: int) -> int:
        """This process's part of a batch.

        Raises:
            WorkersUnfit: the batch cannot be shared equally.
        """
        if batch % self.world:
            raise WorkersUnfit(
                f"a batch of {batch} cannot be shared equally by {self.world} processes: start as many as divide it"
            )
        return batch // self.world

    def mean(self, losses: dict[str, Tensor]) -> dict[str, float]:
        """Loss terms averaged over all processes; a loss that is not finite in one of them is so in all."""
        terms = torch.stack(list(losses.values())).detach().double()
        self._average(terms)
        return dict(zip(losses, terms.tolist(), strict=True))

    @torch.no_grad()
    def agree(self, network: nn.Module) -> None:
        """Average gradients and the running statistics of batch normalisation over all processes.

        By hand and not by ``DistributedDataParallel``, which averages only what passes ``forward``: the losses of the
        ipsilateral network do not. A parameter that a batch left out counts with a gradient of zero, as another
        process may have used it. Batch normalisation itself sees the images of its own process only; group
        normalisation does not know the batch at all.
        """
        if self.world == 1:
            return
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        for parameter in trained:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        statistics = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
        shared = [*(parameter.grad for parameter in trained if parameter.grad is not None), *statistics]
        flat = torch.cat([tensor.flatten() for tensor in shared])
        self._average(flat)
        for tensor, part in zip(shared, torch.split(flat, [tensor.numel() for tensor in shared]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.world > 1:
            distributed.barrier()

    def _average(self, tensor: Tensor) -> None:
        if self.world > 1:
            distributed.all_reduce(tensor)
            tensor /= self.world


#: A process without others.
ALONE = Workers()


@contextmanager
def joined(device: str) -> Iterator[tuple[Workers, torch.device]]:
    """Meet the other processes that ``torchrun`` started, if any.

    Args:
        device: ``cpu`` or ``cuda``; each process takes the GPU of its number on its machine.

    Yields:
        This process among them and its device.

    Raises:
        WorkersUnfit: a GPU is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise WorkersUnfit("no GPU can be used here: install PyTorch for CUDA, or train with --device cpu")
    workers = Workers(rank=int(os.environ.get("RANK", "0")), world=int(os.environ.get("WORLD_SIZE", "1")))
    if workers.world == 1:
        yield workers, torch.device(device)
        return
    own = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device == "cuda" else torch.device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield workers, own
    finally:
        distributed.destroy_process_group()
