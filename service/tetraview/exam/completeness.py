"""When an exam is read.

The timers are no timers: whether an exam is due follows from rows of the ledger (when its first and its last image
came, which slots are filled), so they survive a restart, and a trigger cannot be lost between the answer to a sender
and a timer's start.
"""

from __future__ import annotations

from datetime import datetime

from tetraview.domain.view import View
from tetraview.settings import Completeness


def is_due(
    *,
    filled: int,
    first_image_at: datetime,
    last_image_at: datetime,
    now: datetime,
    settings: Completeness,
    is_sending: bool = False,
    forced: bool = False,
) -> bool:
    """Whether an exam should be read now.

    Args:
        filled: slots that have an image, 0 to 4.
        first_image_at: when the first of the images came that no reading has considered.
        last_image_at: when the last image came.
        now: the present.
        settings: how long to wait for more.
        is_sending: whether an open association sends images of the exam.
        forced: whether a person asked for it.
    """
    if forced or (now - first_image_at).total_seconds() >= settings.longest_seconds:
        return True
    wait = settings.quiet_seconds if filled == len(View) else settings.timeout_seconds
    return not is_sending and (now - last_image_at).total_seconds() >= wait
