"""The shipped weights reach the figures that were written down for them.

After new weights: ``tetraview_nets golden --data FOLDER`` writes ``golden.json`` anew, and the diff shows gains and
losses.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tetraview_nets.studies.real.golden import REAL_PARTS, Golden, PhantomImages, RealImages, golden
from tetraview_nets.studies.real.systems import Systems
from tetraview_nets.systems import SYSTEMS, served, weights_file
from tetraview_nets.weights import read

CONTENT = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
FIGURES = [Golden(**each) for each in CONTENT["figures"]]

needs_real = pytest.mark.skipif("TETRAVIEW_REAL" not in os.environ, reason="needs TETRAVIEW_REAL")


@pytest.fixture(scope="module")
def systems() -> Systems:
    """All shipped weights."""
    return Systems.of(list(SYSTEMS), {}, alone=True)


def differences(found: Sequence[Golden]) -> list[str]:
    """Differences from the figures written down, in sentences."""
    wanted = {(each.data, each.system, each.measure): each for each in FIGURES}
    told = []
    for each in found:
        before = wanted.pop((each.data, each.system, each.measure), None)
        if before is None:
            told.append(f"{each} was never written down")
        elif each.count != before.count or abs(each.value - before.value) > before.tolerance:
            told.append(f"{each.data} {each.system} {each.measure}: {before.value} of {before.count}, now {each}")
    missing = {key for key in wanted if key[0] in {each.data for each in found}}
    return told + [f"{key} is missing" for key in sorted(missing)]


def test_the_figures_are_of_the_weights_that_are_shipped() -> None:
    """Weights are not changed without writing their figures down."""
    assert {name: read(weights_file(name))[1].weights_sha256 for name in served()} == CONTENT["weights"]


def test_phantoms_are_read_as_well_as_before(systems: Systems) -> None:
    """On twenty phantoms recall, nipples, outlines and classes of all systems are unchanged."""
    assert not differences(golden(systems.detectors, systems.patches, PhantomImages()))


@needs_real
@pytest.mark.parametrize("name", REAL_PARTS)
def test_real_images_are_read_as_well_as_before(systems: Systems, name: str) -> None:
    """On twenty film images and twenty of a digital system the figures of all systems are unchanged."""
    images = RealImages(Path(os.environ["TETRAVIEW_REAL"]), name)
    assert not differences(golden(systems.detectors, systems.patches, images))


def test_a_loss_is_told() -> None:
    """A recall that falls by two masses is a difference, a fall by one is not; a missing figure is a difference too."""
    recall = next(each for each in FIGURES if each.measure == "recall at 1" and each.data == "phantom")
    own = [each for each in FIGURES if each.data == "phantom" and each is not recall]
    for lost, told in ((0, 0), (1, 0), (2, 1)):
        value = recall.value - lost / recall.count
        changed = Golden(
            data=recall.data, system=recall.system, measure=recall.measure, count=recall.count, value=value
        )
        assert len(differences([*own, changed])) == told
    assert len(differences(own)) == 1
