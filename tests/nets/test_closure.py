"""Triton loads with each model its own paper's network and shared blocks, and no code of training or research."""

from __future__ import annotations

import pytest

from tetraview_nets.studies.benchmark.closure import Closure, closures, markdown
from tetraview_nets.systems import SYSTEMS

#: The paper of each served model: the folder of its network.
PAPERS = {name: type_of.build.__module__.split(".")[1] for name, type_of in SYSTEMS.items()}
#: The papers whose network is a part of another's: DualCoreNet outlines masses with a CRU-Net.
PARTS = {"dualcore": {"crunet"}}
#: Rooms that only training, evaluation, research or people need.
NOT_SERVED = {"calibration", "cli", "datasets", "learning", "metrics", "studies", "systems"}


@pytest.fixture(scope="module")
def loaded() -> dict[str, Closure]:
    """The code that each served model loads."""
    return {found.model: found for found in closures(list(SYSTEMS))}


@pytest.mark.parametrize("model", SYSTEMS)
def test_a_served_model_loads_no_other_papers_network(loaded: dict[str, Closure], model: str) -> None:
    """A served model loads only its own paper's folder, and that of a network which is a part of its own."""
    own = PAPERS[model]
    assert set(loaded[model].rooms) & set(PAPERS.values()) == {own} | PARTS.get(own, set())
    assert f"{own}.network" in loaded[model].lines


@pytest.mark.parametrize("model", SYSTEMS)
def test_a_served_model_loads_nothing_of_training_or_research(loaded: dict[str, Closure], model: str) -> None:
    """A served model loads no code of exams, trainings, data sets, studies or commands."""
    assert not set(loaded[model].rooms) & NOT_SERVED
    assert not {name for name in loaded[model].lines if name.endswith((".training", ".task", ".recipe", ".evaluate"))}


def test_the_table_of_closures_counts_modules_and_lines() -> None:
    """A row says how many modules and lines a model loads, in all and by folder."""
    rows = [Closure(model="crunet_segmenter", lines={"crunet": 1, "crunet.network": 100, "system": 20})]
    last = markdown(rows, command="the command").splitlines()[-1]
    assert last.startswith("| crunet_segmenter | 3 | 121 | ")
    assert last.endswith("| crunet 101, system 20 |")
