"""The segmenters: CRU-Net, v19U-Net++ and ResCU-Net."""

from __future__ import annotations

from tetraview_nets.crunet.crf import READING_PASSES
from tetraview_nets.crunet.presets import CruPreset
from tetraview_nets.rescunet.presets import RescunetPreset
from tetraview_nets.studies.diagrams.drawing import Arrow, Block, Diagram, Tone, chain, square
from tetraview_nets.unetpp.presets import Architecture, SegmenterPreset

#: From one level of a network to the next, units.
_RISE = 8.5


def crunet(preset: CruPreset) -> Diagram:
    """Seven layers with skips, then the random field."""
    side = square(preset.size)
    downs, ups = _crunet_layers(preset)
    ends = {
        "patch": Block(at=(8, 2), text=f"patch\n{side}", tone=Tone.DATA, size=(11, 4.6)),
        "classes": Block(at=(64, 2), text="1×1 convolution\ntwo classes", tone=Tone.HEAD),
        "mask": Block(at=(81, 2), text=f"soft mask\n{side}", tone=Tone.ANSWER),
    }
    field, talk = _random_field(preset)
    shortcut = ", with a shortcut around both" if preset.residual else ""
    layer = f"A layer: two {square(preset.kernel)} convolutions{shortcut}."
    return Diagram(
        title=f"CRU-Net, preset {preset.name}",
        blocks={**ends, **downs, **ups, **field},
        arrows=[
            *chain(["patch", *downs, *reversed(ups), "classes"]),
            *(Arrow(path=pair, label="joined") for pair in zip(downs, ups, strict=False)),
            *talk,
        ],
        note=f"{layer} Down: 2×2 maximum. Up: 2×2 up-convolution.",
    )


def _crunet_layers(preset: CruPreset) -> tuple[dict[str, Block], dict[str, Block]]:
    """Layers on the way down, and on the way up, finest first."""
    depth = len(preset.channels)
    texts = [f"{channels} × {square(preset.size >> i)}" for i, channels in enumerate(preset.channels)]
    downs = {
        f"layer {i + 1}": Block(at=(24 if i < depth - 1 else 36, 2 + _RISE * i), text=f"layer {i + 1}\n{text}")
        for i, text in enumerate(texts)
    }
    ups = {
        f"layer {number}": Block(at=(48, 2 + _RISE * i), text=f"layer {number}\n{texts[i]}", tone=Tone.JOIN)
        for i, number in enumerate(range(2 * depth - 1, depth, -1))
    }
    return downs, ups


def _random_field(preset: CruPreset) -> tuple[dict[str, Block], list[Arrow]]:
    """The blocks between classes and mask, and their arrows."""
    if preset.crf_share == 0:
        return {}, chain(["classes", "mask"])
    reach = f"{square(preset.window)} neighbours" if preset.window else "all pairs of pixels"
    text = f"random field\n{reach}\n{READING_PASSES} passes"
    greys = f"greys of the patch\n{square(preset.size)}"
    blocks = {
        "field": Block(at=(72.5, 14), text=text, tone=Tone.HEAD, size=(17, 6.4)),
        "greys": Block(at=(72.5, 25), text=greys, tone=Tone.DATA, size=(17, 4.6)),
    }
    arrows = [
        Arrow(path=("classes", "field"), label="log odds", label_off=(-5, 0)),
        *chain(["greys", "field", "mask"]),
    ]
    return blocks, arrows


def unetpp(preset: SegmenterPreset) -> Diagram:
    """Nodes X(i, j) on the levels of the encoder."""
    nested, side = preset.architecture is Architecture.UNETPP, square(preset.patch.size)
    nodes, across = _nodes(preset), _across(preset)
    blocks = {
        f"{i},{j}": Block(
            at=(20 + across * j, 6 + _RISE * i),
            text=f"X({i},{j})\n{preset.widths[i]} × {square(preset.patch.size >> i)}",
            tone=Tone.JOIN if j else Tone.LAYER,
            size=(11, 4.6),
        )
        for i, j in nodes
    }
    blocks["patch"] = Block(at=(7, 6), text=f"patch\n{side}\nequalised", tone=Tone.DATA, size=(10, 6))
    blocks["mask"] = Block(at=(78, 6 + 2 * _RISE), text=f"soft mask\n{side}", tone=Tone.ANSWER)
    finest = f"0,{len(preset.widths) - 1}"
    depths = " ".join(map(str, preset.depths))
    heads = " In training every X(0, j) has a head; the last is read." if nested else ""
    return Diagram(
        title=f"{'v19U-Net++' if nested else 'U-Net on the encoder of v19U-Net++'}, preset {preset.name}",
        blocks=blocks,
        arrows=[*chain(["patch", "0,0"]), *_skips(nodes, across), Arrow(path=(finest, "mask"), label="1×1, sigmoid")],
        note=f"Blue: VGG encoder, {depths} convolutions a level, 2×2 maximum between. Yellow: two convolutions.{heads}",
    )


def _nodes(preset: SegmenterPreset) -> list[tuple[int, int]]:
    """Level and column of every node; a plain U-Net has the first and the last of each level."""
    last = len(preset.widths) - 1
    nested = preset.architecture is Architecture.UNETPP
    columns = [(i, j) for i in range(last + 1) for j in range(last + 1 - i)]
    return [(i, j) for i, j in columns if nested or j in {0, last - i}]


def _across(preset: SegmenterPreset) -> float:
    """From one column to the next, units."""
    return 58 / (len(preset.widths) - 1)


def _skips(nodes: list[tuple[int, int]], across: float) -> list[Arrow]:
    """Every node reads the nodes before it on its level, and one of the level below; the encoder goes down."""
    arrows = [Arrow(path=(f"{i - 1},0", f"{i},0")) for i, j in nodes if i and not j]
    for i, j in nodes:
        if not j:
            continue
        arrows.append(Arrow(path=(f"{i + 1},{j - 1}", f"{i},{j}")))
        before = [k for level, k in nodes if level == i and k < j]
        arrows += [Arrow(path=(f"{i},{k}", f"{i},{j}"), bend=_bend(j - k, across)) for k in before]
    return arrows


def _bend(columns: int, across: float) -> float:
    """How an arrow clears the nodes that it passes on its level: each one more lifts it a little."""
    return -2 * (2.1 + 1.1 * (columns - 1)) / (columns * across) if columns > 1 else 0.0


def rescunet(preset: RescunetPreset) -> Diagram:
    """Encoder, decoder, what passes between them, and both answers."""
    depth = len(preset.widths)
    downs, skips, ups = ([f"{kind}{i}" for i in range(depth)] for kind in ("down", "skip", "up"))
    side = square(preset.size)
    ends = {
        "patch": Block(at=(7, 2), text=f"patch\n{side}", tone=Tone.DATA, size=(10, 4.6)),
        "bottom": Block(
            at=(42, 2 + _RISE * depth),
            text=f"{preset.widths[-1]} × {square(preset.size >> depth)}",
            size=(13, 3.2),
        ),
        "map": Block(at=(81, 2), text=f"grey map\n{side}", tone=Tone.HEAD),
        "otsu": Block(at=(81, 2 + 1.3 * _RISE), text="Otsu's threshold,\ntwice", tone=Tone.HEAD, size=(15, 4.6)),
        "mask": Block(at=(74.5, 2 + 2.8 * _RISE), text="mask", tone=Tone.ANSWER, size=(9, 4)),
        "class": Block(at=(84.5, 2 + 2.8 * _RISE), text="malignancy", tone=Tone.ANSWER, size=(10, 4)),
    }
    return Diagram(
        title=f"ResCU-Net, preset {preset.name}",
        blocks={**ends, **_rescunet_levels(preset)},
        arrows=[
            *chain(["patch", *downs, "bottom", *reversed(ups)]),
            *(arrow for level in zip(downs, skips, ups, strict=True) for arrow in chain(level)),
            Arrow(path=("up0", "map"), label="1×1"),
            *chain(["map", "otsu", "mask"]),
            *chain(["otsu", "class"]),
        ],
        note="Down: 2×2 maximum. Up: each value goes back to where it was pooled from; 1×1 joins it with the skip.",
    )


def _rescunet_levels(preset: RescunetPreset) -> dict[str, Block]:
    """Encoder, skip and decoder of every level; the labels on them name their output."""
    blocks = {}
    for i, (width, count) in enumerate(zip(preset.widths, preset.depths, strict=True)):
        y, side = 2 + _RISE * i, square(preset.size >> i)
        convolutions = f"{count} convolution" + ("" if count == 1 else "s")
        back = preset.widths[max(i - 1, 0)]
        blocks[f"down{i}"] = Block(at=(22, y), text=f"{convolutions}\n{width} × {side}")
        blocks[f"skip{i}"] = Block(at=(42, y), text="residual\nmodule", tone=Tone.HEAD, size=(11, 4.6))
        blocks[f"up{i}"] = Block(at=(62, y), text=f"{convolutions}\n{back} × {side}", tone=Tone.JOIN)
    return blocks
