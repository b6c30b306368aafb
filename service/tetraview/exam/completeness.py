"""When an exam is read.

The timers are no timers: whether an exam is due follows from rows of the ledger (when its first and its last image
came, which slots are filled), so they survive a restart, and a trigger cannot be lost between the answer to a sender
and a timer's start. How old those rows are, `exam/ages.py` says.
"""

from __future__ import annotations

from tetraview.domain.view import View
from tetraview.settings import Completeness


def is_due(
    *,
    filled: int,
    age: float,
    silence: float,
    settings: Completeness,
    is_sending: bool = False,
    forced: bool = False,
) -> bool:
    """Whether an exam should be read now.

    Args:
        filled: slots that have an image, 0 to 4.
        age: seconds since the first of the images came that no reading has considered.
        silence: seconds since the last image came, or could have come.
        settings: how long to wait for more.
        is_sending: whether an open association sends images of the exam.
        forced: whether a person asked for it.
    """
    if forced or age >= settings.longest_seconds:
        return True
    wait = settings.quiet_seconds if filled == len(View) else settings.timeout_seconds
    return not is_sending and silence >= wait
