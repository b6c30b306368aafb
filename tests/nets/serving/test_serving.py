"""The code that served models share, tested without Triton."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tetraview.domain.frame import Frame
from tetraview_nets.serving.configuration import Configuration
from tetraview_nets.serving.threads import threads
from tetraview_nets.specimen import exam_specimen, patch_specimen
from tetraview_nets.system import PatchReading
from tetraview_nets.systems import DETECTORS, PATCH_SYSTEMS, REPOSITORY, SYSTEMS, load, served, weights_file
from tetraview_nets.weights import WeightsCard, WeightsInvalid

CARD = WeightsCard(name="unetpp_segmenter", version="1", preset="slim", generator_version="1", weights_sha256="ab")


def configuration(**parameters: str) -> Configuration:
    """The configuration that Triton hands to a model that reads patches of 64 pixels."""
    said = {"weights": "weights.safetensors", "weights_sha256": "ab", "preset": "slim", "margin": "1.5"} | parameters
    config = {
        "name": "unetpp_segmenter",
        "parameters": {key: {"string_value": value} for key, value in said.items()},
        "input": [{"name": "exam_id", "dims": ["-1"]}, {"name": "patch", "dims": ["-1", "64", "64"]}],
    }
    return Configuration.of(
        {"model_config": json.dumps(config), "model_repository": "/models/unetpp_segmenter", "model_version": "1"}
    )


def test_a_configuration_says_where_the_weights_are() -> None:
    """The weights lie in the folder of the model's version."""
    assert configuration().weights == Path("/models/unetpp_segmenter/1/weights.safetensors")


def test_weights_that_agree_are_accepted() -> None:
    """Weights with the configured digest, preset, geometry and size are used."""
    configuration().hold(CARD, numbers={"margin": 1.5}, dims={"patch": (64, 64)})


def test_every_difference_is_told() -> None:
    """Weights that differ are refused, and the message lists every difference."""
    other = configuration(weights_sha256="cd", margin="2")
    with pytest.raises(WeightsInvalid) as refusal:
        other.hold(CARD, numbers={"margin": 1.5}, dims={"patch": (128, 128)})
    assert str(refusal.value) == (
        "weights.safetensors does not fit config.pbtxt: weights_sha256 is cd in config.pbtxt and ab in the weights; "
        "margin is 2.0 in config.pbtxt and 1.5 in the weights; "
        "patch dims is [64, 64] in config.pbtxt and [128, 128] in the weights"
    )


@pytest.mark.parametrize(("parameters", "remote"), [({}, False), ({"part_network": "output"}, True)])
def test_parts_that_are_models_of_their_own_are_named_in_the_configuration(
    parameters: dict[str, str], *, remote: bool
) -> None:
    """A model knows from its configuration whether Triton runs parts of its network."""
    assert configuration(**parameters).remote is remote


def test_as_many_threads_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """OMP_NUM_THREADS decides; without it a model takes the cores it may run on."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads() >= 1


def test_specimens_are_what_models_accept() -> None:
    """The inputs that warm models up lie in [0, 1], and every view shows a breast."""
    views = exam_specimen(Frame(height=64, width=32, spacing_mm=1.0))
    assert len({view.view for view in views}) == 4
    assert all(view.breast_mask.sum() > 100 and 0 <= view.image.min() < view.image.max() <= 1 for view in views)
    patches = patch_specimen(40, count=3)
    assert patches.shape == (3, 40, 40)
    assert 0 <= patches.min() < patches.max() <= 1


def test_every_folder_of_the_repository_is_a_system() -> None:
    """The registry names exactly the models that Triton loads."""
    assert {path.parent.name for path in REPOSITORY.glob("*/config.pbtxt")} <= set(SYSTEMS)
    assert set(SYSTEMS) == {*DETECTORS, *PATCH_SYSTEMS}


def test_every_patch_network_gives_what_its_system_says() -> None:
    """A network of the smallest preset fills the fields that its system names, one value a patch, and no others."""
    for system in PATCH_SYSTEMS.values():
        preset = system.presets["tiny"]
        side = preset.patch.size
        reading = system.build(preset).eval().read(patch_specimen(side, count=2))
        shapes = PatchReading((2, side, side), (2,), (2,), (2,))._asdict()
        given = {name: tuple(value.shape) for name, value in reading._asdict().items() if value is not None}
        assert given == {name: shapes[name] for name in system.gives}
        assert all(torch.isfinite(getattr(reading, name)).all() for name in system.gives)


def test_weights_of_another_system_are_not_loaded(tmp_path: Path) -> None:
    """A repository whose folders were mixed up is refused in a sentence."""
    path = weights_file("rescunet", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(weights_file("mommi_classifier").read_bytes())
    assert served(tmp_path) == ["rescunet"]
    with pytest.raises(WeightsInvalid, match="holds mommi_classifier/small; wanted rescunet"):
        load("rescunet", tmp_path)
