"""The four standard views of a screening mammogram and how they relate."""

from __future__ import annotations

from enum import StrEnum


class Laterality(StrEnum):
    """Image Laterality (0020,0062): which breast was imaged."""

    LEFT = "L"
    RIGHT = "R"


class ViewPosition(StrEnum):
    """View Position (0018,5101) of the two standard screening projections."""

    CC = "CC"
    MLO = "MLO"


class View(StrEnum):
    """One of the four slots of a screening exam, written as people write it: ``L-CC``."""

    R_CC = "R-CC"
    L_CC = "L-CC"
    R_MLO = "R-MLO"
    L_MLO = "L-MLO"

    @classmethod
    def of(cls, laterality: Laterality, position: ViewPosition) -> View:
        """The slot of one breast and one projection."""
        return cls(f"{laterality}-{position}")

    @property
    def laterality(self) -> Laterality:
        """The breast shown."""
        return Laterality(self.value.split("-")[0])

    @property
    def position(self) -> ViewPosition:
        """The projection."""
        return ViewPosition(self.value.split("-")[1])

    @property
    def ipsilateral(self) -> View:
        """The other projection of the same breast."""
        other = ViewPosition.MLO if self.position is ViewPosition.CC else ViewPosition.CC
        return View.of(self.laterality, other)

    @property
    def contralateral(self) -> View:
        """The same projection of the other breast."""
        other = Laterality.RIGHT if self.laterality is Laterality.LEFT else Laterality.LEFT
        return View.of(other, self.position)


class Route(StrEnum):
    """With which companions a view was read; scores of different routes are not comparable."""

    TRI = "tri"
    IPSI = "ipsi"
    BI = "bi"
    SINGLE = "single"

    @classmethod
    def of(cls, view: View, present: frozenset[View]) -> Route:
        """The best route for a view among the views present."""
        ipsilateral, contralateral = view.ipsilateral in present, view.contralateral in present
        return {
            (True, True): cls.TRI,
            (True, False): cls.IPSI,
            (False, True): cls.BI,
            (False, False): cls.SINGLE,
        }[ipsilateral, contralateral]
