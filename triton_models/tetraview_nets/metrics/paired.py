"""Two ways of reading the same patients, compared over training seeds.

Each way was trained several times, on the same patients' exams; trainings are paired by their order. The 95 % interval
of the difference joins two: the percentile interval of the bootstrap over patients, of the mean of all trainings, and
Student's interval of the mean over trainings, with one degree of freedom less than trainings. Their half widths are
added in squares (Zou and Donner, Statistics in Medicine 2008), so five trainings count for no more than five. One
training says nothing of how trainings differ: its interval is that of the patients alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import t as student

from tetraview_nets.metrics.arrays import Booleans, Floats, Integers
from tetraview_nets.metrics.bootstrap import RESAMPLES, interval, patient_weights
from tetraview_nets.metrics.froc import Froc, ImageResult
from tetraview_nets.metrics.precision import Precision
from tetraview_nets.metrics.ranking import auc


class NotComparable(ValueError):
    """The two ways did not read the same patients equally often."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Paired:
    """A figure of two ways of reading and their difference."""

    #: Mean over trainings of the first way.
    first: float
    #: Mean over trainings of the second way.
    second: float
    #: First minus second of each training: float [S].
    effects: Floats
    #: Their mean in resampled patients: float [R].
    samples: Floats
    #: The patients that were read, rising: int [P].
    patients: Integers

    @property
    def effect(self) -> float:
        """First minus second."""
        return self.first - self.second

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval of the effect."""
        return self._ends[0]

    @property
    def high(self) -> float:
        """Upper end of the same."""
        return self._ends[1]

    @cached_property
    def _ends(self) -> tuple[float, float]:
        low, high = (float(end) for end in interval(self.samples))
        trainings = len(self.effects)
        if trainings == 1:
            return low, high
        spread = student.ppf(0.975, trainings - 1) * self.effects.std(ddof=1) / np.sqrt(trainings)
        below, above = max(0.0, self.effect - low), max(0.0, high - self.effect)
        return float(self.effect - np.hypot(below, spread)), float(self.effect + np.hypot(above, spread))


def difference(default: Paired, control: Paired) -> Paired:
    """The difference of two differences: how much of an effect is gone where something was taken away.

    Args:
        default: the effect.
        control: the same without it. Patients who were read in both are resampled together; other patients apart.

    Raises:
        NotComparable: they rest on different numbers of trainings or resamples.
    """
    if default.effects.shape != control.effects.shape or default.samples.shape != control.samples.shape:
        raise NotComparable("both differences need the same trainings and resamples")
    same = np.array_equal(default.patients, control.patients)
    apart = np.random.default_rng(0).permutation(len(control.samples))
    return Paired(
        first=default.effect,
        second=control.effect,
        effects=default.effects - control.effects,
        samples=default.samples - (control.samples if same else control.samples[apart]),
        patients=default.patients,
    )


def paired_recall(
    first: Sequence[Sequence[ImageResult]],
    second: Sequence[Sequence[ImageResult]],
    fppi: Sequence[float],
    *,
    any_view: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Paired]:
    """Compare recall at each FPPI.

    Args:
        first: the answers of each training of the first way, one sequence of images for each training.
        second: the same of the second way, as many trainings, in the same order of seeds.
        fppi: false positives per image.
        any_view: a mass seen in two views counts once.
        resamples: bootstrap resamples.
        seed: seed of the resampling.

    Raises:
        NotComparable: trainings, patients, images or masses differ.
    """
    _same_number(first, second)
    curves = [[Froc.of(results, any_view=any_view) for results in way] for way in (first, second)]
    if len({_read(results) for way in (first, second) for results in way}) != 1:
        raise NotComparable("every training must have read the same images of the same patients with the same masses")
    weights = patient_weights(len(curves[0][0].images), resamples=resamples, seed=seed)
    figures = [np.stack([curve.recall_at(fppi) for curve in way]) for way in curves]
    samples = [np.stack([[curve.recall_at(fppi, weight) for curve in way] for weight in weights]) for way in curves]
    patients = np.unique([result.patient for result in first[0]])
    return [
        _paired((figures[0][:, i], figures[1][:, i]), (samples[0][:, :, i], samples[1][:, :, i]), patients)
        for i in range(len(fppi))
    ]


def mean_precision(
    trainings: Sequence[Sequence[ImageResult]], *, iou: float, resamples: int = RESAMPLES, seed: int = 0
) -> Paired:
    """Average precision, held against none.

    Args:
        trainings: the answers of each training, one sequence of images for each.
        iou: a detection hits above this.
        resamples: bootstrap resamples.
        seed: seed of the resampling.
    """
    ranked = [Precision.of(results, iou=iou) for results in trainings]
    patients = np.unique([result.patient for result in trainings[0]])
    weights = patient_weights(len(patients), resamples=resamples, seed=seed)
    figures = np.array([each.average() for each in ranked])
    samples = np.array([[each.average(weight) for each in ranked] for weight in weights])
    return _paired((figures, np.zeros_like(figures)), (samples, np.zeros_like(samples)), patients)


def paired_auc(
    first: Floats,
    second: Floats,
    labels: Booleans,
    patients: Integers,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Paired:
    """Compare areas under the ROC curve.

    Args:
        first: float [seeds, N], scores of each training of the first way.
        second: float [seeds, N], the same of the second way, in the same order of seeds.
        labels: bool [N].
        patients: int [N], the patient of each item.
        resamples: bootstrap resamples; those without both labels are left out.
        seed: seed of the resampling.

    Raises:
        NotComparable: the shapes do not fit each other.
    """
    _same_number(first, second)
    if not first.shape[1:] == second.shape[1:] == labels.shape == patients.shape:
        shapes = first.shape, second.shape, labels.shape, patients.shape
        raise NotComparable(f"scores, labels and patients do not fit each other: {shapes}")
    truth = labels.astype(bool)
    known, index = np.unique(patients, return_inverse=True)
    weights = patient_weights(int(index.max()) + 1, resamples=resamples, seed=seed)
    figures = [np.array([auc(scores, truth) for scores in way]) for way in (first, second)]
    samples = [
        np.array([[auc(scores, truth, weight[index]) for scores in way] for weight in weights])
        for way in (first, second)
    ]
    return _paired((figures[0], figures[1]), (samples[0], samples[1]), known)


def paired_mean(
    first: Floats, second: Floats, patients: Integers, *, resamples: int = RESAMPLES, seed: int = 0
) -> Paired:
    """Compare a figure that every item has, such as the Dice coefficient of every region, by its mean.

    Args:
        first: float [seeds, N], the figure under each training of the first way.
        second: float [seeds, N], the same of the second way, in the same order of seeds.
        patients: int [N], the patient of each item.
        resamples: bootstrap resamples.
        seed: seed of the resampling.

    Raises:
        NotComparable: the shapes do not fit each other.
    """
    _same_number(first, second)
    if not first.shape[1:] == second.shape[1:] == patients.shape:
        raise NotComparable(f"figures and patients do not fit each other: {first.shape, second.shape, patients.shape}")
    known, index = np.unique(patients, return_inverse=True)
    weights = patient_weights(int(index.max()) + 1, resamples=resamples, seed=seed)[:, index]
    samples = [weights @ way.T / weights.sum(axis=1, keepdims=True) for way in (first, second)]
    return _paired((first.mean(axis=1), second.mean(axis=1)), (samples[0], samples[1]), known)


def _same_number(first: Sequence[object] | Floats, second: Sequence[object] | Floats) -> None:
    if len(first) != len(second) or not len(first):
        raise NotComparable(f"both ways need the same trainings, not {len(first)} and {len(second)}")


def _read(results: Sequence[ImageResult]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The patients, images and masses that were read, in any order."""
    return tuple(sorted((result.patient, tuple(sorted(result.lesions))) for result in results))


def _paired(figures: tuple[Floats, Floats], samples: tuple[Floats, Floats], patients: Integers) -> Paired:
    """Both ways' figures [S], and their values in resampled patients [R, S]."""
    first, second = (float(figure.mean()) for figure in figures)
    return Paired(
        first=first,
        second=second,
        effects=figures[0] - figures[1],
        samples=(samples[0] - samples[1]).mean(axis=1),
        patients=patients,
    )
