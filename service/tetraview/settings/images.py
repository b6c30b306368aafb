"""Which images are read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tetraview.settings.section import Section

Intent = Literal["FOR PRESENTATION", "FOR PROCESSING"]
Implants = Literal["reject", "displaced", "read"]
Action = Literal["flag", "reject"]
Choice = Literal["read", "reject"]
Word = Annotated[str, Field(min_length=2)]
Purpose = Literal["screening", "diagnostic", "unknown"]


class Images(Section):
    """Which images are read; all others are kept with the reason."""

    intent: Intent = "FOR PRESENTATION"
    """Presentation Intent Type that the models were trained on."""
    implants: Implants = "reject"
    """Views of breasts with implants: none, those with the implant pushed back, or all."""
    low_energy: Choice = "read"
    """Low-energy images of contrast mammography, which look like usual ones."""
    synthetic: Choice = "reject"
    """Two-dimensional images computed from tomosynthesis; they are never mixed with exposed ones in one exam."""
    burned_in: Action = "flag"
    """Images with writing burned into the pixels."""
    lossy: Action = "flag"
    """Images that were compressed with loss."""
    devices: tuple[str, ...] = ()
    """Devices that the models were validated on, as `manufacturer/model`, where `*` is any text; empty, any device."""
    device_action: Action = "flag"
    """Images of a device that is not in `devices`."""
    purpose: Purpose = "unknown"
    """Purpose of exams sent here; `unknown` goes by procedure codes, then by the words below, else exams are read."""
    diagnostic_words: tuple[Word, ...] = ()
    """Words in descriptions of study or procedure that mean a diagnostic exam, in any case of letters."""
    screening_words: tuple[Word, ...] = ()
    """Words there that mean a screening exam."""
