"""How well the classifier ranks and how far its probabilities hold, on phantom lesions it has not seen.

The truth is what biopsy would say of every mass, also of those that were never biopsied. Three questions are asked: is
a mass in one view malignant, is a mass malignant by the mean score of its views, is a candidate a malignant mass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from tetraview_nets.calibration import FittedPlatt
from tetraview_nets.classifier.network import DenseNet
from tetraview_nets.classifier.task import grade_all
from tetraview_nets.learning.crops import detected
from tetraview_nets.learning.figure_table import made_by, page
from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.metrics import auc, brier, expected_calibration_error, interval, patient_weights

Floats = NDArray[np.float64]


_READING = (
    "Intervals are 95 %, from a bootstrap over patients. ECE and Brier are of the calibrated malignancy of masses."
)


class Question(StrEnum):
    """A question that each head is asked."""

    MASSES = "masses in each view"
    LESIONS = "masses, mean of views"
    CANDIDATES = "all candidates in each view"


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Scores beside the truth."""

    #: float [N].
    scores: Floats
    #: bool [N].
    malignant: NDArray[np.bool_]
    #: int [N], whose each is.
    patients: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One head's figures for one question, each with its 95 % patient bootstrap interval."""

    head: str
    question: str
    patients: int
    cases: int
    malignant: int
    auc: float
    auc_low: float
    auc_high: float
    #: Brier score and calibration error (``ece``) of the calibrated malignancy of masses; NaN where nothing is
    #: calibrated for the question.
    brier: float
    ece: float
    ece_low: float
    ece_high: float


def read(network: DenseNet, lesions: LesionSet, *, device: torch.device) -> dict[str, Scored]:
    """Both heads' scores of all lesions in the boxes of a detector, by head."""
    grades = grade_all(network, detected(lesions, network.preset.patch), device=device)
    malignant = np.array([lesion.malignant for lesion in lesions])
    patients = np.array([lesion.seed for lesion in lesions])
    return {
        head: Scored(scores=scores.double().numpy(), malignant=malignant, patients=patients)
        for head, scores in grades._asdict().items()
    }


def figures(heads: Mapping[str, Scored], lesions: LesionSet, *, platt: FittedPlatt | None) -> list[Figures]:
    """Every head's answer to every question.

    Args:
        heads: the result of ``read`` for these lesions.
        lesions: the same lesions.
        platt: the map of the malignancy head for masses, if there is one.
    """
    rows = []
    for head, everything in heads.items():
        masses = _only(everything, np.array([lesion.kind == 0 for lesion in lesions]))
        asked = {
            Question.MASSES: masses,
            Question.LESIONS: _by_lesion(masses, [lesion.label for lesion in lesions if lesion.kind == 0]),
            Question.CANDIDATES: everything,
        }
        for question, scored in asked.items():
            calibrated = platt if head == "malignancy" and question is Question.MASSES else None
            rows.append(_figures(scored, head=head, question=question, platt=calibrated))
    return rows


def _only(scored: Scored, chosen: NDArray[np.bool_]) -> Scored:
    return Scored(scores=scored.scores[chosen], malignant=scored.malignant[chosen], patients=scored.patients[chosen])


def _by_lesion(masses: Scored, labels: Sequence[str]) -> Scored:
    """One case a mass, its score the mean over the views that show it."""
    keys = np.array([f"{patient} {label}" for patient, label in zip(masses.patients, labels, strict=True)])
    _, first, owner = np.unique(keys, return_index=True, return_inverse=True)
    means = np.bincount(owner, masses.scores) / np.bincount(owner)
    return Scored(scores=means, malignant=masses.malignant[first], patients=masses.patients[first])


def _figures(scored: Scored, *, head: str, question: Question, platt: FittedPlatt | None) -> Figures:
    _, index = np.unique(scored.patients, return_inverse=True)
    weights = patient_weights(int(index.max()) + 1)[:, index]
    low, high = interval(np.array([auc(scored.scores, scored.malignant, each) for each in weights]))
    probability = platt.apply(scored.scores) if platt else np.full(len(scored.scores), np.nan)
    errors = (
        [expected_calibration_error(probability, scored.malignant, each) for each in weights] if platt else [np.nan]
    )
    ece_low, ece_high = interval(np.array(errors))
    return Figures(
        head=head,
        question=question,
        patients=int(index.max()) + 1,
        cases=len(scored.scores),
        malignant=int(scored.malignant.sum()),
        auc=auc(scored.scores, scored.malignant),
        auc_low=float(low),
        auc_high=float(high),
        brier=brier(probability, scored.malignant),
        ece=expected_calibration_error(probability, scored.malignant) if platt else np.nan,
        ece_low=float(ece_low),
        ece_high=float(ece_high),
    )


def markdown(rows: Sequence[Figures], *, command: str, source: str) -> str:
    """The figures as a page."""
    return page(
        "# The malignancy classifier on phantom lesions",
        [source, _READING],
        [
            "| head | question | patients | cases | malignant | AUC | Brier | ECE |",
            "|---|---|--:|--:|--:|---|---|---|",
            *map(_line, rows),
        ],
        made_by(command),
    )


def _line(row: Figures) -> str:
    calibrated = not np.isnan(row.ece)
    ece = f"{row.ece:.3f} [{row.ece_low:.3f}, {row.ece_high:.3f}]" if calibrated else "–"
    return (
        f"| {row.head} | {row.question} | {row.patients} | {row.cases} | {row.malignant} "
        f"| {row.auc:.3f} [{row.auc_low:.3f}, {row.auc_high:.3f}] "
        f"| {f'{row.brier:.3f}' if calibrated else '–'} | {ece} |"
    )
