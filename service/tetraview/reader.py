"""Reading one exam: stored images to canonical views, the answers of Triton's models to findings."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.exam import Exam
from tetraview.domain.instance import Instance
from tetraview.domain.reading import Model, Reading, ViewReading
from tetraview.domain.view import View
from tetraview.durable import write_file
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.findings import ViewFindings, find, graded, with_probabilities
from tetraview.imaging.canonical import Frame
from tetraview.imaging.decode import DecodedView, DecodeLimits, cut_patches, decode_views
from tetraview.imaging.patch import PatchShape
from tetraview.inference import Classifier, ClassifierInput, Detector, Gradings

#: Where the value of File Meta Information Group Length (0002,0000) stands and what lies before the group it counts
#: (PS3.10 7.1).
_META_LENGTH = slice(140, 144)


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What the models said of the views that could be decoded."""

    views: Mapping[View, ViewFindings]
    detector: Model | None = None
    classifier: Model | None = None


class ExamReader:
    """Reads exams through Triton; knows nothing of queues and tables.

    Args:
        detector: the detector's Triton model.
        classifier: the classifier's Triton model; None leaves findings without a grade.
        spool: folder that the paths of instances are relative to.
        limits: what decoding one image may use.
        operating_point: name of the thresholds to use, one of those stored with the weights.
        probabilities: whether calibrated scores become probabilities of the findings.
    """

    def __init__(
        self,
        *,
        detector: Detector,
        classifier: Classifier | None = None,
        spool: Path,
        limits: DecodeLimits,
        operating_point: str,
        probabilities: bool = False,
    ) -> None:
        self._detector = detector
        self._classifier = classifier
        self._spool = spool
        self._limits = limits
        self._operating_point = operating_point
        self._probabilities = probabilities

    def read(self, exam: Exam, *, folder: Path) -> Reading:
        """Decode, detect, describe and grade; leaves one preview PNG a view in the folder.

        Raises:
            TritonUnavailable: Triton does not answer.
            ModelMismatch: a model of Triton does not keep its contract or lacks the operating point.
            ImageUnreadable: an image that was decoded cannot be decoded again.
            StorageUnavailable: a stored image cannot be opened or a preview not written.
        """
        seconds: dict[str, float] = {}
        patches = self._classifier.check() if self._classifier else None
        with _timed(seconds, "decode"):
            decoded, failures = self._decode(exam)
            for view, image in decoded.items():
                _write_preview(folder / f"{view}.png", image)
        answer = self._ask(exam, decoded, patches=patches, seconds=seconds) if decoded else _Answer(views={})
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
            stage_seconds=seconds,
            classifier=answer.classifier,
        )

    def _ask(
        self,
        exam: Exam,
        decoded: Mapping[View, DecodedView],
        *,
        patches: ClassifierInput | None,
        seconds: dict[str, float],
    ) -> _Answer:
        """Have the models find and grade; a fault of either leaves no answer, never half of one."""
        canonical = {view: image.canonical for view, image in decoded.items()}
        with _timed(seconds, "detect"):
            detections = self._detector.detect(exam.exam_id, list(canonical.values()))
        with _timed(seconds, "findings"):
            found = find(detections, canonical, operating_point=self._operating_point)
        gradings: Gradings | None = None
        if self._classifier and patches:
            with _timed(seconds, "classify"):
                cut = self._cut(exam, found, patches)
                gradings = self._classifier.classify(exam.exam_id, cut, side=patches.side)
                found = graded(found, gradings)
        if self._probabilities:
            malignancy = gradings.calibration if gradings else None
            found = with_probabilities(found, detection=detections.calibration, malignancy=malignancy)
        return _Answer(
            views={view.view: view for view in found},
            detector=detections.model,
            classifier=gradings.model if gradings else None,
        )

    def _cut(self, exam: Exam, found: Sequence[ViewFindings], patches: ClassifierInput) -> list[NDArray[np.float32]]:
        """The patch of every finding, in the order of the views and of the findings within each."""
        boxes = {view.view: [finding.box for finding in view.findings] for view in found}
        cut = cut_patches(
            {view: self._spool / exam.images[view].path for view in boxes},
            boxes,
            shape=PatchShape(size=patches.side, margin=patches.margin, min_side_mm=patches.min_side_mm),
            limits=self._limits,
        )
        return [patch for view in boxes if view in cut for patch in cut[view]]

    def _decode(self, exam: Exam) -> tuple[dict[View, DecodedView], dict[View, str]]:
        """The views that can be read, and why the others cannot."""
        frame_of_model = self._detector.check()
        frame = Frame(height=frame_of_model.height, width=frame_of_model.width, spacing_mm=frame_of_model.spacing_mm)
        paths: dict[View, Path] = {}
        failures: dict[View, str] = {}
        for view, instance in exam.images.items():
            path = self._spool / instance.path
            try:
                _check_bytes(path, instance.sha256)
                paths[view] = path
            except ImageUnreadable as fault:
                failures[view] = str(fault)
        images = decode_views(paths, frame=frame, limits=self._limits)
        failures |= {view: str(image) for view, image in images.items() if isinstance(image, ImageUnreadable)}
        return {view: image for view, image in images.items() if isinstance(image, DecodedView)}, failures


def _check_bytes(path: Path, sha256: str) -> None:
    """See that a stored data set is the one received: most damaged images decode without an error to wrong pixels."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ImageUnreadable("the stored file is gone") from None
    except OSError as error:
        raise StorageUnavailable(f"the stored file cannot be opened: {error.strerror}") from error
    data_set = memoryview(content)[_META_LENGTH.stop + int.from_bytes(content[_META_LENGTH], "little") :]
    if hashlib.sha256(data_set).hexdigest() != sha256:
        raise ImageUnreadable("the stored file no longer holds the bytes that were received: send the image again")


def _write_preview(path: Path, image: DecodedView) -> None:
    encoded, picture = cv2.imencode(".png", image.preview)
    if not encoded:
        raise ImageUnreadable(f"the preview of {image.canonical.view} cannot be encoded")
    write_file(path, picture.tobytes())


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


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = time.monotonic() - started
