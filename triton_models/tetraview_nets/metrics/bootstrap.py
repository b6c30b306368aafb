"""The bootstrap over patients: images, views and findings of one patient are drawn together, never by themselves."""

from __future__ import annotations

import numpy as np

from tetraview_nets.metrics.arrays import Floats, Integers

#: Bootstrap resamples.
RESAMPLES = 2000


def patient_weights(patients: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Integers:
    """How often each patient is in each resample: int [resamples, patients].

    Two figures of the same patients with the same seed see the same resamples, so their difference is paired.
    """
    draws = np.random.default_rng(seed).integers(0, patients, (resamples, patients))
    return np.stack([np.bincount(draw, minlength=patients) for draw in draws])


def interval(samples: Floats, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """The percentile interval over the first axis: lower and upper end.

    Resamples in which a figure is undefined (NaN) are left out; where it is undefined in all of them, so are the ends.
    """
    tail = (1 - level) / 2
    defined = samples[~np.isnan(samples.reshape(len(samples), -1)).any(axis=1)]
    if not len(defined):
        nothing = np.full(samples.shape[1:], np.nan)
        return nothing, nothing
    low, high = np.quantile(defined, [tail, 1 - tail], axis=0)
    return low, high
