"""Whether four views are read better than two or one: the shipped detector on every route (claim 1).

MommiNet-v2, Tables 6 and 7: single views, both views of a breast, both breasts, all four, at rates of false positives
per image; here also each view missing in turn, the vendor style no network was trained on, and three controls in which
a gain must vanish because what it could come from is gone.

One trained detector reads every route. Its single route is the ipsilateral network with nothing to compare, not a
detector trained for single views; the studies of heads and of the bilateral network train such ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from tetraview import phantom
from tetraview.domain.view import Route, View
from tetraview_nets import weights
from tetraview_nets.learning.cache import VIEWS, CacheKey, CanonicalExam, Split
from tetraview_nets.learning.evaluate import image_result, view_input
from tetraview_nets.metrics import RESAMPLES, Froc, ImageResult, interval
from tetraview_nets.mommi import storage as mommi_storage
from tetraview_nets.mommi.network import Look, MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.studies.claims import reliability
from tetraview_nets.studies.claims.measured import Measured, recalls
from tetraview_nets.studies.claims.processes import each
from tetraview_nets.studies.claims.shelf import Columns, Shelf
from tetraview_nets.studies.claims.sources import ExamSource, Phantoms, exams_of
from tetraview_nets.studies.claims.table import DEFAULT
from tetraview_nets.weights import WeightsCard

CLAIM = "1"
FPPI = (0.25, 0.5, 1.0, 2.0)
#: Standard deviation of the error that destroys nipple geometry, millimetres.
SHUFFLED_MM = 60.0
#: A resample fits a line to tens of thousands of detections for every route.
CALIBRATION_RESAMPLES = 300
Readings = Mapping[Route, Sequence[ImageResult]]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One set of test exams, read in one way."""

    name: str
    exams: ExamSource
    #: Nipples are off by 60 mm where views are related to each other.
    shuffled: bool = False


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Two routes, and the settings in which they are compared."""

    first: Route
    second: Route
    settings: Sequence[str]

    @property
    def name(self) -> str:
        """Name of the contrast in its rows."""
        return f"{self.first} - {self.second}"


NO_ISLANDS, NO_DECOYS, SHUFFLED = "no islands", "no decoys", f"nipples off by {SHUFFLED_MM:g} mm"
#: Which gain must vanish where: what the other breast tells needs islands, what the other view tells needs decoys and
#: nipples.
CONTRASTS = (
    Contrast(first=Route.TRI, second=Route.SINGLE, settings=(DEFAULT,)),
    Contrast(first=Route.TRI, second=Route.IPSI, settings=(DEFAULT, NO_ISLANDS)),
    Contrast(first=Route.TRI, second=Route.BI, settings=(DEFAULT, NO_DECOYS, SHUFFLED)),
    Contrast(first=Route.IPSI, second=Route.SINGLE, settings=(DEFAULT, NO_DECOYS, SHUFFLED)),
    Contrast(first=Route.BI, second=Route.SINGLE, settings=(DEFAULT, NO_ISLANDS)),
)
COMPARED = (
    "One detector reads the same test exams by each route; one training, so the interval is that of the patients alone."
)
_READING = (
    "Recall of masses with the 95 % interval of the patient bootstrap; a box hits when its IoU with a mass's box is "
    "above 0.2, where the paper takes output and mask."
)


def phantom_settings(
    weights_file: Path, *, exams: int, control_exams: int, root: Path | None = None
) -> tuple[Setting, ...]:
    """The benchmark's settings in the frame of a detector.

    Args:
        weights_file: the detector.
        exams: test exams of the default setting.
        control_exams: test exams of each control; as many as of the default are read by the same patients.
        root: the phantom cache's root.
    """
    frame = PRESETS[weights.read(weights_file)[1].preset].frame

    def of(recipe: str, count: int) -> Phantoms:
        return Phantoms(key=CacheKey(recipe=recipe, frame=frame, split=Split.TEST), exams=count, root=root)

    return (
        Setting(name=DEFAULT, exams=of("training", exams)),
        Setting(name=NO_ISLANDS, exams=of("no_islands", control_exams)),
        Setting(name=NO_DECOYS, exams=of("no_decoys", control_exams)),
        Setting(name=SHUFFLED, exams=of("training", control_exams), shuffled=True),
    )


def read(
    weights_file: Path,
    setting: Setting,
    *,
    out: Path,
    workers: int,
    done: Callable[[int], None] = lambda _: None,
) -> Readings:
    """The answers of the detector on every route, from ``out`` as far as they lie there already.

    Args:
        weights_file: the detector.
        setting: the exams, and the way of reading them.
        out: where readings are kept.
        workers: processes, one thread each.
        done: called with the number of exams of each piece.
    """
    exams = exams_of(setting.exams)
    digest = weights.read(weights_file)[1].weights_sha256[:12]
    name = f"triview-{digest}-{setting.exams.name}{'-shuffled' if setting.shuffled else ''}"
    shelf = Shelf(folder=out / name, exams=len(exams))
    missing = shelf.missing()
    done(len(exams) - sum(len(shelf.exams_in(piece)) for piece in missing))
    for piece in each(partial(_read_piece, weights_file, setting, shelf), missing, workers=workers):
        done(len(shelf.exams_in(piece)))
    return {route: _results(shelf.said(route), exams) for route in Route}


def _results(said: Sequence[Columns], exams: Sequence[CanonicalExam]) -> list[ImageResult]:
    views = [(exam, view) for exam in exams for view in np.flatnonzero(exam.present).tolist()]
    found = [(boxes.astype(np.float64), scores.astype(np.float64)) for boxes, scores in said]
    return [image_result(exam, view, one) for (exam, view), one in zip(views, found, strict=True)]


@cache
def _network(weights_file: Path) -> MommiNet:
    return mommi_storage.load(weights_file)[0]


def _read_piece(weights_file: Path, setting: Setting, shelf: Shelf, piece: int) -> int:
    torch.set_num_threads(1)
    exams = exams_of(setting.exams)
    said: dict[str, list[Columns]] = {route: [] for route in Route}
    for number in shelf.exams_in(piece):
        for route, views in _read_exam(_network(weights_file), exams[number], shuffled=setting.shuffled).items():
            said[route] += views
    shelf.put(piece, said)
    return piece


@torch.inference_mode()
def _read_exam(network: MommiNet, exam: CanonicalExam, *, shuffled: bool) -> dict[Route, list[Columns]]:
    """Boxes and scores of the views that are there, by route."""
    views = np.flatnonzero(exam.present).tolist()
    look = network.look([view_input(exam, view, torch.device("cpu")) for view in views])
    if shuffled:
        look = _shuffled(look, seed=exam.seed)
    return {
        route: [(out.boxes.numpy(), out.scores.numpy()) for out in network.conclude(look, furthest=route)]
        for route in Route
    }


def _shuffled(look: Look, *, seed: int) -> Look:
    """A look whose nipples are off; registration has been done with the right ones."""
    error = np.random.default_rng([seed]).normal(0, SHUFFLED_MM, (len(look.views), 2))
    moved = error / np.array([view.spacing_mm for view in look.views])[:, None]
    pairs = zip(look.landmarks, moved.tolist(), strict=True)
    marks = [replace(mark, x=mark.x + dx, y=mark.y + dy) for mark, (dx, dy) in pairs]
    return replace(look, landmarks=marks)


def measured(
    readings: Mapping[str, Readings],
    contrasts: Sequence[Contrast] = CONTRASTS,
    *,
    controlled: bool = True,
    resamples: int = RESAMPLES,
) -> list[Measured]:
    """Every contrast in every setting, per view and in any view.

    Args:
        readings: readings by setting.
        contrasts: the pairs of routes to compare.
        controlled: whether settings other than the default are controls.
        resamples: number of resamples of the bootstrap.
    """
    return [
        row
        for contrast in contrasts
        for setting in contrast.settings
        for any_view in (False, True)
        for row in recalls(
            [readings[setting][contrast.first]],
            [readings[setting][contrast.second]],
            FPPI,
            claim=CLAIM,
            contrast=contrast.name,
            setting=setting,
            control=controlled and setting != DEFAULT,
            any_view=any_view,
            resamples=resamples,
        )
    ]


def markdown(readings: Mapping[str, Readings], *, source: str, command: str) -> str:
    """The tables of recall by route, setting, vendor style and missing view."""
    default = readings[DEFAULT]
    held_out = {r: [i for i in found if _held_out(i)] for r, found in default.items()}
    known = {r: [i for i in found if not _held_out(i)] for r, found in default.items()}
    sections = [
        f"{_READING} {source}",
        *(f"{_title(name)}\n\n{_table(found)}" for name, found in readings.items()),
        f"Vendor styles of the training exams (per view)\n\n{_table(known, any_view=False)}",
        f"The vendor style no network was trained on (per view)\n\n{_table(held_out, any_view=False)}",
        f"One view missing\n\n{_missing_table(default)}",
        f"Made by `{command}`.",
    ]
    return "\n\n".join(sections) + "\n"


def _title(setting: str) -> str:
    return "All routes" if setting == DEFAULT else f"Control: {setting}"


def _held_out(image: ImageResult) -> bool:
    return phantom.style_of(image.patient) == phantom.HELD_OUT_STYLE


def _table(readings: Readings, *, any_view: bool | None = None) -> str:
    head = ["route", "recall of", "patients / images / masses", *(f"{fppi:g} FPPI" for fppi in FPPI)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for route, found in readings.items():
        for any_one in (False, True) if any_view is None else (any_view,):
            froc = Froc.of(found, any_view=any_one)
            counts = f"{len(froc.images)} / {int(froc.images.sum())} / {len(froc.lesion_scores)}"
            cells = [str(route), "any view" if any_one else "view", counts, *_recalls(froc)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _recalls(froc: Froc) -> list[str]:
    low, high = interval(froc.bootstrap(FPPI))
    return [f"{r:.3f} [{a:.3f}, {b:.3f}]" for r, a, b in zip(froc.recall_at(FPPI), low, high, strict=True)]


def _missing_table(readings: Readings) -> str:
    """Recall of masses in any remaining view when one view is missing; every view reads by the route it has left."""
    head = ["missing", "routes of the others", "masses", *(f"{fppi:g} FPPI" for fppi in FPPI)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for missing in View:
        there = frozenset(View) - {missing}
        routes = {view: Route.of(view, there) for view in View if view is not missing}
        found = [readings[route][i] for view, route in routes.items() for i in _of_view(readings[route], view)]
        froc = Froc.of(found, any_view=True)
        said = ", ".join(f"{view} {route}" for view, route in routes.items())
        lines.append(f"| {' | '.join([str(missing), said, str(len(froc.lesion_scores)), *_recalls(froc)])} |")
    return "\n".join(lines)


def _of_view(found: Sequence[ImageResult], view: View) -> range:
    return range(VIEWS.index(view), len(found), len(VIEWS))


def write_calibration(readings: Mapping[str, Readings], card: WeightsCard, folder: Path, *, command: str) -> None:
    """Write how well the calibration of every route holds on the default test exams, as table, page and plot."""
    default = readings[DEFAULT]
    rows = reliability.reliability(default, card.calibration, resamples=CALIBRATION_RESAMPLES)
    reliability.write_csv(folder / "calibration.csv", rows)
    reliability.plot(folder / "calibration.png", default, card.calibration)
    page = [
        (
            "How well detection scores of each route agree with the share of detections on a mass, before and after "
            f"the route's own map; {CALIBRATION_RESAMPLES} patient bootstrap resamples. Phantoms only: on other exams, "
            "or at another prevalence, the values mean nothing."
        ),
        reliability.markdown(rows, card.calibration).strip(),
        "![Reliability](calibration.png)",
        f"Made by `{command}`.",
    ]
    (folder / "calibration.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")
