"""Attempts of every detection and every analysis of an exam, as a CAD report must state it (PS3.16 TID 4000).

A detection is the search of one image for masses. An analysis compares the two images of a breast to find out which
findings show the same lesion. A missing view is in neither: an attempt that was never made did not fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.sr.coding import Code

from tetraview.domain.reading import Reading
from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.report import codes

#: Status of detections or analyses (CID 6042) by: any succeeded, any failed.
_STATUS = {
    (True, False): codes.SUCCEEDED,
    (True, True): codes.PARTIALLY_SUCCEEDED,
    (False, True): codes.FAILED,
    (False, False): codes.NOT_ATTEMPTED,
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One attempt on one image or several."""

    views: tuple[View, ...]
    #: How it was done, or why it could not be.
    remark: str


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Attempts that succeeded, and attempts that failed."""

    succeeded: tuple[Step, ...]
    failed: tuple[Step, ...]

    @property
    def status(self) -> Code:
        """The outcome in one code."""
        return _STATUS[bool(self.succeeded), bool(self.failed)]


def detections(reading: Reading) -> Attempts:
    """The searches; those by the same route stand together, as do those that failed for the same reason."""
    by_remark: dict[tuple[bool, str], list[View]] = {}
    for view in sorted(reading.views, key=lambda view: list(View).index(view.view)):
        remark = f"route {view.route}" if view.failure is None else view.failure
        by_remark.setdefault((view.failure is None, remark), []).append(view.view)
    steps = {key: Step(views=tuple(views), remark=key[1]) for key, views in by_remark.items()}
    return Attempts(
        succeeded=tuple(step for (succeeded, _), step in steps.items() if succeeded),
        failed=tuple(step for (succeeded, _), step in steps.items() if not succeeded),
    )


def analyses(reading: Reading) -> Attempts:
    """The collocation of each breast of which both images were received; without any image read none was attempted."""
    failed = frozenset(reading.failed)
    breasts = list(_breasts(reading)) if len(failed) < len(reading.views) else []
    return Attempts(
        succeeded=tuple(Step(views=views, remark="") for views in breasts if not failed & {*views}),
        failed=tuple(
            Step(views=views, remark=f"not read: {', '.join(view for view in views if view in failed)}")
            for views in breasts
            if failed & {*views}
        ),
    )


def _breasts(reading: Reading) -> Iterator[tuple[View, ...]]:
    received = {view.view for view in reading.views}
    for laterality in (Laterality.RIGHT, Laterality.LEFT):
        views = tuple(View.of(laterality, position) for position in ViewPosition)
        if received.issuperset(views):
            yield views
