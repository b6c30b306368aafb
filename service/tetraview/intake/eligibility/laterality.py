"""Which breast is shown."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.domain.view import Laterality, ViewPosition
from tetraview.intake.eligibility.values import Objection, items, shown, stated, text, texts

#: Patient Orientation (0020,0020) along the columns of an oblique view. Its plane runs from the armpit to the middle of
#: the body: towards the feet and the right in a left breast, however the image is turned.
_OBLIQUE = {
    frozenset("FR"): Laterality.LEFT,
    frozenset("HL"): Laterality.LEFT,
    frozenset("FL"): Laterality.RIGHT,
    frozenset("HR"): Laterality.RIGHT,
}


def laterality_of(dataset: Dataset, position: ViewPosition | None) -> Laterality | None:
    """The side by the first attribute that says one; None where it is neither left nor right.

    Image Laterality (0020,0062), Laterality (0020,0060), Frame Laterality (0020,9072), and in MLO views Patient
    Orientation (0020,0020). In CC views the latter is the same for both breasts when the image is turned by 180°.
    """
    for _, side in _sides(dataset, position):
        return Laterality(side) if side in {"L", "R"} else None
    return None


def against_laterality(dataset: Dataset, position: ViewPosition | None) -> Iterator[Objection]:
    """A side that is missing, is both, or is said in two ways."""
    sides = list(_sides(dataset, position))
    if not sides:
        yield Decision.NO_LATERALITY, shown(dataset, "ImageLaterality")
    for keyword, side in sides[:1]:
        if side not in {"L", "R"}:
            yield Decision.NO_LATERALITY, shown(dataset, keyword)
    for keyword, side in sides[1:]:
        if {side, sides[0][1]} == {"L", "R"}:
            first, second = stated(*sides[0]), stated(keyword, side)
            yield Decision.LATERALITY_CONTRADICTION, f"{first}, {second}"


def _sides(dataset: Dataset, position: ViewPosition | None) -> Iterator[tuple[str, str]]:
    """The side that each attribute states, most trusted attribute first."""
    for keyword in ("ImageLaterality", "Laterality"):
        if side := text(dataset, keyword):
            yield keyword, side
    if side := _frame_laterality(dataset):
        yield "FrameLaterality", side
    if position is ViewPosition.MLO and (side := _oblique_side(dataset)):
        yield "PatientOrientation", side


def _frame_laterality(dataset: Dataset) -> str:
    """Frame Laterality of all frames, in the Frame Anatomy functional group (PS3.3 C.7.6.16.2.8)."""
    for groups in items(dataset, "SharedFunctionalGroupsSequence"):
        for anatomy in items(groups, "FrameAnatomySequence"):
            return text(anatomy, "FrameLaterality")
    return text(dataset, "FrameLaterality")


def _oblique_side(dataset: Dataset) -> str:
    for direction in texts(dataset, "PatientOrientation"):
        if side := _OBLIQUE.get(frozenset(direction)):
            return side
    return ""
