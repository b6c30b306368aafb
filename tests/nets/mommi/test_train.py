"""The training loop on a problem whose answer is known."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tetraview import phantom
from tetraview_nets.learning.schedule import Rhythm, Schedule
from tetraview_nets.learning.train import CheckpointMismatch, LossNotFinite, Run, optimiser_of
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.recipe import RECIPES, Stage

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


def test_a_checkpoint_older_than_a_field_goes_on(tmp_path: Path) -> None:
    """A checkpoint written before the schedule had a field is one with the field's default."""
    run = Run("line", Line(), SCHEDULE, tmp_path)
    run.finish()
    state = torch.load(run.path, weights_only=True)
    for field in ("optimiser", "law", "precision"):
        del state["schedule"][field]
    torch.save(state, run.path)
    assert Run("line", Line(), SCHEDULE, tmp_path).step == 120
    with pytest.raises(CheckpointMismatch):
        Run("line", Line(), replace(SCHEDULE, law="steps"), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    """The error names network, step and terms; neither checkpoint nor table contains the step."""
    with pytest.raises(LossNotFinite, match=r"line: the loss at step 30 is inf from \{'error': inf\}"):
        Run("line", Line(breaks_at=30), SCHEDULE, tmp_path).finish()
    assert not (tmp_path / "line.pt").exists()
    assert [row[0] for row in rows(tmp_path / "line.csv")] == ["25"]


def test_a_line_of_the_table_is_the_mean_since_the_line_before(tmp_path: Path) -> None:
    """One line of four steps holds the mean of what four lines of one step hold."""
    for name, logged in (("fine", 1), ("coarse", 4)):
        Run(name, Line(), replace(SCHEDULE, steps=4), tmp_path, rhythm=Rhythm(logged=logged)).finish()
    fine, coarse = ([float(row[1]) for row in rows(tmp_path / f"{name}.csv")] for name in ("fine", "coarse"))
    assert coarse == [pytest.approx(sum(fine) / 4, rel=1e-4)]


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


def test_the_law_of_steps_falls_to_a_tenth_twice() -> None:
    """After two thirds of a training the rate is a tenth, after eight ninths a hundredth of the highest."""
    schedule = replace(SCHEDULE, steps=900, law="steps")
    assert schedule.rate(9) == schedule.rate(10) == schedule.rate(599) == 0.05
    assert schedule.rate(600) == schedule.rate(799) == pytest.approx(0.005)
    assert schedule.rate(800) == schedule.rate(899) == pytest.approx(0.0005)


def test_gradient_descent_with_momentum_learns(tmp_path: Path) -> None:
    """The other optimiser has the parameters of the schedule and reduces the loss."""
    schedule = replace(SCHEDULE, optimiser="sgd", law="steps", weight_decay=1e-4)
    (group,) = optimiser_of(Line().network, schedule).param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.9, 1e-4)
    Run("line", Line(), schedule, tmp_path).finish()
    losses = [float(row[1]) for row in rows(tmp_path / "line.csv")]
    assert losses[-1] < losses[0] / 10


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_recipe(preset: str) -> None:
    """A recipe has a schedule for each stage, exams for fusion alone, and exams for validation and for calibration."""
    recipe = RECIPES[preset]
    assert set(recipe.schedules) == set(Stage)
    assert 0 < recipe.fusion_exams < recipe.exams
    assert 0 < recipe.watched_exams <= recipe.operating_exams
    assert min(recipe.calibration_exams, recipe.scorer_exams) > 0
    assert recipe.rhythm.saved % recipe.rhythm.logged == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_phantoms_are_as_fine_as_the_preset(preset: str) -> None:
    """No preset is trained on exams that were imaged more coarsely than it reads them."""
    assert phantom.RECIPES[RECIPES[preset].phantom].spacing_mm <= PRESETS[preset].spacing_mm


def test_the_paper_recipe_has_the_reference_numbers() -> None:
    """The detectors of the paper preset follow the reference Faster R-CNN: rates for 16 images, SGD, two falls."""
    for stage in (Stage.IPSI, Stage.BI):
        schedule = RECIPES["paper"].schedules[stage]
        assert (schedule.optimiser, schedule.law, schedule.weight_decay, schedule.average) == ("sgd", "steps", 1e-4, 0)
        assert schedule.learning_rate == pytest.approx(0.02 * 2 * schedule.batch / 16)
        assert schedule.rate(schedule.steps - 1) == pytest.approx(schedule.learning_rate / 100)
