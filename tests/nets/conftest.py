"""A whole training of the tiny preset, for all tests that need one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tetraview_nets.cli.main import app


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Networks this small gain nothing from more threads, and other tests want the other cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``out``, all stages of the tiny preset trained for some steps, and ``cache``, their exams."""
    folder = tmp_path_factory.mktemp("tiny")
    places = ["--out", str(folder / "out"), "--cache-root", str(folder / "cache")]
    result = CliRunner().invoke(
        app, ["mommi", "train", "--preset", "tiny", "--threads", "1", *places], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return folder
