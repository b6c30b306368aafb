"""Makes a synthetic exam from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.geometry import Box, Point
from tetraview.domain.view import Laterality, View
from tetraview.phantom.anatomy import Anatomy, sample_anatomy
from tetraview.phantom.detector import Exposure, Processing, add_marker, develop, expose, insert, sample_processing
from tetraview.phantom.exam import PhantomExam, PhantomObject, PhantomView
from tetraview.phantom.plan import Sighting, plan_exam
from tetraview.phantom.recipe import RECIPES, PhantomRecipe, Stream, random_stream
from tetraview.phantom.shape import Drawing, draw
from tetraview.phantom.tissue import GRID_MM, build_tissue


def generate(seed: int, *, recipe: PhantomRecipe = RECIPES["training"]) -> PhantomExam:
    """Make the four views of one synthetic patient with ground truth.

    The same version, recipe and seed always give the same exam; recipes that differ in one thing, such as spacing or
    the number of islands, share everything else.

    Args:
        seed: which patient; see ``TRAIN_SEEDS``, ``VALIDATION_SEEDS`` and ``TEST_SEEDS``.
        recipe: how finely to image and how many objects to hide.
    """
    anatomy = sample_anatomy(seed)
    sightings = plan_exam(seed, recipe, anatomy)
    processing = sample_processing(seed)
    return PhantomExam(
        seed=seed,
        recipe=recipe,
        density=anatomy.density,
        style=processing.style.name,
        views={
            view: _view(seed, recipe, anatomy, view=view, sightings=sightings[view], processing=processing)
            for view in View
        },
    )


def _view(
    seed: int,
    recipe: PhantomRecipe,
    anatomy: Anatomy,
    *,
    view: View,
    sightings: list[Sighting],
    processing: Processing,
) -> PhantomView:
    projection, index = anatomy.projections[view], list(View).index(view)
    shape = (recipe.rows, recipe.columns)
    tissue = build_tissue(seed, anatomy, projection, shape=_grid_shape(recipe))
    exposure = expose(seed, tissue, projection, index=index, recipe=recipe)
    drawings = [
        draw(sighting, seed=seed, spacing_mm=recipe.spacing_mm, shape=shape).within(exposure.breast)
        for sighting in sightings
    ]
    for sighting, drawing in zip(sightings, drawings, strict=True):
        insert(exposure.signal, drawing, cnr=sighting.appearance.cnr, breast=exposure.breast)
    rng = random_stream(seed, Stream.DETECTOR, index)
    pixels = develop(exposure, rng=rng, processing=processing, projection=projection, recipe=recipe)
    mirrored = view.laterality is Laterality.RIGHT
    return PhantomView(
        view=view,
        pixels=_stored_pixels(pixels, exposure, view=view, recipe=recipe, processing=processing),
        bits_stored=recipe.bits_stored,
        photometric_interpretation="MONOCHROME1" if processing.inverted else "MONOCHROME2",
        spacing_mm=(recipe.spacing_mm, recipe.spacing_mm),
        nipple=_stored_point(projection.nipple, recipe, mirrored=mirrored),
        nipple_in_profile=projection.nipple_radius_mm > 0,
        thickness_mm=projection.thickness_mm,
        objects=tuple(
            _truth(sighting, drawing, recipe=recipe, mirrored=mirrored)
            for sighting, drawing in zip(sightings, drawings, strict=True)
        ),
    )


def _grid_shape(recipe: PhantomRecipe) -> tuple[int, int]:
    scale = recipe.spacing_mm / GRID_MM
    return round(recipe.rows * scale), round(recipe.columns * scale)


def _stored_pixels(
    pixels: NDArray[np.uint16], exposure: Exposure, *, view: View, recipe: PhantomRecipe, processing: Processing
) -> NDArray[np.uint16]:
    """Turn a right breast's chest wall to the right edge and write the marker."""
    breast = exposure.breast > 0
    if view.laterality is Laterality.RIGHT:
        pixels, breast = np.ascontiguousarray(pixels[:, ::-1]), breast[:, ::-1]
    level = 0 if processing.inverted else 2**recipe.bits_stored - 1
    add_marker(pixels, view, breast=breast, spacing_mm=recipe.spacing_mm, level=level)
    return pixels


def _stored_point(point: Point, recipe: PhantomRecipe, *, mirrored: bool) -> Point:
    """Field millimetres to stored pixels: a right breast has its chest wall at the right edge."""
    x, y = point[0] / recipe.spacing_mm, point[1] / recipe.spacing_mm
    return (recipe.columns - x if mirrored else x), y


def _truth(sighting: Sighting, drawing: Drawing, *, recipe: PhantomRecipe, mirrored: bool) -> PhantomObject:
    rows, columns = (np.flatnonzero(drawing.core.any(axis=axis)) for axis in (1, 0))
    core = drawing.core[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    y0, x0 = drawing.origin[0] + int(rows[0]), drawing.origin[1] + int(columns[0])
    left = recipe.columns - x0 - core.shape[1] if mirrored else x0
    assessment = sighting.assessment
    return PhantomObject(
        kind=sighting.kind,
        label=sighting.label,
        box=Box(left, y0, left + core.shape[1], y0 + core.shape[0]),
        core=np.ascontiguousarray(core[:, ::-1]) if mirrored else core.copy(),
        shape=(recipe.rows, recipe.columns),
        centre=_stored_point(sighting.centre, recipe, mirrored=mirrored),
        area_mm2=float(core.sum()) * recipe.spacing_mm**2,
        cnr=sighting.appearance.cnr,
        nipple_distance_mm=sighting.nipple_distance_mm,
        suspicion=sighting.appearance.suspicion,
        birads=assessment.birads if assessment else None,
        malignant=assessment.malignant if assessment else None,
        biopsied=assessment.biopsied if assessment else False,
    )
