"""Which algorithm said what (PS3.16 TID 4019)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from tetraview.report import codes
from tetraview.report.cad.tree import Node, text
from tetraview.report.content import PROPERTIES
from tetraview.report.document import Context
from tetraview.report.equipment import MODEL_NAME, software_version
from tetraview.report.text import ascii_text


@dataclass(frozen=True, kw_only=True)
class AlgorithmIdentification:
    """TID 4019, Algorithm Identification."""

    name: str
    version: str
    #: Settings that its result depends on, and the limits of the result.
    parameters: str

    @classmethod
    def of_detector(cls, context: Context, *parameters: str) -> Self:
        """The model that searches for masses; this software where it did not get so far as to ask one."""
        detector, said = context.device.detector, _sentence(context, parameters)
        if detector.model is None:
            return cls(name=MODEL_NAME, version=software_version(), parameters=said)
        return cls(name=detector.name, version=detector.version, parameters=said)

    def nodes(self) -> Iterator[Node]:
        """The items under what the algorithm said."""
        yield text(PROPERTIES, codes.ALGORITHM_NAME, self.name)
        yield text(PROPERTIES, codes.ALGORITHM_VERSION, self.version)
        yield text(PROPERTIES, codes.ALGORITHM_PARAMETERS, self.parameters)


def _sentence(context: Context, parameters: tuple[str, ...]) -> str:
    """The parameters after the statement: the template has no other place where a text may say it."""
    return ascii_text("; ".join((context.research_only, *(part for part in parameters if part))))
