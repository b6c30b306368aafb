"""Published figures that an evaluation is printed beside; none of them is ours."""

from __future__ import annotations

from dataclasses import dataclass

from tetraview.domain.view import Route

MOMMI_PAPER = "Yang et al., MommiNet-v2, Medical Image Analysis 73, 2021, Tables 6 and 7"
YOLO_PAPER = (
    "Yan et al., Two-stage multi-scale breast mass segmentation for full mammogram analysis without user intervention, "
    "Biocybernetics and Biomedical Engineering 41(2), 2021, detection results over five random splits"
)
#: Sentences to print beside MommiNet-v2's table.
MOMMI_CAVEATS = (
    "The paper counts a hit by the IoU of output and mask, the rows that are ours by that of their boxes.",
    "On DDSM at 1 FPPI the paper's tri-view detector, 0.850, is below its BiDualNet-v2, 0.853.",
)
#: False positives per image of the columns of ``RecallAnchor``.
RATES = (0.5, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class RecallAnchor:
    """Recall of a system at ``RATES``; a detection hits when its IoU with the mass's mask is above 0.2."""

    system: str
    route: Route
    #: On which images it was trained and tested.
    data: str
    recalls: tuple[float, float, float]

    @property
    def printed(self) -> list[str]:
        """The figures with as many decimals as the paper prints in the row."""
        decimals = 2 if all(round(recall, 2) == recall for recall in self.recalls) else 3
        return [f"{recall:.{decimals}f}" for recall in self.recalls]


def _rows(data: str, rows: dict[tuple[str, Route], tuple[float, float, float]]) -> tuple[RecallAnchor, ...]:
    return tuple(
        RecallAnchor(system=system, route=route, data=data, recalls=recalls)
        for (system, route), recalls in rows.items()
    )


#: MommiNet-v2's comparison of single-view, dual-view and tri-view detectors. Three views are not best everywhere: on
#: DDSM at 1 false positive an image BiDualNet-v2 has .853 and MommiNet-v2 .850.
MOMMI_RECALLS = _rows(
    "DDSM",
    {
        ("DeepLab, non-local, focal", Route.SINGLE): (0.68, 0.78, 0.83),
        ("HRNet, focal", Route.SINGLE): (0.70, 0.79, 0.84),
        ("Faster R-CNN, ResNet-50", Route.SINGLE): (0.74, 0.82, 0.88),
        ("Faster R-CNN, HRNet", Route.SINGLE): (0.76, 0.82, 0.88),
        ("BiDualNet", Route.BI): (0.783, 0.842, 0.891),
        ("BiDualNet-v2", Route.BI): (0.801, 0.853, 0.891),
        ("IpsiDualNet", Route.IPSI): (0.764, 0.828, 0.879),
        ("IpsiDualNet-v2", Route.IPSI): (0.811, 0.843, 0.889),
        ("MommiNet", Route.TRI): (0.802, 0.849, 0.892),
        ("MommiNet-v2", Route.TRI): (0.831, 0.850, 0.898),
    },
) + _rows(
    "in-house",
    {
        ("DeepLab, non-local, focal", Route.SINGLE): (0.81, 0.84, 0.90),
        ("HRNet, focal", Route.SINGLE): (0.83, 0.87, 0.90),
        ("Faster R-CNN, ResNet-50", Route.SINGLE): (0.82, 0.89, 0.91),
        ("Faster R-CNN, HRNet", Route.SINGLE): (0.84, 0.90, 0.91),
        ("BiDualNet", Route.BI): (0.874, 0.931, 0.948),
        ("BiDualNet-v2", Route.BI): (0.892, 0.932, 0.950),
        ("IpsiDualNet", Route.IPSI): (0.882, 0.917, 0.958),
        ("IpsiDualNet-v2", Route.IPSI): (0.891, 0.933, 0.961),
        ("MommiNet", Route.TRI): (0.901, 0.939, 0.960),
        ("MommiNet-v2", Route.TRI): (0.912, 0.939, 0.962),
    },
)


@dataclass(frozen=True, kw_only=True)
class PairAnchor:
    """True positive rate at a mean number of false positives per image; a detection hits at IoU >= 0.5."""

    setting: str
    recall: float
    fppi: float


#: YOLOv3 with multi-scale prediction on INbreast; means over five random splits by image.
YOLO_PAIRS = (
    PairAnchor(setting="λ = 0", recall=0.936, fppi=1.34),
    PairAnchor(setting="λ = 0.5", recall=0.942, fppi=0.22),
    PairAnchor(setting="λ = 0.6", recall=0.936, fppi=0.18),
    PairAnchor(setting="λ = 0.7", recall=0.920, fppi=0.15),
)
#: Its average precision at IoU >= 0.5 and the standard error over the splits.
YOLO_AP, YOLO_AP_ERROR = 0.7546, 0.017


@dataclass(frozen=True, kw_only=True)
class PublishedRecall:
    """A result that a paper states of its detector, in its own terms."""

    system: str
    #: The images it was tested on.
    tested: str
    #: The images it learnt from.
    trained: str
    #: Its figure and what it counts.
    figure: str


#: Detectors on data sets of the benchmark on real mammograms, from the papers' tables or abstracts.
PUBLISHED_RECALLS = (
    PublishedRecall(
        system="Cha and others, J Med Imaging 7(1), 2020, Faster R-CNN",
        tested="CBIS-DDSM, official test list: 361 images, 378 masses",
        trained="CBIS-DDSM (1,111 images) from ImageNet, with synthetic mammograms besides",
        figure="curves without a table; the same list as the test images that are kept apart here",
    ),
    PublishedRecall(
        system="MommiNet-v2, MedIA 73, 2021, Table 6",
        tested="DDSM, its own split",
        trained="DDSM",
        figure="recall at .5 / 1 / 2 false positives: .831 / .850 / .898 by three views, .76 / .82 / .88 single view "
        "(Faster R-CNN, HRNet); IoU of output and mask > .2",
    ),
    PublishedRecall(
        system="Ribli and others, Sci Rep 8, 2018, Faster R-CNN",
        tested="INbreast, malignant masses only",
        trained="DDSM and in-house images, from ImageNet",
        figure=".90 at .3 false positives an image",
    ),
    PublishedRecall(
        system="Dhungel and others, MedIA 37, 2017, cascade of networks and random forests",
        tested="INbreast, cross-validated",
        trained="INbreast",
        figure=".90 at 1 false positive an image",
    ),
    PublishedRecall(
        system="Yan and others, BBE 41(2), 2021, YOLOv3 with multi-scale prediction",
        tested="INbreast, images with a mass, five random splits by image",
        trained="CBIS-DDSM and INbreast, from ImageNet",
        figure=".942 at .22 false positives an image, IoU >= .5 (λ = .5)",
    ),
)
