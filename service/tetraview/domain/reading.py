"""The models' results for one generation of an exam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tetraview.domain.finding import Finding, Nipple
from tetraview.domain.training import PHANTOMS, training_sentence
from tetraview.domain.view import Route, View


@dataclass(frozen=True, kw_only=True)
class Model:
    """The weights that ran; a copy of the description that Triton's model gives of itself."""

    name: str
    version: str
    preset: str
    weights_sha256: str
    generator_version: str
    #: Names of the data sets that the weights were fitted to. Readings that do not name any are older than the first
    #: weights that had seen more than phantoms.
    data_sets: tuple[str, ...] = (PHANTOMS,)


@dataclass(frozen=True, kw_only=True)
class ViewReading:
    """The findings of one view, or why it could not be read."""

    view: View
    sop_instance_uid: str
    #: None where the view failed.
    route: Route | None
    #: Reason the view could not be read; None where it was.
    failure: str | None = None
    nipple: Nipple | None = None
    #: By falling score.
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()
    #: Preview picture of the view in the reading's folder, native orientation; None where the view failed.
    preview: str | None = None
    #: Preview pixels per stored pixel.
    preview_scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The result of reading an exam: every image of the exam has its view here, even if reading it failed."""

    exam_id: str
    generation: int
    #: When the exam was settled, UTC: the Content Date and Time of all result objects.
    started_at: datetime
    views: tuple[ViewReading, ...]
    #: None where no view could be read.
    model: Model | None
    operating_point: str
    #: Seconds spent by stage: ``decode``, ``detect``, ``findings``, ``cut``, ``segment``, ``classify``,
    #: ``outline``. A model that outlines and grades in one pass is counted in ``segment``.
    stage_seconds: Mapping[str, float]
    #: Model that graded the findings; None where no classifier is set or no view could be read.
    classifier: Model | None = None
    #: Model that outlined the findings; None where no segmenter is set or no view could be read.
    segmenter: Model | None = None
    #: Training data of the weights of all models that ran, one sentence; made from the models unless it is given. The
    #: sentence itself is kept, so that objects written later from the same reading say the same.
    training: str = ""

    def __post_init__(self) -> None:
        if not self.training:
            names = (name for model in self.models for name in model.data_sets)
            object.__setattr__(self, "training", training_sentence(names))

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that ran: detector, segmenter and classifier; a model that did the work of two is listed once."""
        return tuple(dict.fromkeys(model for model in (self.model, self.segmenter, self.classifier) if model))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all views."""
        return tuple(finding for view in self.views for finding in view.findings)

    @property
    def failed(self) -> tuple[View, ...]:
        """The views that could not be read."""
        return tuple(view.view for view in self.views if view.failure is not None)
