"""Hybrid exams: real breasts into which masses of the phantom are laid, and objects that mimic masses.

A phantom knows which objects are no masses; a patient's image shows how breasts look. A hybrid has the tissue of the
patient and the truth of the phantom: a mass lies at the same distance from the nipple in both views of its breast, a
decoy in one view alone, an island in both breasts. Objects are drawn as ``tetraview.phantom.shape`` draws them and
added to the canonical image at a contrast to noise as real masses have it. Masses that were in the breast before stay
as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Point
from tetraview.domain.view import ViewPosition
from tetraview.phantom import RECIPES, ObjectKind
from tetraview.phantom.appearance import Appearance, sample_appearance, sample_benign_appearance
from tetraview.phantom.detector import insert
from tetraview.phantom.plan import DECOY_SEPARATION_MM, FAINT_FACTOR, FAINT_SHARE, Sighting
from tetraview.phantom.shape import Drawing, draw
from tetraview_nets.learning.cache import BREAST, KINDS, MASS, VIEWS, CanonicalExam

#: The source of hybrid exams.
HYBRID = "hybrid"
#: Contrast to noise of an object: log-normal, held to limits. In the training images of CBIS-DDSM and CDD-CESM the
#: median of masses is 1.0, the quartiles are .6 and 1.5, and one in twenty lies above 2.4.
CNR_MEDIAN, CNR_SIGMA, CNR_LIMITS = 1.05, 0.5, (0.4, 2.6)
#: Share of breasts that receive a mass.
MASS_SHARE = 0.6
#: Mean numbers of decoys in a view, and of islands in a pair of breasts.
DECOYS, ISLANDS = 0.7, 0.7
#: How far an object may be from the same nipple distance, and from the same depth behind it, in the other view.
DISTANCE_MM, DEPTH_MM = 8.0, 15.0
#: Standard deviation of an island's place around the mirrored one.
MIRROR_MM = 3.0
#: An object keeps this from the breast's edge and from other objects.
GAP_MM = 4.0
#: Ends of a line across an MLO view, along its top and along its chest wall; the tissue above it may be muscle.
MUSCLE_MM = (50.0, 110.0)
#: Places tried before an object is left out.
TRIES = 40
#: Least rise of grey, of 255, in the middle of an object: in tissue that is white already nothing can be seen.
LEAST_RISE = 6.0


@dataclass(kw_only=True, eq=False)
class _Sheet:
    """One view while objects are laid into it; millimetres from the upper corner at the chest wall."""

    index: int
    image: NDArray[np.float32]
    breast: NDArray[np.float32]
    spacing_mm: float
    #: None where it is not known.
    nipple: Point | None
    #: How probable each pixel is as the middle of an object, before its size is known.
    chances: NDArray[np.float32]
    #: Millimetres from each pixel to the breast's edge.
    inside_mm: NDArray[np.float32]
    #: Middles and radii of the objects that are there.
    taken: list[tuple[Point, float]]
    #: Kind, label and drawing of each object that was laid in.
    laid: list[tuple[ObjectKind, str, Drawing]]

    @classmethod
    def of(cls, exam: CanonicalExam, view: int) -> _Sheet:
        spacing = float(exam.spacing_mm[view])
        mask = (exam.masks[view] & BREAST) > 0
        image = exam.images[view].astype(np.float32) / 255
        # Across the chest wall and the image's other edges the breast goes on.
        padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] * spacing
        chances = cv2.GaussianBlur(image, (0, 0), 4.0 / spacing) ** 2 * mask
        if VIEWS[view].position is ViewPosition.MLO:
            chances *= below_muscle(mask, spacing)
        boxes = exam.boxes[exam.box_views == view] * spacing
        taken = [
            ((float(x0 + x1) / 2, float(y0 + y1) / 2), float(max(x1 - x0, y1 - y0)) / 2) for x0, y0, x1, y1 in boxes
        ]
        x, y, _ = exam.nipples[view]
        return cls(
            index=view,
            image=image,
            breast=cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0) * mask,
            spacing_mm=spacing,
            nipple=(float(x) * spacing, float(y) * spacing) if exam.nipple_known[view] else None,
            chances=chances,
            inside_mm=inside,
            taken=taken,
            laid=[],
        )

    def places(self, radius_mm: float) -> NDArray[np.float32]:
        """How probable each pixel is as the middle of an object of a size: float32 [H, W]."""
        free = self.chances * (self.inside_mm > radius_mm * 0.8 + GAP_MM)
        for (x, y), radius in self.taken:
            dx, dy = self._from((x, y))
            free = free * (np.hypot(dx, dy) > radius + radius_mm + GAP_MM)
        return np.asarray(free, dtype=np.float32)

    def like(self, other: _Sheet, place: Point) -> NDArray[np.bool_]:
        """Where an object at a place of the other view of the breast may lie in this one: bool [H, W]."""
        assert self.nipple is not None
        assert other.nipple is not None
        dx, dy = self._from(self.nipple)
        same_distance = np.abs(np.hypot(dx, dy) - math.dist(place, other.nipple)) <= DISTANCE_MM
        same_depth = np.abs(dx - (place[0] - other.nipple[0])) <= DEPTH_MM
        return np.asarray(same_distance & same_depth)

    def unlike(self, other: _Sheet) -> NDArray[np.bool_]:
        """Where an object has the distance from the nipple of none in the other view: bool [H, W]."""
        free = np.ones(self.image.shape, dtype=np.bool_)
        if self.nipple is None or other.nipple is None:
            return free
        distance = np.hypot(*self._from(self.nipple))
        for place, _ in other.taken:
            free &= np.abs(distance - math.dist(place, other.nipple)) > DECOY_SEPARATION_MM
        return free

    def lay(self, kind: ObjectKind, label: str, place: Point, looks: Appearance, *, seed: int, shape: int) -> None:
        """Add an object to the image unless it could not be seen there."""
        sighting = Sighting(
            kind=kind,
            label=label,
            centre=place,
            nipple_distance_mm=math.dist(place, self.nipple) if self.nipple else 0.0,
            appearance=looks,
            assessment=None,
            shape_seed=shape,
        )
        drawing = draw(sighting, seed=seed, spacing_mm=self.spacing_mm, shape=self.image.shape).within(self.breast)
        if not drawing.core.any():
            return
        window = drawing.window()
        before = self.image[window].copy()
        insert(self.image, drawing, cnr=looks.cnr, breast=self.breast)
        np.clip(self.image[window], 0.0, 1.0, out=self.image[window])
        if (self.image[window] - before)[drawing.core].mean() * 255 < LEAST_RISE:
            self.image[window] = before
            return
        self.taken.append((place, looks.radius_mm))
        self.laid.append((kind, label, drawing))

    def _from(self, point: Point) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Millimetres of every pixel to the right of a point, and below it."""
        rows, columns = self.image.shape
        x = (np.arange(columns, dtype=np.float32) + 0.5) * self.spacing_mm - np.float32(point[0])
        y = (np.arange(rows, dtype=np.float32) + 0.5) * self.spacing_mm - np.float32(point[1])
        across, down = np.meshgrid(x, y)
        return across, down


def hybrid_exam(exam: CanonicalExam, *, seed: int) -> CanonicalExam:
    """An exam with objects laid into it; the same exam and seed always give the same result.

    Args:
        exam: a real one.
        seed: decides which objects are laid in.
    """
    generator = np.random.default_rng([seed, exam.seed])
    sheets = {view: _Sheet.of(exam, view) for view in np.flatnonzero(exam.present).tolist()}
    for number, breast in enumerate(_breasts(sheets)):
        if generator.random() < MASS_SHARE:
            _mass(generator, breast, f"H{number + 1}", seed=seed)
    for number in range(generator.poisson(ISLANDS)):
        _island(generator, sheets, f"HI{number + 1}", seed=seed)
    for sheet in sheets.values():
        for number in range(generator.poisson(DECOYS)):
            _decoy(generator, sheets, sheet, f"HD{VIEWS[sheet.index]}{number + 1}", seed=seed)
    return _with_laid(exam, sheets)


def is_laid(label: str) -> bool:
    """Whether an object of a hybrid exam was laid in, by its label; the masses that were there keep theirs."""
    return label.startswith("H")


def hybrids(exams: Sequence[CanonicalExam], *, count: int, seed: int = 0) -> list[CanonicalExam]:
    """So many hybrid exams, each of the given ones as often as the others or once less; their order is drawn too."""
    order = np.random.default_rng(seed).permutation(len(exams))
    return [
        hybrid_exam(exams[order[i % len(exams)]], seed=seed + i // len(exams))
        for i in range(count if len(exams) else 0)
    ]


def _breasts(sheets: dict[int, _Sheet]) -> Iterator[list[_Sheet]]:
    """The views of each breast that can be compared, or that are alone."""
    for side in dict.fromkeys(view.laterality for view in VIEWS):
        own = [sheet for view, sheet in sheets.items() if VIEWS[view].laterality is side]
        if own and (len(own) == 1 or all(sheet.nipple for sheet in own)):
            yield own


def _mass(generator: np.random.Generator, breast: list[_Sheet], label: str, *, seed: int) -> None:
    looks = _looks(generator, breast[0], benign=False)
    order = [breast[i] for i in generator.permutation(len(breast))]
    shape = int(generator.integers(2**31))
    for _ in range(TRIES):
        place = _drawn(generator, order[0].places(looks.radius_mm), order[0])
        if place is None:
            return
        places = [place]
        if len(order) > 1:
            second = order[1].places(looks.radius_mm) * order[1].like(order[0], place)
            found = _drawn(generator, second, order[1])
            if found is None:
                continue
            places.append(found)
        faint = int(generator.integers(len(order))) if generator.random() < FAINT_SHARE and len(order) > 1 else -1
        for i, (sheet, at) in enumerate(zip(order, places, strict=True)):
            own = replace(looks, cnr=looks.cnr * FAINT_FACTOR) if i == faint else looks
            sheet.lay(ObjectKind.MASS, label, at, own, seed=seed, shape=shape + sheet.index)
        return


def _island(generator: np.random.Generator, sheets: dict[int, _Sheet], label: str, *, seed: int) -> None:
    """The same in both breasts, mirrored about the nipple, in every projection that shows both."""
    shape = int(generator.integers(2**31))
    looks: Appearance | None = None
    for view, sheet in sheets.items():
        other = sheets.get(VIEWS.index(VIEWS[view].contralateral))
        if other is None or other.index < view or sheet.nipple is None or other.nipple is None:
            continue
        looks = looks or _looks(generator, sheet, benign=True)
        for _ in range(TRIES):
            place = _drawn(generator, sheet.places(looks.radius_mm), sheet)
            if place is None:
                break
            jitter = generator.normal(0, MIRROR_MM, 2)
            x, y = (
                float(at - own + its + by)
                for at, own, its, by in zip(place, sheet.nipple, other.nipple, jitter, strict=True)
            )
            if _holds(other, (x, y), looks.radius_mm):
                for each, at in ((sheet, place), (other, (x, y))):
                    each.lay(ObjectKind.ISLAND, label, at, looks, seed=seed, shape=shape + view)
                break


def _decoy(generator: np.random.Generator, sheets: dict[int, _Sheet], sheet: _Sheet, label: str, *, seed: int) -> None:
    looks = _looks(generator, sheet, benign=True)
    other = sheets.get(VIEWS.index(VIEWS[sheet.index].ipsilateral))
    if other is None:
        # Nothing in a view alone tells a decoy from a mass.
        return
    place = _drawn(generator, sheet.places(looks.radius_mm) * sheet.unlike(other), sheet)
    if place is not None:
        sheet.lay(ObjectKind.DECOY, label, place, looks, seed=seed, shape=int(generator.integers(2**31)))


def _looks(generator: np.random.Generator, sheet: _Sheet, *, benign: bool) -> Appearance:
    """Appearance of an object by the phantom's laws, at a contrast of real masses."""
    columns = np.flatnonzero((sheet.breast > 0).any(axis=0))
    depth_mm = float(len(columns)) * sheet.spacing_mm
    draw_looks = sample_benign_appearance if benign else sample_appearance
    looks = draw_looks(generator, recipe=RECIPES["training"], depth_mm=max(depth_mm, 40.0))
    cnr = CNR_MEDIAN * math.exp(generator.normal(0, CNR_SIGMA))
    return replace(looks, cnr=float(np.clip(cnr, *CNR_LIMITS)))


def _drawn(generator: np.random.Generator, places: NDArray[np.float32], sheet: _Sheet) -> Point | None:
    """A pixel by its chance, as millimetres; None where there is none."""
    total = np.cumsum(places, dtype=np.float64)
    if total[-1] <= 0:
        return None
    row, column = divmod(int(np.searchsorted(total, generator.random() * total[-1], side="right")), places.shape[1])
    return (column + 0.5) * sheet.spacing_mm, (row + 0.5) * sheet.spacing_mm


def _holds(sheet: _Sheet, place: Point, radius_mm: float) -> bool:
    row, column = (int(each / sheet.spacing_mm) for each in place[::-1])
    rows, columns = sheet.image.shape
    return 0 <= row < rows and 0 <= column < columns and bool(sheet.places(radius_mm)[row, column] > 0)


def below_muscle(mask: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    """Where an MLO view hardly shows the pectoral muscle: bool [H, W], from the breast's mask [H, W]."""
    rows = np.flatnonzero(mask.any(axis=1))
    top = float(rows[0]) if len(rows) else 0.0
    y, x = (np.arange(size, dtype=np.float32)[:, None] * spacing_mm for size in mask.shape)
    width, length = MUSCLE_MM
    return np.asarray(x.T / width + (y - top * spacing_mm) / length > 1)


def _with_laid(exam: CanonicalExam, sheets: dict[int, _Sheet]) -> CanonicalExam:
    """The exam with the images and the truth of its sheets."""
    images, masks = exam.images.copy(), exam.masks.copy()
    boxes, views, kinds, labels = ([*each] for each in (exam.boxes, exam.box_views, exam.kinds, exam.labels))
    for view, sheet in sheets.items():
        images[view] = np.rint(sheet.image * 255)
        for kind, label, drawing in sheet.laid:
            (row, column), inside = drawing.origin, np.argwhere(drawing.core)
            (y0, x0), (y1, x1) = inside.min(axis=0), inside.max(axis=0) + 1
            boxes.append(np.array([column + x0, row + y0, column + x1, row + y1], dtype=np.float32))
            views.append(view)
            kinds.append(KINDS.index(kind))
            labels.append(label)
            if kind is ObjectKind.MASS:
                masks[view][drawing.window()] |= drawing.core * np.uint8(MASS)
    return replace(
        exam,
        images=images,
        masks=masks,
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        box_views=np.array(views, dtype=np.int64),
        kinds=np.array(kinds, dtype=np.int64),
        labels=np.array(labels, dtype=np.str_),
        source=HYBRID,
    )
