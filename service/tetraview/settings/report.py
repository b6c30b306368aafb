"""Content of the results, and the objects that each destination gets."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator

from tetraview.domain.delivery import ResultKind
from tetraview.domain.output import CodingScheme, ReportClass, SegmentationGeometry, TrackingScope
from tetraview.settings.section import Section, ShortName


class Report(Section):
    """Content of the results at all destinations."""

    operating_point: Literal["high_sensitivity", "balanced", "high_specificity"] = "balanced"
    """Named thresholds stored with the weights."""
    emit_malignancy: bool = True
    """Write malignancy score and estimated suspicion level of every finding into the report."""
    emit_birads: bool = False
    """Write the BI-RADS category nearest to the classifier's estimate; never an assessment of the patient."""
    emit_probability: bool = False
    """Show calibrated scores as probabilities; needs weights that were calibrated for every route."""
    time_zone: Annotated[str, Field(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$")] | None = None
    """Zone of the site, for example Europe/Berlin, for studies that state none; unset, that of this machine."""

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError(f"no time zone is called {name}: write it as Europe/Berlin or UTC")
        return name


class OutputProfile(Section):
    """An output profile of your own: like a built-in one except for the settings given here."""

    name: ShortName
    """Name that destinations refer to."""
    like: Literal["pacs", "workstation", "ohif", "slicer", "air"] = "pacs"
    """Built-in profile that gives the settings left out here."""
    objects: Annotated[tuple[ResultKind, ...], Field(min_length=1)] | None = None
    """Kinds of objects: SR is TID 1500, PR a presentation state, SC a picture with the outlines burned in."""
    report_class: ReportClass | None = None
    """SOP Class of the SR; IHE AI Results asks for 3D."""
    seg_geometry: SegmentationGeometry | None = None
    """Plane groups of the SEG: `none` is strictly right, `orientation_only` suits OHIF, `synthetic_plane` Slicer."""
    coding_scheme: CodingScheme | None = None
    """Codes of the CAD SR; `SRT` is for workstations that know SNOMED-RT only."""
    tracking_scope: TrackingScope | None = None
    """Scope of a Tracking UID: a finding in one view, or a lesion in all views."""
    emit_malignancy: bool | None = None
    """As in `report`, for this profile."""
    emit_birads: bool | None = None
    """As in `report`, for this profile."""
    emit_probability: bool | None = None
    """As in `report`, for this profile."""
