"""The candidates of one exam through segmenter and classifier: patches out, outlines and grades in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.exam import Exam
from tetraview.domain.finding import Finding
from tetraview.domain.geometry import Box
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import View
from tetraview.findings import NativeMask, ViewFindings, ViewGeometry, graded, native_spacing, outlined
from tetraview.imaging.decode import DecodeLimits, cut_patches
from tetraview.imaging.orientation import Orientation
from tetraview.imaging.patch import on_pixels
from tetraview.inference import Masks, Models, PatchAnswer
from tetraview.reading.stopwatch import Stopwatch
from tetraview.settings import Stages

Shapes = Mapping[str, PatchShape]


@dataclass(frozen=True, kw_only=True)
class Described:
    """Findings with all that segmenter and classifier add to them."""

    views: tuple[ViewFindings, ...]
    #: None where no segmenter is set.
    segmenter: PatchAnswer | None
    #: None where no classifier is set; the segmenter's own answer where one model is both.
    classifier: PatchAnswer | None


class CandidateReader:
    """Outlines and grades the findings of an exam.

    Args:
        models: the models of Triton.
        spool: folder that the paths of instances are relative to.
        limits: resources that decoding one image may use.
    """

    def __init__(self, models: Models, *, spool: Path, limits: DecodeLimits) -> None:
        self._models = models
        self._spool = spool
        self._limits = limits

    def shapes(self, stages: Stages) -> Shapes:
        """The patches that segmenter and classifier read, by their names; none where there is neither.

        Raises:
            TritonUnavailable: Triton or a model is not ready.
            ModelMismatch: a model is missing or differs from its contract.
        """
        return {name: self._models.patch_models[name].check() for name in stages.of_patches}

    def describe(
        self,
        exam: Exam,
        found: tuple[ViewFindings, ...],
        geometries: Mapping[View, ViewGeometry],
        *,
        stages: Stages,
        shapes: Shapes,
        watch: Stopwatch,
    ) -> Described:
        """The findings outlined and graded; every model is asked once about all of them, even if there are none.

        Args:
            exam: the images.
            found: findings in them.
            geometries: how the canonical frame of each view lies in its image.
            stages: the models to ask.
            shapes: the patches that they read.
            watch: takes the time of ``cut``, ``segment``, ``classify`` and ``outline``.

        Raises:
            TritonUnavailable: Triton does not answer.
            ModelMismatch: a model does not keep its contract.
            ImageUnreadable: an image that was decoded cannot be decoded again.
            StorageUnavailable: a stored image cannot be opened.
        """
        if not shapes:
            return Described(views=found, segmenter=None, classifier=None)
        with watch.time("cut"):
            patches = self._cut(exam, found, shapes)
        answers: dict[str, PatchAnswer] = {}
        for name in shapes:
            with watch.time("segment" if name == stages.segmenter else "classify"):
                answers[name] = self._models.patch_models[name].read(
                    exam.exam_id, patches[name], size=shapes[name].size
                )
        segmenter, classifier = answers.get(stages.segmenter), answers.get(stages.classifier)
        if segmenter and segmenter.masks:
            with watch.time("outline"):
                shape = shapes[stages.segmenter]
                found = outlined(found, geometries, _native_masks(segmenter.masks, found, geometries, shape))
        if classifier and classifier.gradings is not None:
            found = graded(found, classifier.gradings)
        return Described(views=found, segmenter=segmenter, classifier=classifier)

    def _cut(self, exam: Exam, found: Sequence[ViewFindings], shapes: Shapes) -> dict[str, list[NDArray[np.float32]]]:
        """The patches of every finding by model, in the order of the views and of the findings within each."""
        boxes = {view.view: [finding.box for finding in view.findings] for view in found}
        paths = {view: self._spool / exam.images[view].path for view in boxes}
        cut = cut_patches(paths, boxes, shapes=shapes, limits=self._limits)
        return {name: [patch for view in boxes if view in cut for patch in cut[view][name]] for name in shapes}


def _native_masks(
    masks: Masks, found: Sequence[ViewFindings], geometries: Mapping[View, ViewGeometry], shape: PatchShape
) -> list[NativeMask]:
    findings = [finding for view in found for finding in view.findings]
    return [
        _native_mask(probability, threshold, finding, geometries[finding.view], shape)
        for probability, threshold, finding in zip(masks.probability, masks.threshold.tolist(), findings, strict=True)
    ]


def _native_mask(
    probability: NDArray[np.float32], threshold: float, finding: Finding, geometry: ViewGeometry, shape: PatchShape
) -> NativeMask:
    """The stored pixels at which the interpolated probability reaches the threshold.

    Args:
        probability: float32 [size, size], of an upright patch.
        threshold: in (0, 1].
        finding: whose patch.
        geometry: how the image is stored.
        shape: how the finding's box became the patch.
    """
    probability = Orientation.of(geometry.canonical_to_native).turned_back(probability)
    square = shape.square(finding.box, spacing_mm=native_spacing(geometry))
    values, corner = on_pixels(probability, square=square, shape=geometry.native_shape)
    return NativeMask(pixels=values >= threshold, corner=corner, reach=_reach(probability, square))


def _reach(probability: NDArray[np.float32], square: Box) -> Box:
    """The part of a patch's square that its network answers for: some read its middle only, and say 0 around it."""
    rows, columns = (np.flatnonzero(probability.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return square
    down, across = square.height / len(probability), square.width / len(probability)
    return Box(
        square.x0 + float(columns[0]) * across,
        square.y0 + float(rows[0]) * down,
        square.x0 + float(columns[-1] + 1) * across,
        square.y0 + float(rows[-1] + 1) * down,
    )
