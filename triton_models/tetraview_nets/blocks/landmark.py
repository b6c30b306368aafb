"""The nipple as the reading uses it: detected, estimated from the contour, or not to be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MIN_CONFIDENCE = 0.5
#: Contour points this close to the furthest one, measured from the chest wall, form the apex band.
BAND_MM = 2.0
#: A nipple further than this from the apex band, or a band that reaches this far from its middle, is implausible.
MAX_ERROR_MM = 25.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Landmark:
    """One view's nipple."""

    #: x and y in canonical pixels.
    x: float
    y: float
    #: Of the detector, in [0, 1].
    confidence: float
    #: Good enough for the geometry of the relation blocks and for registration.
    trusted: bool
    #: What a person should know, or None.
    warning: str | None

    @property
    def xy(self) -> Tensor:
        """Position as a tensor [2]."""
        return torch.tensor([self.x, self.y])


def judge(located: Tensor, breast_mask: Tensor, *, spacing_mm: float) -> Landmark:
    """Accept a detected nipple or put the contour's apex in its place.

    Args:
        located: [3] x, y in canonical pixels and confidence.
        breast_mask: bool [H, W].
        spacing_mm: millimetres per pixel.
    """
    x, y, confidence = located.tolist()
    band = _apex_band(breast_mask, spacing_mm=spacing_mm)
    if confidence >= MIN_CONFIDENCE:
        near = bool(len(band)) and _distances(band, (x, y)).min() * spacing_mm <= MAX_ERROR_MM
        warning = None if near else "the nipple was found far from the breast's apex and is not used"
        return Landmark(x=x, y=y, confidence=confidence, trusted=near, warning=warning)
    if not len(band):
        warning = "the nipple was not found and the breast has no contour; nipple distances are not used"
        return Landmark(x=x, y=y, confidence=confidence, trusted=False, warning=warning)
    apex = float(band[:, 0].max()), float(band[:, 1].mean())
    trusted = bool(_distances(band, apex).max() * spacing_mm <= MAX_ERROR_MM)
    warning = "the nipple was not found; the breast's apex stands for it"
    if not trusted:
        warning = "the nipple was not found and the breast's apex is not distinct; nipple distances are not used"
    return Landmark(x=apex[0], y=apex[1], confidence=confidence, trusted=trusted, warning=warning)


def _apex_band(breast_mask: Tensor, *, spacing_mm: float) -> NDArray[np.float64]:
    """Contour points furthest from the chest wall, [N, 2] x, y in canonical pixels; empty without a breast."""
    inside = breast_mask.cpu().numpy().astype(bool)
    rows = np.flatnonzero(inside.any(axis=1))
    reach = inside.shape[1] - np.argmax(inside[rows, ::-1], axis=1)
    points = np.stack([reach, rows + 0.5], axis=1).astype(np.float64)
    return np.asarray(points[reach >= reach.max(initial=0) - BAND_MM / spacing_mm])


def _distances(points: NDArray[np.float64], point: tuple[float, float]) -> NDArray[np.float64]:
    return np.asarray(np.hypot(points[:, 0] - point[0], points[:, 1] - point[1]))
