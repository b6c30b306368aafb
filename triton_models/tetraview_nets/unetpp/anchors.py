"""Published figures of the two-stage system that an evaluation is printed beside; none of them is ours."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PAPER = (
    "Yan et al., Two-stage multi-scale breast mass segmentation for full mammogram analysis without user intervention, "
    "Biocybernetics and Biomedical Engineering 41(2), 2021"
)
PROTOCOL = (
    "INbreast, five random splits T1 to T5 by image (74 to train, 33 to test, so both views of a patient may fall on "
    "either side), pre-trained on ImageNet, crops of the true boxes; Dice in per cent."
)
#: Dice of crops of true boxes in each split, per cent.
PATCH_DICE: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "U-Net": (90.47, 89.76, 88.16, 87.97, 89.66),
        "cGAN": (90.30, 90.53, 89.70, 89.33, 90.22),
        "cascaded U-Net": (89.20, 90.40, 88.83, 89.18, 89.82),
        "v19U-Net++": (90.94, 91.42, 90.56, 90.23, 91.13),
    }
)
#: Mean Dice of whole images, per cent: one stage, two stages, two stages with multi-scale prediction.
IMAGE_DICE: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "U-Net": (44.37, 70.07, 79.24),
        "cGAN": (28.92, 69.22, 78.98),
        "cascaded U-Net": (65.49, 69.81, 79.18),
        "v19U-Net++": (52.17, 70.96, 80.44),
    }
)
CAVEATS = (
    "Of the networks it compares, U-Net and v19U-Net++ are built here; cGAN and the cascaded U-Net are not.",
    "The two-stage mean of the cascaded U-Net, 69.81, is not that of its splits, 69.41; a T4 of 75.35 would mend it.",
    "The spreads of the two-stage group are population standard deviations, those of the others standard errors.",
    "Neither the size of the images in the one-stage group nor how Dice is averaged over images is stated.",
    "The margin of the crops is not stated, though it decides how much of a two-stage Dice is the detector's.",
)
GROUPS = ("one stage", "two stages", "two stages, multi-scale")


def page() -> list[str]:
    """The paper's two tables and where they do not fit together, as lines of Markdown."""
    splits = [f"T{i}" for i in range(1, 6)]
    patches = [
        f"| {name} | {' | '.join(f'{dice:.2f}' for dice in found)} | {sum(found) / len(found):.2f} |"
        for name, found in PATCH_DICE.items()
    ]
    images = [f"| {name} | {' | '.join(f'{dice:.2f}' for dice in found)} |" for name, found in IMAGE_DICE.items()]
    return [
        f"{PAPER}. {PROTOCOL}",
        "",
        f"| crops | {' | '.join(splits)} | mean |",
        f"|---|{'--:|' * 6}",
        *patches,
        "",
        f"| whole images (Table 4) | {' | '.join(GROUPS)} |",
        f"|---|{'--:|' * 3}",
        *images,
        "",
        *(f"- {caveat}" for caveat in CAVEATS),
    ]
