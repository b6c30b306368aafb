"""Where findings lie in real mammograms: inside the breast, not on the pectoral muscle's edge, not on markers.

Reads every exam below a folder as `tetraview read` does and writes a table, one row an image. No parameter is tuned on
them. The muscle's edge is not detected: `muscle_edges.json` has it for known exams as the developers marked it by eye,
in shares of Columns and Rows from the top edge to the chest wall; other exams have a dash.

    usage: tests/bench/real_exams.py FOLDER [--table triton_models/results/real_exams.md] [--json FILE] [--triton URL]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from tetraview.domain.exam import Exam
from tetraview.domain.finding import Finding
from tetraview.domain.reading import ViewReading
from tetraview.imaging.breast import breast_mask
from tetraview.settings import Settings, load_settings
from tetraview.tools.files import find_exams
from tetraview.tools.offline import read_to_folder, triton_at_hand

EDGES = json.loads(Path(__file__).with_name("muscle_edges.json").read_text())
#: A finding whose middle is nearer to the muscle's edge than this lies on it.
ON_EDGE_MM = 5.0
#: Preview greys above this are bright; outside the breast only labels and markers are.
BRIGHT = 100

_HEADER = """\
| exam | view | route | findings | scores | inside breast % | on muscle % | middle on muscle edge | on marker % |
|---|---|---|---|---|---|---|---|---|"""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where one finding lies; shares are of its outline's area."""

    label: str
    score: float
    long_axis_mm: float
    centre_in_breast: bool
    inside_breast: float
    on_marker: float
    #: None where the muscle's edge is not known.
    on_muscle: float | None
    centre_on_muscle_edge: bool | None


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image of a real exam."""

    exam: str
    view: str
    route: str
    findings: tuple[Placed, ...]

    def row(self) -> str:
        """The image as a row of the table."""
        muscle = [found.on_muscle for found in self.findings if found.on_muscle is not None]
        edge = [found.centre_on_muscle_edge for found in self.findings if found.centre_on_muscle_edge is not None]
        cells = [
            self.exam,
            self.view,
            self.route,
            str(len(self.findings)),
            ", ".join(f"{found.score:.2f}" for found in self.findings) or "–",
            _percent([found.inside_breast for found in self.findings]),
            _percent(muscle),
            str(sum(edge)) if edge else "–",
            _percent([found.on_marker for found in self.findings]),
        ]
        return f"| {' | '.join(cells)} |"


def _percent(shares: Sequence[float]) -> str:
    return f"{100 * sum(shares) / len(shares):.0f}" if shares else "–"


class Place:
    """One image's preview, and the structures that a finding may lie on; all in preview pixels."""

    def __init__(self, file: Path, preview: Mask, *, edge: Sequence[Sequence[float]] | None, scale: float) -> None:
        header = dcmread(file, stop_before_pixels=True)
        spacing = header.get("PixelSpacing") or header.ImagerPixelSpacing
        self._scale = scale
        self._mm = float(spacing[0]) / scale
        grey = preview.astype(np.float32) / 255
        coarse = breast_mask(grey).astype(np.uint8)
        size = grey.shape[1], grey.shape[0]
        self.breast: Mask = cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST) > 0
        self.markers: Mask = (preview > BRIGHT) & ~self.breast
        self.edge = None if edge is None else np.array(edge) * size
        self.muscle = None if self.edge is None else self._fill(self._to_corner(self.edge))

    def place(self, finding: Finding) -> Placed:
        """Where a finding lies."""
        outline = self._fill(np.array(finding.outline) * self._scale)
        x, y = (value * self._scale for value in finding.box.centre)
        row, column = min(int(y), outline.shape[0] - 1), min(int(x), outline.shape[1] - 1)
        return Placed(
            label=finding.label,
            score=round(finding.score, 3),
            long_axis_mm=round(finding.long_axis_mm, 1),
            centre_in_breast=bool(self.breast[row, column]),
            inside_breast=_share(outline, self.breast),
            on_marker=_share(outline, self.markers),
            on_muscle=None if self.muscle is None else _share(outline, self.muscle),
            centre_on_muscle_edge=None if self.edge is None else self._to_edge_mm(x, y) < ON_EDGE_MM,
        )

    def _fill(self, points: NDArray[np.float64]) -> Mask:
        mask = np.zeros(self.breast.shape, np.uint8)
        cv2.fillPoly(mask, [np.round((points - 0.5) * 16).astype(np.int32)], 1, shift=4)
        return mask > 0

    def _to_corner(self, edge: NDArray[np.float64]) -> NDArray[np.float64]:
        """The edge, closed by the corner between the top and the chest wall, on which its last point lies."""
        return np.vstack([edge, [[edge[-1, 0], 0.0]]])

    def _to_edge_mm(self, x: float, y: float) -> float:
        assert self.edge is not None
        points = np.round(self.edge).astype(np.int32)
        return abs(_distance_to_line(points.astype(float), (x, y))) * self._mm


def _distance_to_line(points: NDArray[np.float64], at: tuple[float, float]) -> float:
    """Distance of a point from an open polyline."""
    starts, ends = points[:-1], points[1:]
    along = ends - starts
    length = np.maximum((along**2).sum(axis=1), 1e-9)
    share = np.clip(((np.array(at) - starts) * along).sum(axis=1) / length, 0, 1)
    return float(np.hypot(*(starts + share[:, None] * along - at).T).min())


def _share(part: Mask, of: Mask) -> float:
    return round(float((part & of).sum() / max(int(part.sum()), 1)), 4)


def measure(exam: Exam, name: str, *, settings: Settings) -> tuple[list[Image], str]:
    """Read one exam, and return where its findings lie and the weights that found them."""
    with tempfile.TemporaryDirectory() as out:
        reading = read_to_folder(exam, Path(out), settings=settings, outputs=settings.outputs_in_use).reading
        images = [
            _image(view, name, file=Path(exam.images[view.view].path), folder=Path(out)) for view in reading.views
        ]
    model = reading.model
    weights = f"{model.name} {model.version} {model.preset}, sha256 {model.weights_sha256[:12]}" if model else "none"
    return images, f"{weights}, operating point {reading.operating_point}"


def _image(view: ViewReading, name: str, *, file: Path, folder: Path) -> Image:
    if view.preview is None:
        return Image(exam=name, view=view.view, route="not read", findings=())
    preview = cv2.imread(str(folder / view.preview), cv2.IMREAD_GRAYSCALE)
    assert preview is not None
    edge = EDGES.get(name, {}).get(view.view)
    place = Place(file, preview, edge=edge, scale=view.preview_scale)
    return Image(exam=name, view=view.view, route=str(view.route), findings=tuple(map(place.place, view.findings)))


def table(images: Sequence[Image], *, weights: str) -> str:
    """The whole page."""
    findings = [found for image in images for found in image.findings]
    inside = sum(found.centre_in_breast for found in findings)
    return f"""# Findings in real exams

{len(findings)} findings in {len(images)} images, {len(findings) / max(len(images), 1):.2f} an image; the middle of
{inside} lies in the breast. Weights: {weights}.
Nothing was chosen or tuned on these images. The muscle's edge was
marked by eye by the developers, not by a radiologist; a dash where it is not known. Percentages are means over the
outlines of an image.

{_HEADER}
{chr(10).join(image.row() for image in images)}

Made by `tests/bench/real_exams.py FOLDER`.
"""


def main() -> None:
    """Read, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path, default=Path("triton_models/results/real_exams.md"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--triton", help="gRPC address of a running Triton; otherwise one is used or started")
    options = parser.parse_args()
    if options.triton:
        os.environ["TETRAVIEW_TRITON__URL"] = options.triton
    images: list[Image] = []
    weights = "none"
    with triton_at_hand(load_settings(), outputs=()) as settings:
        for folder in sorted(path for path in options.folder.iterdir() if path.is_dir()):
            for exam in find_exams([folder]).exams:
                found, weights = measure(exam, folder.name, settings=settings)
                images += found
    document: dict[str, Any] = {"images": [asdict(image) for image in images]}
    if options.json:
        options.json.write_text(json.dumps(document, indent=2))
    options.table.parent.mkdir(parents=True, exist_ok=True)
    options.table.write_text(table(images, weights=weights))
    sys.stdout.write(options.table.read_text())


if __name__ == "__main__":
    main()
