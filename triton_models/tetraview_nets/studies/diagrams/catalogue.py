"""The diagram of every system, by the name of its Triton model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tetraview_nets.studies.diagrams import detectors, grades, outlines
from tetraview_nets.studies.diagrams.drawing import Diagram
from tetraview_nets.systems import DETECTORS, PATCH_SYSTEMS

REPOSITORY = Path(__file__).parents[3] / "repository"
#: How a preset of each system is drawn.
DIAGRAMS: Mapping[str, Callable[[Any], Diagram]] = MappingProxyType(
    {
        "mommi_detector": detectors.mommi,
        "yolo_msp_detector": detectors.yolo_msp,
        "unetpp_segmenter": outlines.unetpp,
        "crunet_segmenter": outlines.crunet,
        "dualcore": grades.dualcore,
        "rescunet": outlines.rescunet,
        "mommi_classifier": grades.classifier,
    }
)
_PRESET = re.compile(r'key: "preset" value \{ string_value: "([^"]*)" \}')


def presets_of(name: str) -> Mapping[str, Any]:
    """The presets of a system that Triton serves."""
    system = DETECTORS[name] if name in DETECTORS else PATCH_SYSTEMS[name]
    return system.presets


def served_preset(name: str) -> Any:
    """The preset whose weights Triton serves.

    Raises:
        ValueError: the model's configuration names none.
    """
    config = REPOSITORY / name / "config.pbtxt"
    found = _PRESET.search(config.read_text(encoding="utf-8"))
    if not found:
        raise ValueError(f"{config} has no parameter preset in one line")
    return presets_of(name)[found[1]]


def draw_all(out: Path) -> list[Path]:
    """Write NAME.png of every system that Triton serves, in the sizes that it serves."""
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in (*DETECTORS, *PATCH_SYSTEMS):
        paths.append(out / f"{name}.png")
        # Without the library's version in it the same numbers give the same file.
        DIAGRAMS[name](served_preset(name)).draw().savefig(paths[-1], metadata={"Software": None})
    return paths
