"""How viewers recognise a finding in another object: Tracking ID and UID (PS3.3 C.8.20.4, PS3.16 TID 4108)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tetraview.domain.exam import Exam
from tetraview.domain.finding import Finding
from tetraview.domain.output import TrackingScope
from tetraview.domain.reading import Reading
from tetraview.report.uid import Identity


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Identifiers of findings, the same in all objects of a reading."""

    scope: TrackingScope
    #: Tracking UID by a finding's label.
    findings: Mapping[str, str]
    #: Tracking UID by a lesion's name.
    lesions: Mapping[str, str]

    @classmethod
    def of(cls, exam: Exam, reading: Reading, identity: Identity, *, scope: TrackingScope) -> Self:
        """The identifiers of all findings of a reading."""
        findings = {
            finding.label: identity.tracking_uid(finding, exam.images[finding.view]) for finding in reading.findings
        }
        members: dict[str, list[str]] = {}
        for finding in reading.findings:
            members.setdefault(finding.lesion, []).append(findings[finding.label])
        lesions = {lesion: identity.lesion_uid(uids) for lesion, uids in members.items()}
        return cls(scope=scope, findings=findings, lesions=lesions)

    def identifier(self, finding: Finding) -> str:
        """Tracking ID in measurement report and Segmentation."""
        return finding.lesion if self.scope is TrackingScope.LESION else finding.label

    def uid(self, finding: Finding) -> str:
        """Tracking UID in measurement report and Segmentation."""
        if self.scope is TrackingScope.LESION:
            return self.lesions[finding.lesion]
        return self.findings[finding.label]
