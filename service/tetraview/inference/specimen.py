"""A made-up view, for what only an answer can tell: which weights ran and how they were calibrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.frame import Frame
from tetraview.domain.view import View


@dataclass(frozen=True, kw_only=True, eq=False)
class Specimen:
    """Half a disc with a bright spot, in the canonical frame."""

    view: View
    #: float32 [H, W], intensity in [0, 1].
    image: NDArray[np.float32]
    #: bool [H, W].
    breast_mask: NDArray[np.bool_]
    spacing_mm: float

    @classmethod
    def of(cls, frame: Frame) -> Specimen:
        """The specimen of a model's frame."""
        y, x = np.mgrid[: frame.height, : frame.width] + 0.5
        x, y = x / frame.width, 2 * y / frame.height - 1
        mask = np.hypot(x, y) < 0.9  # noqa: PLR2004
        spot = np.exp(-((x - 0.3) ** 2 + y**2) / 0.005)
        image = np.where(mask, 0.3 + 0.6 * spot, 0.0).astype(np.float32)
        return cls(view=View.L_CC, image=image, breast_mask=mask, spacing_mm=frame.spacing_mm)
