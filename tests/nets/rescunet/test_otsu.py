"""The modified Otsu threshold: as printed, guarded, and why the guard is needed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter

from tetraview_nets.rescunet.otsu import (
    MIDDLE_GREY,
    Decision,
    Map,
    Otsu,
    decide,
    discriminative_map,
    eroded,
    malignancy,
    otsu_threshold,
)

SIZE = 64


def counts(**pixels: int) -> np.ndarray:
    """A histogram from ``g10=3`` and the like."""
    histogram = np.zeros(256, dtype=np.int64)
    for grey, number in pixels.items():
        histogram[int(grey[1:])] = number
    return histogram


def simulated(grey: int, *, seed: int) -> Map:
    """The map of a mass of one class: its grey with a spread of 12, on nothing, with a blurred rim."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    inside = np.hypot(x, y * generator.uniform(0.8, 1.2)) < generator.uniform(12, 22)
    blurred = gaussian_filter(np.where(inside, grey, 0).astype(float), 2)
    noisy = blurred + np.where(inside, generator.normal(0, 12, inside.shape), 0)
    return np.asarray(np.rint(np.clip(noisy, 0, 255)), dtype=np.uint8)


def calls(grey: int, rule: Otsu) -> float:
    """The share of 200 simulated masses of one grey that are called malignant."""
    return float(np.mean([decide(simulated(grey, seed=seed), rule=rule).malignant for seed in range(200)]))


def test_the_first_threshold_parts_two_greys() -> None:
    """Every threshold from the lower grey on separates them equally well; the lowest is taken."""
    assert otsu_threshold(counts(g10=5, g200=3)) == 10


def test_the_threshold_has_the_largest_variance_between_its_parts() -> None:
    """Greys 0, 100 and 140 with 6, 2 and 2 pixels are split after the first: 24 * 120² > 16 * 115²."""
    assert otsu_threshold(counts(g0=6, g100=2, g140=2)) == 0
    assert otsu_threshold(counts(g0=6, g20=2, g140=2)) == 20


@pytest.mark.parametrize("histogram", [counts(), counts(g77=9)])
def test_one_grey_is_not_parted(histogram: np.ndarray) -> None:
    """Without two greys the threshold is 0."""
    assert otsu_threshold(histogram) == 0


def test_large_maps_do_not_overflow() -> None:
    """Counts whose product exceeds a 32-bit integer are split correctly."""
    assert otsu_threshold(counts(g10=2_000_000_000, g240=2_000_000_000)) == 10


def test_a_mass_with_two_classes_is_decided_by_the_larger() -> None:
    """Where both parts are large and far apart the guard keeps the second threshold."""
    map_ = np.zeros((10, 10), dtype=np.uint8)
    map_[:2], map_[2, :8] = 130, 250
    for rule in Otsu:
        assert decide(map_, rule=rule) == Decision(threshold=0, class_threshold=130, malignant_share=8 / 28)
        assert not decide(map_, rule=rule).malignant
    map_[3:8] = 250
    assert all(decide(map_, rule=rule).malignant for rule in Otsu)


def test_a_sliver_is_no_class() -> None:
    """A part below a twentieth of the mass moves the second threshold to the middle."""
    map_ = np.zeros((20, 20), dtype=np.uint8)
    map_[:5] = 255
    map_[5, :5] = 128
    assert decide(map_).class_threshold == MIDDLE_GREY
    assert decide(map_).malignant
    assert decide(map_, rule=Otsu.LITERAL).class_threshold == 128


def test_the_printed_algorithm_is_unsound_on_benign_masses() -> None:
    """The literal second threshold gets hardly one in twenty uniformly benign masses with a blurred rim right."""
    assert calls(128, Otsu.LITERAL) > 0.95


def test_the_guard_decides_masses_of_one_class_rightly() -> None:
    """With the guard all uniformly benign masses are benign and all uniformly malignant ones malignant."""
    assert calls(128, Otsu.GUARDED) == 0
    assert calls(255, Otsu.GUARDED) == 1


def test_no_mass_is_benign_and_scores_nothing() -> None:
    """A map of normal tissue has an empty mask."""
    nothing = np.zeros((32, 32), dtype=np.uint8)
    assert decide(nothing) == Decision(threshold=0, class_threshold=MIDDLE_GREY, malignant_share=0.0)
    assert malignancy(nothing, 0) == 0


@pytest.mark.parametrize(("grey", "score"), [(100, 0.0), (128, 0.0), (191, 63 / 127), (255, 1.0)])
def test_the_score_is_the_mean_grey_of_the_mass_without_its_rim(grey: int, score: float) -> None:
    """From benign to malignant grey the score rises from 0 to 1; a dark rim of one pixel does not count."""
    map_ = np.zeros((32, 32), dtype=np.uint8)
    map_[8:20, 8:20] = 60
    map_[9:19, 9:19] = grey
    assert malignancy(map_, 30) == pytest.approx(score)


def test_a_thin_mass_is_scored_by_its_rim() -> None:
    """Where no pixels remain inside the rim, the whole mask counts."""
    map_ = np.zeros((32, 32), dtype=np.uint8)
    map_[10, 5:15] = 255
    assert malignancy(map_, 100) == 1


def test_erosion_takes_a_square_from_every_edge_but_the_maps() -> None:
    """The mask loses all pixels within two of its edge, also along diagonals, but none at the map's edge."""
    mask = np.random.default_rng(0).random((30, 40)) < 0.9
    mask[:12, :12] = True
    expected = binary_erosion(mask, np.ones((5, 5)), border_value=1)
    assert expected.any()
    assert (eroded(mask, 2) == expected).all()


def test_the_map_is_the_output_in_greys() -> None:
    """Outputs 0, 0.502 and 1 are grey 0, 128 and 255."""
    assert discriminative_map(np.array([0, 0.502, 1], dtype=np.float32)).tolist() == [0, 128, 255]
