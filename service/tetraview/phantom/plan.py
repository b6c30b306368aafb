"""Which objects an exam holds and where each view shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tetraview.domain.geometry import Point
from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.phantom.anatomy import Anatomy, Position
from tetraview.phantom.appearance import (
    Appearance,
    Assessment,
    assess,
    sample_appearance,
    sample_benign_appearance,
)
from tetraview.phantom.exam import ObjectKind
from tetraview.phantom.recipe import PhantomRecipe, Stream, random_stream

#: A mass lies at about the same distance from the nipple in both views of a breast.
NIPPLE_DISTANCE_TOLERANCE_MM = 20.0
#: A decoy lies at the distance of no object of the other view.
DECOY_SEPARATION_MM = 15.0
#: Share of masses that are faint in one view, and how faint.
FAINT_SHARE = 0.15
FAINT_FACTOR = 0.3
_TRIES = 80
_GAP_MM = 4.0
_MIRROR_JITTER_MM = 3.0
_LEFT_RIGHT = tuple(Laterality)


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One object as it is to be drawn in one view."""

    kind: ObjectKind
    label: str
    #: Field millimetres.
    centre: Point
    nipple_distance_mm: float
    appearance: Appearance
    assessment: Assessment | None
    #: Seeds the shape; the same in mirrored views.
    shape_seed: int


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """An object before it has a place."""

    kind: ObjectKind
    label: str
    appearance: Appearance
    assessment: Assessment | None = None


class Plan:
    """The sightings of an exam, filled object by object."""

    def __init__(self, anatomy: Anatomy) -> None:
        self._anatomy = anatomy
        self.sightings: dict[View, list[Sighting]] = {view: [] for view in View}

    def place_in_breast(self, rng: np.random.Generator, subject: _Subject, side: Laterality) -> None:
        """Find room in both views of one breast; an object that fits nowhere is left out."""
        views = [view for view in View if view.laterality is side]
        for _ in range(_TRIES):
            position = self._anatomy.breasts[side].sample(rng)
            seen = {view: self._sight(rng, subject, view, position) for view in views}
            if self._fits(seen):
                self._keep(_faint_in_one_view(rng, seen) if subject.kind is ObjectKind.MASS else seen)
                return

    def place_in_both_breasts(self, rng: np.random.Generator, subject: _Subject) -> None:
        """Find room in all four views, mirrored."""
        for _ in range(_TRIES):
            position = self._anatomy.breasts[Laterality.LEFT].sample(rng)
            seen: dict[View, Sighting] = {}
            for side in _LEFT_RIGHT:
                moved = tuple(np.asarray(position) + rng.normal(0, _MIRROR_JITTER_MM, 3))
                sized = replace(subject, appearance=subject.appearance.resized(rng.uniform(0.95, 1.05)))
                views = [view for view in View if view.laterality is side]
                seen |= {view: self._sight(rng, sized, view, moved) for view in views}
            if self._fits(seen):
                self._keep(seen)
                return

    def place_in_view(self, rng: np.random.Generator, subject: _Subject, view: View) -> None:
        """Find room in one view, at a distance from the nipple where the other view shows nothing.

        The place is one where a mass could be, fit for both views, so that places do not tell decoys from masses.
        """
        others = [found.nipple_distance_mm for found in self.sightings[view.ipsilateral]]
        for _ in range(_TRIES):
            position = self._anatomy.breasts[view.laterality].sample(rng)
            seen = {either: self._sight(rng, subject, either, position) for either in (view, view.ipsilateral)}
            distance = seen[view].nipple_distance_mm
            apart = all(abs(distance - other) > DECOY_SEPARATION_MM for other in others)
            if apart and self._possible(seen) and self._free(view, seen[view]):
                self._keep({view: seen[view]})
                return

    def _sight(self, rng: np.random.Generator, subject: _Subject, view: View, position: Position) -> Sighting:
        projection = self._anatomy.projections[view]
        x, y = projection.project(position)
        centre = (x + rng.normal(0, 2), y)
        return Sighting(
            kind=subject.kind,
            label=subject.label,
            centre=centre,
            nipple_distance_mm=projection.nipple_distance(centre),
            appearance=subject.appearance,
            assessment=subject.assessment,
            shape_seed=_shape_seed(subject, view),
        )

    def _fits(self, seen: dict[View, Sighting]) -> bool:
        return self._possible(seen) and all(self._free(view, sighting) for view, sighting in seen.items())

    def _possible(self, seen: dict[View, Sighting]) -> bool:
        inside = all(
            self._anatomy.projections[view].holds(sighting.centre, radius_mm=sighting.appearance.radius_mm)
            for view, sighting in seen.items()
        )
        return inside and all(_same_distance(seen, side) for side in _LEFT_RIGHT)

    def _free(self, view: View, sighting: Sighting) -> bool:
        radius = sighting.appearance.radius_mm
        return all(
            math.dist(sighting.centre, other.centre) > radius + other.appearance.radius_mm + _GAP_MM
            for other in self.sightings[view]
        )

    def _keep(self, seen: dict[View, Sighting]) -> None:
        for view, sighting in seen.items():
            self.sightings[view].append(sighting)


def plan_exam(seed: int, recipe: PhantomRecipe, anatomy: Anatomy) -> dict[View, list[Sighting]]:
    """Decide on all objects of an exam: masses first, what mimics them where room is left."""
    plan = Plan(anatomy)
    depth = min(projection.depth_mm for projection in anatomy.projections.values())
    _plan_masses(plan, seed, recipe, depth)
    _plan_islands(plan, seed, recipe, depth)
    _plan_asymmetries(plan, seed, recipe, depth)
    _plan_decoys(plan, seed, recipe, depth)
    return plan.sightings


def _plan_masses(plan: Plan, seed: int, recipe: PhantomRecipe, depth_mm: float) -> None:
    rng = random_stream(seed, Stream.MASSES)
    present, count = rng.uniform() < recipe.mass_probability, int(rng.integers(1, recipe.most_masses + 1))
    for number in range(1, count + 1 if present else 1):
        appearance = sample_appearance(rng, recipe=recipe, depth_mm=depth_mm)
        subject = _Subject(
            kind=ObjectKind.MASS, label=f"M{number}", appearance=appearance, assessment=assess(rng, appearance)
        )
        plan.place_in_breast(rng, subject, _LEFT_RIGHT[int(rng.integers(2))])


def _plan_islands(plan: Plan, seed: int, recipe: PhantomRecipe, depth_mm: float) -> None:
    rng = random_stream(seed, Stream.ISLANDS)
    for number in range(1, rng.poisson(recipe.islands_mean) + 1):
        appearance = sample_benign_appearance(rng, recipe=recipe, depth_mm=depth_mm)
        plan.place_in_both_breasts(rng, _Subject(kind=ObjectKind.ISLAND, label=f"I{number}", appearance=appearance))


def _plan_asymmetries(plan: Plan, seed: int, recipe: PhantomRecipe, depth_mm: float) -> None:
    rng = random_stream(seed, Stream.ASYMMETRIES)
    for number in range(1, rng.poisson(recipe.asymmetries_mean) + 1):
        appearance = sample_benign_appearance(rng, recipe=recipe, depth_mm=depth_mm)
        subject = _Subject(kind=ObjectKind.ASYMMETRY, label=f"A{number}", appearance=appearance)
        plan.place_in_breast(rng, subject, _LEFT_RIGHT[int(rng.integers(2))])


def _plan_decoys(plan: Plan, seed: int, recipe: PhantomRecipe, depth_mm: float) -> None:
    rng = random_stream(seed, Stream.DECOYS)
    number = 0
    for view in View:
        for _ in range(rng.poisson(recipe.decoys_mean)):
            number += 1
            appearance = sample_benign_appearance(rng, recipe=recipe, depth_mm=depth_mm)
            plan.place_in_view(rng, _Subject(kind=ObjectKind.DECOY, label=f"D{number}", appearance=appearance), view)


def _same_distance(seen: dict[View, Sighting], side: Laterality) -> bool:
    cc, mlo = (seen.get(View.of(side, position)) for position in (ViewPosition.CC, ViewPosition.MLO))
    if cc is None or mlo is None:
        return True
    return abs(cc.nipple_distance_mm - mlo.nipple_distance_mm) <= NIPPLE_DISTANCE_TOLERANCE_MM


def _faint_in_one_view(rng: np.random.Generator, seen: dict[View, Sighting]) -> dict[View, Sighting]:
    draw, view = rng.uniform(), list(seen)[int(rng.integers(len(seen)))]
    if draw >= FAINT_SHARE:
        return seen
    looks = seen[view].appearance
    return seen | {view: replace(seen[view], appearance=replace(looks, cnr=looks.cnr * FAINT_FACTOR))}


def _shape_seed(subject: _Subject, view: View) -> int:
    """Both breasts share the shape of an island in the same projection."""
    kinds, positions = list(ObjectKind), list(ViewPosition)
    return (kinds.index(subject.kind) * 100 + int(subject.label[1:])) * 2 + positions.index(view.position)
