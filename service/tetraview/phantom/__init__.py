"""Synthetic screening exams with ground truth."""

from tetraview.phantom.detector import HELD_OUT_STYLE, style_of
from tetraview.phantom.exam import ObjectKind, PhantomExam, PhantomObject, PhantomView
from tetraview.phantom.generate import generate
from tetraview.phantom.recipe import (
    DEMO_SEED,
    GENERATOR_VERSION,
    RECIPES,
    TEST_SEEDS,
    TRAIN_SEEDS,
    VALIDATION_SEEDS,
    PhantomRecipe,
)

__all__ = [
    "DEMO_SEED",
    "GENERATOR_VERSION",
    "HELD_OUT_STYLE",
    "RECIPES",
    "TEST_SEEDS",
    "TRAIN_SEEDS",
    "VALIDATION_SEEDS",
    "ObjectKind",
    "PhantomExam",
    "PhantomObject",
    "PhantomRecipe",
    "PhantomView",
    "generate",
    "style_of",
]
