"""Training batches are reproducible and balanced, and have the errors that serving will see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tetraview import phantom
from tetraview_nets.learning.cache import VIEWS, CanonicalExam, canonical_exam
from tetraview_nets.learning.data import MASS_SHARE, NIPPLE_JITTER_MM, Draw, collate, companion, jittered, present
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.recipe import RECIPES, Stage
from tetraview_nets.mommi.task import TASKS, TaskSet

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def exams() -> list[CanonicalExam]:
    """Four exams, two of them with a mass (seeds 3 and 5)."""
    return [canonical_exam(phantom.generate(seed), PRESETS["tiny"].frame) for seed in (0, 3, 4, 5)]


def test_companions() -> None:
    """The ipsilateral companion is the other projection, the contralateral one the same one of the other side."""
    names = [
        (str(VIEWS[companion(v, ipsilateral=True)]), str(VIEWS[companion(v, ipsilateral=False)])) for v in range(4)
    ]
    assert dict(zip(map(str, VIEWS), names, strict=True)) == {
        "R-CC": ("R-MLO", "L-CC"),
        "L-CC": ("L-MLO", "R-CC"),
        "R-MLO": ("R-CC", "L-MLO"),
        "L-MLO": ("L-CC", "R-MLO"),
    }


def test_views_with_a_mass_are_preferred(exams: list[CanonicalExam]) -> None:
    """More than the requested share of drawn views shows a mass, and views without one are drawn as well."""
    draw, generator = Draw(exams), np.random.default_rng(0)
    spots = [draw.spot(generator) for _ in range(400)]
    share = np.mean([len(exams[exam].masses(view)) > 0 for exam, view in spots])
    assert MASS_SHARE <= share < 0.85


def test_exams_without_any_mass_can_be_drawn(exams: list[CanonicalExam]) -> None:
    """A set of normal exams still gives views."""
    assert Draw(exams[:1]).spot(np.random.default_rng(0)).exam == 0


@pytest.mark.parametrize("stage", TASKS)
def test_a_step_has_the_same_batch_every_time(stage: Stage, exams: list[CanonicalExam]) -> None:
    """The losses of a step depend on the weights, the seed and the step alone, and are finite and positive."""
    given = TaskSet(
        preset=PRESETS["tiny"], exams=exams, watched=exams[:2], schedule=RECIPES["tiny"].schedules[stage], device=CPU
    )
    task = TASKS[stage](given)
    losses = []
    for _ in range(2):
        torch.manual_seed(7)
        losses.append({name: loss.item() for name, loss in task.losses(4).items()})
    assert losses[0] == losses[1]
    assert 0 < sum(losses[0].values()) < 1e4


@pytest.mark.parametrize("stage", TASKS)
def test_every_parameter_of_a_stage_learns(stage: Stage, exams: list[CanonicalExam]) -> None:
    """Over a few steps every parameter of a network gets a gradient."""
    given = TaskSet(
        preset=PRESETS["tiny"], exams=exams, watched=[], schedule=RECIPES["tiny"].schedules[stage], device=CPU
    )
    task = TASKS[stage](given)
    for step in range(4):
        torch.stack(list(task.losses(step).values())).sum().backward()
    silent = [name for name, p in task.network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not silent


def test_nipple_jitter_is_in_millimetres(exams: list[CanonicalExam]) -> None:
    """The error put on nipples has its standard deviation in millimetres, whatever the spacing."""
    generator = np.random.default_rng(0)
    views = collate([Draw(exams).sample(generator) for _ in range(4)], device=CPU)
    errors = torch.stack([jittered(views, generator) - views.nipple for _ in range(300)]) * views.spacing[:, None]
    assert errors.std().item() == pytest.approx(NIPPLE_JITTER_MM, rel=0.1)


def test_presence_is_dropped_as_often_as_asked() -> None:
    """Something dropped with probability 0.15 is missing in about 15 % of the cases."""
    missing = ~present(5000, 0.15, np.random.default_rng(0), CPU)
    assert missing.float().mean().item() == pytest.approx(0.15, abs=0.02)
