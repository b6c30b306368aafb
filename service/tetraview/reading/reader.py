"""Reading one exam: stored images to canonical views, the answers of Triton's models to findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tetraview.domain.exam import Exam
from tetraview.domain.instance import Instance
from tetraview.domain.reading import Model, Reading, ViewReading
from tetraview.domain.view import View
from tetraview.errors import ImageUnreadable
from tetraview.findings import ViewFindings, find, with_probabilities
from tetraview.imaging.decode import DecodedView, DecodeLimits, decode_views
from tetraview.imaging.preview import write_preview
from tetraview.inference import Detector, Models
from tetraview.reading.candidates import CandidateReader, Shapes
from tetraview.reading.stopwatch import Stopwatch
from tetraview.settings import Stages
from tetraview.storage.stored import read_stored


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """The models' answer for the views that could be decoded."""

    views: Mapping[View, ViewFindings]
    detector: Model | None = None
    segmenter: Model | None = None
    classifier: Model | None = None


class ExamReader:
    """Reads exams through Triton; knows nothing of queues and tables.

    Args:
        models: the models of Triton, all that exams are read by.
        stages_of: which of them read an exam.
        spool: folder that the paths of instances are relative to.
        limits: resources that decoding one image may use.
        operating_point: name of the thresholds to use, one of those stored with the weights.
        probabilities: whether calibrated scores become probabilities of the findings.
    """

    def __init__(
        self,
        *,
        models: Models,
        stages_of: Callable[[Exam], Stages],
        spool: Path,
        limits: DecodeLimits,
        operating_point: str,
        probabilities: bool = False,
    ) -> None:
        self._models = models
        self._candidates = CandidateReader(models, spool=spool, limits=limits)
        self._stages_of = stages_of
        self._spool = spool
        self._limits = limits
        self._operating_point = operating_point
        self._probabilities = probabilities

    def read(self, exam: Exam, *, folder: Path) -> Reading:
        """Decode, detect, outline and grade; leaves one preview PNG a view in the folder.

        Raises:
            TritonUnavailable: Triton does not answer.
            ModelMismatch: a model of Triton does not keep its contract or lacks the operating point.
            ImageUnreadable: an image that was decoded cannot be decoded again.
            StorageUnavailable: a stored image cannot be opened or a preview not written.
        """
        watch = Stopwatch()
        stages = self._stages_of(exam)
        shapes = self._candidates.shapes(stages)
        with watch.time("decode"):
            decoded, failures = self._decode(exam, self._models.detectors[stages.detector])
            for view, image in decoded.items():
                write_preview(folder / f"{view}.png", image)
        answer = self._ask(exam, decoded, stages=stages, shapes=shapes, watch=watch) if decoded else _Answer(views={})
        views = [
            _failed(view, exam.images[view], failures[view])
            if view in failures
            else _read(exam.images[view], decoded[view], answer.views[view])
            for view in exam.images
        ]
        return Reading(
            exam_id=exam.exam_id,
            generation=exam.generation,
            started_at=exam.settled_at,
            views=tuple(views),
            model=answer.detector,
            operating_point=self._operating_point,
            stage_seconds=watch.seconds,
            segmenter=answer.segmenter,
            classifier=answer.classifier,
        )

    def _ask(
        self,
        exam: Exam,
        decoded: Mapping[View, DecodedView],
        *,
        stages: Stages,
        shapes: Shapes,
        watch: Stopwatch,
    ) -> _Answer:
        """Have the models find, outline and grade; a fault of one leaves no answer, never a part of one."""
        canonical = {view: image.canonical for view, image in decoded.items()}
        with watch.time("detect"):
            detections = self._models.detectors[stages.detector].detect(exam.exam_id, list(canonical.values()))
        with watch.time("findings"):
            found = find(detections, canonical, operating_point=self._operating_point)
        described = self._candidates.describe(exam, found, canonical, stages=stages, shapes=shapes, watch=watch)
        segmenter, classifier, found = described.segmenter, described.classifier, described.views
        if self._probabilities:
            malignancy = classifier.calibration if classifier else None
            found = with_probabilities(found, detection=detections.calibration, malignancy=malignancy)
        return _Answer(
            views={view.view: view for view in found},
            detector=detections.model,
            segmenter=segmenter.model if segmenter else None,
            classifier=classifier.model if classifier else None,
        )

    def _decode(self, exam: Exam, detector: Detector) -> tuple[dict[View, DecodedView], dict[View, str]]:
        """The views that can be read, and why the others cannot."""
        frame = detector.check()
        paths: dict[View, Path] = {}
        failures: dict[View, str] = {}
        for view, instance in exam.images.items():
            path = self._spool / instance.path
            try:
                read_stored(path, sha256=instance.sha256)
                paths[view] = path
            except ImageUnreadable as fault:
                failures[view] = str(fault)
        images = decode_views(paths, frame=frame, limits=self._limits)
        failures |= {view: str(image) for view, image in images.items() if isinstance(image, ImageUnreadable)}
        return {view: image for view, image in images.items() if isinstance(image, DecodedView)}, failures


def _failed(view: View, instance: Instance, reason: str) -> ViewReading:
    return ViewReading(view=view, sop_instance_uid=instance.sop_instance_uid, route=None, failure=reason)


def _read(instance: Instance, image: DecodedView, found: ViewFindings) -> ViewReading:
    return ViewReading(
        view=found.view,
        sop_instance_uid=instance.sop_instance_uid,
        route=found.route,
        nipple=found.nipple,
        findings=found.findings,
        warnings=(*image.canonical.warnings, *found.warnings),
        preview=f"{found.view}.png",
        preview_scale=image.preview_scale,
    )
