"""The detector on phantom exams: FROC, and the paper's own figures beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tetraview.domain.view import Route
from tetraview_nets.learning.froc_table import FrocRow, froc_rows
from tetraview_nets.metrics import IOU_CRITERION, ImageResult, average_precision, tpr_at_fpavg
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.rules import OneSize, Rule, Seen, detect, multi_scale

#: The paper's criterion.
PAPER_IOU = 0.5
#: The paper's levels.
LEVELS: Final = (0.0, 0.5, 0.6, 0.7)
#: Published TPR and false positives per image of the five splits of INbreast, by level.
PUBLISHED: Final = {
    0.0: ((0.91, 1.58), (0.97, 1.39), (0.89, 1.30), (0.91, 1.55), (1.00, 0.87)),
    0.5: ((0.97, 0.18), (0.94, 0.27), (0.91, 0.18), (0.92, 0.36), (0.97, 0.12)),
    0.6: ((0.94, 0.12), (0.94, 0.24), (0.91, 0.18), (0.92, 0.30), (0.97, 0.06)),
    0.7: ((0.94, 0.09), (0.89, 0.27), (0.91, 0.15), (0.89, 0.18), (0.97, 0.06)),
}
PUBLISHED_AP: Final = (0.7864, 0.7024, 0.7611, 0.7905, 0.7328)


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """One rule's figures without any threshold on its score; a box hits at IoU 0.5."""

    rule: str
    images: int
    with_mass: int
    masses: int
    tpr: float
    #: False positives per image that shows a mass, the only kind the paper tested on.
    fp_with_mass: float
    #: False positives per image without a mass.
    fp_normal: float
    average_precision: float


def pair_row(rule: str, results: Sequence[ImageResult]) -> PairRow:
    """The paper's figures of some results."""
    shown = [result for result in results if result.lesions]
    normal = [result for result in results if not result.lesions]
    pair = tpr_at_fpavg(shown, threshold=0.0, iou=PAPER_IOU)
    return PairRow(
        rule=rule,
        images=len(results),
        with_mass=len(shown),
        masses=sum(len(result.lesions) for result in shown),
        tpr=round(pair.recall, 4),
        fp_with_mass=round(pair.fppi, 4),
        fp_normal=round(tpr_at_fpavg(normal, threshold=0.0, iou=PAPER_IOU).fppi, 4),
        average_precision=round(average_precision(shown, iou=PAPER_IOU), 4),
    )


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All figures of a detector."""

    froc: list[FrocRow]
    pairs: list[PairRow]


def figures(network: YoloMsp, seen: Sequence[Seen]) -> Figures:
    """FROC at the preset's level, and the paper's figures at every level and of one size."""
    preset = network.preset
    own = detect(seen, multi_scale(network, level=preset.level))
    levels = sorted({*LEVELS, preset.level})
    rules: list[Rule] = [multi_scale(network, level=level) for level in levels]
    rules.append(OneSize(size=preset.sizes.index(preset.reference)))
    return Figures(
        froc=froc_rows("yolo_msp", Route.SINGLE, own), pairs=[pair_row(rule.name, detect(seen, rule)) for rule in rules]
    )


def markdown(found: Figures, *, command: str, source: str) -> str:
    """The tables as a page."""
    first = found.pairs[0]
    ranked = (
        f"Recall of masses at a rate of false positives per image, IoU > {IOU_CRITERION}, ranked by the score that can "
        "be compared between images; 95 % patient bootstrap."
    )
    paper = (
        f"The paper's figures: every component is a detection whatever its score, IoU >= {PAPER_IOU:g}. Ours: "
        f"{first.masses} masses in {first.with_mass} phantom images; and {first.images - first.with_mass} normal "
        "images, on which the paper did not test. The paper: INbreast, five random splits into 74 and 33 images **by "
        "image**, so that views of one patient lie on both sides; trained on CBIS-DDSM and INbreast from ImageNet. AP "
        "is the step sum at the same IoU, ours on images with a mass, as theirs."
    )
    lines = [
        f"YOLOv3 with multi-scale prediction. {source}",
        "",
        ranked,
        "",
        *_froc_table(found.froc),
        "",
        paper,
        "",
        *_pair_table(found.pairs),
        "",
        "The paper, split by split:",
        "",
        *_published_table(),
        "",
        f"Made by `{command}`.",
        "",
    ]
    return "\n".join(lines)


def _froc_table(rows: Sequence[FrocRow]) -> list[str]:
    lines = ["| recall of | patients / images / masses | FPPI | recall |", "|---|---|---|---|"]
    return lines + [
        f"| {row.recall_of.replace('_', ' ')} | {row.patients} / {row.images} / {row.lesions} | {row.fppi:g} | "
        f"{row.recall:.3f} [{row.low:.3f}, {row.high:.3f}] |"
        for row in rows
    ]


def _pair_table(rows: Sequence[PairRow]) -> list[str]:
    head = ["rule", "TPR@FP, ours", "FP on normal images", "AP, ours", "TPR@FP, paper", "AP, paper"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    published = {f"λ={level:g}": _published_mean(level) for level in LEVELS}
    precision, one = f"{sum(PUBLISHED_AP) / len(PUBLISHED_AP):.3f} (of the network)", OneSize.name
    return lines + [
        f"| {row.rule} | {row.tpr:.3f}@{row.fp_with_mass:.2f} | {row.fp_normal:.2f} | {row.average_precision:.3f} | "
        f"{published.get(row.rule, '')} | {precision if row.rule == one else ''} |"
        for row in rows
    ]


def _published_mean(level: float) -> str:
    tpr, rate = (sum(column) / len(column) for column in zip(*PUBLISHED[level], strict=True))
    return f"{tpr:.3f}@{rate:.2f}"


def _published_table() -> list[str]:
    head = ["", *(f"split {i + 1}" for i in range(len(PUBLISHED_AP))), "mean"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for level, pairs in PUBLISHED.items():
        cells = [*(f"{tpr:.2f}@{rate:.2f}" for tpr, rate in pairs), _published_mean(level)]
        lines.append(f"| λ={level:g} | {' | '.join(cells)} |")
    mean = sum(PUBLISHED_AP) / len(PUBLISHED_AP)
    return [*lines, f"| AP | {' | '.join(f'{each:.3f}' for each in (*PUBLISHED_AP, mean))} |"]
