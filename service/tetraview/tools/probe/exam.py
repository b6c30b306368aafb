"""The probe's exam: a phantom with white spots, and the reading that marks exactly these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tetraview.domain.exam import Exam
from tetraview.domain.finding import Finding
from tetraview.domain.frame import Frame
from tetraview.domain.geometry import Affine
from tetraview.domain.reading import Model, Reading, ViewReading
from tetraview.domain.view import Route, View
from tetraview.errors import ImageUnreadable, ReportImpossible
from tetraview.findings.mask import NativeMask, outline_of
from tetraview.findings.measure import area, long_axis
from tetraview.imaging.decode import DecodeLimits, decode_views
from tetraview.imaging.preview import write_preview
from tetraview.phantom import GENERATOR_VERSION, RECIPES, ObjectKind, PhantomObject, PhantomView, generate
from tetraview.phantom.dicom import write_exam
from tetraview.tools.files import find_exams

#: An exam with one mass in each breast, at other heights in each view, so that a mirrored or shifted mark is seen.
_SEED = 900015
#: UIDs of the images follow from the recipe, so its name must change with the drawing here.
_RECIPE = replace(RECIPES["native"], name="probe 1", mass_probability=1.0)
#: The same whenever the probe is sent, so that sending it again makes no other objects.
_READ_AT = datetime(2020, 1, 1, 12, tzinfo=UTC)
_MODEL = Model(
    name="known marks",
    version="1",
    preset="probe",
    weights_sha256="none",
    generator_version=GENERATOR_VERSION,
    data_sets=(),
)
#: The view with a marked object that no other view shows.
_SINGLE = View.L_MLO
#: Scores fall in the order of the lesions, so that a viewer that mixes marks up is seen.
_SCORES = {"L1": 0.9, "R1": 0.8, "L2": 0.7}
#: Largest value of tissue as a share of white.
_BRIGHTEST = 0.75
_FRAME = Frame(height=512, width=256, spacing_mm=0.45)


def probe_exam(folder: Path) -> tuple[Exam, Reading]:
    """Write the images and previews of the probe's exam into a folder.

    Returns:
        The exam, and a reading that no model made: its findings are the white spots.
    """
    phantom = generate(_SEED, recipe=_RECIPE)
    marked = {view: _marked(image) for view, image in phantom.views.items()}
    whitened = {view: _whitened(image, marked[view].values()) for view, image in phantom.views.items()}
    paths = write_exam(replace(phantom, views=whitened), folder / "images")
    exam = replace(find_exams(paths.values()).exams[0], settled_at=_READ_AT)
    scales = _write_previews(paths, folder)
    views = []
    for view, instance in exam.images.items():
        found = [_finding(lesion, spot, whitened[view]) for lesion, spot in sorted(marked[view].items())]
        views.append(
            ViewReading(
                view=view,
                sop_instance_uid=instance.sop_instance_uid,
                route=Route.TRI,
                findings=tuple(found),
                preview=f"{view}.png",
                preview_scale=scales[view],
            )
        )
    return exam, Reading(
        exam_id=exam.exam_id,
        generation=exam.generation,
        started_at=exam.settled_at,
        views=tuple(views),
        model=_MODEL,
        operating_point="known marks",
        stage_seconds={},
    )


def _marked(image: PhantomView) -> dict[str, PhantomObject]:
    """Marked objects of a view by lesion name: the breast's mass, and in one view another object beside it."""
    side = image.view.laterality
    spots = {f"{side}1": mass for mass in image.masses}
    if image.view is _SINGLE:
        spots[f"{side}2"] = next(found for found in image.objects if found.kind is ObjectKind.DECOY)
    return spots


def _whitened(image: PhantomView, spots: Iterable[PhantomObject]) -> PhantomView:
    """The image with its spots white and nothing else as bright; the seed's images are MONOCHROME2."""
    white = 2**image.bits_stored - 1
    pixels = np.minimum(image.pixels, np.uint16(_BRIGHTEST * white))
    for spot in spots:
        pixels[spot.mask] = white
    return replace(image, pixels=pixels)


def _finding(lesion: str, spot: PhantomObject, image: PhantomView) -> Finding:
    """The finding that marks a spot, outlined along the edges of its pixels."""
    mask = NativeMask(pixels=spot.core, corner=(int(spot.box.x0), int(spot.box.y0)), reach=spot.box)
    outline = outline_of(mask, box=spot.box)
    if outline is None:
        raise ReportImpossible(f"the probe's spot {lesion} is empty")
    row_mm, column_mm = image.spacing_mm
    outline_mm = Affine.scale(column_mm, row_mm).outline(outline)
    return Finding(
        label=f"{lesion}-{image.position}",
        lesion=lesion,
        view=image.view,
        box=spot.box,
        outline=outline,
        score=_SCORES[lesion],
        route=Route.TRI,
        long_axis_mm=long_axis(outline_mm),
        area_mm2=area(outline_mm),
        nipple_distance_mm=spot.nipple_distance_mm,
        lesion_certainty=1.0 if spot.kind is ObjectKind.MASS else None,
    )


def _write_previews(paths: Mapping[View, Path], folder: Path) -> dict[View, float]:
    """Write the preview of each view; its scale by view."""
    scales = {}
    for view, image in decode_views(paths, frame=_FRAME, limits=DecodeLimits()).items():
        if isinstance(image, ImageUnreadable):
            raise image
        write_preview(folder / f"{view}.png", image)
        scales[view] = image.preview_scale
    return scales
