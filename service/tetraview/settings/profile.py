"""Further AE titles of ours, and what is different there."""

from __future__ import annotations

from tetraview.settings.completeness import Requires
from tetraview.settings.section import AETitle, Section
from tetraview.settings.triton import ClassifierName, DetectorName, SegmenterName


class Profile(Section):
    """A further AE title of ours: what is sent to it is read by models of its own."""

    ae_title: AETitle
    """AE title that is called."""
    detector: DetectorName | None = None
    """Triton model that finds masses; unset, that of `triton`."""
    segmenter: SegmenterName | None = None
    """Triton model that outlines them, or `none`; unset, that of `triton`."""
    classifier: ClassifierName | None = None
    """Triton model that grades them, or `none`; unset, that of `triton`."""
    requires: Requires | None = None
    """Views without which an exam is not read; unset, those of `completeness`."""
