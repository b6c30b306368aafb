"""Triton and the models that read an exam."""

from __future__ import annotations

from typing import Literal

from tetraview.settings.section import Seconds, Section

DetectorName = Literal["mommi_detector", "yolo_msp_detector"]
SegmenterName = Literal["crunet_segmenter", "unetpp_segmenter", "dualcore", "rescunet", "none"]
ClassifierName = Literal["mommi_classifier", "dualcore", "rescunet", "none"]


class Stages(Section):
    """The Triton models that read an exam, one a stage."""

    detector: DetectorName = "mommi_detector"
    """Triton model that finds masses."""
    segmenter: SegmenterName = "crunet_segmenter"
    """Triton model that outlines them, or `none`: findings then keep the detector's coarse outline."""
    classifier: ClassifierName = "mommi_classifier"
    """Triton model that grades them, or `none`; only `mommi_classifier` also estimates the suspicion level."""

    @property
    def of_patches(self) -> tuple[str, ...]:
        """Segmenter and classifier, as far as there are any; a model that is both stands there once."""
        return tuple(dict.fromkeys(name for name in (self.segmenter, self.classifier) if name != "none"))

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return self.detector, *self.of_patches

    @property
    def grade_birads(self) -> bool:
        """Whether findings get a BI-RADS score."""
        return self.classifier == "mommi_classifier"


class Triton(Stages):
    """NVIDIA Triton Inference Server and the models that it is asked for."""

    url: str = "127.0.0.1:8001"
    """gRPC address, host:port."""
    deadline_seconds: Seconds = 60.0
    """Longest time one exam's request may take."""

    @property
    def stages(self) -> Stages:
        """The models that read an exam unless something else is said for it."""
        return Stages(detector=self.detector, segmenter=self.segmenter, classifier=self.classifier)
