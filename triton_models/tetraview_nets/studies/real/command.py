"""From folders and weights to figures, page and picture sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from tetraview.domain.frame import Frame
from tetraview.domain.view import Route
from tetraview_nets.datasets.folder_lesions import folder_lesions
from tetraview_nets.datasets.material import FIGURES_ONLY, DataRequest, read_folders
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning.cache import CacheKey, CanonicalExam, Split
from tetraview_nets.learning.figure_table import write_csv
from tetraview_nets.learning.lesions import Lesion, LesionSet
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.malignancy import malignancy_figures
from tetraview_nets.studies.real.misses import missed_figures
from tetraview_nets.studies.real.nipples import nipple_figures
from tetraview_nets.studies.real.outlines import PatchReader, outline_figures
from tetraview_nets.studies.real.reading import RouteReader, ViewReading, grouped, read_all, read_by_routes
from tetraview_nets.studies.real.recall import difference_figures, recall_figures
from tetraview_nets.studies.real.report import Counts, RealFigures, markdown
from tetraview_nets.studies.real.routes import ROUTES_OF, route_figures, rows_of
from tetraview_nets.studies.real.sheets import write_sheets
from tetraview_nets.studies.real.systems import PLAIN, ExamReader, Systems


class RealPart(StrEnum):
    """Which exams of a folder."""

    TRAIN = "train"
    VALIDATION = "val"
    TEST = "test"
    ALL = "all"

    def holds(self, item: CanonicalExam | Lesion) -> bool:
        """Whether an exam or a lesion is of the part; data sets that nothing learns from are of any, whole."""
        return self is RealPart.ALL or item.part == self.value or item.source in FIGURES_ONLY


@dataclass(frozen=True, kw_only=True)
class RealRequest:
    """The data to read, and the systems that read it."""

    data: DataRequest
    part: RealPart
    #: Names of systems that Triton serves; their baselines come along.
    systems: Sequence[str]
    #: Weights in place of those that are served, by system.
    weights: Mapping[str, Path] = field(default_factory=dict)
    #: Folder of page, figures and picture sheets; None to print only.
    out: Path | None = None
    #: The command that the page names as its maker.
    command: str


def evaluate_real(request: RealRequest, *, console: Console) -> RealFigures:
    """Read all exams by all systems, print the page, and write it where asked.

    Raises:
        DatasetUnusable: the folders hold no exam of the part.
        WeightsInvalid: the weights of a system cannot be used.
    """
    systems = Systems.of(request.systems, request.weights)
    readings, routes = _readings(request, systems.detectors, console=console)
    figures = detection_figures(readings, routes)
    if systems.patches:
        figures += patch_figures(systems.patches, _lesions(request))
    outcome = RealFigures(
        part=str(request.part),
        weights=systems.weights,
        seen=systems.seen,
        counts=counts_of(readings),
        figures=figures,
        command=request.command,
    )
    text = markdown(outcome)
    console.print(Markdown(text))
    if request.out:
        write_csv(request.out / "real.csv", outcome.figures)
        (request.out / "real.md").write_text(text, encoding="utf-8")
        write_sheets(request.out / "sheets", readings)
    return outcome


#: Each detector's answers by each route, where it knows any.
Routes = Mapping[str, Mapping[Route, Sequence[ViewReading]]]


def _readings(
    request: RealRequest, readers: Sequence[ExamReader], *, console: Console
) -> tuple[dict[str, list[ViewReading]], Routes]:
    """Each detector's one pass over the exams, as it is served and by every route."""
    exams: dict[Frame, list[CanonicalExam]] = {}
    readings: dict[str, list[ViewReading]] = {}
    routes: dict[str, dict[Route, list[ViewReading]]] = {}
    for each in readers:
        if each.frame not in exams:
            key = CacheKey(recipe="", frame=each.frame, split=Split.TEST)
            exams[each.frame] = [exam for exam in read_folders(request.data, key) if request.part.holds(exam)]
        if not exams[each.frame]:
            raise DatasetUnusable(f"the folders hold no exam of the part {request.part}")
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task(each.name, total=len(exams[each.frame]))
            done = partial(progress.advance, bar)
            if isinstance(each.reader, RouteReader):
                routes[each.name] = read_by_routes(each.reader, exams[each.frame], done=done)
                readings[each.name] = routes[each.name][Route.TRI]
            else:
                readings[each.name] = read_all(each.reader, exams[each.frame], done=done)
    return readings, routes


def detection_figures(readings: Mapping[str, Sequence[ViewReading]], routes: Routes) -> list[Figure]:
    """All figures of all detectors on the same images."""
    parts = {name: grouped(found) for name, found in readings.items()}
    by_route = {name: {route: grouped(found) for route, found in by.items()} for name, by in routes.items()}
    figures: list[Figure] = []
    for group in counts_of(readings):
        own = {name: found[group] for name, found in parts.items()}
        for name, found in own.items():
            figures += recall_figures(name, group, found)
            figures += nipple_figures(name, group, found)
            figures += missed_figures(name, group, found)
        if PLAIN in parts:
            figures += difference_figures(group, own, other=PLAIN)
        of_group = {name: {route: found[group] for route, found in by.items()} for name, by in by_route.items()}
        for part in ROUTES_OF if routes else ():
            figures += route_figures(group, part, rows_of(part, of_group, own))
    return figures


def counts_of(readings: Mapping[str, Sequence[ViewReading]]) -> dict[Group, Counts]:
    """The content of each group of images; every detector has read the same."""
    return {
        group: Counts(
            patients=len({reading.exam.seed for reading in found}),
            images=len(found),
            masses=sum(len(reading.exam.masses(reading.view)) for reading in found),
        )
        for group, found in grouped(next(iter(readings.values()), ())).items()
    }


def patch_figures(readers: Sequence[PatchReader], lesions: Mapping[Group, LesionSet]) -> list[Figure]:
    """All figures of all networks on patches."""
    return [
        figure
        for group, found in lesions.items()
        for figure in (*outline_figures(readers, group, found), *malignancy_figures(readers, group, found))
    ]


def _lesions(request: RealRequest) -> dict[Group, LesionSet]:
    """The masses of the part by data set; patients of different folders have different numbers."""
    groups: dict[Group, list[Lesion]] = {}
    first = 0
    for folder in request.data.folders:
        found = folder_lesions(folder, workers=request.data.workers, root=request.data.root)
        for each in found:
            if request.part.holds(each):
                group = Group(data=each.source, medium="film" if each.film else "digital")
                groups.setdefault(group, []).append(replace(each, seed=each.seed + first))
        first += 1 + max((each.seed for each in found), default=-1)
    return {group: LesionSet(split=Split.TEST, lesions=tuple(each)) for group, each in sorted(groups.items())}
