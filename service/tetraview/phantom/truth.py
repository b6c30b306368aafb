"""The ground truth of an exam as files: one JSON and one mask for each object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tetraview.phantom.exam import PhantomExam, PhantomObject, PhantomView
from tetraview.phantom.recipe import GENERATOR_VERSION


def write_truth(exam: PhantomExam, folder: Path) -> Path:
    """Write ``truth.json`` and a PNG mask beside the images; points and boxes are in stored pixels, x right, y down.

    Args:
        exam: the exam.
        folder: an existing folder.
    """
    document = {
        "generator_version": GENERATOR_VERSION,
        "recipe": exam.recipe.name,
        "seed": exam.seed,
        "density": exam.density,
        "style": exam.style,
        "views": {view.value: _view(image, folder) for view, image in exam.views.items()},
    }
    path = folder / "truth.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def _view(image: PhantomView, folder: Path) -> dict[str, Any]:
    return {
        "file": f"{image.view}.dcm",
        "rows": image.pixels.shape[0],
        "columns": image.pixels.shape[1],
        "spacing_mm": image.spacing_mm,
        "nipple": image.nipple,
        "nipple_in_profile": image.nipple_in_profile,
        "objects": [_object(found, _write_mask(found, image, folder)) for found in image.objects],
    }


def _object(found: PhantomObject, mask: str) -> dict[str, Any]:
    box = found.box
    return {
        "kind": found.kind.value,
        "label": found.label,
        "box": [box.x0, box.y0, box.x1, box.y1],
        "mask": mask,
        "centre": found.centre,
        "area_mm2": found.area_mm2,
        "cnr": found.cnr,
        "nipple_distance_mm": found.nipple_distance_mm,
        "suspicion": found.suspicion,
        "birads": found.birads,
        "malignant": found.malignant,
        "biopsied": found.biopsied,
    }


def _write_mask(found: PhantomObject, image: PhantomView, folder: Path) -> str:
    """Write a mask of the size of the image, 255 inside, and return the file's name."""
    name = f"{image.view}_{found.label}.png"
    _, encoded = cv2.imencode(".png", found.mask.astype(np.uint8) * 255)
    (folder / name).write_bytes(encoded.tobytes())
    return name
