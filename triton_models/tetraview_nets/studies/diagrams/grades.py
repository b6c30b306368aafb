"""The networks that grade masses: MommiNet-v2's classifier and DualCoreNet."""

from __future__ import annotations

from itertools import pairwise

from tetraview_nets.classifier.presets import ClassifierPreset
from tetraview_nets.dualcore.presets import DualPreset
from tetraview_nets.studies.diagrams.drawing import Arrow, Block, Diagram, Tone, chain, square

#: Centres of the dense blocks, in a row that turns back.
_DENSE = ((53, 4), (79, 4), (79, 17), (53, 17))


def classifier(preset: ClassifierPreset) -> Diagram:
    """DenseNet's blocks, then both heads."""
    dense, channels = _dense_blocks(preset)
    stem = f"7×7 and maximum\n{preset.stem} × {square(preset.size // 4)}"
    blocks = {
        "patch": Block(at=(7, 4), text=f"patch\n{square(preset.size)}", tone=Tone.DATA, size=(11, 6)),
        "stem": Block(at=(27, 4), text=stem, size=(16, 6)),
        **dense,
        "mean": Block(at=(29, 17), text=f"mean over pixels\n{channels} features", tone=Tone.JOIN, size=(16, 4.6)),
        "malignancy": Block(at=(8, 13), text="malignancy\nsoftmax of two", tone=Tone.ANSWER, size=(14, 4.6)),
        "birads": Block(at=(8, 21), text="suspicion level\nsigmoid", tone=Tone.ANSWER, size=(14, 4.6)),
    }
    first, *_, last = dense
    return Diagram(
        title=f"MommiNet-v2's classifier, preset {preset.name}",
        blocks=blocks,
        arrows=[
            *chain(["patch", "stem", first]),
            *(Arrow(path=pair, label="halved") for pair in pairwise(dense)),
            *chain([last, "mean", "malignancy"]),
            *chain(["mean", "birads"]),
        ],
        note="A dense layer reads all channels before it: 1×1, then 3×3. Halved: channels by 1×1, side by a 2×2 mean.",
    )


def _dense_blocks(preset: ClassifierPreset) -> tuple[dict[str, Block], int]:
    """The dense blocks, and the channels of the last."""
    side, channels, blocks = preset.size // 4, preset.stem, {}
    for number, (layers, at) in enumerate(zip(preset.blocks, _DENSE, strict=True)):
        if number:
            side, channels = side // 2, channels // 2
        channels += layers * preset.growth
        text = f"dense block {number + 1}\n{layers} layers, +{preset.growth} each\n{channels} × {square(side)}"
        blocks[f"dense {number}"] = Block(at=at, text=text, size=(17, 6))
    return blocks, channels


def dualcore(preset: DualPreset) -> Diagram:
    """The surroundings of the mass above, its outline below."""
    context, tight = square(preset.size), square(preset.segmenter.size)
    first, second = preset.stem
    blocks = {
        "patch": Block(at=(9, 3), text=f"context patch\n{context}", tone=Tone.DATA),
        "stem": Block(at=(27, 3), text=f"2 convolutions 3×3\n{first}, {second} × {context}", size=(17, 4.6)),
        **_stack("local", preset.local_entry, preset.local_middle, y=3, side=preset.size, kernel=3),
        "local": Block(at=(82, 3), text=f"mean, linear\n{preset.features} features"),
        "tight": Block(at=(9, 27), text=f"its middle\n{tight}", tone=Tone.DATA),
        "segmenter": Block(at=(27, 27), text=f"CRU-Net {preset.segmenter.name}\nwith random field", size=(17, 4.6)),
        **_stack("graph", preset.graph_entry, preset.graph_middle, y=27, side=preset.mask_size, kernel=7),
        "graph": Block(at=(82, 27), text=f"mean, linear\n{preset.features} features"),
        "join": Block(at=(82, 15), text="joined\nlinear, 2 classes", tone=Tone.JOIN),
        "mask": Block(at=(27, 15), text=f"soft mask\nback on {context}", tone=Tone.ANSWER, size=(17, 4.6)),
        "malignancy": Block(at=(64, 15), text="malignancy", tone=Tone.ANSWER),
    }
    arrows = [
        *chain(["patch", "stem", "local entry", "local middle", "local", "join", "malignancy"]),
        *chain(["patch", "tight", "segmenter", "graph entry", "graph middle", "graph", "join"]),
        Arrow(path=("segmenter", "mask")),
    ]
    return Diagram(
        title=f"DualCoreNet, preset {preset.name}",
        blocks=blocks,
        arrows=arrows,
        note="Above: locality preserving learner. Below: conditional graph learner, whose blocks read the soft mask at "
        f"{square(preset.mask_size)}. Blocks: separable convolutions.",
    )


def _stack(name: str, entry: tuple[int, ...], middle: int, *, y: float, side: int, kernel: int) -> dict[str, Block]:
    """Entry blocks, each halving the side, and middle blocks of a learner."""
    for _ in entry:
        side = -(-side // 2)
    entries = f"{_blocks(len(entry), 'entry')} {square(kernel)}\n{', '.join(map(str, entry))} channels"
    middles = f"{_blocks(middle, 'middle')}\n{entry[-1]} × {square(side)}"
    return {
        f"{name} entry": Block(at=(46, y), text=entries, tone=Tone.LAYER, size=(17, 4.6)),
        f"{name} middle": Block(at=(64.5, y), text=middles, tone=Tone.LAYER, size=(14, 4.6)),
    }


def _blocks(count: int, kind: str) -> str:
    return f"{count} {kind} block" + ("" if count == 1 else "s")
