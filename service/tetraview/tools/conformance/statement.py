"""The statement as Markdown: a template for the prose, the code's own tables for everything that can change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydicom.sr.coding import Code
from pydicom.uid import UID
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import

from tetraview import __version__
from tetraview.delivery.commitment import ANSWER_SECONDS
from tetraview.delivery.scu import PROPOSED_SYNTAXES, STATUSES
from tetraview.domain import product
from tetraview.domain.detection import routes_of
from tetraview.domain.instance import Decision, Flag
from tetraview.domain.output import OUTPUTS
from tetraview.domain.view import Route
from tetraview.inference.card import operating_points, shipped_training
from tetraview.inference.contract import CONTRACTS
from tetraview.intake.dimse.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from tetraview.intake.dimse.request import MAX_REQUEST_BYTES
from tetraview.intake.eligibility.pixels import MIN_SIDE, SPACING_MM
from tetraview.intake.eligibility.tables import MODIFIERS, PADDLES, PROJECTIONS, UNREAD_TYPES
from tetraview.intake.status import SENTENCES
from tetraview.report import codes
from tetraview.report.equipment import MODEL_NAME
from tetraview.settings import Destination, Dicom, Worklist
from tetraview.tools.conformance.objects import MADE
from tetraview.ups.answer import ASKED, FAILED, PROGRESS, UNSUITABLE
from tetraview.workflow.breaker import FAILURES


def conformance_statement() -> str:
    """The statement of this version, Markdown.

    Raises:
        ModelMismatch: the shipped weights of a detector do not state their operating points.
    """
    environment = Environment(
        loader=PackageLoader("tetraview.tools.conformance", "."),
        autoescape=False,  # noqa: S701 - Markdown of our own tables, no page
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("statement.md.jinja").render(
        version=__version__,
        product=product,
        model_name=MODEL_NAME,
        verification=Verification,
        storage_classes=STORAGE_CLASSES,
        read_class=STORAGE_CLASSES[0],
        transfer_syntaxes=TRANSFER_SYNTAXES,
        statuses=SENTENCES,
        decisions=[decision.value for decision in Decision],
        flags=[flag.value for flag in Flag],
        spacing_mm=SPACING_MM,
        min_side=MIN_SIDE,
        unread_types=sorted(UNREAD_TYPES),
        projections=PROJECTIONS,
        modifiers=MODIFIERS,
        paddles=sorted(PADDLES),
        dicom=Dicom(),
        max_request_bytes=MAX_REQUEST_BYTES,
        worklist=Worklist(url="http://worklist"),
        progress=PROGRESS.values(),
        asked=ASKED,
        unsuitable=UNSUITABLE,
        failed=FAILED,
        destination={name: field.default for name, field in Destination.model_fields.items()},
        proposed_syntaxes=PROPOSED_SYNTAXES,
        answers=STATUSES,
        failures=FAILURES,
        answer_seconds=ANSWER_SECONDS,
        made=MADE,
        outputs=OUTPUTS.values(),
        detectors={name: (routes_of(name), operating_points(name)) for name in ("mommi_detector", "yolo_msp_detector")},
        trained=shipped_training(sorted(CONTRACTS)),
        codes=sorted(_codes(vars(codes)), key=lambda code: (code.scheme_designator, code.value)),
        routes=list(Route),
        scheme=codes.SCHEME,
        name=_name,
    )


def _name(uid: UID) -> str:
    """A UID by its name in the standard."""
    return f"{uid.name} | {uid}"


def _codes(values: dict[str, Any]) -> Iterator[Code]:
    """Every code of a module, also those in its tables."""
    for value in values.values():
        if isinstance(value, Code):
            yield value
        elif isinstance(value, dict) and all(isinstance(code, Code) for code in value.values()):
            yield from value.values()
