"""When an exam is ready, and which image fills each slot.

The timer is no timer: whether an exam is due follows from rows of the ledger (when its last image came, which slots
are filled), so it survives a restart, and a trigger cannot be lost between the answer to a sender and a timer's start.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tetraview.domain.instance import Instance
from tetraview.domain.view import View
from tetraview.settings import Completeness


def choose_images(instances: Iterable[Instance]) -> dict[View, Instance]:
    """The image of each slot: the latest received of those that may fill it, ties by SOP Instance UID."""
    eligible = [instance for instance in instances if instance.eligibility.view is not None]
    by_age = sorted(eligible, key=lambda instance: (instance.received_at, instance.sop_instance_uid))
    chosen = {instance.eligibility.view: instance for instance in by_age}
    return {view: chosen[view] for view in View if view in chosen}


def is_due(*, filled: int, last_image_at: datetime, now: datetime, settings: Completeness) -> bool:
    """Whether an exam should be read now.

    Args:
        filled: slots that have an image, 0 to 4.
        last_image_at: when its last image came.
        now: the present.
        settings: how long to wait for more.
    """
    wait = settings.quiet_seconds if filled == len(View) else settings.timeout_seconds
    return (now - last_image_at).total_seconds() >= wait
