"""The endpoint of each claim: one contrast, setting and measure, named before the runs that are judged.

All other rows of the table are secondary and carry no verdict. Each endpoint comes with the words of the paper about
the same comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from tetraview_nets.studies.claims.table import DEFAULT, Claim, Part

#: The first version of the phantoms that was read after the endpoints had been named; earlier rows are not judged.
FIRST_GENERATOR = 3
#: The average precision below which a detector is too weak to show a gain from reading it in another way: half the .755
#: that the paper reads. With fewer right boxes than that most boxes that a rule keeps or drops are noise.
LEAST_PRECISION = 0.377
#: The real exams on which endpoints are judged.
FOUR_VIEWS = "INbreast, four views"

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "1": "Tri-view beats dual beats single",
        "2": "Nipple distance relates the views' RoIs better than boxes or a dummy nipple",
        "3": "Joining the breasts after stage 3 beats joining earlier",
        "4": "Relation blocks help, and each network needs its own companion",
        "5": "Multi-scale prediction keeps recall and loses false positives",
        "6": "Two stages outline masses in whole views better than one, and multi-scale prediction adds to it",
        "7": "v19U-Net++ outlines masses in crops better than a U-Net",
        "8": "A random field behind the network helps, residual shortcuts are neutral",
        "9": "Both paths tell malignant masses better than the local one, and that better than the shape's",
        "10": "Painting the class into the mask helps to outline masses, and the joint decision is right",
        "11": "Two tasks with learnt weights tell malignant masses better than one",
    }
)


class Verdict(StrEnum):
    """The verdict on a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    UNTESTABLE = "untestable"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """An effect that must show first, in the default setting, or the claim cannot be tested."""

    contrast: str
    measure: str
    #: The whole interval must lie above this.
    above: float = 0.0
    #: Why, in one sentence.
    why: str


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The primary endpoint of a claim in one part."""

    claim: str
    part: Part = Part.PHANTOM
    contrast: str
    setting: str = DEFAULT
    measure: str
    #: Why this one, in one sentence.
    why: str
    #: Words of the paper about the same comparison.
    paper: str
    condition: Condition | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """As ``Claim.key``."""
        return self.part, self.claim, self.contrast, self.setting, self.measure

    def of(self, rows: Sequence[Claim]) -> Claim | None:
        """Its row, if it was measured."""
        return next((row for row in rows if row.key == self.key), None)

    def controls(self, rows: Sequence[Claim]) -> list[Claim]:
        """The controls of the same contrast and measure, on phantoms of the same version."""
        own = self.of(rows)
        same = [row for row in rows if row.control and row.key == replace(self, setting=row.setting).key]
        return [row for row in same if own is not None and row.generator == own.generator]

    def unmet(self, rows: Sequence[Claim]) -> bool:
        """Whether the condition is not seen to be met on phantoms of the same version."""
        if self.condition is None:
            return False
        asked = replace(self, contrast=self.condition.contrast, measure=self.condition.measure, setting=DEFAULT)
        own, seen = self.of(rows), asked.of(rows)
        if own is None or seen is None or seen.generator != own.generator:
            return True
        return seen.low <= self.condition.above


def verdict(endpoint: Endpoint, rows: Sequence[Claim]) -> Verdict | None:
    """The verdict; None where nothing was measured since the endpoint was named."""
    row = endpoint.of(rows)
    if row is None or (row.part is Part.PHANTOM and int(row.generator or 0) < FIRST_GENERATOR):
        return None
    if endpoint.unmet(rows):
        return Verdict.UNTESTABLE
    if row.low > 0:
        return Verdict.REPRODUCED
    return Verdict.NOT_REPRODUCED if row.high < 0 else Verdict.INCONCLUSIVE


def conclusion(control: Claim) -> str:
    """The conclusion from a control of an endpoint: whether the gain goes with the cue that was taken away."""
    gone = control.lost_low is not None and control.lost_low > 0
    return f"gain goes with “{control.setting}”" if gone else "cannot be told"


def primary(row: Claim) -> Endpoint | None:
    """The endpoint whose row this is."""
    return next((each for each in ENDPOINTS if each.key == row.key), None)


_AT_HALF = "recall at 0.5 FPPI"
_ROUTES = (
    "recall at 0.5 / 1 / 2: single .84 / .90 / .91, ipsilateral .891 / .933 / .961, bilateral .892 / .932 / .950, "
    "tri-view .912 / .939 / .962 in-house; on DDSM .76 / .82 / .88, .811 / .843 / .889, .801 / .853 / .891, "
    ".831 / .850 / .898, where at 1 three views are not above two"
)
_GEOMETRY = (
    "recall at 0.5 / 1 / 2 in-house: nipple distance .891 / .933 / .961, box shape and location .86 / .90 / .93, dummy "
    "nipple .80 / .85 / .89"
)
_RELATION = (
    "recall at 0.5 / 1 / 2 on ipsilateral input: with relation blocks .764 / .828 / .879, without .679 / .772 / .838 "
    "on DDSM; .882 / .917 / .958 and .804 / .856 / .908 in-house"
)

ENDPOINTS = (
    Endpoint(
        claim="1",
        contrast="tri - bi",
        measure=_AT_HALF,
        why="What the paper adds is the third view; two breasts are the better of its two pairs in-house.",
        paper=_ROUTES,
    ),
    Endpoint(
        claim="2",
        contrast="nipple - box_xywh",
        measure=_AT_HALF,
        why="Boxes are what relation networks had before; a dummy nipple is a rival that nobody uses.",
        paper=_GEOMETRY,
    ),
    Endpoint(
        claim="3",
        contrast="stage 3 - stage 1",
        measure=_AT_HALF,
        why="The ends of the paper's row differ most.",
        paper="recall at 0.5 / 1 / 2 of stage 1, 2, 3: .763 / .831 / .874, .790 / .852 / .878, .801 / .853 / .891 on "
        "DDSM; .850 / .912 / .918, .871 / .917 / .940, .892 / .932 / .950 in-house",
        condition=Condition(
            contrast="registered - mirrored only",
            measure=_AT_HALF,
            why="A network that gains nothing when the breasts are laid on each other does not compare them, and where "
            "it joins them cannot matter.",
        ),
    ),
    Endpoint(
        claim="4",
        contrast="relation blocks - joined streams",
        measure=_AT_HALF,
        why="It is the part of the cross-use table in which one thing alone differs.",
        paper=_RELATION,
    ),
    Endpoint(
        claim="5",
        contrast="λ=0.6 - one size",
        measure=_AT_HALF,
        why="At one rate of false positives recall counts what is lost and what is kept in one figure, against the "
        "plain detector; a level always drops boxes, so that fewer false positives alone say nothing.",
        paper="no such figure; true positive rate .936 at 1.34 false positives an image with λ=0 and .936 at .18 with "
        "λ=0.6, on images with a mass; average precision at one size .755",
        condition=Condition(
            contrast="one size - nothing",
            measure="average precision",
            above=LEAST_PRECISION,
            why=f"The detector read at one size must have an average precision above {LEAST_PRECISION}, half the "
            "paper's.",
        ),
    ),
    Endpoint(
        claim="6",
        contrast="v19U-Net++: two stages - one stage",
        measure="Dice per view with a mass",
        why="It is the claim's first step with the paper's own network; what multi-scale prediction adds hangs on the "
        "detector, which claim 5 is about.",
        paper="Dice .7096 in two stages, .5217 in one; .8044 with multi-scale prediction",
    ),
    Endpoint(
        claim="7",
        contrast="v19U-Net++ - U-Net",
        measure="Dice per mass",
        why="The paper's own comparison, on crops.",
        paper="Dice .9086 and .8920",
    ),
    Endpoint(
        claim="8",
        contrast="λ=0.67 - λ=0",
        measure="Dice per mass in true boxes",
        why="The whole network with the field and without it, in boxes drawn by hand as in the paper.",
        paper="Dice .9332 and .9272 on INbreast, .9095 and .9143 on DDSM-BCRP",
    ),
    Endpoint(
        claim="9",
        contrast="dual - LPL",
        measure="AUC of masses",
        why="The graph learner is what the paper adds to a local network.",
        paper="AUC .85 and .81 on CBIS-DDSM, .93 and .92 on INbreast; CGL .62 and .73",
    ),
    Endpoint(
        claim="10",
        contrast="rescunet: mixed - masks alone",
        measure="Dice, Otsu against 0.5",
        why="The paper's network, each way of teaching at the threshold that belongs to it.",
        paper="Dice .9178, accuracy .9412 and AUC .9616 of the class with mixed supervision; its tables without it "
        "are pictures",
    ),
    Endpoint(
        claim="11",
        contrast="learned - binary",
        measure="AUC of masses",
        why="The paper's headline: both tasks with learnt weights against one.",
        paper="AUC .9144 with learnt weights, .8981 with the best fixed ones, .8860 with one task",
    ),
    Endpoint(
        claim="1",
        part=Part.REAL,
        contrast="tri - single",
        setting=FOUR_VIEWS,
        measure=_AT_HALF,
        why="With about a hundred masses only the ends of the chain can be told apart.",
        paper=_ROUTES,
    ),
    Endpoint(
        claim="2",
        part=Part.REAL,
        contrast="nipple - dummy_centre",
        setting=FOUR_VIEWS,
        measure=_AT_HALF,
        why="The paper's largest difference, which so few masses may show.",
        paper=_GEOMETRY,
    ),
    Endpoint(
        claim="4",
        part=Part.REAL,
        contrast="relation blocks - joined streams",
        setting=FOUR_VIEWS,
        measure=_AT_HALF,
        why="As on phantoms.",
        paper=_RELATION,
    ),
)
