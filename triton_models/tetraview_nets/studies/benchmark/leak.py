"""Whether the looks of a single object give away more than the generator means them to.

A mass differs from its mimics by suspicion only: a suspicious object is more often a mass. A mass may also be faint in
one view, which a mimic never is. How well these two laws can tell a mass from a mimic is known: no reader beats the
likelihood ratio. A classifier of patches that beats it sees something that it should not, and its lesson from the
phantom is then an artefact. The classifier is a logistic regression on hand-made features that turn with the patch; it
knows neither the object's place nor its surroundings beyond a ring, nor any other view.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tetraview.phantom import ObjectKind, PhantomRecipe
from tetraview.phantom.anatomy import sample_anatomy
from tetraview.phantom.appearance import CNR_GAIN, CNR_LIMITS, MALIGNANT_SHARE, grade
from tetraview.phantom.plan import FAINT_FACTOR, FAINT_SHARE, plan_exam
from tetraview_nets.learning.cache import VIEWS, CanonicalExam
from tetraview_nets.metrics import Paired, auc, interval, paired_auc, patient_weights
from tetraview_nets.studies.benchmark import logistic
from tetraview_nets.studies.benchmark.observer import contrast_shares

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Pixels = NDArray[np.float32]

#: Objects below this suspicion look benign.
LOW_SUSPICION = 0.3
RESAMPLES = 300
_FOLDS = 5
_RIDGE = 5.0
#: Circles about the middle on which a patch is read, in radii of the object, and directions on each.
CIRCLES = np.linspace(0.1, 2.2, 14)
_DIRECTIONS = np.arange(32) * (2 * np.pi / 32)
#: The circles just outside the object, which its contrast is measured against.
_SURROUND = slice(8, 11)
_FINE_PX = 1.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """All objects of a set of exams, each view of an object by itself."""

    #: float [N, D], what the pixels show.
    features: Floats
    #: str [N], as in ``ObjectKind``.
    kinds: NDArray[np.str_]
    #: float [N], latent suspicion.
    suspicion: Floats
    #: float [N], contrast asked for.
    cnr: Floats
    #: float [N], area asked for, square millimetres.
    area_mm2: Floats
    #: bool [N], fainter than in the other view.
    faint: Booleans
    #: int [N], the seed of the exam.
    exam: NDArray[np.int64]

    @property
    def mass(self) -> Booleans:
        """Which are masses: bool [N]."""
        return np.asarray(self.kinds == ObjectKind.MASS.value, dtype=np.bool_)

    def likelihood_ratio(self) -> Floats:
        """How much more often a mass than a mimic has this suspicion and contrast: float [N].

        Suspicion is even over [0, 1] in masses and thinned by the chance of malignancy in mimics. Contrast given
        suspicion is even in both, but for masses that are faint in one of their two views.
        """
        scale = 1 + CNR_GAIN * self.suspicion
        thinned = 1 - np.array(MALIGNANT_SHARE)[[grade(value) for value in self.suspicion]]
        usual, faint = _even(self.cnr / scale), _even(self.cnr / scale / FAINT_FACTOR) / FAINT_FACTOR
        mass = (1 - FAINT_SHARE / 2) * usual + FAINT_SHARE / 2 * faint
        return np.asarray(mass / np.maximum(thinned * usual, 1e-9), dtype=np.float64)


def _even(cnr: Floats) -> Floats:
    low, high = CNR_LIMITS
    return np.asarray((cnr >= low) & (cnr <= high), dtype=np.float64)


def collect(exams: Iterable[CanonicalExam], recipe: PhantomRecipe) -> Objects:
    """Read the pixels of every object and look up in the plan what it was meant to look like."""
    parts = [_of_exam(exam, recipe) for exam in exams]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Objects(**columns)


def _of_exam(exam: CanonicalExam, recipe: PhantomRecipe) -> dict[str, NDArray[np.generic]]:
    sightings = plan_exam(exam.seed, recipe, sample_anatomy(exam.seed))
    shares = contrast_shares(sightings)
    planned = [found for view in VIEWS for found in sightings[view]]
    both = [bands(image) for image in exam.images]
    features = []
    for view, box in zip(exam.box_views, exam.boxes.astype(np.float64), strict=True):
        whole, fine = both[view]
        features.append(_features(whole, fine, box, float(exam.spacing_mm[view])))
    return {
        "features": np.array(features).reshape(len(planned), _WIDTH),
        "kinds": np.array([found.kind.value for found in planned], dtype=np.str_),
        "suspicion": np.array([found.appearance.suspicion for found in planned], dtype=np.float64),
        "cnr": np.array([found.appearance.cnr for found in planned], dtype=np.float64),
        "area_mm2": np.array([found.appearance.area_mm2 for found in planned], dtype=np.float64),
        "faint": np.array([share < 1 for view in VIEWS for share in shares[view]], dtype=np.bool_),
        "exam": np.full(len(planned), exam.seed),
    }


def bands(image: NDArray[np.uint8]) -> tuple[Pixels, Pixels]:
    """An image in [0, 1] and what of it is fine: float32 [h, w] each."""
    whole: Pixels = image.astype(np.float32) / np.float32(255)
    return whole, np.asarray(whole - cv2.GaussianBlur(whole, (0, 0), _FINE_PX), dtype=np.float32)


_WIDTH = 3 * len(CIRCLES) + 3


def _features(whole: Pixels, fine: Pixels, box: Floats, spacing_mm: float) -> Floats:
    """Profile, unevenness and fine texture by distance from the middle; contrast, size, elongation: float [45]."""
    width, height = box[2:] - box[:2]
    radius = np.sqrt(width * height) / 2
    coarse = _circles(whole, box)
    around = coarse[_SURROUND]
    spread = around.std() + 0.01
    return np.concatenate(
        (
            (coarse.mean(axis=1) - around.mean()) / spread,
            np.log(coarse.std(axis=1) / spread + 0.05),
            np.log(grain(fine, box) / spread + 0.02),
            np.log((radius * spacing_mm, spread)),
            [np.log(width / height) ** 2],
        )
    )


def _circles(band: Pixels, box: Floats) -> Pixels:
    """An image on circles about the middle of a box: float32 [C, directions]."""
    x, y = (box[:2] + box[2:]) / 2 - 0.5
    reach = np.sqrt(np.prod(box[2:] - box[:2])) / 2 * CIRCLES[:, None]
    columns = (x + reach * np.cos(_DIRECTIONS)).astype(np.float32)
    rows = (y + reach * np.sin(_DIRECTIONS)).astype(np.float32)
    return np.asarray(cv2.remap(band, columns, rows, cv2.INTER_LINEAR), dtype=np.float32)


def grain(fine: Pixels, box: Floats) -> Floats:
    """The strength of fine texture on circles about the middle of a box: float [C]."""
    return np.asarray(_circles(fine, box).std(axis=1), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Area:
    """An area under the ROC curve with the ends of its 95 % patient bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Masses against something else, told apart by their pixels and by the laws they were drawn from."""

    name: str
    first: int
    second: int
    #: AUC of the patch classifier.
    pixels: Area
    #: AUC of pixels, AUC of the likelihood ratio, their paired difference.
    against_bound: Paired
    #: AUC of the size alone, which the laws do not separate.
    size: Area

    @property
    def leaks(self) -> bool:
        """Whether the pixels tell more than the laws allow, beyond chance."""
        return self.against_bound.low > 0


def study(found: Objects) -> list[Row]:
    """Tell masses from each kind of mimic, low suspicion apart, and islands from decoys."""
    mass, low = found.mass, found.suspicion < LOW_SUSPICION
    kinds = {kind: np.asarray(found.kinds == kind.value) for kind in ObjectKind}
    contrasts = {
        "masses / all mimics": (mass, ~mass),
        "masses not faint / all mimics": (mass & ~found.faint, ~mass),
        "masses / islands": (mass, kinds[ObjectKind.ISLAND]),
        "masses / decoys": (mass, kinds[ObjectKind.DECOY]),
        "masses / asymmetries": (mass, kinds[ObjectKind.ASYMMETRY]),
        f"masses not faint / mimics, both of suspicion < {LOW_SUSPICION}": (mass & ~found.faint & low, ~mass & low),
        "islands / decoys": (kinds[ObjectKind.ISLAND], kinds[ObjectKind.DECOY]),
    }
    return [_row(found, name, *groups) for name, groups in contrasts.items()]


def _row(found: Objects, name: str, first: Booleans, second: Booleans) -> Row:
    chosen = first | second
    wanted, exam = first[chosen], found.exam[chosen]
    scores = out_of_fold(found.features[chosen], wanted, exam)
    bound = found.likelihood_ratio()[chosen]
    return Row(
        name=name,
        first=int(wanted.sum()),
        second=int((~wanted).sum()),
        pixels=_area(scores, wanted, exam),
        against_bound=paired_auc(scores[None], bound[None], wanted, exam, resamples=RESAMPLES),
        size=_area(found.area_mm2[chosen], wanted, exam),
    )


def _area(scores: Floats, wanted: Booleans, exam: NDArray[np.int64]) -> Area:
    patient = np.unique(exam, return_inverse=True)[1]
    weights = patient_weights(int(patient.max()) + 1, resamples=RESAMPLES)
    low, high = interval(np.array([auc(scores, wanted, weight[patient]) for weight in weights]))
    return Area(value=auc(scores, wanted), low=float(low), high=float(high))


def out_of_fold(features: Floats, wanted: Booleans, exam: NDArray[np.int64]) -> Floats:
    """Log odds [N] of each object by a regression that was fitted on other exams."""
    unit = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    columns = np.hstack((unit, unit**2))
    folds = np.unique(exam, return_inverse=True)[1] % _FOLDS
    scores = np.zeros(len(wanted))
    for fold in range(_FOLDS):
        held_out = folds == fold
        weights = logistic.fit(columns[~held_out], wanted[~held_out], ridge=_RIDGE)
        scores[held_out] = logistic.log_odds(columns[held_out], weights)
    return scores
