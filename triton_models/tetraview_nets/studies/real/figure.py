"""One figure of the benchmark, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Group(NamedTuple):
    """Images that are reported together."""

    #: The data set.
    data: str
    #: ``film`` or ``digital``.
    medium: str

    def __str__(self) -> str:
        return f"{self.data} ({self.medium})"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The result of one system on one group of images, with the ends of its 95 % patient bootstrap interval."""

    #: The table that it belongs to.
    table: str
    system: str
    data: str
    medium: str
    #: Which part of the group: a size of masses, a projection, a kind of boxes.
    of: str
    measure: str
    #: Masses or marks that it is of.
    count: int
    value: float
    low: float
    high: float

    @property
    def group(self) -> Group:
        """The images that it is of."""
        return Group(data=self.data, medium=self.medium)

    @property
    def printed(self) -> str:
        """With two decimals and its interval."""
        return f"{shortened(self.value)} [{shortened(self.low)}, {shortened(self.high)}]"


def shortened(value: float) -> str:
    """Two decimals without the zero in front, one from ten on."""
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004 - ten
    return text.replace("0.", ".", 1) if abs(value) < 1 else text
