"""Further AE titles of ours, and their differences from the default one."""

from __future__ import annotations

from tetraview.settings.completeness import Requires
from tetraview.settings.images import Action, Choice, Images, Implants, Intent, Purpose, Word
from tetraview.settings.section import AETitle, Section
from tetraview.settings.triton import ClassifierName, DetectorName, SegmenterName, Stages


class Profile(Section):
    """A further AE title of ours: exams sent to it are read by models and rules of its own."""

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
    intent: Intent | None = None
    """Presentation Intent Type that these models were trained on; unset, that of `images`, as is all below."""
    implants: Implants | None = None
    """Views of breasts with implants."""
    low_energy: Choice | None = None
    """Low-energy images of contrast mammography."""
    synthetic: Choice | None = None
    """Two-dimensional images computed from tomosynthesis."""
    burned_in: Action | None = None
    """Images with writing burned into the pixels."""
    lossy: Action | None = None
    """Images that were compressed with loss."""
    devices: tuple[str, ...] | None = None
    """Devices that these models were validated on, as `manufacturer/model`."""
    device_action: Action | None = None
    """Images of a device that is not in `devices`."""
    purpose: Purpose | None = None
    """Purpose of exams sent here."""
    diagnostic_words: tuple[Word, ...] | None = None
    """Words in descriptions that mean a diagnostic exam."""
    screening_words: tuple[Word, ...] | None = None
    """Words there that mean a screening exam."""

    def stages(self, default: Stages) -> Stages:
        """The models that read here."""
        return default.model_copy(update=self.model_dump(include=set(Stages.model_fields), exclude_none=True))

    def images(self, default: Images) -> Images:
        """Which images are read here."""
        return default.model_copy(update=self.model_dump(include=set(Images.model_fields), exclude_none=True))
