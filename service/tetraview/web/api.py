"""The exams as JSON, for scripts and monitoring: the content of the pages, and nothing that names a patient."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException
from fastapi.responses import RedirectResponse
from pydantic import TypeAdapter

from tetraview.domain.delivery import Delivery
from tetraview.ledger.selection import Selection
from tetraview.ledger.summary import ExamSummary
from tetraview.web.exam_list import PAGE, OutcomeParameter, PageParameter, StateParameter, TitleParameter
from tetraview.web.protocol import WebLedger

_exam_document = TypeAdapter(ExamSummary)


_log = structlog.get_logger()


def add_api(app: FastAPI, ledger: WebLedger) -> None:
    """Add the addresses below ``/api``, and what a person may have done: read an exam, discard or send it again."""
    api = _Api(ledger)
    app.add_api_route("/api/exams", api.exams)
    app.add_api_route("/api/exams/{exam_id}", api.exam)
    app.add_api_route("/exams/{exam_id}/read", api.read, methods=["POST"], response_class=RedirectResponse)
    app.add_api_route("/exams/{exam_id}/discard", api.discard, methods=["POST"], response_class=RedirectResponse)
    app.add_api_route("/exams/{exam_id}/requeue", api.requeue, methods=["POST"], response_class=RedirectResponse)


class _Api:
    def __init__(self, ledger: WebLedger) -> None:
        self._ledger = ledger

    def exams(
        self,
        state: StateParameter = "",
        ae: TitleParameter = "",
        outcome: OutcomeParameter = "",
        page: PageParameter = 1,
    ) -> list[dict[str, Any]]:
        """One page of the exams selected, newest first."""
        selection = Selection(state=state or None, called_ae_title=ae or None, outcome=outcome or None)
        found = self._ledger.exams(limit=PAGE, offset=PAGE * (page - 1), selection=selection)
        return [_exam_document.dump_python(exam, mode="json") for exam in found]

    def exam(self, exam_id: str) -> dict[str, Any]:
        """One exam with every image's decision and every object's delivery."""
        summary = self._ledger.exam(exam_id)
        if summary is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        deliveries = [_delivery(delivery) for delivery in self._ledger.deliveries(exam_id)]
        return {**_exam_document.dump_python(summary, mode="json"), "deliveries": deliveries}

    def read(self, exam_id: str) -> RedirectResponse:
        """Have an exam read at once from the images that are there; a browser is led back to its page."""
        if not self._ledger.force(exam_id):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return RedirectResponse(f"/exams/{exam_id}", HTTPStatus.SEE_OTHER)

    def discard(self, exam_id: str) -> RedirectResponse:
        """Discard the images of an exam that is not being read, so that the right images can be sent anew."""
        if not self._ledger.discard(exam_id):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        _log.warning("images_discarded", exam_id=exam_id)
        return RedirectResponse(f"/exams/{exam_id}", HTTPStatus.SEE_OTHER)

    def requeue(self, exam_id: str) -> RedirectResponse:
        """Send refused objects of an exam again; a browser is led back to its page."""
        if self._ledger.exam(exam_id) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        self._ledger.requeue(exam_id=exam_id)
        return RedirectResponse(f"/exams/{exam_id}", HTTPStatus.SEE_OTHER)


def _delivery(delivery: Delivery) -> dict[str, Any]:
    result = delivery.result
    return {
        "generation": delivery.generation,
        "destination": delivery.destination,
        "kind": result.kind,
        "view": result.view,
        "sop_instance_uid": result.sop_instance_uid,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "detail": delivery.detail,
    }
