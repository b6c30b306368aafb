"""A model that reads all views of one exam.

The meaning of every tensor stands in ``tetraview.inference.contract``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from tetraview.domain.view import Route, View
from tetraview_nets.linking import all_pairs
from tetraview_nets.serving.configuration import Configuration
from tetraview_nets.serving.faults import BadRequest, Implausible
from tetraview_nets.serving.model import ServedModel, text
from tetraview_nets.serving.remote import replace_parts
from tetraview_nets.specimen import exam_specimen
from tetraview_nets.system import ExamSystem, ViewInput, ViewOutput
from tetraview_nets.weights import WeightsCard, load_network

_VIEWS = tuple(View)
_ROUTES = tuple(Route)
_MIN_BREAST_PIXELS = 100
_SPACINGS_MM = (0.01, 5.0)


class ExamModel(ServedModel):
    """One detector."""

    takes = ("exam_id", "view", "image", "breast_mask", "spacing_mm")
    told = (*ServedModel.told, "operating_points")
    #: The system that is served.
    system: ClassVar[ExamSystem]

    def load(self, configuration: Configuration) -> WeightsCard:
        """The network, held to the configuration."""
        system = self.system
        network, card = load_network(
            configuration.weights, name=system.card_name, presets=system.presets, build=system.build
        )
        self._network: Any = network
        frame = self._frame = system.presets[card.preset].frame
        configuration.hold(card, numbers={"spacing_mm": frame.spacing_mm}, dims={"image": (frame.height, frame.width)})
        replace_parts(network, configuration)
        return card

    def warm(self) -> None:
        """Read a specimen."""
        self._read(exam_specimen(self._frame))

    def answer(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The findings of the network in the views."""
        return _packed(self._read(_views(tensors)))

    def _read(self, views: Sequence[ViewInput]) -> list[ViewOutput]:
        """Read an exam.

        Raises:
            Implausible: a map is not finite or wrongly constant: it would otherwise pass for an exam without findings.
        """
        outputs: list[ViewOutput] = self._network.read(views)
        for view, output in zip(views, outputs, strict=True):
            inside = output.fusion_map[view.breast_mask]
            constant = self.system.map_varies and float(inside.max() - inside.min()) == 0
            if constant or not bool(inside.isfinite().all()):
                raise Implausible(f"{view.view}: the networks' map is constant or not finite")
        return outputs


def _views(tensors: Mapping[str, Tensor]) -> list[ViewInput]:
    """The views of a request, checked.

    Raises:
        BadRequest: not one to four different views, extents that differ, or values outside their range.
    """
    codes, image, mask, spacing = (tensors[name] for name in ("view", "image", "breast_mask", "spacing_mm"))
    if not len(codes) == len(image) == len(mask) == len(spacing):
        raise BadRequest(
            "view, image, breast_mask and spacing_mm must hold one entry per view, not "
            f"{len(codes)}, {len(image)}, {len(mask)} and {len(spacing)}"
        )
    views = codes.tolist()
    if not 1 <= len(set(views)) == len(views) or not set(views) <= set(range(len(View))):
        raise BadRequest(f"view must hold one to four different numbers from 0 to {len(View) - 1}, not {views}")
    # Ranges are asked for, not their opposite, so that NaN fails too.
    if not bool(((image >= 0) & (image <= 1)).all()):
        raise BadRequest("image must lie in [0, 1] and be finite")
    if int(mask.max()) > 1 or int(mask.flatten(1).sum(1).min()) < _MIN_BREAST_PIXELS:
        raise BadRequest(f"breast_mask must hold 0 and 1, and 1 at {_MIN_BREAST_PIXELS} pixels of every view at least")
    if not bool(((spacing >= _SPACINGS_MM[0]) & (spacing <= _SPACINGS_MM[1])).all()):
        raise BadRequest(f"spacing_mm must lie in [{_SPACINGS_MM[0]}, {_SPACINGS_MM[1]}], not {spacing.tolist()}")
    return [
        ViewInput(view=_VIEWS[code], image=image[i], breast_mask=mask[i].bool(), spacing_mm=float(spacing[i]))
        for i, code in enumerate(views)
    ]


def _packed(outputs: Sequence[ViewOutput]) -> dict[str, Tensor]:
    """The response's tensors but ``exam_id`` and ``model``."""
    outlines = [_floats(outline, columns=2) for output in outputs for outline in output.outlines]
    counts = torch.tensor([len(output.scores) for output in outputs])
    pairs, chances = all_pairs(outputs)
    return {
        "boxes": torch.cat([_floats(output.boxes, columns=4) for output in outputs]),
        "scores": torch.cat([_floats(output.scores, columns=1).flatten() for output in outputs]),
        "box_view": torch.arange(len(outputs)).repeat_interleave(counts).int(),
        "outline_points": torch.cat([torch.zeros(0, 2), *outlines]),
        "pairs": pairs.int(),
        "pair_scores": _floats(chances, columns=1).flatten(),
        "outline_ends": torch.tensor([len(outline) for outline in outlines]).cumsum(0).int(),
        "route": torch.tensor([_ROUTES.index(output.route) for output in outputs]).int(),
        "nipples": _floats([output.nipple for output in outputs], columns=3),
        "warnings": text("\n".join(line for output in outputs for line in output.warnings)),
    }


def _floats(values: Any, *, columns: int) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32).reshape(-1, columns)
