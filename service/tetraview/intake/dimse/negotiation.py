"""Negotiation of an association: SOP classes and transfer syntaxes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydicom import uid
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_acceptor
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import
    StorageCommitmentPushModel,
    Verification,
)

from tetraview.domain.product import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tetraview.intake.dimse.upper_layer import Rejection
from tetraview.settings import Dicom

#: In the order in which we choose: fastest decoding first, lossy compression last.
TRANSFER_SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.RLELossless,
    uid.JPEG2000Lossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
)
#: Images, and what PACS send along with an exam; only For Presentation images are read.
STORAGE_CLASSES = (
    uid.DigitalMammographyXRayImageStorageForPresentation,
    uid.DigitalMammographyXRayImageStorageForProcessing,
    uid.BreastTomosynthesisImageStorage,
    uid.BreastProjectionXRayImageStorageForPresentation,
    uid.BreastProjectionXRayImageStorageForProcessing,
    uid.BasicTextSRStorage,
    uid.EnhancedSRStorage,
    uid.ComprehensiveSRStorage,
    uid.Comprehensive3DSRStorage,
    uid.ExtensibleSRStorage,
    uid.MammographyCADSRStorage,
    uid.XRayRadiationDoseSRStorage,
    uid.KeyObjectSelectionDocumentStorage,
    uid.SegmentationStorage,
    uid.GrayscaleSoftcopyPresentationStateStorage,
    uid.ColorSoftcopyPresentationStateStorage,
    uid.BlendingSoftcopyPresentationStateStorage,
    uid.SecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
)
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
#: Place of the part of an answer that repeats the request (PS3.8 table 9-17).
_REPEATED_AT = 10


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The outcome of a negotiation that both sides agreed on."""

    calling_ae_title: str
    called_ae_title: str
    #: SOP class and transfer syntax by presentation context identifier.
    contexts: Mapping[int, tuple[str, str]]
    #: Longest PDU the sender takes; 0 is any.
    max_pdu_bytes: int
    #: The encoded A-ASSOCIATE-AC.
    answer: bytes


def reject(request: A_ASSOCIATE, *, protocol_version: int) -> Rejection | None:
    """Why nobody may ever associate like this, or None."""
    if not protocol_version & 1:
        return Rejection.PROTOCOL_VERSION_UNSUPPORTED
    if request.application_context_name != _APPLICATION_CONTEXT:
        return Rejection.CONTEXT_NAME_UNSUPPORTED
    return None


def agree(request: A_ASSOCIATE, settings: Dicom, *, repeated: bytes) -> Agreement:
    """Negotiate presentation contexts (PS3.8 9.3.3, PS3.7 annex D.3).

    Args:
        request: the request.
        settings: our side.
        repeated: the part of the encoded request that the answer repeats.
    """
    proposed = {
        item.sop_class_uid: (item.scu_role, item.scp_role)
        for item in request.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid is not None
    }
    results, roles = negotiate_as_acceptor(request.presentation_context_definition_list, list(_supported()), proposed)
    return Agreement(
        calling_ae_title=request.calling_ae_title.strip(),
        called_ae_title=request.called_ae_title.strip(),
        contexts={
            context.context_id: (str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context in results
            if context.result == 0 and context.context_id is not None
        },
        max_pdu_bytes=request.maximum_length_received or 0,
        answer=_repeating(repeated, _accept(request, results, roles, max_pdu_bytes=settings.max_pdu_bytes)),
    )


def _supported() -> Collection[PresentationContext]:
    storage = [build_context(sop_class, list(TRANSFER_SYNTAXES)) for sop_class in STORAGE_CLASSES]
    # Destinations report to us: they are its SCP although they open the association (PS3.4 J.3.3, PS3.7 D.3.3.4).
    commitment = build_context(StorageCommitmentPushModel, list(TRANSFER_SYNTAXES[:2]))
    commitment.scu_role, commitment.scp_role = False, True
    return [*storage, build_context(Verification, list(TRANSFER_SYNTAXES[:2])), commitment]


def _accept(
    request: A_ASSOCIATE,
    results: list[PresentationContext],
    roles: list[SCP_SCU_RoleSelectionNegotiation],
    *,
    max_pdu_bytes: int,
) -> bytes:
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = uid.UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    answer = A_ASSOCIATE()
    answer.application_context_name = uid.UID(_APPLICATION_CONTEXT)
    answer.calling_ae_title = request.calling_ae_title
    answer.called_ae_title = request.called_ae_title
    answer.result, answer.result_source = 0, 1
    answer.presentation_context_definition_results_list = results
    answer.user_information = [length, implementation, version, *roles]
    return bytes(A_ASSOCIATE_AC(answer).encode())


def _repeating(repeated: bytes, answer: bytes) -> bytes:
    """An answer with the sender's own bytes where it has to repeat them."""
    return answer[:_REPEATED_AT] + repeated + answer[_REPEATED_AT + len(repeated) :]
