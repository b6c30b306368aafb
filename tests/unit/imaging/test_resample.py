"""Area resampling against hand-made values."""

from __future__ import annotations

import numpy as np
import pytest

from tetraview.imaging.resample import axis_weights, covered, resample

EVERYWHERE = (-1e9, 1e9)


def test_a_sample_is_the_mean_of_what_it_covers() -> None:
    """Two and a half stored pixels per sample, the shared pixel counting half in each."""
    weights = axis_weights(length=5, size=2, origin=0, step=2.5, bounds=EVERYWHERE).toarray()
    assert weights == pytest.approx(np.array([[0.4, 0.4, 0.2, 0, 0], [0, 0, 0.2, 0.4, 0.4]]))


def test_a_negative_step_runs_backwards() -> None:
    """Sampling from the far end gives the reversed samples."""
    forwards = axis_weights(length=7, size=3, origin=0, step=7 / 3, bounds=EVERYWHERE).toarray()
    backwards = axis_weights(length=7, size=3, origin=7, step=-7 / 3, bounds=EVERYWHERE).toarray()
    assert backwards[::-1] == pytest.approx(forwards)


def test_finer_than_stored_is_linear_interpolation() -> None:
    """Samples between two pixel centres mix them by distance, and those beyond the outer centres repeat them."""
    weights = axis_weights(length=2, size=4, origin=0, step=0.5, bounds=EVERYWHERE).toarray()
    assert weights == pytest.approx(np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]))


def test_a_fine_pattern_does_not_alias() -> None:
    """A checkerboard finer than the grid becomes even grey."""
    board = np.indices((600, 600)).sum(axis=0).astype(np.float32) % 2
    weights = axis_weights(length=600, size=83, origin=0, step=600 / 83, bounds=EVERYWHERE)
    assert np.abs(resample(board, rows=weights, columns=weights) - 0.5).max() < 0.03


def test_samples_outside_are_zero() -> None:
    """Samples centred outside the image or the bounds are zero and not covered; those inside are full means."""
    rows = axis_weights(length=4, size=8, origin=-2, step=1, bounds=(1, 3))
    columns = axis_weights(length=4, size=6, origin=-1, step=1, bounds=EVERYWHERE)
    out = resample(np.ones((4, 4), np.float32), rows=rows, columns=columns)
    expected = np.zeros((8, 6), bool)
    expected[3:5, 1:5] = True
    np.testing.assert_array_equal(covered(rows=rows, columns=columns), expected)
    np.testing.assert_array_equal(out, expected.astype(np.float32))
