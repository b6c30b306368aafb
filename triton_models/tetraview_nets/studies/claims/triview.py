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
from pathlib import Path

import numpy as np
import torch

from tetraview import phantom
from tetraview.domain.view import Route, View
from tetraview_nets import weights
from tetraview_nets.learning import cache
from tetraview_nets.learning.cache import VIEWS, CacheKey, CanonicalExam, ExamSet, Split
from tetraview_nets.learning.evaluate import image_result, view_input
from tetraview_nets.metrics import Froc, ImageResult, interval, paired_recall
from tetraview_nets.mommi import storage as mommi_storage
from tetraview_nets.mommi.network import Look, MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.studies.claims import reliability
from tetraview_nets.studies.claims.table import Claim
from tetraview_nets.weights import WeightsCard

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
    #: Phantom recipe of the exams.
    recipe: str = "training"
    #: Nipples are off by 60 mm where views are related to each other.
    shuffled: bool = False


DEFAULT = Setting(name="default")
NO_ISLANDS = Setting(name="no islands", recipe="no_islands")
NO_DECOYS = Setting(name="no decoys", recipe="no_decoys")
SHUFFLED = Setting(name=f"nipples off by {SHUFFLED_MM:g} mm", shuffled=True)
SETTINGS = (DEFAULT, NO_ISLANDS, NO_DECOYS, SHUFFLED)
#: Which gain must vanish where: what the other breast tells needs islands, what the other view tells needs decoys and
#: nipples.
CONTRASTS = (
    (Route.TRI, Route.SINGLE, (DEFAULT,)),
    (Route.TRI, Route.IPSI, (DEFAULT, NO_ISLANDS)),
    (Route.TRI, Route.BI, (DEFAULT, NO_DECOYS, SHUFFLED)),
    (Route.IPSI, Route.SINGLE, (DEFAULT, NO_DECOYS, SHUFFLED)),
    (Route.BI, Route.SINGLE, (DEFAULT, NO_ISLANDS)),
)
_READING = (
    "Recall of masses with the 95 % interval of the patient bootstrap; a box hits when its IoU with a mass's box is "
    "above 0.2, where the paper takes output and mask."
)


@dataclass(frozen=True, kw_only=True)
class TriViewStudy:
    """Everything that decides the study's numbers."""

    weights_file: Path
    #: Test exams of the default setting.
    exams: int = 400
    #: Test exams of each control.
    control_exams: int = 200
    #: Where readings are kept; a killed study goes on with the next setting.
    out: Path
    #: The phantom cache's root.
    root: Path | None = None

    def cached(self, setting: Setting, *, workers: int) -> ExamSet:
        """The exams of a setting, rendered where they are missing."""
        preset = PRESETS[weights.read(self.weights_file)[1].preset]
        key = CacheKey(recipe=setting.recipe, frame=preset.frame, split=Split.TEST)
        count = self.exams if setting is DEFAULT else self.control_exams
        cache.build(key, exams=count, workers=workers, root=self.root)
        return ExamSet(key, exams=count, root=self.root)


def read(study: TriViewStudy, setting: Setting, exams: ExamSet, *, done: Callable[[], None]) -> Readings:
    """What the detector says on every route, from ``out`` where it lies there already."""
    network, card = mommi_storage.load(study.weights_file)
    path = study.out / f"triview-{card.weights_sha256[:12]}-{setting.name.replace(' ', '-')}-{len(exams)}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _save(path, [_read_exam(network, exam, setting, done) for exam in exams])
    return _load(path, exams)


@torch.inference_mode()
def _read_exam(
    network: MommiNet, exam: CanonicalExam, setting: Setting, done: Callable[[], None]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and scores by route, then by view."""
    look = network.look([view_input(exam, view, torch.device("cpu")) for view in range(len(VIEWS))])
    if setting.shuffled:
        look = _shuffled(look, seed=exam.seed)
    outputs = [out for route in Route for out in network.conclude(look, furthest=route)]
    done()
    return [(out.boxes.numpy(), out.scores.numpy()) for out in outputs]


def _shuffled(look: Look, *, seed: int) -> Look:
    """A look whose nipples are off; registration has been done with the right ones."""
    error = np.random.default_rng([seed]).normal(0, SHUFFLED_MM, (len(look.views), 2))
    moved = error / np.array([view.spacing_mm for view in look.views])[:, None]
    pairs = zip(look.landmarks, moved.tolist(), strict=True)
    marks = [replace(mark, x=mark.x + dx, y=mark.y + dy) for mark, (dx, dy) in pairs]
    return replace(look, landmarks=marks)


def _save(path: Path, readings: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]]) -> None:
    found = [each for exam in readings for each in exam]
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        boxes=np.concatenate([boxes for boxes, _ in found]),
        scores=np.concatenate([scores for _, scores in found]),
        counts=np.array([len(scores) for _, scores in found]),
    )
    part.replace(path)


def _load(path: Path, exams: ExamSet) -> Readings:
    with np.load(path) as saved:
        ends = np.cumsum(saved["counts"])[:-1]
        boxes, scores = (np.split(saved[name].astype(np.float64), ends) for name in ("boxes", "scores"))
    found = iter(zip(boxes, scores, strict=True))
    results: dict[Route, list[ImageResult]] = {route: [] for route in Route}
    for exam in exams:
        for route in Route:
            results[route] += [image_result(exam, view, next(found)) for view in range(len(VIEWS))]
    return results


def claims(readings: Mapping[str, Readings], *, command: str) -> list[Claim]:
    """Every contrast in every setting, per view and in any view."""
    return [
        row
        for first, second, settings in CONTRASTS
        for setting in settings
        for any_view in (False, True)
        for row in _rows(readings[setting.name], (first, second), setting, any_view=any_view, command=command)
    ]


def _rows(
    readings: Readings, routes: tuple[Route, Route], setting: Setting, *, any_view: bool, command: str
) -> list[Claim]:
    first, second = (readings[route] for route in routes)
    froc = Froc.of(first, any_view=any_view)
    return [
        Claim(
            claim="1",
            title="tri-view beats dual beats single",
            contrast=f"{routes[0]} - {routes[1]}",
            setting=setting.name,
            control=setting is not DEFAULT,
            measure=f"{'any-view ' if any_view else ''}recall at {fppi:g} FPPI",
            patients=len(froc.images),
            images=int(froc.images.sum()),
            lesions=len(froc.lesion_scores),
            seeds=1,
            first=found.first,
            second=found.second,
            effect=found.effect,
            low=found.low,
            high=found.high,
            command=command,
            compared="The shipped detector reads the same test exams by each route; one training, so the interval is "
            "that of the patients alone.",
        )
        for fppi, found in zip(FPPI, paired_recall([first], [second], FPPI, any_view=any_view), strict=True)
    ]


def markdown(readings: Mapping[str, Readings], *, source: str, command: str) -> str:
    """The tables of recall by route, setting, vendor style and missing view."""
    default = readings[DEFAULT.name]
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
    return "All routes" if setting == DEFAULT.name else f"Control: {setting}"


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
    default = readings[DEFAULT.name]
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
