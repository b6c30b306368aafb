"""The survey as a picture: bars, SVG."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from tetraview.domain.instance import Decision
from tetraview.tools.survey.tally import Tally, ranked

#: Pixels of the longest bar.
_LONGEST = 420


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One outcome."""

    label: str
    count: int
    #: Whether it is one that would be read.
    is_read: bool


def picture(tally: Tally) -> str:
    """Two rows of bars, one of exams and one of images, as an SVG document."""
    exams = [Bar(label=name, count=count, is_read=True) for name, count in ranked(tally.read)]
    exams += [Bar(label=name, count=count, is_read=False) for name, count in ranked(tally.skipped)]
    images = [Bar(label=name, count=count, is_read=name == Decision.READ) for name, count in ranked(tally.images)]
    environment = Environment(
        loader=PackageLoader("tetraview.tools.survey", "."),
        autoescape=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    groups = [group for group in (("exams", exams), ("images", images)) if group[1]]
    return environment.get_template("picture.svg.jinja").render(groups=groups, longest=_LONGEST)
