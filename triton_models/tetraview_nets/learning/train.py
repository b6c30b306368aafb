"""The training loop: one network, one schedule, checkpoints that survive a kill."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from tetraview_nets.learning.curves import draw_curves
from tetraview_nets.learning.distributed import ALONE, Workers
from tetraview_nets.learning.schedule import USUAL, Rhythm, Schedule

#: Momentum of stochastic gradient descent.
MOMENTUM = 0.9


class LossNotFinite(ArithmeticError):
    """Training stopped because the loss is not a finite number."""


class CheckpointMismatch(ValueError):
    """A checkpoint of another schedule lies in the output folder."""


class NotTrained(RuntimeError):
    """A network has not been trained to its end."""


class Task(Protocol):
    """One network with the batches it learns from."""

    network: nn.Module

    def losses(self, step: int) -> dict[str, Tensor]:
        """The loss terms of a step's batch; their sum is minimised."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on validation exams."""


class Average:
    """The exponential moving average of a network's weights; statistics of normalisation are averaged alike."""

    def __init__(self, network: nn.Module) -> None:
        self.state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, *, decay: float) -> None:
        """Move towards the network by ``1 - decay``."""
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, 1 - decay)
            else:
                self.state[name].copy_(tensor)


def optimiser_of(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """The schedule's optimiser for the parameters that are not frozen; the rate is set at every step."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if schedule.optimiser == "adamw":
        return torch.optim.AdamW(parameters, weight_decay=schedule.weight_decay)
    return torch.optim.SGD(
        parameters,
        lr=schedule.learning_rate,
        momentum=MOMENTUM,
        weight_decay=schedule.weight_decay,
        nesterov=schedule.optimiser == "nesterov",
    )


class Run:
    """The state of one training: checkpoint ``{name}.pt``, losses ``{name}.csv`` and their curves ``{name}.png``."""

    def __init__(
        self,
        name: str,
        task: Task,
        schedule: Schedule,
        folder: Path,
        *,
        rhythm: Rhythm = USUAL,
        workers: Workers = ALONE,
    ) -> None:
        self.name, self.task, self.schedule, self.folder = name, task, schedule, folder
        self.rhythm, self.workers = rhythm, workers
        self.step = 0
        self._recent: list[dict[str, float]] = []
        self.average = Average(task.network)
        self.optimiser = optimiser_of(task.network, schedule)
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._resume()

    @property
    def path(self) -> Path:
        """Where the checkpoint lies."""
        return self.folder / f"{self.name}.pt"

    def finish(self) -> nn.Module:
        """Train to the schedule's end and return the network with averaged weights.

        Raises:
            LossNotFinite: a loss is not finite, in any process; the last checkpoint stays.
        """
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, disable=not self.workers.first) as progress:
            bar = progress.add_task(self.name, total=self.schedule.steps, completed=self.step)
            while self.step < self.schedule.steps:
                self._tick()
                progress.update(bar, completed=self.step)
        # Code that follows may read this checkpoint, so no process goes on before it is written.
        self.workers.wait()
        self.task.network.load_state_dict(self.average.state)
        return self.task.network.eval()

    def _tick(self) -> None:
        started = time.monotonic()
        losses = self._descend()
        self.average.update(self.task.network, decay=self.schedule.decay(self.step))
        self.step += 1
        if self.workers.first:
            self._recent.append(losses)
            self._write(seconds=time.monotonic() - started)

    def _write(self, *, seconds: float) -> None:
        """Tables, curves and checkpoint, as far as they are due."""
        last = self.step == self.schedule.steps
        if self.step % self.rhythm.logged == 0 or last:
            losses = {name: fmean(each[name] for each in self._recent) for name in self._recent[0]}
            self._log("", {**losses, "learning_rate": self.schedule.rate(self.step - 1), "seconds": seconds})
            self._recent.clear()
        if self.step % self.rhythm.validated == 0 or last:
            self._log("-validation", self._validate())
            draw_curves(self.folder, self.name)
        if self.step % self.rhythm.saved == 0 or last:
            self._save()

    def _descend(self) -> dict[str, float]:
        """One optimiser step; returns the loss terms."""
        # Sampling inside the networks must not depend on where a killed run went on.
        torch.manual_seed((self.workers.rank * 1_000_003 + self.schedule.seed) * 1_000_003 + self.step)
        self.task.network.train()
        losses = self._losses()
        figures = self.workers.mean(losses)
        if not math.isfinite(sum(figures.values())):
            raise LossNotFinite(f"{self.name}: the loss at step {self.step} is {sum(figures.values())} from {figures}")
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.workers.agree(self.task.network)
        nn.utils.clip_grad_norm_(self.task.network.parameters(), self.schedule.clip)
        self.optimiser.step()
        return figures

    def _losses(self) -> dict[str, Tensor]:
        """The step's losses; on a GPU in the schedule's precision, whose convolutions alone lose digits."""
        device = next(self.task.network.parameters()).device.type
        lower = device == "cuda" and self.schedule.precision == "bfloat16"
        with torch.autocast(device, torch.bfloat16, enabled=lower):
            return self.task.losses(self.step)

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """The task's figures with averaged weights."""
        trained = {name: tensor.clone() for name, tensor in self.task.network.state_dict().items()}
        self.task.network.load_state_dict(self.average.state)
        figures = self.task.validate(self.task.network.eval())
        self.task.network.load_state_dict(trained)
        return figures

    def _log(self, suffix: str, figures: Mapping[str, float]) -> None:
        path = self.folder / f"{self.name}{suffix}.csv"
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", *figures])
            writer.writerow([self.step, *(f"{figure:.6g}" for figure in figures.values())])

    def _save(self) -> None:
        part = self.path.with_suffix(".part")
        state = {
            "step": self.step,
            "schedule": asdict(self.schedule),
            "network": self.task.network.state_dict(),
            "average": self.average.state,
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, part)
        part.replace(self.path)

    def _resume(self) -> None:
        state: dict[str, Any] = torch.load(self.path, weights_only=True, map_location="cpu")
        if _completed(state["schedule"]) != asdict(self.schedule):
            raise CheckpointMismatch(
                f"{self.path} was trained with another schedule: choose another --out or remove it"
            )
        self.step = state["step"]
        self.task.network.load_state_dict(state["network"])
        for name, tensor in state["average"].items():
            self.average.state[name].copy_(tensor)
        self.optimiser.load_state_dict(state["optimiser"])
        for suffix in ("", "-validation") if self.workers.first else ():
            _forget_after(self.folder / f"{self.name}{suffix}.csv", self.step)


def _completed(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's schedule with the defaults of fields that are younger than the checkpoint."""
    defaults = {field.name: field.default for field in fields(Schedule) if field.default is not MISSING}
    return {**defaults, **schedule}


def _forget_after(path: Path, step: int) -> None:
    """Drop the lines of steps that the checkpoint does not know, which will be trained again."""
    if not path.exists():
        return
    header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(header + "".join(row for row in rows if int(row.split(",")[0]) <= step), encoding="utf-8")


def averaged(folder: Path, name: str, schedule: Schedule) -> dict[str, Tensor]:
    """The averaged weights that a training left.

    Args:
        folder: folder of the checkpoint.
        name: name of the training.
        schedule: the schedule that it must have completed.

    Raises:
        NotTrained: there is no checkpoint at the schedule's end.
    """
    path = folder / f"{name}.pt"
    if not path.exists():
        raise NotTrained(f"{name} has no checkpoint in {folder}: train it first")
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    if state["step"] < schedule.steps:
        raise NotTrained(f"{name} in {folder} stopped at step {state['step']}: train it to its end")
    average: dict[str, Tensor] = state["average"]
    return average
