"""Checklist of the marks that a viewer should show for the probe, line by line, for a person to tick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tetraview.domain.delivery import ResultKind, ResultObject
from tetraview.domain.finding import Finding
from tetraview.domain.output import Output, SegmentationGeometry
from tetraview.domain.reading import Reading
from tetraview.domain.view import Laterality, View

_BOX = "[ ] "
_INDENT = "    "
_CHEST_WALL = {Laterality.RIGHT: "right", Laterality.LEFT: "left"}


def checklist(
    reading: Reading, results: Sequence[ResultObject], *, output: Output, shapes: Mapping[View, tuple[int, int]]
) -> Iterator[str]:
    """The lines of the list.

    Args:
        reading: the probe's.
        results: the objects that were sent.
        output: the output profile that they are of.
        shapes: rows and columns of each stored image.
    """
    yield f"{_BOX}The study has four images; in each the chest wall of a right breast is right, of a left breast left."
    yield f"{_BOX}White spots are where this table says, and every mark lies exactly on its spot:"
    for view in sorted(reading.views, key=lambda view: list(View).index(view.view)):
        for finding in view.findings:
            yield _INDENT + _place(finding, shapes[view.view])
    for kind in dict.fromkeys(result.kind for result in results):
        objects = [result for result in results if result.kind is kind]
        for sentence in _sentences(kind, reading, objects, output):
            yield _BOX + sentence


def _place(finding: Finding, shape: tuple[int, int]) -> str:
    """Where a mark lies, in words that hold whatever size a viewer shows the image in."""
    rows, columns = shape
    x, y = finding.box.centre
    return (
        f"{finding.view:<5} {finding.label:<6} centre {100 * x / columns:.0f} % from the left edge, "
        f"{100 * y / rows:.0f} % from the top; long axis {finding.long_axis_mm:.1f} mm, "
        f"area {finding.area_mm2:.0f} mm2, certainty {100 * finding.score:.0f} %"
    )


def _sentences(kind: ResultKind, reading: Reading, objects: Sequence[ResultObject], output: Output) -> Iterator[str]:
    findings = len(reading.findings)
    views = ", ".join(str(result.view) for result in objects)
    if kind is ResultKind.SEGMENTATION:
        yield f"SEG: {len(objects)} series (AI mass SEG …), of {views}; an area fills each spot to its edge."
        if output.seg_geometry is not SegmentationGeometry.NONE:
            yield f"SEG: it loads although mammograms have no patient space (geometry {output.seg_geometry})."
    elif kind is ResultKind.MEASUREMENT_REPORT:
        yield f"SR: a report (AI mass measurements) of {findings} measurement groups; an outline runs round each spot."
        yield "SR: long axis, certainty and area beside an outline are those of the table; no malignancy is stated."
    elif kind is ResultKind.CAD_REPORT:
        yield f"CAD SR: {_marks(reading)}; all algorithms succeeded, with findings."
    elif kind is ResultKind.PRESENTATION_STATE:
        yield f"PR: presentation states (AI mass PR …) of {views}; applied, they draw outline and label of each spot."
    else:
        yield f"SC: pictures (AI mass overlay …) of {views} with outlines and labels, marked as not for diagnosis."


def _marks(reading: Reading) -> str:
    """The CAD marks of the exam: lesions seen in two views are linked, others are single."""
    members: dict[str, list[str]] = {}
    for finding in reading.findings:
        members.setdefault(finding.lesion, []).append(str(finding.view))
    marks = [
        f"{lesion} in {' and '.join(views)}{' as one lesion' if len(views) > 1 else ' alone'}"
        for lesion, views in sorted(members.items())
    ]
    return "CAD marks " + ", ".join(marks)
