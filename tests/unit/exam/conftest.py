"""Images of an exam as intake describes them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.builders import an_instance

from tetraview.domain.instance import Decision, Eligibility, Instance
from tetraview.domain.view import View


def make_image(view: View | None, *, uid: str = "1", **facts: Any) -> Instance:
    """An image of a slot, or of none; other facts go where they belong."""
    of_instance = {name: facts.pop(name) for name in list(facts) if name in Instance.__dataclass_fields__}
    eligibility = Eligibility(**({"decision": Decision.READ if view else Decision.IMPLANT, "view": view} | facts))
    known = {"sop_instance_uid": uid, "sha256": uid, "path": f"{view}/{uid}", "patient_key": "p"}
    return an_instance(view, eligibility=eligibility, **(known | of_instance))


@pytest.fixture(scope="session")
def image() -> Any:
    """Makes images."""
    return make_image
