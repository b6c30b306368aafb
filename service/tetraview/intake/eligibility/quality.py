"""Images whose pixels are spoilt for reading, and images that do not show a patient's breast."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from tetraview.domain.instance import Decision
from tetraview.intake.eligibility.tables import SPECIMEN
from tetraview.intake.eligibility.values import Objection, codes, items, shown, shown_code, stated, text
from tetraview.settings import Images


def against_quality(dataset: Dataset, policy: Images) -> Iterator[Objection]:
    """Test objects, writing in the pixels, lossy compression and specimens."""
    if text(dataset, "QualityControlImage") == "YES":
        yield Decision.QUALITY_CONTROL, shown(dataset, "QualityControlImage")
    if is_burned_in(dataset) and policy.burned_in == "reject":
        yield Decision.BURNED_IN, shown(dataset, "BurnedInAnnotation")
    if is_lossy(dataset) and policy.lossy == "reject":
        yield Decision.LOSSY, shown(dataset, "LossyImageCompression")
    if items(dataset, "SpecimenDescriptionSequence"):
        yield Decision.SPECIMEN, stated("SpecimenDescriptionSequence", "present")
    for code in codes(dataset, "ViewCodeSequence"):
        if code in {SPECIMEN.code, SPECIMEN.old_code}:
            yield Decision.SPECIMEN, shown_code("ViewCodeSequence", code)


def is_burned_in(dataset: Dataset) -> bool:
    """Burned In Annotation (0028,0301): the pixels may hold text, also a name."""
    return text(dataset, "BurnedInAnnotation") == "YES"


def is_lossy(dataset: Dataset) -> bool:
    """Lossy Image Compression (0028,2110): the pixels were once compressed with loss, however they are stored now."""
    return text(dataset, "LossyImageCompression") == "01"
