"""The page of the benchmark on real mammograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tetraview_nets.datasets.anchors import PUBLISHED_RECALLS
from tetraview_nets.datasets.material import FIGURES_ONLY
from tetraview_nets.learning.figure_table import made_by, page
from tetraview_nets.metrics import IOU_CRITERION, RESAMPLES
from tetraview_nets.studies.real import recall
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.tables import (
    difference_table,
    nipple_table,
    recall_table,
    size_table,
    table,
)

INTRODUCTION = (
    "Research software, not for clinical use. Recall of masses, each view by itself, at a rate of false positives an "
    f"image; 95 % intervals of {RESAMPLES} bootstrap resamples of patients; numbers of masses in brackets. By box: IoU "
    f"> {IOU_CRITERION} of boxes. By outline, the papers' rule: the same of the drawn outline and the mass's, on images "
    "all of whose masses somebody outlined and on those without masses. Detectors give up to 20 boxes a view, more "
    "than the product shows. What lies in regions that count neither way is left out; views that are not there are "
    "not counted. `blob` is bright blobs, without learning; its nipple is the breast's foremost point. `plain` is a "
    "small single-view network without any paper's ideas, trained by the same command on the same images. Both draw "
    "the ellipse in their box as outline."
)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a group of images holds."""

    patients: int
    images: int
    masses: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that came out."""

    #: Which images, in words.
    source: str
    #: A sentence on each system's weights.
    weights: Sequence[str]
    counts: Mapping[Group, Counts]
    figures: Sequence[Figure]
    #: What makes it again.
    commands: Sequence[str]


def markdown(outcome: Outcome) -> str:
    """The page."""
    blocks: list[str | Sequence[str]] = ["# Real mammograms", outcome.source, INTRODUCTION, _listed(outcome.weights)]
    for group, counts in outcome.counts.items():
        blocks += _section(group, counts, [each for each in outcome.figures if _of(each) == group])
    if nipples := nipple_table(outcome.figures):
        blocks += ["## Nipples", NIPPLES, nipples]
    blocks += ["## Published", PUBLISHED, published_table(), *(made_by(command) for command in outcome.commands)]
    return page(*blocks)


NIPPLES = (
    "Marks that a person was sure of. A reader finds a nipple where it gives a place and trusts it; distances are of "
    "those that it found."
)
PUBLISHED = "None of these rows is ours; each counts on its own images by its own rule."


def _section(group: Group, counts: Counts, figures: Sequence[Figure]) -> list[str | Sequence[str]]:
    """The tables of one group; nothing of one without masses."""
    if not counts.masses:
        return []
    outside = " No network has learnt from any of these images." if group.data in FIGURES_ONLY else ""
    blocks: list[str | Sequence[str]] = [
        f"## {group.data} ({group.medium})",
        f"{counts.patients} patients, {counts.images} images, {counts.masses} masses.{outside}",
    ]
    for title, lines in (
        ("By box:", recall_table(figures, by=recall.BY_BOX)),
        ("By outline:", recall_table(figures, by=recall.BY_OUTLINE)),
        ("By size, matched by box:", size_table(figures)),
        ("Differences of recall by box:", difference_table(figures)),
    ):
        blocks += [title, lines] if lines else []
    return blocks


def _of(figure: Figure) -> Group:
    return Group(data=figure.data, medium=figure.medium)


def _listed(sentences: Sequence[str]) -> list[str]:
    return [f"- {sentence}" for sentence in sentences]


def published_table() -> list[str]:
    """Other people's figures."""
    rows = [[each.system, each.tested, each.trained, each.figure] for each in PUBLISHED_RECALLS]
    return table(["system", "tested on", "trained on", "its figure"], rows)
