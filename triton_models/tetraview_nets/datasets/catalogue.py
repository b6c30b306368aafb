"""The data sets that can be evaluated, by name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from tetraview_nets.datasets import cbis_ddsm, ddsm, inbreast, vindr_mammo
from tetraview_nets.datasets.truth import Loader


class DatasetName(StrEnum):
    """Data sets with a loader."""

    INBREAST = "inbreast"
    CBIS_DDSM = "cbis_ddsm"
    DDSM = "ddsm"
    VINDR_MAMMO = "vindr_mammo"


LOADERS: Mapping[DatasetName, Loader] = MappingProxyType(
    {
        DatasetName.INBREAST: inbreast.read,
        DatasetName.CBIS_DDSM: cbis_ddsm.read,
        DatasetName.DDSM: ddsm.read,
        DatasetName.VINDR_MAMMO: vindr_mammo.read,
    }
)

#: How far MommiNet-v2's own figures can be compared with those on a data set.
COMPARABLE: Mapping[DatasetName, str] = MappingProxyType(
    {
        DatasetName.INBREAST: "MommiNet-v2 was not tested on INbreast; its rows are of other images.",
        DatasetName.CBIS_DDSM: "CBIS-DDSM is a curated part of DDSM with new outlines and no normal exams; the rows on "
        "DDSM are the nearest, not the same.",
        DatasetName.DDSM: "The rows on DDSM are of 1,036 test images of the authors' own split, not of these.",
        DatasetName.VINDR_MAMMO: "MommiNet-v2 was not tested on VinDr-Mammo; its rows are of other images.",
    }
)
