"""How sure the pixels of real mammograms are of the side of the chest wall, which may overrule a header.

    usage: python -m tests.bench.sides FOLDER     a folder of mammograms with manifest.csv (chest_wall: left or right)

Each image is turned so that its chest wall, as a person saw it, is on the left. A row says from how many times more of
the right edge than of the left one on the pixels would be believed: how many images would then be mirrored wrongly, and
how many of as many images with a wrong header would be found.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tetraview.errors import ImageUnreadable
from tetraview.imaging.breast import breast_mask
from tetraview.imaging.orientation import side_ratio

RATIOS = (1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)


def ratios(folder: Path) -> Iterator[tuple[float, float]]:
    """For each image the ratio as it hangs, and the one of its mirror image."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            picture = cv2.imread(str(folder / row["image"]), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
            if picture is None or row["chest_wall"] not in {"left", "right"}:
                continue
            pixels = picture[:, :: -1 if row["chest_wall"] == "right" else 1].astype(np.float32)
            try:
                mask = breast_mask(np.ascontiguousarray(pixels))
            except ImageUnreadable:
                continue
            yield side_ratio(mask), side_ratio(mask[:, ::-1])


def main(folder: str) -> None:
    """Print the table."""
    found = np.array(list(ratios(Path(folder))))
    lines = ["| believed from | mirrored wrongly | wrong headers found | images |", "|---|---|---|---|"]
    for ratio in RATIOS:
        wrong, right = (found >= ratio).sum(axis=0)
        lines.append(f"| {ratio:g} | {wrong} | {right} | {len(found)} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
