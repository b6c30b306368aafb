"""Blocks and arrows on a page 900 pixels wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

#: Width of the page, in units; a unit is 10 pixels.
WIDTH = 90.0
_UNITS_PER_INCH, _DPI = 10.0, 100
_FONT_PT, _SMALL_PT, _TITLE_PT = 8.5, 7.5, 11.0
#: Free space above the blocks, for the title, and below them, for the note.
_ABOVE, _BELOW = 5.0, 4.0


class Tone(StrEnum):
    """The kind of a block, and its colour."""

    DATA = "#eeeeee"
    LAYER = "#cfe2f3"
    JOIN = "#fff2cc"
    HEAD = "#d9ead3"
    ANSWER = "#f4cccc"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a network, or an input or output of it."""

    #: Centre, in units: x to the right, y down.
    at: tuple[float, float]
    text: str
    tone: Tone = Tone.LAYER
    #: Width and height.
    size: tuple[float, float] = (13.0, 4.6)


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """The flow of data from one block to another."""

    #: Keys of two blocks.
    path: tuple[str, str]
    label: str = ""
    #: How far the arrow bends to its left, as a part of its length.
    bend: float = 0.0
    #: The label's place beside the middle of the arrow.
    label_off: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """One picture."""

    title: str
    blocks: Mapping[str, Block]
    arrows: Sequence[Arrow]
    #: A sentence under the picture.
    note: str = ""

    @property
    def height(self) -> float:
        """Height of the page, in units."""
        return max(block.at[1] + block.size[1] / 2 for block in self.blocks.values()) + _BELOW

    def draw(self) -> Figure:
        """The picture."""
        figure = Figure(figsize=(WIDTH / _UNITS_PER_INCH, (self.height + _ABOVE) / _UNITS_PER_INCH), dpi=_DPI)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(self.height, -_ABOVE)
        axes.axis("off")
        axes.text(WIDTH / 2, -_ABOVE / 2, self.title, ha="center", va="center", fontsize=_TITLE_PT, weight="bold")
        axes.text(WIDTH / 2, self.height - _BELOW / 2, self.note, ha="center", va="center", fontsize=_SMALL_PT)
        patches = {key: _block(axes, block) for key, block in self.blocks.items()}
        for arrow in self.arrows:
            _arrow(axes, arrow, self.blocks, patches)
        return figure


def _block(axes: Axes, block: Block) -> FancyBboxPatch:
    (x, y), (width, height) = block.at, block.size
    patch = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.6",
        facecolor=str(block.tone),
        edgecolor="#555555",
        linewidth=0.8,
        zorder=2,
    )
    axes.add_patch(patch)
    axes.text(x, y, block.text, ha="center", va="center", fontsize=_FONT_PT, linespacing=1.15, zorder=3, gid="block")
    return patch


def _arrow(axes: Axes, arrow: Arrow, blocks: Mapping[str, Block], patches: Mapping[str, FancyBboxPatch]) -> None:
    start, end = (blocks[key].at for key in arrow.path)
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            patchA=patches[arrow.path[0]],
            patchB=patches[arrow.path[1]],
            shrinkA=0,
            shrinkB=1,
            arrowstyle="-|>",
            mutation_scale=9,
            color="#333333",
            linewidth=0.9,
            connectionstyle=f"arc3,rad={arrow.bend}",
            zorder=1,
        )
    )
    x, y = ((a + b) / 2 + off for a, b, off in zip(start, end, arrow.label_off, strict=True))
    axes.text(
        x, y, arrow.label, ha="center", va="center", fontsize=_SMALL_PT, zorder=2,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6} if arrow.label else None,
    )  # fmt: skip


def chain(keys: Sequence[str]) -> list[Arrow]:
    """Arrows from each block to the next."""
    return [Arrow(path=pair) for pair in pairwise(keys)]


def square(side: int) -> str:
    """Rows and columns of a square, such as ``40×40``."""
    return f"{side}×{side}"
