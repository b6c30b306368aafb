"""Data sets of each arm of the study of training data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np

from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.material import ExamMaterial
from tetraview_nets.metrics import ImageResult
from tetraview_nets.studies.mixture import ARMS, markdown, part


def exam(source: str, seed: int) -> CanonicalExam:
    """The parts of an exam that are counted."""
    one = SimpleNamespace(source=source, seed=seed, present=np.ones(4, dtype=bool), kinds=np.zeros(1, dtype=int))
    return cast("CanonicalExam", one)


def test_an_arm_learns_from_its_sources_alone() -> None:
    """Patients count the same in every arm that has them; phantoms alone are drawn alone."""
    sources = ("CBIS-DDSM", "CDD-CESM", "hybrid", "phantom")
    train = [exam(source, seed) for seed, source in enumerate(sources)]
    material = ExamMaterial(train=train, validation=[], shares={}, data_sets=(), described={})
    learnt = {arm: part(material, arm) for arm in ARMS}
    assert {arm: {e.source for e in each.train} for arm, each in learnt.items()} == {
        "patients, hybrids and phantoms": set(sources),
        "patients and hybrids": set(sources) - {"phantom"},
        "patients and phantoms": set(sources) - {"hybrid"},
        "patients": {"CBIS-DDSM", "CDD-CESM"},
        "phantoms": {"phantom"},
    }
    assert all(set(each.shares or {}) == {e.source for e in each.train} for each in learnt.values())


def test_the_page_compares_every_arm_with_the_first() -> None:
    """An arm that finds nothing has a recall lower by 1 than an arm that finds every mass."""
    box = np.array([[0.0, 0, 10, 10]])

    def result(patient: int, *, found: bool) -> ImageResult:
        none = np.zeros((0, 4)), np.zeros(0)
        boxes, scores = (box, np.ones(1)) if found else none
        return ImageResult(patient=patient, boxes=boxes, scores=scores, truth=box, lesions=("M1",))

    arms = {name: [result(i, found=name == "all") for i in range(6)] for name in ("all", "none")}
    page = markdown({"CBIS-DDSM": arms}, steps=3, command="none")
    assert "| CBIS-DDSM | all | 6 / 6 | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |  |" in page
    assert "| CBIS-DDSM | none | 6 / 6 | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] | +1.00 [+1.00, +1.00] |" in page
