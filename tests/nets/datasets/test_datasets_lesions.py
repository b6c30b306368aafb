"""Masses of a data set as tiles: their places, their known properties, and the masses left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tetraview.domain.patch import PatchShape
from tetraview_nets.datasets.catalogue import DatasetName
from tetraview_nets.datasets.command import DatasetRequest
from tetraview_nets.datasets.grouping import Part
from tetraview_nets.datasets.lesions import TILE, DatasetLesions, dataset_lesions
from tetraview_nets.datasets.truth import AssumedSpacing, DatasetUnusable
from tetraview_nets.learning.crops import cut, cut_mask

HEADER = (
    "patient_id,left or right breast,image view,abnormality id,assessment,pathology,image file path,ROI mask file path"
)
SPACING_MM = 0.5


@pytest.fixture
def read(tmp_path: Path, drawing: Any, mass: Any, dicom: Callable[..., Path]) -> Callable[..., DatasetLesions]:
    """CBIS-DDSM with one image of a right breast and one mass of 30 by 18 pixels radius in it."""

    def _read(pathology: str = "MALIGNANT", *, with_mask: bool = True) -> DatasetLesions:
        drawn = drawing("R", [mass()])
        name = "Mass-Test_P_00001_RIGHT_CC"
        drawn.write(tmp_path / name / "a" / "1.dcm", spacing_mm=None)
        if with_mask:
            dicom(tmp_path / f"{name}_1" / "a" / "1.dcm", (drawn.masks[0] * 255).astype(np.uint8))
        row = f"P_00001,RIGHT,CC,1,4,{pathology},{name}/a/1.dcm,{name}_1/a/1.dcm"
        (tmp_path / "mass_case_description_test_set.csv").write_text(f"{HEADER}\n{row}\n")
        spacing = AssumedSpacing(mm=SPACING_MM, source="a test")
        return dataset_lesions(
            DatasetRequest(dataset=DatasetName.CBIS_DDSM, folder=tmp_path, part=Part.ALL, spacing=spacing)
        )

    return _read


def test_a_mass_lies_in_the_middle_of_its_tile_at_its_true_size(read: Callable[..., DatasetLesions]) -> None:
    """Box, mask and bright tissue agree, and the area in square millimetres is that of the ellipse."""
    (lesion,) = read().lesions
    x, y = lesion.box.centre
    assert (x, y) == pytest.approx((TILE.size / 2, TILE.size / 2), abs=1)
    area = lesion.mask.sum() * np.prod(lesion.spacing_mm)
    assert area == pytest.approx(np.pi * 30 * 18 * SPACING_MM**2, rel=0.02)
    assert lesion.tile[lesion.mask].mean() > 2 * lesion.tile[~lesion.mask].mean()


def test_patches_are_cut_from_it_as_from_a_phantom(read: Callable[..., DatasetLesions]) -> None:
    """A network's patch of the true box shows the mass where its mask is."""
    (lesion,) = read().lesions
    shape = PatchShape(size=64, margin=1.4, min_side_mm=5)
    patch, mask = cut(lesion, lesion.box, shape), cut_mask(lesion, lesion.box, shape)
    assert 0.2 < mask.mean() < 0.5
    assert patch[mask].mean() > 2 * patch[~mask].mean()


def test_pathology_decides_and_is_known(read: Callable[..., DatasetLesions]) -> None:
    """A benign mass of BI-RADS 4 is benign."""
    (lesion,) = read("BENIGN_WITHOUT_CALLBACK").lesions
    assert (lesion.malignant, lesion.known, lesion.kind, lesion.seed) == (False, True, 0, 0)


def test_a_data_set_without_usable_masses_is_refused(read: Callable[..., DatasetLesions]) -> None:
    """When nothing is left, the message says why."""
    with pytest.raises(DatasetUnusable, match="no mass of cbis_ddsm could be used: 1 × The mask folder"):
        read(with_mask=False)
