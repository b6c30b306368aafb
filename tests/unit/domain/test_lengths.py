"""How lengths in an image are known."""

from __future__ import annotations

import math

import pytest

from tetraview.domain.lengths import Lengths

IMAGER, SAME, OTHER = (0.1, 0.2), (0.1, 0.2), (0.09, 0.18)
CALIBRATED = "Pixel Spacing (0028,0030)"
AT_DETECTOR = "Imager Pixel Spacing (0018,1164), at the detector"
DIVIDED = "Imager Pixel Spacing (0018,1164) divided by Estimated Radiographic Magnification Factor (0018,1114) 1.09"


@pytest.mark.parametrize(
    ("pixel", "calibration", "imager", "factor", "spacing", "magnification", "source"),
    [
        (OTHER, "GEOMETRY", IMAGER, 1.09, OTHER, 1.0, f"{CALIBRATED}, calibrated by GEOMETRY"),
        (OTHER, "FIDUCIAL", None, None, OTHER, 1.0, f"{CALIBRATED}, calibrated by FIDUCIAL"),
        (SAME, "GEOMETRY", IMAGER, 1.09, SAME, 1.0, f"{CALIBRATED}, calibrated by GEOMETRY"),
        (OTHER, "", IMAGER, 1.09, OTHER, 1.0, CALIBRATED),
        (OTHER, "", None, 1.09, OTHER, 1.0, CALIBRATED),
        (SAME, "", IMAGER, 1.09, IMAGER, 1.09, DIVIDED),
        (SAME, "", IMAGER, None, IMAGER, 1.0, AT_DETECTOR),
        (None, "", IMAGER, 1.09, IMAGER, 1.09, DIVIDED),
        (None, "GEOMETRY", IMAGER, 1.09, IMAGER, 1.09, DIVIDED),
        (None, "", IMAGER, None, IMAGER, 1.0, AT_DETECTOR),
        (None, "", IMAGER, 0.0, IMAGER, 1.0, AT_DETECTOR),
        (None, "", IMAGER, 0.9, IMAGER, 1.0, AT_DETECTOR),
        (None, "", IMAGER, 25.0, IMAGER, 1.0, AT_DETECTOR),
        (None, "", IMAGER, math.nan, IMAGER, 1.0, AT_DETECTOR),
    ],
)
def test_what_lengths_are_from(  # noqa: PLR0917 - a row of the table
    pixel: tuple[float, float] | None,
    calibration: str,
    imager: tuple[float, float] | None,
    factor: float | None,
    spacing: tuple[float, float],
    magnification: float,
    source: str,
) -> None:
    """Calibrated spacing is taken as it is; that at the detector is divided by a factor that can be one."""
    found = Lengths.of(pixel_mm=pixel, imager_mm=imager, calibration=calibration, magnification=factor)
    assert found == Lengths(spacing_mm=spacing, magnification=magnification, source=source)


def test_without_a_spacing_there_are_none() -> None:
    """No millimetres are guessed."""
    assert Lengths.of(pixel_mm=None, imager_mm=None, magnification=1.09) is None
