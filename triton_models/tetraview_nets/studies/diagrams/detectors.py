"""The detectors: MommiNet-v2 and YOLOv3 with multi-scale prediction."""

from __future__ import annotations

from itertools import pairwise

from tetraview_nets.blocks.darknet import DarknetShape
from tetraview_nets.blocks.nipple import STRIDE
from tetraview_nets.mommi.presets import MommiPreset
from tetraview_nets.studies.diagrams.drawing import Arrow, Block, Diagram, Tone, chain
from tetraview_nets.yolo_msp.presets import YoloPreset
from tetraview_nets.yolo_msp.yolo import ANCHORS_PER_HEAD, FIGURES
from tetraview_nets.yolo_msp.yolo import STRIDES as YOLO_STRIDES


def mommi(preset: MommiPreset) -> Diagram:
    """One view with its companions through the three networks."""
    columns = dict(zip("abcdef", (8, 23, 38, 53, 68, 82.5), strict=True))
    blocks = {**_ipsilateral(preset, columns), **_bilateral(preset, columns)}
    fine, middle, coarse = preset.fusion
    heat = f"{preset.height // STRIDE}×{preset.width // STRIDE}"
    source = "P2" if preset.fusion_source == "p2" else "HRNet"
    blocks |= {
        "nipple": Block(at=(columns["c"], 3), text=f"nipple network\nheat map {heat}", tone=Tone.HEAD),
        "fusion": Block(
            at=(columns["f"], 22.5),
            text=f"fusion network\n{fine}, {middle}, {coarse} channels\nimage, {source}, maps",
            tone=Tone.JOIN,
            size=(14.5, 6.4),
        ),
        "scorer": Block(at=(columns["f"], 33), text="scorer: weighs\nthe branches", tone=Tone.HEAD),
        "findings": Block(at=(columns["f"], 41.5), text="boxes, scores,\noutlines", tone=Tone.ANSWER),
    }
    arrows = [
        *chain(["view", "backbone", "pyramid", "proposals", "head", "fusion"]),
        *chain(["ipsi view", "ipsi backbone", "ipsi pyramid", "ipsi proposals"]),
        Arrow(path=("ipsi proposals", "head"), label="related to"),
        *chain(["opposite", "registration", "early", "join", "late", "fusion", "scorer", "findings"]),
        Arrow(path=("view", "nipple")),
        Arrow(path=("nipple", "head"), label="nipple distances"),
    ]
    return Diagram(
        title=f"MommiNet-v2's detector, preset {preset.name}",
        blocks=blocks,
        arrows=arrows,
        note="Every view is the first row once and a companion else; it passes the backbone once. Rows of missing "
        "companions are left out.",
    )


def _ipsilateral(preset: MommiPreset, columns: dict[str, float]) -> dict[str, Block]:
    """The view above, the other view of its breast below."""
    shape, frame = preset.backbone, f"{preset.height}×{preset.width}"
    backbone = "Darknet" if isinstance(shape, DarknetShape) else "HRNet"
    relation = f"{preset.heads} relation heads" if preset.relation else "streams joined"
    wide = (13.5, 6.4)
    return {
        "view": Block(at=(columns["a"], 13), text=f"view\n{frame}", tone=Tone.DATA),
        "backbone": Block(at=(columns["b"], 13), text=f"{backbone}\n{_listed(shape.branches)}", size=(13.5, 4.6)),
        "pyramid": Block(at=(columns["c"], 13), text=f"pyramid P2–P6\n{preset.pyramid} channels"),
        "proposals": Block(at=(columns["d"], 13), text=f"{preset.proposals} proposals\nof RPN"),
        "head": Block(
            at=(columns["e"], 13),
            text=f"RoI head\n2 layers of {preset.fc}\n{relation}",
            tone=Tone.HEAD,
            size=wide,
        ),
        "ipsi view": Block(at=(columns["a"], 22.5), text="other view of\nthis breast", tone=Tone.DATA),
        "ipsi backbone": Block(at=(columns["b"], 22.5), text=f"same {backbone}"),
        "ipsi pyramid": Block(at=(columns["c"], 22.5), text="same pyramid"),
        "ipsi proposals": Block(at=(columns["d"], 22.5), text=f"{preset.proposals} proposals\nof RPN"),
    }


def _bilateral(preset: MommiPreset, columns: dict[str, float]) -> dict[str, Block]:
    """The same view of the other breast."""
    shape, stage = preset.bilateral, preset.concat_stage
    height, width = preset.height // preset.bi_reduction, preset.width // preset.bi_reduction
    rest = f"stages {stage + 1}–4" if stage < 3 else "stage 4"  # noqa: PLR2004 - HRNet has four stages
    return {
        "opposite": Block(at=(columns["a"], 32), text="same view of\nother breast", tone=Tone.DATA),
        "registration": Block(at=(columns["b"], 32), text="registered to\nthe view", tone=Tone.DATA),
        "early": Block(at=(columns["c"], 32), text=f"HRNet to stage {stage}\nboth, {height}×{width}", size=(13.5, 4.6)),
        "join": Block(at=(columns["d"], 32), text="both breasts\njoined, halved", tone=Tone.JOIN),
        "late": Block(
            at=(columns["e"], 32), text=f"{rest}, map\n{_listed(shape.branches)}", tone=Tone.HEAD, size=(13.5, 4.6)
        ),
    }


def _listed(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


def yolo_msp(preset: YoloPreset) -> Diagram:
    """Backbone, three heads, then what the sizes say together."""
    stages, necks, heads = _darknet(preset)
    widths = f"{min(preset.sizes)} to {max(preset.sizes)} wide"
    blocks = {
        "view": Block(at=(9, 3), text=f"view at {len(preset.sizes)} sizes\n{widths}", tone=Tone.DATA, size=(15, 4.6)),
        "nipple": Block(at=(50, 3), text="nipple network\nof MommiNet-v2", tone=Tone.HEAD, size=(15, 4.6)),
        "boxes": Block(at=(81.5, 35), text="boxes of each\nsize, NMS", tone=Tone.HEAD),
        "sum": Block(at=(81.5, 24), text=f"filled boxes of\n{len(preset.sizes)} sizes added", tone=Tone.JOIN),
        "level": Block(at=(81.5, 13.5), text=f"components\nM ≥ {preset.level:g}", tone=Tone.JOIN),
        "findings": Block(at=(81.5, 3), text="boxes, scores,\noutlines", tone=Tone.ANSWER),
    }
    rows = zip(reversed(stages), necks, heads, strict=False)
    return Diagram(
        title=f"YOLOv3 with multi-scale prediction, preset {preset.name}",
        blocks={**blocks, **stages, **necks, **heads},
        arrows=[
            *chain(["view", *stages]),
            *(arrow for row in rows for arrow in chain([*row, "boxes"])),
            *(Arrow(path=pair, label="up") for pair in pairwise(necks)),
            *chain(["boxes", "sum", "level", "findings"]),
        ],
        note="÷n: side over the input's. Every view is read by itself; the nipple network serves distances only.",
    )


def _darknet(preset: YoloPreset) -> tuple[dict[str, Block], dict[str, Block], dict[str, Block]]:
    """Stages of the backbone, finest first; necks and heads, coarsest first."""
    width, rise = preset.backbone.width, 8.0
    stages = {"stem": Block(at=(29, 3), text=f"3×3 convolution\n{width} channels", size=(16, 4.6))}
    for i, count in enumerate(preset.backbone.blocks):
        text = f"÷{2 << i}, {count} residual\n{width << i + 1} channels"
        stages[f"stage {i}"] = Block(at=(29, 3 + rise * (i + 1)), text=text, size=(16, 4.6))
    places = [(i, stride, 3 + rise * (len(preset.backbone.blocks) - i)) for i, stride in enumerate(YOLO_STRIDES)]
    necks = {
        f"neck {i}": Block(at=(48, y), text=f"5 convolutions\n{16 * width >> i} channels", tone=Tone.JOIN)
        for i, _, y in places
    }
    heads = {
        f"head {i}": Block(
            at=(64.5, y), text=f"head at ÷{stride}\n{ANCHORS_PER_HEAD} anchors × {FIGURES}", tone=Tone.HEAD
        )
        for i, stride, y in places
    }
    return stages, necks, heads
