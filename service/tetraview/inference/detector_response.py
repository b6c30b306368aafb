"""The detector's answer, believed only where it keeps the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferResult

from tetraview.domain.calibration import Platt
from tetraview.domain.detection import Detection, Detections, Pair, ViewDetections
from tetraview.domain.geometry import Box
from tetraview.domain.view import Route, View, ViewPosition
from tetraview.errors import ModelMismatch
from tetraview.inference.contract import DETECTOR
from tetraview.inference.contract.detector import ROUTES, DetectorResponse
from tetraview.inference.response import believe, platt_of, read_card, read_tensors, text_of, unit, within

_Tensors = Mapping[str, NDArray[Any]]
_MIN_OUTLINE = 3


def read_response(result: InferResult, *, exam_id: str, views: Sequence[View], shape: tuple[int, ...]) -> Detections:
    """The detections of an answer, every value checked.

    Args:
        result: the answer.
        exam_id: the exam that was asked about.
        views: the views that were sent, in order.
        shape: rows and columns of the canonical frame.

    Raises:
        ModelMismatch: the answer breaks the contract or is for another exam; the message names the fault.
    """
    tensors = read_tensors(result, DETECTOR, exam_id=exam_id, extents={"V": len(views)})
    _check_values(tensors, views=len(views), shape=shape)
    model, card = read_card(text_of(tensors, DetectorResponse.MODEL))
    warnings = _warnings(text_of(tensors, DetectorResponse.WARNINGS), views=views)
    detections = _detections(tensors)
    box_view = tensors[DetectorResponse.BOX_VIEW].tolist()
    return Detections(
        views=tuple(
            ViewDetections(
                view=view,
                route=ROUTES[tensors[DetectorResponse.ROUTE][i]],
                nipple=(float(x), float(y)),
                nipple_confidence=float(confidence),
                detections=tuple(found for found, at in zip(detections, box_view, strict=True) if at == i),
                warnings=warnings[view],
            )
            for i, (view, (x, y, confidence)) in enumerate(zip(views, tensors[DetectorResponse.NIPPLES], strict=True))
        ),
        model=model,
        operating_points=_operating_points(card),
        pairs=_pairs(tensors, detections, views=[views[i] for i in box_view]),
        calibration=_calibration(card),
    )


def _check_values(tensors: _Tensors, *, views: int, shape: tuple[int, ...]) -> None:
    """Hold every number to its range; ranges are asked for, not their opposite, so that NaN fails too."""
    height, width = shape
    boxes, nipples = tensors[DetectorResponse.BOXES], tensors[DetectorResponse.NIPPLES]
    points, ends = tensors[DetectorResponse.OUTLINE_POINTS], tensors[DetectorResponse.OUTLINE_ENDS]
    lengths = np.diff(ends, prepend=0)
    believe(
        {
            "a score is outside [0, 1]": within(tensors[DetectorResponse.SCORES], 1),
            "a box lies outside the frame": within(boxes, [width, height, width, height]),
            "a box is empty": bool((boxes[:, :2] < boxes[:, 2:]).all()),
            "a box belongs to no view": within(tensors[DetectorResponse.BOX_VIEW], views - 1),
            "an outline lies outside the frame": within(points, [width, height]),
            "an outline has fewer than three points": bool((lengths >= _MIN_OUTLINE).all()),
            "points belong to no outline": int(lengths.sum()) == len(points),
            "a pair names no detection": within(tensors[DetectorResponse.PAIRS], len(boxes) - 1),
            "a pair's score is outside [0, 1]": within(tensors[DetectorResponse.PAIR_SCORES], 1),
            "a route is unknown": within(tensors[DetectorResponse.ROUTE], len(ROUTES) - 1),
            "a nipple lies outside the frame or its confidence outside [0, 1]": within(nipples, [width, height, 1]),
        }
    )


def _detections(tensors: _Tensors) -> list[Detection]:
    points = tensors[DetectorResponse.OUTLINE_POINTS].tolist()
    ends = tensors[DetectorResponse.OUTLINE_ENDS].tolist()
    rows = zip(
        tensors[DetectorResponse.BOXES].tolist(),
        tensors[DetectorResponse.SCORES].tolist(),
        [0, *ends],
        ends,
        strict=False,  # the starts are one longer than the ends
    )
    return [
        Detection(box=Box(*box), score=unit(score), outline=tuple((x, y) for x, y in points[start:end]))
        for box, score, start, end in rows
    ]


def _pairs(tensors: _Tensors, detections: Sequence[Detection], *, views: Sequence[View]) -> tuple[Pair, ...]:
    """The pairs of detections, with the view of each detection."""
    rows: list[tuple[int, int]] = [(cc, mlo) for cc, mlo in tensors[DetectorResponse.PAIRS].tolist()]
    believe(
        {
            "a pair is not of CC and MLO of one breast": all(
                views[cc].position is ViewPosition.CC and views[mlo] is views[cc].ipsilateral for cc, mlo in rows
            ),
            "a pair is there twice": len(set(rows)) == len(rows),
        }
    )
    return tuple(
        Pair(
            breast=views[cc].laterality,
            cc=detections[cc],
            mlo=detections[mlo],
            probability=unit(probability),
        )
        for (cc, mlo), probability in zip(rows, tensors[DetectorResponse.PAIR_SCORES].tolist(), strict=True)
    )


def _warnings(text: str, *, views: Sequence[View]) -> dict[View, tuple[str, ...]]:
    """The warnings of each view, without the view's name in front."""
    warnings: dict[View, tuple[str, ...]] = dict.fromkeys(views, ())
    for line in text.splitlines():
        name, _, sentence = line.partition(": ")
        if name not in warnings:
            raise ModelMismatch(f"a warning names no view of the exam: {line}")
        warnings[View(name)] += (sentence,)
    return warnings


def _operating_points(card: Mapping[str, Any]) -> dict[str, dict[Route, float]]:
    """The score thresholds by operating point and route."""
    try:
        return {
            name: {route: float(thresholds[route]) for route in ROUTES}
            for name, thresholds in card["operating_points"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelMismatch(f"the detector does not say which weights ran with which thresholds: {error!r}") from error


def _calibration(card: Mapping[str, Any]) -> dict[Route, Platt]:
    """The calibration of the score for every route that has one."""
    stored = card.get("calibration") or {}
    if not isinstance(stored, Mapping):
        raise ModelMismatch("the calibration of the weights is not one by route")
    found = {route: platt_of(stored.get(route)) for route in ROUTES}
    return {route: platt for route, platt in found.items() if platt is not None}
