"""The two breasts of a patient and how each view lays them on the detector.

Breast coordinates are millimetres ``(a, x, z)``: depth from the chest wall, lateral, superior, with the nipple at
``(depth, 0, 0)``. Field coordinates are millimetres ``(x, y)`` on the detector with the chest wall at ``x = 0`` and
lateral (CC) or axilla (MLO) up, the same for both breasts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Point
from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.phantom.recipe import Stream, random_stream

Floats = NDArray[np.float32]
Position = tuple[float, float, float]

#: The detector: 24 x 18 cm less its dead border.
FIELD_MM = (232.96, 179.2)
DENSITIES = ("a", "b", "c", "d")
_DENSITY_SHARES = (0.10, 0.43, 0.40, 0.07)
_DENSE_FRACTIONS = (0.08, 0.20, 0.40, 0.65)
_MLO_NIPPLE_DROP_MM = 15.0
_MLO_UPPER_STRETCH = 2.2
#: Share of nipples that cannot be seen in profile. In the CDD-CESM mammograms: 7 % of CC, 20 % of MLO views.
_OUT_OF_PROFILE = {ViewPosition.CC: 0.1, ViewPosition.MLO: 0.2}
#: In MLO the nipple lies up to this far below the outline's foremost point, more often far than near. In the CDD-CESM
#: mammograms half of them lie 17 to 43 mm below the middle of the foremost 2 mm of the breast; here 14 to 33 mm.
MOST_RISE_MM = 35.0
_CC_RISE_SD_MM = 5.0
#: How far the lower end of the outline follows its foremost point up, as a share.
_LIFT = 0.5
#: An MLO view shows less of the nipple beyond the skin, which slopes there.
_MLO_NIPPLE_SHARE = 0.6


@dataclass(frozen=True, kw_only=True)
class Pectoral:
    """The pectoral muscle in the upper chest-wall corner of an MLO view."""

    #: Extent along the top edge.
    width_mm: float
    #: Extent along the chest wall.
    length_mm: float
    #: How far its edge bulges over the straight line.
    bulge_mm: float

    def edge(self, y: Floats) -> Floats:
        """Distance of the muscle's edge from the chest wall at each height, millimetres; negative below it."""
        along = y / np.float32(self.length_mm)
        return self.width_mm * (1 - along) + 4 * self.bulge_mm * along * (1 - along)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """How one view shows one breast."""

    view: View
    #: Chest wall to nipple in this view.
    depth_mm: float
    #: The same in the breast itself.
    breast_depth_mm: float
    #: Half the extent of the outline along the chest wall, above and below a nipple at its foremost point.
    half_widths_mm: tuple[float, float]
    #: Exponent of the super-ellipse that the outline follows.
    exponent: float
    #: Height of the nipple on the detector.
    nipple_y_mm: float
    #: How far above the nipple the outline reaches its foremost point; negative below it.
    apex_rise_mm: float
    #: Radius of the nipple, 0 when it is out of profile.
    nipple_radius_mm: float
    #: Tilt of an MLO view, radians; 0 in CC.
    angle: float
    thickness_mm: float
    #: Phases of the outline's slight waves.
    waves: tuple[float, float]
    pectoral: Pectoral | None

    @property
    def nipple(self) -> Point:
        """Centre of the nipple, field millimetres."""
        return self.depth_mm, self.nipple_y_mm

    def outline(self, y: Floats | float) -> Floats:
        """Distance of the skin from the chest wall at each height, millimetres; 0 outside the breast."""
        return np.asarray(self.depth_mm * (self._reach(y) / self._reach(self.nipple_y_mm)), dtype=np.float32)

    def _reach(self, y: Floats | float) -> Floats:
        """The outline's distance from the chest wall over that of its foremost point."""
        offset = np.asarray(y, dtype=np.float32) - np.float32(self.nipple_y_mm - self.apex_rise_mm)
        above = self.half_widths_mm[0] - self.apex_rise_mm
        below = self.half_widths_mm[1] + (1 - _LIFT) * self.apex_rise_mm
        relative = np.abs(offset) / np.where(offset < 0, above, below)
        depth = np.sqrt(np.maximum(1 - relative**self.exponent, 0))
        wave = np.sin(relative * 9 + self.waves[0]) - math.sin(self.waves[0])
        return np.asarray(depth * (1 + 0.012 * relative * wave), dtype=np.float32)

    def project(self, position: Position) -> Point:
        """Where a point of the breast lands, field millimetres."""
        a, x, z = position
        up = x * math.cos(self.angle) + z * math.sin(self.angle)
        return a * self.depth_mm / self.breast_depth_mm, self.nipple_y_mm - up

    def nipple_distance(self, point: Point) -> float:
        """From a field point to the nipple, millimetres."""
        return math.dist(point, self.nipple)

    def holds(self, point: Point, *, radius_mm: float) -> bool:
        """Whether a disc lies well within breast and field and off the pectoral muscle."""
        x, y = point
        heights = np.array([y - 0.7 * radius_mm, y, y + 0.7 * radius_mm], dtype=np.float32)
        reach = float(self.outline(heights).min()) - 6.0
        wall = 3.0 if self.pectoral is None else max(3.0, float(self.pectoral.edge(heights[1:2])[0]))
        in_field = radius_mm < y < FIELD_MM[0] - radius_mm
        return in_field and wall + 0.6 * radius_mm < x < reach - 0.7 * radius_mm


@dataclass(frozen=True, kw_only=True)
class Breast:
    """One breast, uncompressed."""

    #: Posterior nipple line.
    depth_mm: float
    #: Half its width at the chest wall.
    half_width_mm: float

    def reach(self, a: float) -> float:
        """Half the width at a depth, millimetres."""
        return self.half_width_mm * math.sqrt(max(1 - (a / self.depth_mm) ** 2, 0.0))

    def sample(self, rng: np.random.Generator) -> Position:
        """A random place for an object, more often upper and outer, as glandular tissue is."""
        a = self.depth_mm * rng.uniform(0.15, 0.88)
        reach, turn, out = self.reach(a), rng.uniform(0, 2 * math.pi), math.sqrt(rng.uniform())
        x = reach * (0.72 * out * math.cos(turn) + 0.10)
        return a, x, reach * (0.80 * out * math.sin(turn) + 0.10)


@dataclass(frozen=True, kw_only=True)
class Disc:
    """The body of the gland, a cone behind the nipple, alike in both breasts."""

    #: How far back it reaches, share of the breast's depth; the tissue behind it is fat.
    reach: float
    #: Its half width over that of the breast.
    width: float
    #: How far its axis leans to the axilla, as a slope.
    tail: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """Anatomy from which the four views of a patient are made."""

    #: BI-RADS density category, a to d.
    density: str
    #: Share of the breast's thickness that is dense, mean over the breast.
    dense_fraction: float
    breasts: dict[Laterality, Breast]
    projections: dict[View, Projection]
    disc: Disc
    #: float [n, 6] of each breast: place (a, x, z) and semi-axes of glandular ellipsoids, millimetres.
    glands: dict[Laterality, NDArray[np.float64]]


def sample_anatomy(seed: int) -> Anatomy:
    """The breasts of a patient: alike, not equal."""
    rng = random_stream(seed, Stream.ANATOMY)
    category = int(rng.choice(len(DENSITIES), p=_DENSITY_SHARES))
    depth = float(np.clip(rng.normal(95, 18), 50, 150))
    half_width = min(depth * rng.uniform(0.72, 1.0), 104.0)
    breasts = {
        side: Breast(depth_mm=depth + rng.normal(0, 2.5), half_width_mm=half_width + rng.normal(0, 2.0))
        for side in Laterality
    }
    body = _Body(
        exponent=rng.uniform(2.0, 2.5), thickness_mm=float(np.clip(rng.normal(48, 9), 25, 85)), pectoral=_pectoral(rng)
    )
    views = {view: _projection(rng, seed, view=view, breast=breasts[view.laterality], body=body) for view in View}
    glands = _glands(rng, breasts[Laterality.LEFT])
    return Anatomy(
        density=DENSITIES[category],
        dense_fraction=_DENSE_FRACTIONS[category] * rng.uniform(0.8, 1.2),
        breasts=breasts,
        projections=views,
        disc=_disc(seed),
        glands={side: _jittered(rng, glands) for side in Laterality},
    )


@dataclass(frozen=True, kw_only=True)
class _Body:
    """Properties that both breasts of a patient share."""

    exponent: float
    thickness_mm: float
    pectoral: Pectoral


def _pectoral(rng: np.random.Generator) -> Pectoral:
    width = rng.uniform(35, 70)
    return Pectoral(width_mm=width, length_mm=width / math.tan(math.radians(rng.uniform(18, 32))), bulge_mm=3.0)


def _projection(rng: np.random.Generator, seed: int, *, view: View, breast: Breast, body: _Body) -> Projection:
    oblique = view.position is ViewPosition.MLO
    up, down = breast.half_width_mm * (_MLO_UPPER_STRETCH if oblique else 1.0), breast.half_width_mm
    depth = breast.depth_mm + (rng.normal(0, 4) if oblique else 0.0)
    middle = FIELD_MM[0] / 2 + (_MLO_NIPPLE_DROP_MM if oblique else 0.0)
    radius, in_profile = rng.uniform(4, 6), rng.uniform() >= _OUT_OF_PROFILE[view.position]
    angle, scale, bulge = math.radians(rng.uniform(40, 55)), rng.uniform(0.88, 1.12), rng.uniform(1, 5)
    muscle = Pectoral(
        width_mm=body.pectoral.width_mm * scale, length_mm=body.pectoral.length_mm * scale, bulge_mm=bulge
    )
    return Projection(
        view=view,
        depth_mm=depth,
        breast_depth_mm=breast.depth_mm,
        half_widths_mm=(up, down),
        exponent=body.exponent,
        nipple_y_mm=middle + rng.normal(0, 8),
        apex_rise_mm=_apex_rise(seed, view),
        nipple_radius_mm=radius * (_MLO_NIPPLE_SHARE if oblique else 1.0) if in_profile else 0.0,
        angle=angle if oblique else 0.0,
        thickness_mm=body.thickness_mm + rng.normal(0, 2) + (4.0 if oblique else 0.0),
        waves=(rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi)),
        pectoral=muscle if oblique else None,
    )


def _apex_rise(seed: int, view: View) -> float:
    """How far above the nipple the outline is foremost, in mm, drawn from a random stream of its own.

    Only the outline moves, not the nipple: objects in the breast keep their place and their distance from the nipple.
    """
    rng = random_stream(seed, Stream.NIPPLE, list(View).index(view))
    if view.position is ViewPosition.CC:
        return rng.normal(0, _CC_RISE_SD_MM)
    return MOST_RISE_MM * math.sqrt(rng.uniform())


def _disc(seed: int) -> Disc:
    rng = random_stream(seed, Stream.GLAND)
    return Disc(reach=rng.uniform(0.7, 1.0), width=rng.uniform(0.55, 0.9), tail=rng.uniform(0.05, 0.2))


def _glands(rng: np.random.Generator, breast: Breast) -> NDArray[np.float64]:
    """Ellipsoids in a cone behind the nipple, more of them upper and outer."""
    count = int(rng.integers(30, 81))
    a = breast.depth_mm * rng.uniform(0.1, 0.95, count)
    spread = 0.8 * breast.half_width_mm * (1 - a / breast.depth_mm) + 5.0
    across = rng.normal(0, 0.6, (2, count)) * spread + 0.14 * spread
    axes = rng.uniform(4, 14, (3, count))
    return np.column_stack((a, across[0], across[1], *axes))


def _jittered(rng: np.random.Generator, glands: NDArray[np.float64]) -> NDArray[np.float64]:
    shift = np.zeros_like(glands)
    shift[:, :3] = rng.normal(0, 3, (len(glands), 3))
    return glands + shift
