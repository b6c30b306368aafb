"""From what a study measured to rows of the table; a control is held against the same contrast without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.metrics import RESAMPLES, ImageResult, NotComparable, Paired, difference, paired_recall
from tetraview_nets.studies.claims.table import DEFAULT, Claim, Part


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """One contrast in one setting by one measure."""

    #: The claim's number.
    claim: str
    #: As the table says it.
    contrast: str
    measure: str
    #: ``default``, the control's name, or which real exams.
    setting: str = DEFAULT
    #: Whether the gain must vanish.
    control: bool = False
    found: Paired
    images: int
    lesions: int


def recalls(
    first: Sequence[Sequence[ImageResult]],
    second: Sequence[Sequence[ImageResult]],
    rates: Sequence[float],
    *,
    claim: str,
    contrast: str,
    setting: str = DEFAULT,
    control: bool = False,
    any_view: bool = False,
    resamples: int = RESAMPLES,
) -> list[Measured]:
    """Recall of two arms at rates of false positives.

    Args:
        first: the answers of each training of the first arm.
        second: those of each training of the second arm.
        rates: false positives per image.
        claim: the claim's number.
        contrast: as the table says it.
        setting: which exams, or which cue was taken away.
        control: whether the gain must vanish.
        any_view: a mass seen in two views counts once.
        resamples: number of resamples of the bootstrap.
    """
    images = first[0]
    masses = [(image.patient, name) for image in images for name in image.lesions]
    return [
        Measured(
            claim=claim,
            contrast=contrast,
            measure=f"{'any-view ' if any_view else ''}recall at {rate:g} FPPI",
            setting=setting,
            control=control,
            found=found,
            images=len(images),
            lesions=len(set(masses) if any_view else masses),
        )
        for rate, found in zip(
            rates, paired_recall(first, second, rates, any_view=any_view, resamples=resamples), strict=True
        )
    ]


def rows(measured: Sequence[Measured], *, part: Part = Part.PHANTOM, command: str, compared: str) -> list[Claim]:
    """Rows of the table.

    Args:
        measured: all measurements of a study, controls together with their defaults.
        part: which kind of exams was read.
        command: the command that makes the rows again.
        compared: one sentence on the networks that were trained, and on the exams of training and test.
    """
    defaults = {(each.claim, each.contrast, each.measure): each.found for each in measured if each.setting == DEFAULT}
    return [
        Claim(
            claim=each.claim,
            part=part,
            generator=GENERATOR_VERSION if part is Part.PHANTOM else "",
            contrast=each.contrast,
            setting=each.setting,
            control=each.control,
            measure=each.measure,
            patients=len(each.found.patients),
            images=each.images,
            lesions=each.lesions,
            seeds=len(each.found.effects),
            first=each.found.first,
            second=each.found.second,
            effect=each.found.effect,
            low=each.found.low,
            high=each.found.high,
            **_lost(defaults.get((each.claim, each.contrast, each.measure)), each),
            command=command,
            compared=compared,
        )
        for each in measured
    ]


def _lost(default: Paired | None, each: Measured) -> dict[str, float]:
    """The part of a gain that is gone in a control; empty where the two rest on different trainings."""
    if default is None or not each.control:
        return {}
    try:
        gone = difference(default, each.found)
    except NotComparable:
        return {}
    return {"lost": gone.effect, "lost_low": gone.low, "lost_high": gone.high}
