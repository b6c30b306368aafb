"""The page of the benchmark on real mammograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tetraview_nets.datasets.anchors import PUBLISHED_RECALLS
from tetraview_nets.datasets.material import FIGURES_ONLY
from tetraview_nets.learning.figure_table import made_by, page
from tetraview_nets.metrics import IOU_CRITERION, RESAMPLES
from tetraview_nets.studies.real import misses, recall
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.routes import ROUTES_OF
from tetraview_nets.studies.real.tables import (
    class_table,
    difference_table,
    missed_table,
    nipple_table,
    outline_table,
    recall_table,
    route_table,
    size_table,
    table,
)

Blocks = list[str | Sequence[str]]

INTRODUCTION = (
    f"Research software, not for clinical use. Intervals are 95 %, of {RESAMPLES} bootstrap resamples of patients; "
    "counts stand in brackets. Weights come from the parts `train`, thresholds and calibration from the parts `val` of "
    "data sets, so that figures on `val` are somewhat too good; "
    f"{', '.join(sorted(FIGURES_ONLY))} serves figures only, so it is read whole."
)
DETECTION = (
    "Recall of masses, each view by itself, at a rate of false positives an image. By box: IoU of boxes > "
    f"{IOU_CRITERION}. By outline, the papers' rule: the same of the drawn outline and the mass's, on images all of "
    "whose masses a person outlined and on those without masses. Detectors give up to 20 boxes a view, more than the "
    "product shows. A mark that hits nothing and lies in a region that counts neither way is left out; views that are "
    "not there are not counted. `blob` is bright blobs, without learning. `plain` is a small single-view network "
    "without any paper's ideas, trained by the same command on the same images. Both draw the ellipse in their box as "
    "outline."
)
MISSES = (
    f"What is missed at {misses.JUDGED_AT:g}, and why as far as the image says, the first that is true: a longer side "
    f"under {misses.SMALL_MM:g} mm, within {misses.EDGE_MM:g} mm of the breast's edge, where an MLO view may show "
    f"muscle, a contrast under {misses.FAINT:g}."
)
ROUTES = (
    "By route: the same weights read every view alone, with the other view of its breast, with the other breast, or "
    "with both. Any and both views: of the breasts that show one mass in each view, at .5 false positives an image."
)
NIPPLES = (
    "Marks that a person was sure of. A reader finds a nipple where it gives a place and trusts it; distances are of "
    "those that it found. `blob` takes the breast's foremost point."
)
OUTLINES = (
    "Dice coefficient, mean of the masses that a person outlined, on the pixels around each. Drawn boxes are true ones "
    "moved and scaled at random, as a detector draws them. What is to be beaten is the ellipse in the box."
)
CLASSES = (
    "Area under the ROC curve, malignant against benign masses, in drawn boxes. CBIS-DDSM: biopsy. INbreast: BI-RADS 4 "
    "to 6 against 1 to 3, which is no biopsy. Data sets that hardly have one of the two are left out."
)
PUBLISHED = "None of these rows is ours; each counts on its own images by its own rule."


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The content of a group of images."""

    patients: int
    images: int
    masses: int


@dataclass(frozen=True, kw_only=True)
class RealFigures:
    """All that came out."""

    #: Which part of the data sets.
    part: str
    #: A sentence on each system's weights.
    weights: Sequence[str]
    #: Names of the data sets that these have seen.
    seen: frozenset[str]
    #: Counts of the images that detectors read; empty where none did.
    counts: Mapping[Group, Counts]
    figures: Sequence[Figure]
    #: The command that makes it again.
    command: str


def markdown(outcome: RealFigures) -> str:
    """The page."""
    blocks: Blocks = [
        "# Real mammograms",
        INTRODUCTION,
        [f"- {each}" for each in outcome.weights],
        *([DETECTION] if outcome.counts else []),
    ]
    for group, counts in outcome.counts.items():
        blocks += _section(group, counts, [each for each in outcome.figures if each.group == group], seen=outcome.seen)
    for title, words, lines in (
        ("## Nipples", NIPPLES, nipple_table(outcome.figures)),
        ("## Outlines", OUTLINES, outline_table(outcome.figures)),
        ("## Malignant or benign", CLASSES, class_table(outcome.figures)),
        ("## Published", PUBLISHED, published_table() if outcome.counts else []),
    ):
        blocks += [title, words, lines] if lines else []
    return page(*blocks, f"Part `{outcome.part}`. {made_by(outcome.command)}")


def _section(group: Group, counts: Counts, figures: Sequence[Figure], *, seen: frozenset[str]) -> Blocks:
    """The tables of one group; nothing of one without masses."""
    if not counts.masses:
        return []
    outside = "" if group.data in seen else " Nothing has learnt from any of these images."
    blocks: Blocks = [
        f"## {group}",
        f"{counts.patients} patients, {counts.images} images, {counts.masses} masses.{outside}",
    ]
    for title, lines in (
        ("By box:", recall_table(figures, by=recall.BY_BOX)),
        ("By outline:", recall_table(figures, by=recall.BY_OUTLINE)),
        ("By size, matched by box:", size_table(figures)),
        ("Difference of recall by box:", difference_table(figures)),
        (MISSES, missed_table(figures)),
        (ROUTES, [line for part in ROUTES_OF for line in [*route_table(figures, part=part), ""]][:-1]),
    ):
        blocks += [title, lines] if lines else []
    return blocks


def published_table() -> list[str]:
    """Other people's figures."""
    rows = [[each.system, each.tested, each.trained, each.figure] for each in PUBLISHED_RECALLS]
    return table(["system", "tested on", "trained on", "its figure"], rows)
