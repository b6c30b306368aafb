"""Input of a training: exams to learn from, exams to choose numbers on, and the words of its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tetraview.domain.training import TrainingData
from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.learning.lesions import LesionSet


@dataclass(frozen=True, kw_only=True, eq=False)
class ExamMaterial:
    """Exams of one or more sources."""

    #: Exams to learn from.
    train: Sequence[CanonicalExam]
    #: Exams for operating points, calibration and the looks that a training takes at itself.
    validation: Sequence[CanonicalExam]
    #: How often each source is drawn, by ``CanonicalExam.source``; None for all alike.
    shares: Mapping[str, float] | None = None
    #: The data sets of the exams, those to learn from and those to choose numbers on.
    data_sets: tuple[TrainingData, ...] = ()
    #: Further entries about them on the card.
    described: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LesionMaterial:
    """Lesions of one or more sources."""

    #: Lesions to learn from.
    train: LesionSet
    #: Lesions for calibration, and for the looks that a training takes at itself.
    validation: LesionSet
    #: The data sets of the lesions, those to learn from and those to choose numbers on.
    data_sets: tuple[TrainingData, ...] = ()
    #: Further entries about them on the card.
    described: Mapping[str, Any] = field(default_factory=dict)
