"""Two ways of reading the same patients, compared over training seeds.

Each way was trained several times. Its figure is the mean over its trainings. Every resample draws patients and, where
there are several trainings, trainings too, so the interval of the difference covers both which patients were read and
how the training happened to fall out. Trainings are paired by their order. With the usual three to five of them the
bootstrap makes the spread between trainings too small, by the factor (n - 1) / n of its variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tetraview_nets.metrics.arrays import Booleans, Floats, Integers
from tetraview_nets.metrics.bootstrap import RESAMPLES, interval, patient_weights
from tetraview_nets.metrics.froc import Froc, ImageResult
from tetraview_nets.metrics.ranking import auc


class NotComparable(ValueError):
    """The two ways did not read the same patients equally often."""


@dataclass(frozen=True, kw_only=True)
class Paired:
    """A figure of two ways of reading and their difference."""

    #: Mean over trainings of the first way.
    first: float
    #: Mean over trainings of the second way.
    second: float
    #: First minus second.
    effect: float
    #: Lower end of the 95 % paired bootstrap interval of the effect.
    low: float
    #: Upper end of the same.
    high: float


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
        first: what each training of the first way said, one sequence of images for each training.
        second: the same of the second way, as many trainings, in the same order of seeds.
        fppi: false positives per image.
        any_view: a mass seen in two views counts once.
        resamples: bootstrap resamples.
        seed: of the resampling.

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
    return [
        _paired((figures[0][:, i], figures[1][:, i]), (samples[0][:, :, i], samples[1][:, :, i]), seed=seed)
        for i in range(len(fppi))
    ]


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
        patients: int [N], whose each item is.
        resamples: bootstrap resamples; those without both labels are left out.
        seed: of the resampling.

    Raises:
        NotComparable: the shapes do not fit each other.
    """
    _same_number(first, second)
    if not first.shape[1:] == second.shape[1:] == labels.shape == patients.shape:
        shapes = first.shape, second.shape, labels.shape, patients.shape
        raise NotComparable(f"scores, labels and patients do not fit each other: {shapes}")
    truth = labels.astype(bool)
    _, index = np.unique(patients, return_inverse=True)
    weights = patient_weights(int(index.max()) + 1, resamples=resamples, seed=seed)
    figures = [np.array([auc(scores, truth) for scores in way]) for way in (first, second)]
    samples = [
        np.array([[auc(scores, truth, weight[index]) for scores in way] for weight in weights])
        for way in (first, second)
    ]
    return _paired((figures[0], figures[1]), (samples[0], samples[1]), seed=seed)


def paired_mean(
    first: Floats, second: Floats, patients: Integers, *, resamples: int = RESAMPLES, seed: int = 0
) -> Paired:
    """Compare a figure that every item has, such as the Dice coefficient of every region, by its mean.

    Args:
        first: float [seeds, N], the figure under each training of the first way.
        second: float [seeds, N], the same of the second way, in the same order of seeds.
        patients: int [N], whose each item is.
        resamples: bootstrap resamples.
        seed: of the resampling.

    Raises:
        NotComparable: the shapes do not fit each other.
    """
    _same_number(first, second)
    if not first.shape[1:] == second.shape[1:] == patients.shape:
        raise NotComparable(f"figures and patients do not fit each other: {first.shape, second.shape, patients.shape}")
    _, index = np.unique(patients, return_inverse=True)
    weights = patient_weights(int(index.max()) + 1, resamples=resamples, seed=seed)[:, index]
    samples = [weights @ way.T / weights.sum(axis=1, keepdims=True) for way in (first, second)]
    return _paired((first.mean(axis=1), second.mean(axis=1)), (samples[0], samples[1]), seed=seed)


def _same_number(first: Sequence[object] | Floats, second: Sequence[object] | Floats) -> None:
    if len(first) != len(second) or not len(first):
        raise NotComparable(f"both ways need the same trainings, not {len(first)} and {len(second)}")


def _read(results: Sequence[ImageResult]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Which patients' images with which masses were read, in any order."""
    return tuple(sorted((result.patient, tuple(sorted(result.lesions))) for result in results))


def _paired(figures: tuple[Floats, Floats], samples: tuple[Floats, Floats], *, seed: int) -> Paired:
    """Both ways' figures [S] and their values in resampled patients [R, S], with trainings resampled here."""
    trainings = len(figures[0])
    drawn = np.random.default_rng((seed, trainings)).integers(0, trainings, samples[0].shape)
    differences = np.take_along_axis(samples[0] - samples[1], drawn, axis=1).mean(axis=1)
    first, second = (float(figure.mean()) for figure in figures)
    low, high = interval(differences)
    return Paired(first=first, second=second, effect=first - second, low=float(low), high=float(high))
