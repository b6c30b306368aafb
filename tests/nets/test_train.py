"""The training loop on a problem whose answer is known."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tetraview_nets.schedule import RECIPES, Schedule, Stage
from tetraview_nets.train import CheckpointMismatch, LossNotFinite, Run

SCHEDULE = Schedule(steps=120, batch=16, learning_rate=0.05, warm_up=10, weight_decay=0.0)


class Line:
    """Learn y = 3x + 1 from a new batch every step."""

    def __init__(self, *, breaks_at: int | None = None) -> None:
        torch.manual_seed(1)
        self.network: nn.Module = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1))
        self.breaks_at = breaks_at

    def losses(self, step: int) -> dict[str, Tensor]:
        """Squared error of the batch of this step."""
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(step))
        error = (self.network(x) - (3 * x + 1)).square().mean()
        return {"error": error / 0 if step == self.breaks_at else error}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Error at x = 2, where y = 7."""
        return {"error": abs(network(torch.tensor([[2.0]])).item() - 7)}


def rows(path: Path) -> list[list[str]]:
    """The lines of a table without its header."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def test_training_learns_and_writes_tables(tmp_path: Path) -> None:
    """A run reduces its loss, returns a network in evaluation mode and leaves losses and validation figures as CSV."""
    network = Run("line", Line(), SCHEDULE, tmp_path).finish()
    losses = [float(row[1]) for row in rows(tmp_path / "line.csv")]
    assert losses[-1] < losses[0] / 10
    assert not network.training
    assert [row[0] for row in rows(tmp_path / "line-validation.csv")] == ["120"]


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """A run that dies after a checkpoint and is started again ends with exactly the weights of one that never died."""
    whole = Run("line", Line(), SCHEDULE, tmp_path / "whole").finish()
    with pytest.raises(LossNotFinite, match="step 115"):
        Run("line", Line(breaks_at=115), SCHEDULE, tmp_path / "killed").finish()
    resumed = Run("line", Line(), SCHEDULE, tmp_path / "killed")
    assert resumed.step == 100
    for name, tensor in resumed.finish().state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name
    assert [row[0] for row in rows(tmp_path / "killed" / "line.csv")] == ["25", "50", "75", "100", "120"]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    """Starting a finished run returns its weights without another step."""
    first = Run("line", Line(), SCHEDULE, tmp_path).finish()
    again = Run("line", Line(breaks_at=0), SCHEDULE, tmp_path).finish()
    assert torch.equal(first.state_dict()["0.weight"], again.state_dict()["0.weight"])


def test_a_checkpoint_of_another_schedule_is_refused(tmp_path: Path) -> None:
    """A run does not go on from a checkpoint that was trained with other numbers."""
    Run("line", Line(), replace(SCHEDULE, steps=1), tmp_path).finish()
    with pytest.raises(CheckpointMismatch, match="another schedule"):
        Run("line", Line(), SCHEDULE, tmp_path)


def test_the_average_forgets_the_start_of_a_short_run() -> None:
    """The decay of the moving average rises from a tenth to its final value."""
    assert SCHEDULE.decay(0) == pytest.approx(0.1)
    assert SCHEDULE.decay(100_000) == 0.999


def test_the_rate_rises_then_falls_to_nothing() -> None:
    """The learning rate rises linearly through the warm-up, peaks at its end and ends near zero."""
    rates = [SCHEDULE.rate(step) for step in range(SCHEDULE.steps)]
    assert rates[0] == pytest.approx(0.005)
    assert max(rates) == rates[10] == 0.05
    assert rates[-1] < 1e-4


@pytest.mark.parametrize("preset", RECIPES)
def test_a_recipe_keeps_exams_for_fusion(preset: str) -> None:
    """Every recipe names a schedule for each stage and leaves exams to train on besides those of fusion."""
    recipe = RECIPES[preset]
    assert set(recipe.schedules) == set(Stage)
    assert 0 < recipe.fusion_exams < recipe.exams
