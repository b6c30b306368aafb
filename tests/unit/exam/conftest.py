"""Images of an exam as intake describes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tetraview.domain.instance import Decision, Eligibility, Instance
from tetraview.domain.view import View


def make_image(view: View | None, *, uid: str = "1", **facts: Any) -> Instance:
    """An image of a slot, or of none; other facts go where they belong."""
    of_instance = {name: facts.pop(name) for name in list(facts) if name in Instance.__dataclass_fields__}
    eligibility = Eligibility(**({"decision": Decision.READ if view else Decision.IMPLANT, "view": view} | facts))
    known = {
        "sop_instance_uid": uid,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2",
        "study_instance_uid": "2.25.1",
        "series_instance_uid": "2.25.2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "calling_ae_title": "MODALITY",
        "called_ae_title": "TETRAVIEW",
        "sha256": uid,
        "size": 1,
        "path": f"{view}/{uid}",
        "received_at": datetime(2026, 1, 2, tzinfo=UTC),
        "eligibility": eligibility,
        "patient_key": "p",
    }
    return Instance(**(known | of_instance))


@pytest.fixture(scope="session")
def image() -> Any:
    """Makes images."""
    return make_image
