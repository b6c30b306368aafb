"""Figures of CRU-Net's paper, and where its text does not agree with itself; none of these figures is ours."""

from __future__ import annotations

from dataclasses import dataclass

PAPER = (
    "Li et al., Improved breast mass segmentation in mammograms with conditional residual U-Net, "
    "RAMBO at MICCAI 2018, Table 1"
)


@dataclass(frozen=True, kw_only=True)
class DiceAnchor:
    """Dice in percent as printed, with its spread where there is one; empty where there is none."""

    system: str
    #: 58 masses for training, 58 for testing.
    inbreast: str
    #: 87 masses for training, 87 for testing.
    bcrp: str


#: The five last rows are the paper's own trainings.
DICE_ANCHORS = tuple(
    DiceAnchor(system=system, inbreast=inbreast, bcrp=bcrp)
    for system, inbreast, bcrp in (
        ("Cardoso et al.", "88", ""),
        ("Beller et al.", "", "70"),
        ("Dhungel et al., first", "88", "87"),
        ("Dhungel et al., later", "90", "90"),
        ("Zhu et al.", "89.36 ± 0.37", "90.62 ± 0.16"),
        ("U-Net", "92.99 ± 0.23", "90.08 ± 0.62"),
        ("CRU-Net, λ = 0", "92.72 ± 0.09", "91.43 ± 0.02"),
        ("CRU-Net, λ = 1", "92.60 ± 0.24", "91.41 ± 0.02"),
        ("CRU-Net without residual, λ = 0.67", "93.66 ± 0.10", "91.14 ± 0.09"),
        ("CRU-Net, λ = 0.67", "93.32 ± 0.12", "90.95 ± 0.26"),
    )
)
#: Sentences to print beside the table.
CAVEATS = (
    "Its two splits, of INbreast and of DDSM-BCRP, are not built here: no network was trained or tested on them.",
    "The paper tests on half of the masses, cut by their manual boxes and resized to 40 x 40.",
    "Its conclusion names 93.66 and 91.14 as the best, while its table has 91.43 on DDSM-BCRP, without random field.",
    "Residual shortcuts and random field together score below the random field alone on both data sets.",
    "On INbreast none of its variants lies more than 0.7 points from its own U-Net.",
    "It does not say whether Dice is the mean over masses or that of all pixels pooled, so both are printed above.",
)
