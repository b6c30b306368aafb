"""A real Triton that serves a tiny classifier of random weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tetraview.domain.patch import PatchShape
from tetraview.errors import ModelMismatch
from tetraview.inference.patch_model import PatchModel
from tetraview.inference.server import TritonServer, model_repository, triton_home
from tetraview.settings import Triton
from tetraview_nets.calibration import MALIGNANCY
from tetraview_nets.classifier.network import DenseNet
from tetraview_nets.classifier.presets import TINY
from tetraview_nets.systems import load
from tetraview_nets.weights import WeightsCard, save

pytestmark = pytest.mark.system

MODEL: Final = "mommi_classifier"
PLATT = {"slope": 1.5, "intercept": -0.5, "prevalence": 0.3, "detections": 100, "positives": 30}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped classifier's folder with a network of the smallest preset."""
    torch.manual_seed(2)
    repository = tmp_path_factory.mktemp("classifier")
    folder = repository / MODEL
    shutil.copytree(model_repository() / MODEL, folder, ignore=shutil.ignore_patterns("*.safetensors", "__py*"))
    card = WeightsCard(
        name=MODEL, version="0", preset=TINY.name, generator_version="0", calibration={MALIGNANCY: PLATT}
    )
    card = save(folder / "1" / "weights.safetensors", DenseNet(TINY), card)
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    config.input[1].dims[1:] = [TINY.size, TINY.size]
    config.parameters["weights_sha256"].string_value = card.weights_sha256
    config.parameters["preset"].string_value = TINY.name
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config))
    return repository


@pytest.fixture(scope="module")
def classifier(repository: Path) -> Iterator[PatchModel]:
    if not triton_home().exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Triton is missing (deploy/triton-setup)")
    with (
        TritonServer(repository=repository, grpc_port=0, metrics_port=None) as server,
        PatchModel(Triton(url=server.url), model=MODEL) as classifier,
    ):
        yield classifier


def patches(count: int) -> list[np.ndarray]:
    """Noise."""
    return list(np.random.default_rng(count).random((count, TINY.size, TINY.size)).astype(np.float32))


def test_the_loaded_model_says_which_patches_it_reads(classifier: PatchModel) -> None:
    """A ready classifier names the size of its patches and how much tissue they show."""
    assert classifier.check() == PatchShape(size=TINY.size, margin=1.5, min_side_mm=25.0)


def test_triton_grades_as_the_network_does_in_process(classifier: PatchModel, repository: Path) -> None:
    """Grades that come through Triton are those of the same weights without it, with their calibration."""
    network, _ = load(MODEL, repository)
    expected = network.grade(torch.from_numpy(np.stack(patches(7))))
    found = classifier.read("an exam", patches(7), size=TINY.size)
    assert found.gradings is not None
    assert [grading.malignancy for grading in found.gradings] == pytest.approx(expected.malignancy.tolist(), abs=1e-5)
    assert [grading.birads_score for grading in found.gradings] == pytest.approx(expected.birads.tolist(), abs=1e-5)
    assert found.calibration is not None
    assert (found.calibration.slope, found.calibration.prevalence) == (1.5, 0.3)


def test_an_exam_without_candidates_has_no_grades(classifier: PatchModel) -> None:
    """No patches, no grades, but the answer says which weights were asked."""
    found = classifier.read("an exam", [], size=TINY.size)
    assert found.gradings == ()
    assert found.model.name == MODEL


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (patches(65), "at most 64 patches, not 65"),
        ([patches(1)[0] * np.nan], r"\[0, 1\] and be finite"),
        ([patches(1)[0] + 1], r"\[0, 1\] and be finite"),
    ],
    ids=["too many", "not a number", "too bright"],
)
def test_what_is_no_patch_is_refused_in_words(classifier: PatchModel, bad: list[np.ndarray], said: str) -> None:
    """A request with too many patches or with values out of range gets a sentence, and the next one is answered."""
    with pytest.raises(ModelMismatch, match=said):
        classifier.read("an exam", bad, size=TINY.size)
    assert len(classifier.read("an exam", patches(1), size=TINY.size).gradings or ()) == 1
