"""How often the right marks in CC and MLO are linked, by the detector and by simpler rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.learning.evaluate import view_input
from tetraview_nets.learning.pairs import DIFFERENT, SAME, UNKNOWN, known_pairs, masses_in_both, tells
from tetraview_nets.linking import COLUMNS, SHOWN, UNIT_MM, Places, breasts, by_geometry, geometry, shown
from tetraview_nets.metrics import auc, expected_calibration_error, interval, patient_weights
from tetraview_nets.metrics.arrays import Booleans, Floats, Integers
from tetraview_nets.regression import regress
from tetraview_nets.system import ViewInput, ViewOutput

#: The rule of earlier versions: up to this difference of nipple distances, up to this ratio of sizes.
OLD_DISTANCE_MM, OLD_RATIO = 20.0, 2.0
#: Up to this difference of depths.
DEPTH_MM = 12.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Breast:
    """The marks of one breast that a reader sees, and the truth about them as far as it is known."""

    source: str
    patient: int
    cc: Places
    mlo: Places
    #: [N, M], the detector's answer.
    said: Tensor
    #: int [N, M] of ``SAME``, ``DIFFERENT`` and ``UNKNOWN``.
    known: Integers
    #: For each mass that is marked in both views, the pairs that mark it.
    masses: list[Booleans]


#: How much linking two marks gains, [N, M]; at 0 or below nothing is linked.
Rule = Callable[[Breast], Tensor]


def _old(breast: Breast) -> Tensor:
    """±20 mm of nipple distance and a factor of two, the most alike first."""
    if breast.cc.distance is None or breast.mlo.distance is None:
        return torch.zeros_like(breast.said)
    distance = (breast.cc.distance[:, None] - breast.mlo.distance).abs() / OLD_DISTANCE_MM
    size = (breast.cc.size.log()[:, None] - breast.mlo.size.log()).abs() / np.log(OLD_RATIO)
    return torch.where(torch.maximum(distance, size) <= 1, 2 - distance - size, 0.0)


def _depth(breast: Breast) -> Tensor:
    return DEPTH_MM - geometry(breast.cc, breast.mlo)[..., COLUMNS.index("depth")] * UNIT_MM


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        f"±{OLD_DISTANCE_MM:g} mm from the nipple, factor {OLD_RATIO:g}": _old,
        f"depth ≤ {DEPTH_MM:g} mm": _depth,
        "geometry": lambda breast: torch.logit(by_geometry(breast.cc, breast.mlo), eps=1e-6),
        "the detector": lambda breast: torch.logit(breast.said, eps=1e-6),
    }
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One rule on one group of breasts, with 95 % patient bootstrap intervals."""

    source: str
    rule: str
    patients: int
    #: Masses marked in both views.
    masses: int
    #: Links whose truth is known.
    links: int
    recall: float
    recall_low: float
    recall_high: float
    precision: float
    precision_low: float
    precision_high: float
    #: How well the rule ranks all known pairs, and how far its probabilities are off on average; NaN where it gives
    #: none.
    auc: float
    calibration_error: float


@torch.inference_mode()
def read(network: Any, exams: Iterable[CanonicalExam], thresholds: Mapping[str, float]) -> Iterator[Breast]:
    """The marks of every breast of which both views are there.

    Args:
        network: a detector's.
        exams: of any source.
        thresholds: least score by route.
    """
    for exam in filter(tells, exams):
        there = np.flatnonzero(exam.present).tolist()
        views = [view_input(exam, view, torch.device("cpu")) for view in there]
        outputs: list[ViewOutput] = network.read(views)
        for cc, mlo in breasts(outputs):
            yield _breast(exam, [(views[i], outputs[i]) for i in (cc, mlo)], thresholds)


def _breast(exam: CanonicalExam, both: list[tuple[ViewInput, ViewOutput]], thresholds: Mapping[str, float]) -> Breast:
    kept = [shown(marks, thresholds) for _, marks in both]
    said = both[0][1].same_mass
    assert said is not None  # both views are there
    cc, mlo = (Places.of(*seen).only(own) for seen, own in zip(both, kept, strict=True))
    boxes = [marks.boxes.reshape(-1, 4)[own].double().numpy() for (_, marks), own in zip(both, kept, strict=True)]
    view = VIEWS.index(both[0][0].view)
    return Breast(
        source=exam.source,
        patient=exam.seed,
        cc=cc,
        mlo=mlo,
        said=said[kept[0]][:, kept[1]],
        known=known_pairs(exam, cc=view, marks=boxes),
        masses=masses_in_both(exam, cc=view, marks=boxes),
    )


def geometry_of(found: Iterable[Breast]) -> dict[str, float]:
    """Constants of geometry in ``tetraview_nets.linking``, fitted to the known pairs of breasts, and their number."""
    columns, same = [], []
    for breast in found:
        told = torch.from_numpy(breast.known != UNKNOWN)
        columns.append(geometry(breast.cc, breast.mlo)[told])
        same.append(torch.from_numpy(breast.known == SAME)[told])
    truth = torch.cat(same)
    weights, bias = regress(torch.cat(columns), truth)
    fitted = {name: round(float(x), 2) for name, x in zip((*COLUMNS, "bias"), (*weights, bias), strict=True)}
    return fitted | {"pairs": len(truth), "same": int(truth.sum())}


def rows(breasts_read: Iterable[Breast]) -> list[Row]:
    """Every rule on every source."""
    groups: dict[str, list[Breast]] = {}
    for breast in breasts_read:
        groups.setdefault(breast.source, []).append(breast)
    return [_row(source, rule, found) for source, found in sorted(groups.items()) for rule in RULES]


def _row(source: str, rule: str, found: list[Breast]) -> Row:
    patients, place = np.unique([breast.patient for breast in found], return_inverse=True)
    counts = np.zeros((len(patients), 4))
    gains = [RULES[rule](breast).numpy() for breast in found]
    for patient, breast, gain in zip(place, found, gains, strict=True):
        counts[patient] += _counted(breast, _linked(gain))
    known = np.concatenate([breast.known.ravel() for breast in found])
    scores = np.concatenate([gain.ravel() for gain in gains]).astype(np.float64)[known != UNKNOWN]
    same = known[known != UNKNOWN] == SAME
    recall, precision = _shares(counts.sum(axis=0))
    low, high = interval(np.stack(_shares((patient_weights(len(patients)) @ counts).T), axis=-1))
    probable = rule not in tuple(RULES)[:2]
    return Row(
        source=source,
        rule=rule,
        patients=len(patients),
        masses=int(counts[:, 1].sum()),
        links=int(counts[:, 3].sum()),
        recall=float(recall),
        recall_low=float(low[0]),
        recall_high=float(high[0]),
        precision=float(precision),
        precision_low=float(low[1]),
        precision_high=float(high[1]),
        auc=auc(scores, same),
        calibration_error=expected_calibration_error(1 / (1 + np.exp(-scores)), same) if probable else np.nan,
    )


def _linked(gain: Floats) -> Booleans:
    """The pairs whose gains add up to most, each above 0: bool [N, M]."""
    linked = np.zeros(gain.shape, dtype=np.bool_)
    linked[linear_sum_assignment(np.maximum(gain, 0), maximize=True)] = True
    return np.asarray(linked & (gain > 0))


def _counted(breast: Breast, linked: Booleans) -> Floats:
    """Masses linked, masses marked in both views, links that are right, links of which the truth is known."""
    right, wrong = (int((linked & (breast.known == truth)).sum()) for truth in (SAME, DIFFERENT))
    hit = sum(bool((linked & pairs).any()) for pairs in breast.masses)
    return np.array([hit, len(breast.masses), right, right + wrong], dtype=np.float64)


def _shares(counts: Floats) -> tuple[Floats, Floats]:
    """Recall and precision of counts [4, ...]; NaN where there is nothing to count."""
    with np.errstate(invalid="ignore"):
        return counts[0] / counts[1], counts[2] / counts[3]


def section(found: list[Row], *, weights: str) -> str:
    """The table of one detector, after a sentence on its weights."""
    lines = [
        f"| {row.source} | {row.rule} | {row.masses} "
        f"| {_said(row.recall, row.recall_low, row.recall_high)} | {row.links} "
        f"| {_said(row.precision, row.precision_low, row.precision_high)} "
        f"| {row.auc:.3f} | {'–' if np.isnan(row.calibration_error) else f'{row.calibration_error:.3f}'} |"
        for row in found
    ]
    head = "| breasts of | rule | masses in both views | linked | known links | right | AUC | calibration error |"
    return "\n".join([weights, "", head, "|---|---|--:|--:|--:|--:|--:|--:|", *lines])


def markdown(sections: Sequence[str], *, command: str) -> str:
    """The page."""
    said = (
        f"The marks at the operating point balanced, at most {SHOWN} a view. Linked: of masses that are marked in both "
        "views, those whose marks are linked. Right: of links of which somebody knows, those of one object. Of real "
        "breasts those with one mass in each view count, of CBIS-DDSM and CDD-CESM those of validation. Intervals are "
        "95 %, by patient. AUC and calibration error are of all known pairs; a rule without probabilities has none."
    )
    return "\n\n".join(["# Linking CC and MLO", f"`{command}`", said, *sections]) + "\n"


def _said(value: float, low: float, high: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"
