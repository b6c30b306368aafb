"""Possible values of a mammogram's attributes, as data: classes, image types, views, modifiers, paddles, purposes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from pydicom.uid import (
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

from tetraview.domain.instance import Decision
from tetraview.domain.view import ViewPosition

#: SOP Class (0008,0016) of mammograms and the presentation intent that it has.
MAMMOGRAPHY = {
    str(DigitalMammographyXRayImageStorageForPresentation): "FOR PRESENTATION",
    str(DigitalMammographyXRayImageStorageForProcessing): "FOR PROCESSING",
}
TOMOSYNTHESIS = frozenset(
    {
        BreastTomosynthesisImageStorage,
        BreastProjectionXRayImageStorageForPresentation,
        BreastProjectionXRayImageStorageForProcessing,
    }
)
_STORAGE = "1.2.840.10008.5.1.4.1.1"
SECONDARY_CAPTURE = f"{_STORAGE}.7."
#: Conversion Type (0008,0064) of a film that was digitised (PS3.3 C.8.6.1).
DIGITISED_FILM = "DF"
#: SOP classes of results: structured reports and key objects, presentation states, segmentations, secondary captures.
RESULTS = tuple(f"{_STORAGE}.{branch}." for branch in ("88", "11", "66.4", "66.5", "66.7", "7"))

#: Image Type (0008,0008) values of images that are not for reading. The standard has them in value 3 (PS3.3
#: C.8.11.7.1.4); devices also write them behind it.
UNREAD_TYPES: dict[str, Decision] = {
    "STEREO": Decision.BIOPSY,
    "STEREO_MINUS": Decision.BIOPSY,
    "STEREO_PLUS": Decision.BIOPSY,
    "STEREO_SCOUT": Decision.BIOPSY,
    "PREFIRE": Decision.BIOPSY,
    "POSTFIRE": Decision.BIOPSY,
    "POSTBIOPSY": Decision.BIOPSY,
    "POSTMARKER": Decision.BIOPSY,
    "TOMO_SCOUT": Decision.TOMOSYNTHESIS,
    "TOMO_PROJ": Decision.TOMOSYNTHESIS,
    "PRE_CONTRAST": Decision.CONTRAST,
    "POST_CONTRAST": Decision.CONTRAST,
}
#: Image Type values from the third on that belong to a contrast acquisition. The standard has the energy in value 5;
#: devices also write it into value 4.
LOW_ENERGY = "LOW_ENERGY"
CONTRAST_TYPES = frozenset({"HIGH_ENERGY", "SUBTRACTION"})
SYNTHETIC_TYPE = "GENERATED_2D"

CODING_SCHEMES = frozenset({"SCT", "SRT", "SNM3"})


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A view (PS3.16 CID 4014)."""

    #: SNOMED CT.
    code: str
    #: SNOMED RT, as older devices write it under SRT or SNM3.
    old_code: str
    #: View Position (0018,5101); empty where it has no word.
    word: str
    meaning: str
    #: None for a projection that is not read.
    position: ViewPosition | None = None


SPECIMEN = Projection(code="127457009", old_code="G-8310", word="", meaning="tissue specimen")
PROJECTIONS = (
    Projection(code="399162004", old_code="R-10242", word="CC", meaning="cranio-caudal", position=ViewPosition.CC),
    Projection(
        code="399368009", old_code="R-10226", word="MLO", meaning="medio-lateral oblique", position=ViewPosition.MLO
    ),
    Projection(code="399260004", old_code="R-10224", word="ML", meaning="medio-lateral"),
    Projection(code="399352003", old_code="R-10228", word="LM", meaning="latero-medial"),
    Projection(code="399099002", old_code="R-10230", word="LMO", meaning="latero-medial oblique"),
    Projection(code="399196006", old_code="R-10244", word="FB", meaning="caudo-cranial, from below"),
    Projection(code="399188001", old_code="R-102D0", word="SIO", meaning="superolateral to inferomedial oblique"),
    Projection(code="441555000", old_code="R-40AAA", word="ISO", meaning="inferomedial to superolateral oblique"),
    Projection(code="399192008", old_code="R-1024A", word="XCCL", meaning="cranio-caudal exaggerated laterally"),
    Projection(code="399101009", old_code="R-1024B", word="XCCM", meaning="cranio-caudal exaggerated medially"),
    SPECIMEN,
)


class Effect(Enum):
    """Effect of a view modifier on a standard view."""

    EXTRA = auto()
    DISPLACED = auto()
    PROFILE = auto()


@dataclass(frozen=True, kw_only=True)
class Modifier:
    """A view modifier (PS3.16 CID 4015)."""

    #: SNOMED CT.
    code: str
    #: SNOMED RT.
    old_code: str
    meaning: str
    effect: Effect = Effect.EXTRA


MODIFIERS = (
    Modifier(code="399161006", old_code="R-102D2", meaning="cleavage"),
    Modifier(code="399011000", old_code="R-102D1", meaning="axillary tail"),
    Modifier(code="399197002", old_code="R-102D3", meaning="rolled lateral"),
    Modifier(code="399226006", old_code="R-102D4", meaning="rolled medial"),
    Modifier(code="414493004", old_code="R-102CA", meaning="rolled inferior"),
    Modifier(code="415670009", old_code="R-102C9", meaning="rolled superior"),
    Modifier(code="399209000", old_code="R-102D5", meaning="implant displaced", effect=Effect.DISPLACED),
    Modifier(code="399163009", old_code="R-102D6", meaning="magnification"),
    Modifier(code="399055006", old_code="R-102D7", meaning="spot compression"),
    Modifier(code="399110001", old_code="R-102C2", meaning="tangential"),
    Modifier(code="442581004", old_code="R-40AB3", meaning="nipple in profile", effect=Effect.PROFILE),
    Modifier(code="441752004", old_code="P2-00161", meaning="anterior compression"),
    Modifier(code="442593008", old_code="R-40ABE", meaning="infra-mammary fold"),
    Modifier(code="442580003", old_code="R-40AB2", meaning="axillary tissue"),
)

#: Procedure codes that say what an exam is for, SNOMED CT and RT.
PURPOSES = {
    "360156006": "screening",
    "R-42453": "screening",
    "261004008": "diagnostic",
    "R-408C3": "diagnostic",
}

#: Words in Paddle Description (0018,11A4), which is the device's own text, of paddles for another purpose.
PADDLES: dict[str, Decision] = {
    "MAG": Decision.EXTRA_VIEW,
    "MAGNIFICATION": Decision.EXTRA_VIEW,
    "SPOT": Decision.EXTRA_VIEW,
    "BIOPSY": Decision.BIOPSY,
    "LOCALIZATION": Decision.BIOPSY,
    "LOCALISATION": Decision.BIOPSY,
    "NEEDLE": Decision.BIOPSY,
    "STEREO": Decision.BIOPSY,
    "STEREOTACTIC": Decision.BIOPSY,
    "SPECIMEN": Decision.SPECIMEN,
}

PROJECTION_OF_CODE = {code: view for view in PROJECTIONS for code in (view.code, view.old_code)}
PROJECTION_OF_WORD = {view.word: view for view in PROJECTIONS if view.word}
MODIFIER_OF_CODE = {code: modifier for modifier in MODIFIERS for code in (modifier.code, modifier.old_code)}
#: Meanings of the codes of all tables.
MEANINGS = (
    PURPOSES
    | {code: view.meaning for code, view in PROJECTION_OF_CODE.items()}
    | {code: modifier.meaning for code, modifier in MODIFIER_OF_CODE.items()}
)
#: Words of the attributes that decide; another value may be anything, also a name, and is not repeated.
TERMS = frozenset(
    {
        *UNREAD_TYPES,
        *CONTRAST_TYPES,
        *PROJECTION_OF_WORD,
        *("MG", "CR", "DX", "OT", "SC", "SR", "US", "MR", "PR", "KO", "SEG"),
        *("DF", "DI", "DV", "DRW", "SD", "SI", "SYN", "WSD"),
        *("FOR PROCESSING", "FOR PRESENTATION", "SECONDARY", "YES", "NO", LOW_ENERGY, SYNTHETIC_TYPE),
        *("L", "R", "B", "U", "A", "P", "H", "F", "FR", "FL", "HR", "HL"),
        *("VOLUME", "SAMPLED", "DISTORTED", "MIXED", "TOMOSYNTHESIS", "MAX_IP"),
        *("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "01"),
    }
)
