"""The Triton models that the settings name, together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tetraview.domain.detection import routes_of
from tetraview.domain.reading import Model
from tetraview.errors import SettingsInvalid
from tetraview.inference.detector import Detector
from tetraview.inference.patch_model import PatchModel
from tetraview.inference.specimen import Specimen
from tetraview.settings import Stages, Triton
from tetraview.telemetry.metrics import Metrics

_NOBODY = "calibration"


@dataclass(frozen=True, kw_only=True)
class Models:
    """Clients of the models that read exams, by the models' names; threads may share them."""

    detectors: Mapping[str, Detector]
    #: Segmenters and classifiers.
    patch_models: Mapping[str, PatchModel]
    #: Patch models that grade for at least one AE title.
    classifiers: frozenset[str]

    @classmethod
    def of(cls, settings: Triton, *, stages: Sequence[Stages] = (), metrics: Metrics | None = None) -> Self:
        """The models of the settings; Triton is not asked yet.

        Args:
            settings: where Triton is, and the models that read an exam.
            stages: the models that read other exams.
            metrics: where requests are counted; None counts none.
        """
        every = (settings.stages, *stages)
        return cls(
            detectors={
                name: Detector(settings, model=name, metrics=metrics)
                for name in dict.fromkeys(each.detector for each in every)
            },
            patch_models={
                name: PatchModel(settings, model=name, metrics=metrics)
                for name in dict.fromkeys(name for each in every for name in each.of_patches)
            },
            classifiers=frozenset(each.classifier for each in every) - {"none"},
        )

    def check(self) -> None:
        """See that every model is ready and keeps its contract.

        Raises:
            TritonUnavailable: Triton or a model is not ready.
            ModelMismatch: a model is missing or differs from its contract; the message names the difference.
        """
        for detector in self.detectors.values():
            detector.check()
        for model in self.patch_models.values():
            model.check()

    def check_calibration(self) -> None:
        """See that the weights were calibrated: detectors for every route that they take, classifiers at all.

        Raises:
            SettingsInvalid: a calibration is missing; the message names which.
            TritonUnavailable: Triton or a model is not ready.
            ModelMismatch: a model is missing, differs from its contract or does not keep it.
        """
        if missing := [*self._uncalibrated_routes(), *self._uncalibrated_classifiers()]:
            raise SettingsInvalid(
                "report.emit_probability: the weights have no calibration for "
                f"{', '.join(missing)}; serve calibrated weights or set it to false"
            )

    def _uncalibrated_routes(self) -> Iterator[str]:
        for name, detector in self.detectors.items():
            answer = detector.detect(_NOBODY, [Specimen.of(detector.check())])
            missing = [route for route in routes_of(name) if route not in answer.calibration]
            yield from (f"{_said(answer.model)} on route {route}" for route in missing)

    def _uncalibrated_classifiers(self) -> Iterator[str]:
        for name, model in self.patch_models.items():
            if name in self.classifiers:
                answer = model.read(_NOBODY, [], size=model.check().size)
                yield from [] if answer.calibration else [_said(answer.model)]


def _said(model: Model) -> str:
    return f"{model.name} {model.version}"
