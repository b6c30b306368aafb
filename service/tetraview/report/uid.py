"""UIDs that follow from what an object says, so that saying it again makes the same object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from uuid import UUID, uuid5

from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.exam import Exam
from tetraview.domain.finding import Finding
from tetraview.domain.instance import Instance
from tetraview.domain.output import Output
from tetraview.domain.reading import Reading
from tetraview.report.equipment import software_version
from tetraview.report.moment import Moment

_NAMESPACE = UUID("0b5c8a0e-6f0e-5a53-9b1c-6f6c1b1d6d3a")


def derived_uid(*key: str) -> str:
    """A UID under 2.25 (PS3.5 B.2), the same for the same key."""
    return f"2.25.{uuid5(_NAMESPACE, json.dumps(key)).int}"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Properties that distinguish the results of one reading from those of another.

    A Tracking UID stays the same as long as study, software, called AE title and models do, and a Series UID as long as
    the form of the output does too. A SOP Instance UID also changes with the images and with the reading itself, so
    that no UID is ever used for different bytes; destinations that get the same form get the same object.
    """

    #: Study Instance UID.
    study: str
    #: Software, AE title called, models with weights, and operating point.
    configuration: str
    #: Output profile, which gives the objects their form.
    output: Output
    #: Digest of the images and of the whole reading.
    content: str

    @classmethod
    def of(
        cls,
        exam: Exam,
        reading: Reading,
        *,
        output: Output,
        moment: Moment,
        predecessors: Iterable[ResultObject] = (),
    ) -> Identity:
        """The identity of a reading's results for an output profile."""
        return cls(
            study=next(iter(exam.images.values())).study_instance_uid,
            configuration=_configuration(exam, reading),
            output=output,
            content=_content(exam, reading, moment, predecessors),
        )

    @property
    def device_uid(self) -> str:
        """The UID of the device: it changes with software and models, not with the exam."""
        return derived_uid("device", self.configuration)

    def series_uid(self, kind: ResultKind, source: str = "") -> str:
        """The UID of a series of ours.

        Args:
            kind: kind of the objects in the series.
            source: SOP Instance UID of the image it is about, where it is about one.
        """
        return derived_uid("series", kind, self.study, self.configuration, self._form(kind), source)

    def instance_uid(self, kind: ResultKind, source: str = "", *, picture: str = "") -> str:
        """The UID of an object of ours.

        Args:
            kind: kind of the object.
            source: SOP Instance UID of the image it is about, where it is about one.
            picture: digest of its pixels, which show more than the reading, where it has any.
        """
        form = self._form(kind)
        return derived_uid("instance", kind, self.study, self.configuration, form, self.content, source, picture)

    def dimension_uid(self, source: str) -> str:
        """Dimension Organization UID of the Segmentation of an image."""
        form = self._form(ResultKind.SEGMENTATION)
        return derived_uid("dimension", self.configuration, form, self.content, source)

    def _form(self, kind: ResultKind) -> str:
        return _digest(dict(self.output.form_of(kind)))

    def frame_of_reference_uid(self, source: str) -> str:
        """Frame of Reference UID of the plane made up for an image: whatever is drawn on it shares the plane."""
        return derived_uid("frame", source)

    def tracking_uid(self, finding: Finding, image: Instance) -> str:
        """Tracking UID of a finding: by image and outline, so that the order of findings does not matter."""
        outline = [f"{round(x)},{round(y)}" for x, y in finding.outline]
        return derived_uid("tracking", image.sop_instance_uid, self.configuration, *outline)

    def lesion_uid(self, findings: Iterable[str]) -> str:
        """Tracking UID of a lesion, by those of its findings."""
        return derived_uid("lesion", *sorted(findings))


def _configuration(exam: Exam, reading: Reading) -> str:
    models = [asdict(model) if model else None for model in (reading.model, reading.segmenter, reading.classifier)]
    return _digest([software_version(), exam.called_ae_title, models, reading.operating_point])


def _content(exam: Exam, reading: Reading, moment: Moment, predecessors: Iterable[ResultObject]) -> str:
    images = sorted(
        [view, image.sop_instance_uid, image.sha256, list(image.eligibility.flags)]
        for view, image in exam.images.items()
    )
    unread = dict(exam.unread)
    views = sorted((asdict(view) for view in reading.views), key=lambda view: str(view["view"]))
    for view in views:
        # The preview is for people looking at our pages; a Secondary Capture, which shows it, has it in its kind.
        del view["preview"], view["preview_scale"]
    before = sorted(result.sop_instance_uid for result in predecessors)
    return _digest([exam.generation, before, images, unread, views, moment.date_time, moment.utc_offset])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
