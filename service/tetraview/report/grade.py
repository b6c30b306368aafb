"""Statements of a report about a finding, beyond its presence: malignancy score, suspicion level, probabilities."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from highdicom.sr import ContentItem
from pydicom.sr.coding import Code

from tetraview.domain.finding import Finding
from tetraview.report import codes
from tetraview.report.content import CONTAINS, MODIFIER, code, number, text
from tetraview.report.document import Context
from tetraview.report.equipment import Algorithm

#: Statement that the certainty of a lesion belongs to.
ONE_MASS = "the findings in both images are one mass"

#: Half-way between the places of 2, 3, 4A, 4B, 4C and 5 on the BI-RADS scale of MommiNet-v2.
_CUT_POINTS = (0.1620, 0.3241, 0.4861, 0.6250, 0.7778)


def grade(finding: Finding, context: Context) -> Iterator[ContentItem]:
    """The classifier's measurement and evaluations, each with the classifier's identification, as the settings ask.

    Args:
        finding: the finding.
        context: facts that all results of the reading share.
    """
    classifier, output = context.device.classifier, context.output
    if classifier is None or finding.malignancy is None:
        return
    if output.emit_malignancy:
        score, by = round(finding.malignancy, 3), identification(classifier)
        yield number(CONTAINS, codes.MALIGNANCY_SCORE, score, codes.NO_UNITS, by)
    if output.emit_malignancy and finding.suspicion is not None:
        level = codes.SUSPICION[finding.suspicion]
        yield code(CONTAINS, codes.SUSPICION_LEVEL, level, identification(classifier))
    category = None if finding.birads_score is None else birads_estimate(finding.birads_score)
    if output.emit_birads and category is not None:
        by = identification(classifier, "estimate of an algorithm; not assigned to the patient")
        yield code(CONTAINS, codes.ASSESSMENT_CATEGORY, category, by)


def birads_estimate(score: float) -> Code | None:
    """The category nearest to a BI-RADS score in [0, 1], as far as an image can suggest one.

    A score nearest to 1 or 2 has no category: an algorithm that looks for masses cannot say that a breast is negative
    or a finding surely benign. A score beyond 5 is 5, since 6 is known from a biopsy.
    """
    category = bisect_right(_CUT_POINTS, score)
    return (None, *codes.BIRADS.values())[category]


def lesion_certainty(finding: Finding) -> Iterator[ContentItem]:
    """How surely the finding and its lesion's finding in the other image are one mass, in percent."""
    if finding.lesion_certainty is not None:
        certainty = round(100 * finding.lesion_certainty, 1)
        by = [text(MODIFIER, codes.ALGORITHM_PARAMETERS, f"lesion {finding.lesion}: that {ONE_MASS}")]
        yield number(CONTAINS, codes.CERTAINTY_OF_FEATURE, certainty, codes.PERCENT, by)


def probabilities(finding: Finding) -> Iterator[ContentItem]:
    """The calibrated probability of a mass and, where both are known, of cancer: that times malignancy given a mass."""
    if finding.calibrated is None:
        return
    valid = validity(finding)
    mass = round(100 * finding.calibrated, 1)
    yield number(
        CONTAINS, codes.MASS_PROBABILITY, mass, codes.PERCENT, [text(MODIFIER, codes.ALGORITHM_PARAMETERS, valid)]
    )
    cancer = probability_of_cancer(finding)
    if cancer is not None:
        by = [text(MODIFIER, codes.ALGORITHM_PARAMETERS, valid)]
        yield number(CONTAINS, codes.PROBABILITY_OF_CANCER, cancer, codes.PERCENT, by)


def probability_of_cancer(finding: Finding) -> float | None:
    """Probability of a mass times that of malignancy given a mass, in percent; None where either is not calibrated."""
    if finding.calibrated is None or finding.malignancy_calibrated is None:
        return None
    return round(100 * finding.calibrated * finding.malignancy_calibrated, 1)


def validity(finding: Finding) -> str:
    """The scope in which a probability of a finding holds."""
    return f"calibrated for route {finding.route}; valid at the prevalence of the exams of the calibration"


def identification(algorithm: Algorithm, parameters: str | None = None) -> Iterator[ContentItem]:
    """Identification of an algorithm, for items under its measurement or assessment (PS3.16 TID 4019)."""
    yield text(MODIFIER, codes.ALGORITHM_NAME, algorithm.name)
    yield text(MODIFIER, codes.ALGORITHM_VERSION, algorithm.version)
    if parameters:
        yield text(MODIFIER, codes.ALGORITHM_PARAMETERS, parameters)
