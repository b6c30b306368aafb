"""Reading one exam: stored images to canonical views, Triton's answer to findings."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from tetraview.domain.detection import Detections
from tetraview.domain.exam import Exam
from tetraview.domain.instance import Instance
from tetraview.domain.reading import Reading, ViewReading
from tetraview.domain.view import View
from tetraview.durable import write_file
from tetraview.errors import ImageUnreadable, StorageUnavailable
from tetraview.findings import ViewFindings, find
from tetraview.imaging.canonical import Frame
from tetraview.imaging.decode import DecodedView, DecodeLimits, decode_views
from tetraview.inference import Detector

#: Where the value of File Meta Information Group Length (0002,0000) stands and what lies before the group it counts
#: (PS3.10 7.1).
_META_LENGTH = slice(140, 144)


class ExamReader:
    """Reads exams through Triton; knows nothing of queues and tables.

    Args:
        detector: the detector's Triton model.
        spool: folder that the paths of instances are relative to.
        limits: what decoding one image may use.
        operating_point: name of the thresholds to use, one of those stored with the weights.
    """

    def __init__(self, *, detector: Detector, spool: Path, limits: DecodeLimits, operating_point: str) -> None:
        self._detector = detector
        self._spool = spool
        self._limits = limits
        self._operating_point = operating_point

    def read(self, exam: Exam, *, folder: Path) -> Reading:
        """Decode, detect and describe; leaves one preview PNG a view in the folder.

        Raises:
            TritonUnavailable: Triton does not answer.
            ModelMismatch: Triton's model does not keep the contract or lacks the operating point.
            StorageUnavailable: a stored image cannot be opened or a preview not written.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "decode"):
            decoded, failures = self._decode(exam)
            for view, image in decoded.items():
                _write_preview(folder / f"{view}.png", image)
        detections: Detections | None = None
        found: dict[View, ViewFindings] = {}
        if decoded:
            canonical = {view: image.canonical for view, image in decoded.items()}
            with _timed(seconds, "detect"):
                detections = self._detector.detect(exam.exam_id, list(canonical.values()))
            with _timed(seconds, "findings"):
                answer = find(detections, canonical, operating_point=self._operating_point)
                found = {view.view: view for view in answer}
        views = [
            _failed(view, exam.images[view], failures[view])
            if view in failures
            else _read(exam.images[view], decoded[view], found[view])
            for view in exam.images
        ]
        return Reading(
            exam_id=exam.exam_id,
            generation=exam.generation,
            started_at=exam.settled_at,
            views=tuple(views),
            model=detections.model if detections else None,
            operating_point=self._operating_point,
            stage_seconds=seconds,
        )

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
