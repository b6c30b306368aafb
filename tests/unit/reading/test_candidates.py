"""The way from a segmenter's patch to the stored pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tetraview.domain.geometry import Box
from tetraview.domain.output import OUTPUTS
from tetraview.errors import SettingsInvalid
from tetraview.reading.candidates import _reach
from tetraview.settings import Settings
from tetraview.tools.offline import read_as

SQUARE = Box(100, 200, 180, 240)


def test_a_network_that_reads_the_middle_of_its_patch_reaches_no_further() -> None:
    """Where a probability is 0 the network gave no answer; the rest lies in the square in proportion."""
    probability = np.zeros((8, 8), np.float32)
    probability[2:6, 1:7] = 0.1
    assert _reach(probability, SQUARE) == Box(110, 210, 170, 230)
    assert _reach(np.full((8, 8), 0.1, np.float32), SQUARE) == SQUARE
    assert _reach(np.zeros((8, 8), np.float32), SQUARE) == SQUARE


def test_files_are_not_read_by_a_classifier_that_cannot_give_what_is_asked_for() -> None:
    """Where categories are to be written, a classifier without any is refused before anything is read."""
    settings, outputs = Settings(), [replace(OUTPUTS["pacs"], emit_birads=True)]
    assert read_as(settings, ae_title="TETRAVIEW", outputs=outputs).triton.classifier == "mommi_classifier"
    with pytest.raises(SettingsInvalid, match="emit_birads needs a classifier that grades by BI-RADS, not dualcore"):
        read_as(settings, ae_title="TETRAVIEW", outputs=outputs, classifier="dualcore")
