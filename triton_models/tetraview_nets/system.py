"""Inputs and outputs of networks that read views or patches, and how a network is found and built by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from tetraview.domain.frame import Frame
from tetraview.domain.patch import PatchShape
from tetraview.domain.view import Route, View

#: Most detections that a detector gives of a view.
MAX_DETECTIONS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewInput:
    """One view of an exam in the canonical frame."""

    view: View
    #: float32 [H, W] in [0, 1].
    image: Tensor
    #: bool [H, W].
    breast_mask: Tensor
    #: Millimetres per canonical pixel.
    spacing_mm: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewOutput:
    """Findings in one view; boxes, scores and outlines belong together, best first."""

    view: View
    #: The companions with which the view was read.
    route: Route
    #: x and y in canonical pixels and the nipple network's confidence, 0 where the place is not to be trusted.
    nipple: tuple[float, float, float]
    #: [N, 4] x0, y0, x1, y1 in canonical pixels.
    boxes: Tensor
    #: [N] in [0, 1].
    scores: Tensor
    #: One [P, 2] of x, y in canonical pixels per box, P at least 3.
    outlines: list[Tensor]
    #: [H, W] in [0, 1].
    fusion_map: Tensor
    #: Plain sentences, each starting with the view's name.
    warnings: tuple[str, ...]
    #: [N, M] in [0, 1], probability that a box and one of the breast's MLO view are one mass; None in an MLO view and
    #: where there is none.
    same_mass: Tensor | None = None


class PatchReading(NamedTuple):
    """A network's answer about N patches of S×S pixels; None for the parts that it does not give."""

    #: float32 [N, S, S], how likely each pixel is part of the mass, in [0, 1].
    probability: Tensor | None = None
    #: float32 [N], the mask of a patch is where its probability reaches this.
    threshold: Tensor | None = None
    #: float32 [N], score in [0, 1] that rises with malignancy, not a probability.
    malignancy: Tensor | None = None
    #: float32 [N], position on the BI-RADS line in [0, 1].
    birads: Tensor | None = None


class PatchPreset(Protocol):
    """The sizes of a network that reads patches."""

    @property
    def name(self) -> str:
        """Name of the preset."""

    @property
    def patch(self) -> PatchShape:
        """How a box becomes this network's patch."""


@dataclass(frozen=True, kw_only=True)
class PatchSystem:
    """One network that Triton serves on patches."""

    #: Name of the Triton model.
    name: str
    #: Version of the weights that are trained now.
    version: str
    presets: Mapping[str, PatchPreset]
    #: The network of a preset, whose ``read(patches)`` takes float32 [N, S, S] in [0, 1] and gives a ``PatchReading``.
    build: Callable[[Any], nn.Module]
    #: The fields of ``PatchReading`` that it fills.
    gives: tuple[str, ...]


class ExamPreset(Protocol):
    """The sizes of a detector."""

    @property
    def name(self) -> str:
        """Name of the preset."""

    @property
    def frame(self) -> Frame:
        """The canonical pixel matrix that it reads."""


@dataclass(frozen=True, kw_only=True)
class ExamSystem:
    """One detector that Triton serves on the views of an exam."""

    #: Name of the Triton model.
    name: str
    #: Its name in the card of its weights.
    card_name: str
    presets: Mapping[str, ExamPreset]
    #: The network of a preset, whose ``read(views)`` takes ``ViewInput`` and gives ``ViewOutput``, each.
    build: Callable[[Any], nn.Module]
    #: Its ``fusion_map`` differs from pixel to pixel in any breast, so that a constant one is a fault.
    map_varies: bool
