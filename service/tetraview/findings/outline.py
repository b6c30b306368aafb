"""Additions of a segmenter to findings: their outlines on the stored pixels, and the measurements in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box
from tetraview.domain.stage import Stage
from tetraview.domain.view import View
from tetraview.findings.breast import breast_at
from tetraview.findings.find import ViewFindings
from tetraview.findings.mask import NativeMask, outline_of
from tetraview.findings.measure import ViewGeometry, area, long_axis, native_to_mm
from tetraview.findings.size import MAX_LONG_AXIS_MM, MIN_SHARE_IN_BOX, MIN_SHARE_OF_BOX, same_mass, share_in_box


def outlined(
    views: Sequence[ViewFindings], geometries: Mapping[View, ViewGeometry], masks: Sequence[NativeMask]
) -> tuple[ViewFindings, ...]:
    """The findings with the segmenter's outline, long axis and area, or the detector's where the outline shows no mass.

    Box, score, nipple distance and the match of the two projections stay those of the detection. Marks beyond the
    breast do not count. An outline shows no mass if it is longer than masses are, lies mostly beyond the detection's
    box or fills next to nothing of it.

    Args:
        views: the findings of each view.
        geometries: how the canonical frame of each of these views lies in its image.
        masks: one for each finding, in the order of the views and of the findings within each.
    """
    answers = iter(masks)
    return tuple(_outlined(view, geometries[view.view], answers) for view in views)


def _outlined(view: ViewFindings, geometry: ViewGeometry, masks: Iterator[NativeMask]) -> ViewFindings:
    told: list[tuple[Finding, str]] = []
    for finding in view.findings:
        found, remark = _with_mask(finding, next(masks), geometry)
        better = next((other for other, _ in told if _same_outline(found, other)), None)
        if better is not None:
            found, remark = finding, f"the segmenter marked {better.label} in its box; the outline is the detector's."
        told.append((found, remark))
    said = (f"{finding.label}: {remark}" for finding, remark in told if remark)
    return replace(view, findings=tuple(finding for finding, _ in told), warnings=(*view.warnings, *said))


def _same_outline(found: Finding, other: Finding) -> bool:
    """Whether the segmenter outlined one mass for both."""
    drawn = found.outlined_by is Stage.SEGMENTER and other.outlined_by is Stage.SEGMENTER
    return drawn and same_mass(found.outline, other.outline)


def _with_mask(finding: Finding, mask: NativeMask, geometry: ViewGeometry) -> tuple[Finding, str]:
    """A finding with the outline of its mask, and what a reader has to know of that; empty where there is nothing."""
    breast = breast_at(geometry, corner=mask.corner, shape=mask.pixels.shape)
    outline = outline_of(replace(mask, pixels=mask.pixels & breast), box=finding.box)
    if outline is None:
        return finding, "the segmenter marked nothing in its box; the outline is the detector's."
    if area(outline) < MIN_SHARE_OF_BOX * finding.box.area:
        return finding, "the segmenter marked next to nothing of its box; the outline is the detector's."
    outline_mm = native_to_mm(geometry).outline(outline)
    if long_axis(outline_mm) > MAX_LONG_AXIS_MM:
        return finding, f"the segmenter marked more than {MAX_LONG_AXIS_MM:g} mm; the outline is the detector's."
    if share_in_box(Box.around(outline), finding.box) < MIN_SHARE_IN_BOX:
        return finding, "the segmenter marked far more than its box; the outline is the detector's."
    found = replace(
        finding,
        outline=outline,
        long_axis_mm=long_axis(outline_mm),
        area_mm2=area(outline_mm),
        outlined_by=Stage.SEGMENTER,
    )
    if _is_cut(found, mask, geometry):
        return found, "the outline ends where the segmenter's patch does; the mass may be larger."
    return found, ""


def _is_cut(finding: Finding, mask: NativeMask, geometry: ViewGeometry) -> bool:
    """Whether an outline ends, to a pixel, where the segmenter's reach does and the image goes on."""
    around, reach, (rows, columns) = Box.around(finding.outline), mask.reach, geometry.native_shape
    return (
        (reach.x0 > 0 and around.x0 <= reach.x0 + 1)
        or (reach.y0 > 0 and around.y0 <= reach.y0 + 1)
        or (reach.x1 < columns and around.x1 >= reach.x1 - 1)
        or (reach.y1 < rows and around.y1 >= reach.y1 - 1)
    )
