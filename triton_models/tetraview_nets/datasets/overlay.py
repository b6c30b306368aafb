"""DDSM's OVERLAY files: abnormalities with descriptions and outlines as chain codes.

An outline is a start column, a start row and steps to the next pixel, ended by ``#``. The steps count clockwise from
0, which is up. The first outline of an abnormality, BOUNDARY, is the whole; the others, CORE, lie inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tetraview.domain.geometry import Outline
from tetraview_nets.datasets.regions import Polygon
from tetraview_nets.datasets.truth import Lesion, TruthUnusable, birads

#: Column and row of each step.
STEPS = ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))
_PATHOLOGY = {"MALIGNANT": True, "BENIGN": False, "BENIGN_WITHOUT_CALLBACK": False, "UNPROVEN": None}

Words = list[str]


def masses(text: str) -> tuple[Lesion, ...]:
    """The masses among the abnormalities of one image.

    Raises:
        TruthUnusable: the file is cut off or contradicts itself.
    """
    lines = [words for line in text.splitlines() if (words := line.split())]
    abnormalities = list(_abnormalities(lines))
    if not lines or lines[0][0] != "TOTAL_ABNORMALITIES" or lines[0][1:] != [str(len(abnormalities))]:
        raise TruthUnusable("The overlay does not hold as many abnormalities as it says.")
    return tuple(_lesion(lines) for lines in abnormalities if _is_mass(lines))


def _abnormalities(lines: list[Words]) -> Iterator[list[Words]]:
    """The lines of each abnormality, starting with the one that numbers it."""
    starts = [i for i, words in enumerate(lines) if words[0] == "ABNORMALITY"]
    for start, end in pairwise([*starts, len(lines)]):
        yield lines[start:end]


def _is_mass(lines: list[Words]) -> bool:
    return any(words[:2] == ["LESION_TYPE", "MASS"] for words in lines)


def _lesion(lines: list[Words]) -> Lesion:
    facts = {words[0]: words[1] for words in lines if len(words) > 1}
    names = [words[0] for words in lines]
    pathology = facts.get("PATHOLOGY", "")
    if pathology not in _PATHOLOGY:
        raise TruthUnusable(f"The overlay states pathology {pathology or 'nowhere'}.")
    if "BOUNDARY" not in names[:-1]:
        raise TruthUnusable("The overlay has an abnormality without a boundary.")
    return Lesion(
        label=facts.get("ABNORMALITY"),
        region=Polygon(points=outline(lines[names.index("BOUNDARY") + 1])),
        birads=birads(facts.get("ASSESSMENT", "")),
        malignant=_PATHOLOGY[pathology],
    )


def outline(words: Words) -> Outline:
    """The centres of an outline's pixels from its chain code.

    Raises:
        TruthUnusable: it is not one, or is not ended.
    """
    if not words or words[-1] != "#":
        raise TruthUnusable("The overlay has an outline that is cut off.")
    try:
        column, row, *codes = (int(word) for word in words[:-1])
        steps = [STEPS[code] for code in codes]
    except (ValueError, IndexError):
        raise TruthUnusable("The overlay has an outline that is no chain code.") from None
    points = [(column + 0.5, row + 0.5)]
    for across, down in steps:
        x, y = points[-1]
        points.append((x + across, y + down))
    return tuple(points)
