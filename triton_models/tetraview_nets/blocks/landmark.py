"""The nipple as the reading uses it: detected, estimated from the contour, or not to be trusted.

In CC the nipple lies near the contour's foremost point, the apex, which can stand for it. In MLO it lies well below,
half of the nipples seen in the CDD-CESM mammograms by 17 to 43 mm, and the apex never stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tetraview.domain.view import ViewPosition

#: Least confidence of a nipple that is believed: the middle of the lowest confidences at which no nipple of the
#: validation images of CDD-CESM was more than 15 mm off (0.2 to 0.4 found as many).
MIN_CONFIDENCE = 0.3
#: Contour points this close to the furthest one, measured from the chest wall, form the apex band.
BAND_MM = 2.0
#: A nipple further than this from the apex band is implausible. In CDD-CESM, 99 % of the 175 nipples marked with
#: certainty in CC and all 91 in MLO lie within, the furthest at 64 mm; those of phantoms lie within 20 mm.
MAX_APEX_MM = {ViewPosition.CC: 25.0, ViewPosition.MLO: 65.0}
#: A nipple further than this from the skin is implausible too: in CDD-CESM nipples in profile lie within 8 mm of it,
#: nine in ten of the others within 22 mm.
MAX_SKIN_MM = 25.0
#: An apex band that reaches further than this from its middle does not tell where the nipple is.
MAX_BAND_MM = 25.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Landmark:
    """One view's nipple."""

    #: x and y in canonical pixels.
    x: float
    y: float
    #: Confidence of the detector, in [0, 1].
    confidence: float
    #: Good enough for the geometry of the relation blocks and for registration.
    trusted: bool
    #: Warning for the reader, or None.
    warning: str | None

    @property
    def xy(self) -> Tensor:
        """Position as a tensor [2]."""
        return torch.tensor([self.x, self.y])


def judge(located: Tensor, breast_mask: Tensor, *, position: ViewPosition, spacing_mm: float) -> Landmark:
    """Accept a detected nipple, or put the contour's apex in its place where that can be trusted.

    Args:
        located: [3] x, y in canonical pixels and confidence.
        breast_mask: bool [H, W].
        position: the view's projection, which decides how far from the apex a nipple can lie.
        spacing_mm: millimetres per pixel.
    """
    x, y, confidence = located.tolist()
    skin = _skin(breast_mask)
    if confidence >= MIN_CONFIDENCE:
        warning = _doubt(skin, (x, y), position=position, spacing_mm=spacing_mm)
        return Landmark(x=x, y=y, confidence=confidence, trusted=warning is None, warning=warning)
    if not len(skin):
        warning = "the nipple was not found and the breast has no contour; nipple distances are not used"
        return Landmark(x=x, y=y, confidence=confidence, trusted=False, warning=warning)
    band = _apex_band(skin, spacing_mm=spacing_mm)
    apex = float(band[:, 0].max()), float(band[:, 1].mean())
    distinct = bool(_distances(band, apex).max() * spacing_mm <= MAX_BAND_MM)
    if position is ViewPosition.MLO:
        warning = "the nipple was not found; nipple distances are not used"
    elif distinct:
        warning = "the nipple was not found; the breast's apex stands for it"
    else:
        warning = "the nipple was not found and the breast's apex is not distinct; nipple distances are not used"
    trusted = distinct and position is ViewPosition.CC
    return Landmark(x=apex[0], y=apex[1], confidence=confidence, trusted=trusted, warning=warning)


def _doubt(
    skin: NDArray[np.float64], nipple: tuple[float, float], *, position: ViewPosition, spacing_mm: float
) -> str | None:
    """Why a detected nipple cannot be where it was found, or None."""
    if not len(skin):
        return "the nipple was found but the breast has no contour; nipple distances are not used"
    band = _apex_band(skin, spacing_mm=spacing_mm)
    if _distances(band, nipple).min() * spacing_mm > MAX_APEX_MM[position]:
        return "the nipple was found far from the breast's apex and is not used"
    if _distances(skin, nipple).min() * spacing_mm > MAX_SKIN_MM:
        return "the nipple was found far from the skin and is not used"
    return None


def _skin(breast_mask: Tensor) -> NDArray[np.float64]:
    """The contour's point in each row that the breast reaches, [N, 2] x, y in canonical pixels."""
    inside = breast_mask.cpu().numpy().astype(bool)
    rows = np.flatnonzero(inside.any(axis=1))
    reach = inside.shape[1] - np.argmax(inside[rows, ::-1], axis=1)
    return np.stack([reach, rows + 0.5], axis=1).astype(np.float64)


def _apex_band(skin: NDArray[np.float64], *, spacing_mm: float) -> NDArray[np.float64]:
    """The points of the contour furthest from the chest wall, [M, 2] of [N, 2]."""
    reach = skin[:, 0]
    return np.asarray(skin[reach >= reach.max() - BAND_MM / spacing_mm])


def _distances(points: NDArray[np.float64], point: tuple[float, float]) -> NDArray[np.float64]:
    return np.asarray(np.hypot(points[:, 0] - point[0], points[:, 1] - point[1]))
