"""How much an idealised observer gains from a second and a third view of the phantom benchmark.

The observer sees no pixels. It gets the plan of every exam as a list of candidates per view, each with one number for
its looks, and knows where they lie. A logistic regression weighs the looks of a candidate against the candidates at
the mirrored place of the other breast and at the same nipple distance in the other view of the breast. So it tells how
large the gains of two and three views can be on these exams, and which of them the control recipes take away.

An object looks the same in all its views, as the generator draws its size, contrast and suspicion once; the setting
``independent_looks`` draws its looks anew in each view, so that a second view is a second look as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.view import View
from tetraview.phantom import RECIPES, TEST_SEEDS, TRAIN_SEEDS, ObjectKind
from tetraview.phantom.anatomy import sample_anatomy
from tetraview.phantom.plan import Sighting, plan_exam
from tetraview_nets.metrics import Froc
from tetraview_nets.studies.benchmark import logistic

Floats = NDArray[np.float64]

#: Mean number of candidates of a view that are tissue only.
BACKGROUND_MEAN = 2.0
#: Spread of an object's mirrored places about each other, millimetres along x and y, and of its nipple distances.
MIRROR_SD_MM = (6.5, 4.6)
DISTANCE_SD_MM = 8.0
#: Columns of the evidence on a candidate.
EVIDENCE = ("looks", "mirror", "anywhere", "distance")
#: CandidateSet that each route weighs; ``anywhere`` is the other view of the breast without regard to nipple distance.
ROUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "single": ("looks",),
        "bi": ("looks", "mirror"),
        "ipsi without geometry": ("looks", "anywhere"),
        "ipsi": ("looks", "distance"),
        "tri": ("looks", "mirror", "distance"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Exams, and how well the observer sees."""

    name: str
    #: Recipe of the exams.
    recipe: str = "training"
    #: Mean looks of masses and of what mimics them, in standard deviations above tissue.
    mass: float = 2.8
    mimic: float = 1.8
    #: Whether an object looks the same in all its views.
    same_looks: bool = True
    #: Standard deviation of the nipple's place along x and y, millimetres.
    nipple_error_mm: float = 0.0


SETTINGS = (
    Setting(name="default"),
    Setting(name="close_mimics", mass=3.0, mimic=2.5),
    Setting(name="no_islands", recipe="no_islands"),
    Setting(name="no_decoys", recipe="no_decoys"),
    Setting(name="geometry_shuffled", nipple_error_mm=60.0),
    Setting(name="independent_looks", same_looks=False),
    Setting(name="independent_looks_no_islands", recipe="no_islands", same_looks=False),
    Setting(name="independent_looks_no_decoys", recipe="no_decoys", same_looks=False),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedView:
    """The candidates of one view."""

    #: float [N, 2], millimetres from the nipple; chest wall at the left in both breasts.
    places: Floats
    #: One name an object; tissue has names that begin with ``B``.
    labels: tuple[str, ...]
    #: bool [N], a mass.
    mass: NDArray[np.bool_]
    #: float [N], contrast over that of the view which shows the object best; 0 for tissue.
    strength: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedExam:
    """The content of an exam, without images."""

    seed: int
    views: Mapping[View, PlannedView]


@dataclass(frozen=True, kw_only=True, eq=False)
class CandidateSet:
    """All candidates of a set of exams."""

    #: float [N, 4], columns as in ``EVIDENCE``.
    columns: Floats
    #: bool [N], a mass.
    mass: NDArray[np.bool_]
    #: int [N], the index of the exam.
    exam: NDArray[np.int64]
    exams: int

    def of(self, route: str) -> Floats:
        """The columns a route weighs."""
        return self.columns[:, [EVIDENCE.index(name) for name in ROUTES[route]]]

    def froc(self, scores: Floats) -> Froc:
        """The FROC of scores [N]; each view of a mass counts by itself."""
        return Froc(
            lesion_scores=scores[self.mass],
            lesion_patients=self.exam[self.mass],
            false_scores=scores[~self.mass],
            false_patients=self.exam[~self.mass],
            images=np.full(self.exams, len(View)),
        )


def plan(seeds: Sequence[int], recipe: str) -> list[PlannedExam]:
    """Plan exams and sprinkle tissue candidates over the places where objects could be."""
    return [_planned_exam(seed, recipe) for seed in seeds]


def _planned_exam(seed: int, recipe: str) -> PlannedExam:
    anatomy = sample_anatomy(seed)
    sightings = plan_exam(seed, RECIPES[recipe], anatomy)
    shares = contrast_shares(sightings)
    views = {}
    for index, (view, seen) in enumerate(sightings.items()):
        rng = np.random.default_rng((seed, index))
        projection, breast = anatomy.projections[view], anatomy.breasts[view.laterality]
        tissue = [projection.project(breast.sample(rng)) for _ in range(rng.poisson(BACKGROUND_MEAN))]
        places = [found.centre for found in seen] + tissue
        views[view] = PlannedView(
            places=np.reshape(places, (-1, 2)) - projection.nipple,
            labels=(*(found.label for found in seen), *(f"B{number}" for number in range(len(tissue)))),
            mass=np.array([found.kind is ObjectKind.MASS for found in seen] + [False] * len(tissue), dtype=np.bool_),
            strength=np.array(shares[view] + [0.0] * len(tissue)),
        )
    return PlannedExam(seed=seed, views=views)


def contrast_shares(sightings: Mapping[View, Sequence[Sighting]]) -> dict[View, list[float]]:
    """Contrast of each sighting over that of the view which shows the object best: below 1 where it is faint."""
    best: dict[str, float] = {}
    for found in (found for seen in sightings.values() for found in seen):
        best[found.label] = max(best.get(found.label, 0.0), found.appearance.cnr)
    return {view: [found.appearance.cnr / best[found.label] for found in seen] for view, seen in sightings.items()}


def look(exams: Sequence[PlannedExam], setting: Setting) -> CandidateSet:
    """The evidence that the observer notes for every candidate."""
    columns = [_evidence(exam, setting) for exam in exams]
    mass = [view.mass for exam in exams for view in exam.views.values()]
    return CandidateSet(
        columns=np.concatenate(columns),
        mass=np.concatenate(mass),
        exam=np.repeat(np.arange(len(exams)), [len(found) for found in columns]),
        exams=len(exams),
    )


def _evidence(exam: PlannedExam, setting: Setting) -> Floats:
    """The evidence for each candidate of all views: float [N, 4], columns as in ``EVIDENCE``."""
    looks = {view: _looks(exam.seed, view, planned, setting) for view, planned in exam.views.items()}
    distances = {view: _distances(exam.seed, view, planned, setting) for view, planned in exam.views.items()}
    rows = []
    for view, planned in exam.views.items():
        mirrored, other = exam.views[view.contralateral], view.ipsilateral
        shift = (planned.places[:, None] - mirrored.places[None]) / MIRROR_SD_MM
        near = np.exp(-0.5 * (shift**2).sum(axis=2))
        apart = (distances[view][:, None] - distances[other][None]) / DISTANCE_SD_MM
        matches = (
            _best_match(looks[view.contralateral], near),
            _best_match(looks[other], np.ones_like(apart)),
            _best_match(looks[other], np.exp(-0.5 * apart**2)),
        )
        rows.append(np.column_stack((looks[view], *matches)))
    return np.concatenate(rows)


def _best_match(looks: Floats, closeness: Floats) -> Floats:
    """How like an object the best partner looks [M], less with its distance: closeness [N, M] to float [N]."""
    return np.asarray((np.maximum(looks, 0) * closeness).max(axis=1, initial=0.0), dtype=np.float64)


def _looks(seed: int, view: View, planned: PlannedView, setting: Setting) -> Floats:
    """Looks [N], of unit variance about the mean of each candidate's class."""
    mean = np.where(planned.mass, setting.mass, setting.mimic) * planned.strength
    return mean + [_deviation(seed, view, label, setting) for label in planned.labels]


def _deviation(seed: int, view: View, label: str, setting: Setting) -> float:
    shared = setting.same_looks and not label.startswith("B")
    part = 0 if shared else 1 + list(View).index(view)
    return float(np.random.default_rng((seed, part, *label.encode())).standard_normal())


def _distances(seed: int, view: View, planned: PlannedView, setting: Setting) -> Floats:
    """Nipple distances [N], millimetres, from where the nipple is believed to be."""
    rng = np.random.default_rng((seed, 1 + list(View).index(view), 0))
    moved = planned.places + setting.nipple_error_mm * rng.standard_normal(2)
    return np.asarray(np.hypot(moved[:, 0], moved[:, 1]), dtype=np.float64)


class Observer:
    """One logistic regression for each route."""

    def __init__(self, seen: CandidateSet) -> None:
        self._weights = {route: logistic.fit(seen.of(route), seen.mass) for route in ROUTES}

    def read(self, evidence: CandidateSet, route: str) -> Froc:
        """The FROC of one route on exams the observer was not fitted on."""
        return evidence.froc(logistic.log_odds(evidence.of(route), self._weights[route]))


@dataclass(frozen=True, kw_only=True, eq=False)
class SettingReading:
    """One setting, read by all routes."""

    setting: Setting
    evidence: CandidateSet
    #: The FROC of each route, fitted on exams of this setting.
    frocs: Mapping[str, Froc]
    #: The same of the observer fitted on the first setting read.
    unadapted: Mapping[str, Froc]


def study(settings: Sequence[Setting] = SETTINGS, *, fitted: int, tested: int) -> list[SettingReading]:
    """Read each setting's test exams by all routes.

    Args:
        settings: the first is the one whose observer is also shown all others.
        fitted: exams of the training seeds that the observers are fitted on.
        tested: exams of the test seeds.
    """
    recipes = {setting.recipe for setting in settings}
    sets = {name: (plan(TRAIN_SEEDS[:fitted], name), plan(TEST_SEEDS[:tested], name)) for name in recipes}
    first = Observer(look(sets[settings[0].recipe][0], settings[0]))
    readings = []
    for setting in settings:
        seen, evidence = (look(exams, setting) for exams in sets[setting.recipe])
        own = Observer(seen)
        readings.append(
            SettingReading(
                setting=setting,
                evidence=evidence,
                frocs={route: own.read(evidence, route) for route in ROUTES},
                unadapted={route: first.read(evidence, route) for route in ROUTES},
            )
        )
    return readings
