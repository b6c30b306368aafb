"""Figures of the DualCoreNet paper; none of these figures is ours."""

from __future__ import annotations

from dataclasses import dataclass

PAPER = (
    "Li et al., A Deep Dual-path Network for Improved Mammogram Image Processing, IEEE International Conference on "
    "Acoustics, Speech and Signal Processing (ICASSP), 2019"
)
CAVEATS = (
    "INbreast was split 80:20 by patient, 85 and 22 images; CBIS-DDSM into 1,253 and 354 masses.",
    "The text says 1,594 masses of CBIS-DDSM, which are 1,607 by its split.",
    "Dice 93.66 and 91.43 are also CRU-Net's best figures in its own paper, the latter there of DDSM-BCRP.",
    "The splits differ from that paper's too: equal figures of other masses are no independent evidence.",
    "What makes an INbreast mass malignant is not said; here it is BI-RADS 4 or more.",
    "The abstract says that joint training improves the segmentation; the paper shows no such comparison.",
)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """One system's row; empty where the paper has no figure."""

    system: str
    #: Dice in percent.
    dice_inbreast: str = ""
    dice_cbis: str = ""
    #: Area under the ROC curve.
    auc_inbreast: str = ""
    auc_cbis: str = ""


ANCHORS = (
    Anchor(system="Dhungel and others", dice_inbreast="90", dice_cbis="90", auc_inbreast=".91"),
    Anchor(system="Zhu and others", dice_inbreast="89.36", dice_cbis="90.62"),
    Anchor(system="Varela and others", auc_cbis=".83"),
    Anchor(system="CGL alone", auc_inbreast=".73", auc_cbis=".62"),
    Anchor(system="LPL alone", auc_inbreast=".92", auc_cbis=".81"),
    Anchor(system="DualCoreNet", dice_inbreast="93.66", dice_cbis="91.43", auc_inbreast=".93", auc_cbis=".85"),
)
