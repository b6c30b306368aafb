"""The data sets of trainings are noted beside their checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tetraview.domain.training import Role, TrainingData, phantoms
from tetraview_nets.datasets.licences import training_data
from tetraview_nets.learning.sources import Sources, note, noted
from tetraview_nets.weights import WeightsCard, save

CBIS = TrainingData(name="CBIS-DDSM", licence="CC BY 3.0", citation="Lee 2017", images=1054, patients=594)


@pytest.fixture(autouse=True)
def command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process was started as our own program."""
    monkeypatch.setattr("sys.argv", ["/opt/tetraview_nets/__main__.py", "mommi", "train", "--out", "/home/me/run one"])


def test_stages_trained_on_different_days_are_told_together(tmp_path: Path) -> None:
    """The note has each data set once for each role with its largest count, and commands in order, without folders."""
    note(tmp_path, "nipple", [CBIS, phantoms(100)])
    note(tmp_path, "ipsi", [phantoms(300), phantoms(20, role=Role.VALIDATION)])
    found = noted(tmp_path)
    assert found.training_data == (CBIS, phantoms(300), phantoms(20, role=Role.VALIDATION))
    assert found.commands == ("tetraview_nets mommi train --out 'run one'",)


def test_a_training_that_goes_on_is_noted_once(tmp_path: Path) -> None:
    """A second note adds its data to the first: a training resumes from its checkpoint, and earlier steps stay."""
    for _ in range(2):
        note(tmp_path, "ipsi", [CBIS])
        note(tmp_path, "ipsi", [phantoms(3)])
    found = noted(tmp_path)
    assert found.training_data == (CBIS, phantoms(3))
    assert len(found.commands) == 1


def test_weights_that_a_training_begins_with_count(tmp_path: Path) -> None:
    """Weights made from earlier weights also name the data sets of those."""
    torch.manual_seed(0)
    card = WeightsCard(name="m", version="0", preset="tiny", generator_version="1", training_data=(CBIS,))
    save(tmp_path / "first.safetensors", nn.Linear(2, 2), card)
    note(tmp_path, "ipsi", [phantoms(3)], init=tmp_path / "first.safetensors")
    assert noted(tmp_path).training_data == (phantoms(3), CBIS)


def test_commands_of_other_programs_are_nobody_s_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that a test or a notebook runs leaves no command."""
    monkeypatch.setattr("sys.argv", ["/usr/bin/pytest", "tests"])
    note(tmp_path, "ipsi", [CBIS])
    assert noted(tmp_path) == Sources(training_data=(CBIS,))


def test_known_data_sets_come_with_their_terms() -> None:
    """Licence and citation of known sets are filled in; for others the note says that none is stated."""
    known, other, made = training_data(
        {
            "CBIS-DDSM": {"images": 9, "patients": 3, "masses": 9},
            "ours": {"images": 1, "patients": 1, "masses": 0},
            "phantom": {"images": 8, "patients": 2, "masses": 1},
        }
    )
    assert (known.licence, known.images) == ("CC BY 3.0", 9)
    assert (other.name, other.licence) == ("ours", "not stated")
    assert made == phantoms(2)
