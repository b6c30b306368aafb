"""Training as processes: killed and started again, and several that share one training."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from tetraview_nets.learning.distributed import ALONE, Workers, WorkersUnfit, joined

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def training(trained: Path, out: Path) -> subprocess.Popen[str]:
    """The ipsilateral stage of the tiny preset as a process."""
    options = ["--preset", "tiny", "--stage", "ipsi", "--threads", "1", "--workers", "1", "--out", str(out)]
    command = [
        sys.executable,
        "-m",
        "tetraview_nets",
        "mommi",
        "train",
        *options,
        "--cache-root",
        str(trained / "cache"),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ONE_THREAD)


def losses(folder: Path) -> list[list[str]]:
    """The loss table of the ipsilateral stage without the seconds, which differ in every run."""
    with (folder / "ipsi.csv").open(newline="", encoding="utf-8") as file:
        return [row[:-1] for row in csv.reader(file)]


def test_a_training_killed_in_the_middle_ends_with_the_same_weights(trained: Path, tmp_path: Path) -> None:
    """After kill -9 between two checkpoints the same command reaches the weights of an undisturbed run."""
    with training(trained, tmp_path) as killed:
        deadline = time.monotonic() + 120
        while not (tmp_path / "ipsi.pt").exists() and killed.poll() is None and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                killed.wait(timeout=0.05)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert 0 < torch.load(tmp_path / "ipsi.pt", weights_only=True)["step"] < 20
    with training(trained, tmp_path) as again:
        _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    whole, resumed = (torch.load(folder / "ipsi.pt", weights_only=True) for folder in (trained / "out", tmp_path))
    for state in ("average", "network"):
        assert all(torch.equal(resumed[state][name], tensor) for name, tensor in whole[state].items())
    assert losses(tmp_path) == losses(trained / "out")


#: Program of each of several processes: some steps of a stage, then some arithmetic with the others.
PROCESS = """
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from tetraview_nets.learning.distributed import joined
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.recipe import RECIPES, Stage
from tetraview_nets.mommi.training import Training

folder, cache = map(Path, sys.argv[1:])
torch.set_num_threads(1)
recipe = RECIPES["tiny"]
recipe = replace(recipe, schedules={Stage.IPSI: replace(recipe.schedules[Stage.IPSI], steps=4, average=0.0)})
with joined("cpu") as (workers, device):
    training = Training(
        preset=PRESETS["tiny"], recipe=recipe, folder=folder, device=device, cache=cache, workers=workers
    )
    weights = training.run(Stage.IPSI).state_dict()
    layer = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm2d(1))
    layer[0].weight.grad = torch.full((1, 1), 1.0 + workers.rank)
    if workers.first:
        layer[0].bias.grad = torch.ones(1)
    layer[1].running_mean += workers.rank
    workers.agree(layer)
    sums = [layer[0].weight.grad.item(), layer[0].bias.grad.item(), layer[1].running_mean.item()]
    mean = workers.mean({"a": torch.tensor(1.0 - workers.rank), "b": torch.tensor([1.0, torch.inf][workers.rank])})
    torch.save({"weights": weights, "agreed": sums, "mean": mean}, folder / f"rank{workers.rank}.pt")
"""


@pytest.fixture(scope="module")
def pair(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training by two CPU processes, with the final state of each."""
    folder = tmp_path_factory.mktemp("pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = {**ONE_THREAD, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-c", PROCESS, str(folder), str(trained / "cache")]
    processes = [
        subprocess.Popen(command, env={**meeting, "RANK": rank}, stderr=subprocess.PIPE, text=True) for rank in "01"
    ]
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    return folder


def test_two_processes_end_with_equal_weights(pair: Path) -> None:
    """Two processes that draw different halves of every batch hold the same weights, those of the checkpoint."""
    first, second = (torch.load(pair / f"rank{rank}.pt", weights_only=True)["weights"] for rank in (0, 1))
    saved = torch.load(pair / "ipsi.pt", weights_only=True)
    assert saved["step"] == 4
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name])
        assert torch.equal(tensor, saved["network"][name])


def test_one_process_writes_for_all(pair: Path) -> None:
    """The loss table has every line once, and checkpoint, picture and tables are there once."""
    assert [row[0] for row in losses(pair)] == ["step", "4"]
    names = {path.name for path in pair.iterdir()}
    assert names == {
        "ipsi.csv",
        "ipsi-validation.csv",
        "ipsi.png",
        "ipsi.pt",
        "rank0.pt",
        "rank1.pt",
        "sources.json",
    }


def test_gradients_statistics_and_losses_are_averaged(pair: Path) -> None:
    """A gradient that one process lacks counts as zero; a loss that is infinite in one is infinite in both."""
    for rank in (0, 1):
        state = torch.load(pair / f"rank{rank}.pt", weights_only=True)
        assert state["agreed"] == [1.5, 0.5, 0.5]
        assert state["mean"] == {"a": 0.5, "b": float("inf")}


def test_a_process_without_others_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process under torchrun trains like one that was started by itself, without waiting for others."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined("cpu") as (workers, device):
        assert (workers, device) == (ALONE, torch.device("cpu"))
        assert not torch.distributed.is_initialized()


def test_a_batch_is_shared_equally_or_not_at_all() -> None:
    """Four processes take two of eight pairs each; a batch of six is refused in one sentence."""
    assert Workers(rank=1, world=4).share(8) == 2
    with pytest.raises(WorkersUnfit, match="a batch of 6 cannot be shared equally by 4 processes"):
        Workers(rank=1, world=4).share(6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_told_in_one_sentence() -> None:
    """Asking for a GPU where none can be used is refused before anything is rendered or trained."""
    with pytest.raises(WorkersUnfit, match="no GPU can be used here"), joined("cuda"):
        pass
