"""The Triton models that the settings name, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tetraview.domain.view import Route
from tetraview.errors import SettingsInvalid
from tetraview.inference.classifier import Classifier
from tetraview.inference.detector import Detector
from tetraview.inference.specimen import Specimen
from tetraview.settings import Triton


@dataclass(frozen=True, kw_only=True)
class Models:
    """What reads an exam; may be shared by threads."""

    detector: Detector
    #: None where the settings name no classifier.
    classifier: Classifier | None

    @classmethod
    def of(cls, settings: Triton) -> Self:
        """The models of the settings; Triton is not asked yet."""
        classifier = None if settings.classifier == "none" else Classifier(settings)
        return cls(detector=Detector(settings), classifier=classifier)

    def check(self) -> None:
        """See that every model is ready and keeps its contract.

        Raises:
            TritonUnavailable: Triton or a model is not ready.
            ModelMismatch: a model is missing or differs from its contract; the message names the difference.
        """
        self.detector.check()
        if self.classifier:
            self.classifier.check()

    def check_calibration(self) -> None:
        """See that the weights were calibrated for every route, and those of the classifier at all.

        Raises:
            SettingsInvalid: a calibration is missing; the message names which.
            TritonUnavailable: Triton or a model is not ready.
            ModelMismatch: a model is missing, differs from its contract or does not keep it.
        """
        answer = self.detector.detect("calibration", [Specimen.of(self.detector.check())])
        missing = [
            f"{answer.model.name} {answer.model.version} on route {route}"
            for route in Route
            if route not in answer.calibration
        ]
        if self.classifier:
            graded = self.classifier.classify("calibration", [], side=self.classifier.check().side)
            missing += [] if graded.calibration else [f"{graded.model.name} {graded.model.version}"]
        if missing:
            raise SettingsInvalid(
                "report.emit_probability: the weights have no calibration for "
                f"{', '.join(missing)}; serve calibrated weights or set it to false"
            )
