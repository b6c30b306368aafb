"""Whether pixels tell phantoms from patients, and objects laid into patients' images from their own.

Both are asked of a linear probe: a logistic regression on hand-made features of a patch, read on exams that it was not
fitted on. One that tells phantoms from patients says how far a phantom still is from them. One that tells laid-in
objects by their fine texture alone has found a seam, and a detector would find it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview_nets.learning.cache import BREAST, CanonicalExam
from tetraview_nets.metrics import auc, interval, patient_weights
from tetraview_nets.studies.benchmark.leak import CIRCLES, RESAMPLES, Area, bands, grain, out_of_fold

Floats = NDArray[np.float64]

#: Side of a patch of tissue, canonical pixels, and how many of a view are read.
SIDE, PATCHES = 64, 2
#: Part of a patch that has to lie in the breast.
_INSIDE = 0.98
#: Rings of spatial frequency and sectors of direction whose power is read, and shares of pixels whose grey is.
_RINGS, _SECTORS, _SHARES = 10, 4, (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
#: Tries to find a place of an object's size where there is none.
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Told:
    """How well a probe tells two groups apart."""

    name: str
    first: int
    second: int
    area: Area


def tissue(exams: Iterable[CanonicalExam]) -> tuple[Floats, NDArray[np.int64]]:
    """Features [N, D] of patches without a mass, drawn at random from all views, and the exam of each [N]."""
    rows, owners = [], []
    for number, exam in enumerate(exams):
        generator = np.random.default_rng([exam.seed, 1])
        for view in np.flatnonzero(exam.present).tolist():
            for patch in _patches(exam, view, generator):
                rows.append(_texture(patch))
                owners.append(number)
    return np.array(rows), np.array(owners)


def _patches(exam: CanonicalExam, view: int, generator: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    breast = ((exam.masks[view] & BREAST) > 0).astype(np.float32)
    full = cv2.boxFilter(breast, -1, (SIDE, SIDE), borderType=cv2.BORDER_CONSTANT) > _INSIDE
    half = SIDE // 2
    full[:half], full[-half:], full[:, :half], full[:, -half:] = False, False, False, False
    for x0, y0, x1, y1 in exam.boxes[exam.box_views == view].astype(int):
        full[max(y0 - half, 0) : y1 + half, max(x0 - half, 0) : x1 + half] = False
    middles = np.argwhere(full)
    for row, column in middles[generator.permutation(len(middles))[:PATCHES]]:
        window = np.s_[row - half : row + half, column - half : column + half]
        yield exam.images[view][window] / 255.0


def _texture(patch: NDArray[np.float64]) -> Floats:
    """Log power by frequency and by direction, greys, and how steep they are: float [D]."""
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2
    down, across = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    frequency, direction = np.hypot(down, across), np.arctan2(down, across) % np.pi
    edges = np.geomspace(1.5 / SIDE, 0.5, _RINGS + 1)
    rings = [power[(frequency >= low) & (frequency < high)].mean() for low, high in pairwise(edges)]
    sector = (direction * (_SECTORS / np.pi)).astype(int) % _SECTORS
    fine = (frequency >= 4 / SIDE) & (frequency < 0.5)  # noqa: PLR2004 - Nyquist
    sectors = np.array([power[fine & (sector == each)].mean() for each in range(_SECTORS)])
    steep = np.hypot(*np.gradient(patch))
    return np.concatenate(
        (
            np.log(np.array(rings) + 1e-6),
            np.sort(np.log(sectors / sectors.mean() + 1e-6)),
            np.quantile(patch, _SHARES),
            np.log(np.quantile(steep, (0.5, 0.9, 0.99)) + 1e-4),
        )
    )


def phantom_or_patient(phantoms: Sequence[CanonicalExam], patients: Sequence[CanonicalExam], *, name: str) -> Told:
    """How well a probe tells patches of phantoms from those of patients."""
    (first, owners), (second, others) = tissue(phantoms), tissue(patients)
    return _told(name, (first, second), (owners, others + len(phantoms)))


def seams(exams: Sequence[CanonicalExam], *, chosen: Callable[[str], bool], name: str) -> Told:
    """How well the fine texture about the masses with a chosen label is told from that about free places of a size."""
    shown, free, owners, others = [], [], [], []
    for number, exam in enumerate(exams):
        generator = np.random.default_rng([exam.seed, 2])
        fine = [bands(image)[1] for image in exam.images]
        for box, view, kind, label in zip(
            exam.boxes.astype(np.float64), exam.box_views, exam.kinds, exam.labels, strict=True
        ):
            other = _free(exam, int(view), box, generator)
            if kind == 0 and chosen(str(label)) and other is not None:
                shown.append(_grain(fine[view], box))
                free.append(_grain(fine[view], other))
                owners.append(number)
                others.append(number)
    return _told(name, (np.array(shown), np.array(free)), (np.array(owners), np.array(others)))


def _free(exam: CanonicalExam, view: int, box: Floats, generator: np.random.Generator) -> Floats | None:
    """A box of the same size within the breast that touches no object of the view."""
    size = box[2:] - box[:2]
    rows, columns = np.nonzero((exam.masks[view] & BREAST) > 0)
    for _ in range(_TRIES if len(rows) else 0):
        at = int(generator.integers(len(rows)))
        middle = np.array([columns[at], rows[at]], dtype=np.float64)
        low, high = middle - size / 2, middle + size / 2
        x0, y0, x1, y1 = np.concatenate((low, high)).astype(int)
        inside = (exam.masks[view][max(y0, 0) : y1, max(x0, 0) : x1] & BREAST) > 0
        others = exam.boxes[exam.box_views == view]
        touching = ((others[:, :2] < high) & (others[:, 2:] > low)).all(axis=1)
        if inside.size and inside.mean() > _INSIDE and not touching.any():
            return np.concatenate((low, high))
    return None


def _grain(fine: NDArray[np.float32], box: Floats) -> Floats:
    """How strong fine texture is on circles about a box over its strength on all of them: float [C]."""
    strength = grain(fine, box)
    return np.asarray(np.log((strength + 1e-3) / (strength.mean() + 1e-3)), dtype=np.float64)


def _told(name: str, features: tuple[Floats, Floats], owners: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Told:
    wanted = np.concatenate((np.ones(len(features[0]), bool), np.zeros(len(features[1]), bool)))
    exam = np.concatenate(owners)
    # Folds and resamples must mix both groups.
    exam = np.random.default_rng(0).permutation(int(exam.max()) + 1)[exam]
    scores = out_of_fold(np.concatenate(features), wanted, exam)
    patient = np.unique(exam, return_inverse=True)[1]
    weights = patient_weights(int(patient.max()) + 1, resamples=RESAMPLES)
    low, high = interval(np.array([auc(scores, wanted, weight[patient]) for weight in weights]))
    area = Area(value=auc(scores, wanted), low=float(low), high=float(high))
    return Told(name=name, first=len(features[0]), second=len(features[1]), area=area)


def markdown(rows: Sequence[Told], *, command: str) -> str:
    """Both questions as a page."""
    note = (
        "Can a linear probe tell phantoms from patients, and objects laid into patients' images from what was there? "
        f"Phantoms and patients: patches of {SIDE} pixels without a mass; power by frequency and direction, greys, "
        "steepness. Seams: the strength of fine texture, and nothing else, on "
        f"{len(CIRCLES)} circles from the middle of a mass to beyond its border, against a free place of the same size "
        "in the same view; what real masses give is the yardstick. Fitted on four fifths of the exams, read on the "
        f"others; intervals are 95 % of {RESAMPLES} bootstrap resamples of exams. .5 is chance."
    )
    lines = [
        note,
        "",
        "| told apart | n | AUC |",
        "|---|---|---|",
        *(f"| {row.name} | {row.first} / {row.second} | {row.area} |" for row in rows),
        "",
        f"Made by `{command}`.",
        "",
    ]
    return "\n".join(lines)
