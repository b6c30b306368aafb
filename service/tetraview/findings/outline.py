"""What a segmenter adds to findings: their outlines on the stored pixels, and what is measured in them."""

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


def outlined(
    views: Sequence[ViewFindings], geometries: Mapping[View, ViewGeometry], masks: Sequence[NativeMask]
) -> tuple[ViewFindings, ...]:
    """The findings with the segmenter's outline, long axis and area; where it marked nothing, with the detector's.

    Box, score, nipple distance and the match of the two projections stay those of the detection. What is marked beyond
    the breast is no mass.

    Args:
        views: what was found.
        geometries: how the canonical frame of each of these views lies in its image.
        masks: one for each finding, in the order of the views and of the findings within each.
    """
    answers = iter(masks)
    return tuple(_outlined(view, geometries[view.view], answers) for view in views)


def _outlined(view: ViewFindings, geometry: ViewGeometry, masks: Iterator[NativeMask]) -> ViewFindings:
    pairs = [(finding, next(masks)) for finding in view.findings]
    findings = tuple(_with_mask(finding, mask, geometry) for finding, mask in pairs)
    said = [_remark(found, mask, geometry) for found, (_, mask) in zip(findings, pairs, strict=True)]
    return replace(view, findings=findings, warnings=(*view.warnings, *filter(None, said)))


def _with_mask(finding: Finding, mask: NativeMask, geometry: ViewGeometry) -> Finding:
    breast = breast_at(geometry, corner=mask.corner, shape=mask.pixels.shape)
    outline = outline_of(replace(mask, pixels=mask.pixels & breast), box=finding.box)
    if outline is None:
        return finding
    outline_mm = native_to_mm(geometry).outline(outline)
    return replace(
        finding,
        outline=outline,
        long_axis_mm=long_axis(outline_mm),
        area_mm2=area(outline_mm),
        outlined_by=Stage.SEGMENTER,
    )


def _remark(finding: Finding, mask: NativeMask, geometry: ViewGeometry) -> str | None:
    """What a reader has to know of an outline, a plain sentence; None where there is nothing."""
    if finding.outlined_by is Stage.DETECTOR:
        return f"{finding.label}: the segmenter marked nothing in its box; the outline is the detector's."
    if _is_cut(finding, mask, geometry):
        return f"{finding.label}: the outline ends where the segmenter's patch does; the mass may be larger."
    return None


def _is_cut(finding: Finding, mask: NativeMask, geometry: ViewGeometry) -> bool:
    """Whether an outline ends, to a pixel, where the segmenter's reach does and the image goes on."""
    around, reach, (rows, columns) = Box.around(finding.outline), mask.reach, geometry.native_shape
    return (
        (reach.x0 > 0 and around.x0 <= reach.x0 + 1)
        or (reach.y0 > 0 and around.y0 <= reach.y0 + 1)
        or (reach.x1 < columns and around.x1 >= reach.x1 - 1)
        or (reach.y1 < rows and around.y1 >= reach.y1 - 1)
    )
