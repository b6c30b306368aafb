"""How lengths in an image are known (PS3.3 10.7.1.3 and C.8.11.7; IHE Mammography Image).

| Pixel Spacing | its calibration | Imager Pixel Spacing | lengths in the breast |
|---|---|---|---|
| yes | GEOMETRY or FIDUCIAL | any | Pixel Spacing |
| yes | not said | another, or none | Pixel Spacing, which somebody has calibrated |
| yes | not said | the same | at the detector, divided by the magnification |
| no | – | yes | at the detector, divided by the magnification |

The detector shows the breast larger by the Estimated Radiographic Magnification Factor; where the image does not say
it, lengths are those at the detector, some per cent too long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Spacing = tuple[float, float]

#: The largest factor of a contact image; a larger one belongs to a magnification view, which is not read.
MAX_MAGNIFICATION = 2.0
_CALIBRATED = ("GEOMETRY", "FIDUCIAL")
_PIXEL, _IMAGER = "Pixel Spacing (0028,0030)", "Imager Pixel Spacing (0018,1164)"
_FACTOR = "Estimated Radiographic Magnification Factor (0018,1114)"


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The spacing of stored pixels, and what lengths by it mean."""

    #: Row and column spacing, millimetres; the one that networks have learnt from.
    spacing_mm: Spacing
    #: Millimetres by that spacing for each millimetre in the breast.
    magnification: float
    #: The attributes that say so, for reports.
    source: str

    @classmethod
    def of(
        cls,
        *,
        pixel_mm: Spacing | None,
        imager_mm: Spacing | None,
        calibration: str = "",
        magnification: float | None = None,
    ) -> Lengths | None:
        """The lengths of an image by its attributes; None where it has no spacing.

        Args:
            pixel_mm: Pixel Spacing (0028,0030), rows and columns.
            imager_mm: Imager Pixel Spacing (0018,1164), likewise.
            calibration: Pixel Spacing Calibration Type (0028,0A02).
            magnification: Estimated Radiographic Magnification Factor (0018,1114).
        """
        at_detector = pixel_mm is None or (calibration not in _CALIBRATED and pixel_mm == imager_mm)
        if pixel_mm is not None and not at_detector:
            by = f", calibrated by {calibration}" if calibration in _CALIBRATED else ""
            return cls(spacing_mm=pixel_mm, magnification=1.0, source=f"{_PIXEL}{by}")
        if imager_mm is None:
            return None
        if magnification is None or not (math.isfinite(magnification) and 1 <= magnification <= MAX_MAGNIFICATION):
            return cls(spacing_mm=imager_mm, magnification=1.0, source=f"{_IMAGER}, at the detector")
        source = f"{_IMAGER} divided by {_FACTOR} {magnification:g}"
        return cls(spacing_mm=imager_mm, magnification=magnification, source=source)
