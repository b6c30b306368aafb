"""Logistic regression for a few columns, by Newton's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_STEPS = 30
_CONVERGED = 1e-8


def fit(x: Floats, wanted: NDArray[np.bool_], *, ridge: float = 1e-3) -> Floats:
    """Coefficients of the log odds of ``wanted`` [N] on ``x`` [N, D]: float [D + 1], the intercept last.

    Args:
        x: columns of about unit size.
        wanted: both values must occur.
        ridge: half the penalty of a squared coefficient, in units of one row's loss; the intercept goes free.
    """
    rows = _with_intercept(x)
    penalty = np.append(np.full(x.shape[1], ridge), 1e-9)
    weights = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.diag(penalty)
        step = np.linalg.solve(curvature, rows.T @ (wanted - chance) - penalty * weights)
        weights += np.clip(step, -5, 5)
        if float(np.abs(step).max()) < _CONVERGED:
            break
    return weights


def log_odds(x: Floats, weights: Floats) -> Floats:
    """Log odds [N] of rows ``x`` [N, D]."""
    return np.asarray(_with_intercept(x) @ weights, dtype=np.float64)


def _with_intercept(x: Floats) -> Floats:
    return np.hstack((x, np.ones((len(x), 1))))
