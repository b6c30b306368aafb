"""The greys of real mammograms, as curves that a phantom's greys are brought to.

Measured in the training images of CBIS-DDSM (scanned film) and CDD-CESM (digital, low energy): quantiles of the grey of
the breast more than 6 mm from its edge, in the canonical frame, parted by k-means into two families of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Floats = NDArray[np.float32]

#: The shares of the breast's inner pixels that are darker.
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
#: The darkest grey inside a breast, so that none of it is as dark as air.
_BLACK = 0.01
#: Standard deviations of a family that an exam lies off its middle at most.
MOST_TURN = 1.5


@dataclass(frozen=True, kw_only=True)
class Tone:
    """One family: the greys in [0, 1] at ``SHARES``, and how they vary together, one standard deviation."""

    middle: tuple[float, ...]
    variation: tuple[float, ...]

    def greys(self, turn: float) -> NDArray[np.float64]:
        """The greys at ``SHARES`` of an exam that lies ``turn`` standard deviations off the middle: rising."""
        greys = np.clip(np.array(self.middle) + turn * np.array(self.variation), 0.02, 0.985)
        return np.maximum.accumulate(greys + 0.002 * np.arange(len(SHARES)))


FILM_DARK = Tone(
    middle=(0.13, 0.22, 0.36, 0.45, 0.54, 0.70, 0.79), variation=(0.00, 0.00, 0.02, 0.03, 0.06, 0.11, 0.12)
)
FILM_BRIGHT = Tone(
    middle=(0.21, 0.31, 0.53, 0.63, 0.73, 0.88, 0.94), variation=(0.08, 0.09, 0.09, 0.07, 0.05, 0.01, 0.00)
)
DIGITAL_DARK = Tone(
    middle=(0.04, 0.10, 0.20, 0.30, 0.45, 0.74, 0.93), variation=(0.00, 0.01, 0.02, 0.04, 0.07, 0.08, 0.03)
)
DIGITAL_BRIGHT = Tone(
    middle=(0.07, 0.16, 0.32, 0.48, 0.65, 0.85, 0.96), variation=(0.00, 0.01, 0.07, 0.09, 0.09, 0.05, 0.01)
)


def toned(signal: Floats, inner: Floats, *, tone: Tone, turn: float, least_width: float) -> Floats:
    """Greys of a signal such that the inner pixels follow a family's quantiles; beyond them it goes on straight.

    Args:
        signal: float32 [h, w], log attenuation.
        inner: float32 [n], the signal in the inner breast.
        tone: the family.
        turn: where the exam lies in it.
        least_width: least span that the inner pixels are taken to have, so that a fatty breast does not look dense.

    Returns:
        float32 [h, w] in [0, 1].
    """
    marks = np.quantile(inner, SHARES)
    middle = marks[len(SHARES) // 2]
    marks = middle + (marks - middle) * max(1.0, least_width / max(marks[-1] - marks[0], 1e-6))
    marks = np.maximum.accumulate(marks + 1e-6 * np.arange(len(SHARES)))
    greys = tone.greys(turn)
    width = marks[-1] - marks[0]
    # Straight on to black and white at the mean steepness of the curve.
    below, above = greys[0] / (greys[-1] - greys[0]), (1 - greys[-1]) / (greys[-1] - greys[0])
    at = np.concatenate(([marks[0] - max(below, 0.25) * width], marks, [marks[-1] + max(above, 0.05) * width]))
    curve = PchipInterpolator(at, np.concatenate(([_BLACK], greys, [1.0])))
    fine = np.linspace(at[0], at[-1], 1024)
    return np.asarray(np.interp(signal, fine, curve(fine)), dtype=np.float32)
