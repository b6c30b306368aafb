"""Every system that Triton serves, by the name of its model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tetraview_nets.classifier.system import SYSTEM as MOMMI_CLASSIFIER
from tetraview_nets.crunet.system import SYSTEM as CRUNET
from tetraview_nets.dualcore.system import SYSTEM as DUALCORE
from tetraview_nets.mommi.system import SYSTEM as MOMMI_DETECTOR
from tetraview_nets.rescunet.system import SYSTEM as RESCUNET
from tetraview_nets.system import ExamSystem, PatchSystem
from tetraview_nets.unetpp.system import SYSTEM as UNETPP
from tetraview_nets.weights import WeightsCard, load_network
from tetraview_nets.yolo_msp.system import SYSTEM as YOLO_MSP

#: The model repository that Triton loads.
REPOSITORY = Path(__file__).parents[1] / "repository"

DETECTORS: Mapping[str, ExamSystem] = MappingProxyType({system.name: system for system in (MOMMI_DETECTOR, YOLO_MSP)})
PATCH_SYSTEMS: Mapping[str, PatchSystem] = MappingProxyType(
    {system.name: system for system in (UNETPP, CRUNET, DUALCORE, RESCUNET, MOMMI_CLASSIFIER)}
)
SYSTEMS: Mapping[str, ExamSystem | PatchSystem] = MappingProxyType({**DETECTORS, **PATCH_SYSTEMS})


def weights_file(name: str, repository: Path = REPOSITORY) -> Path:
    """Where a repository has the weights of a system."""
    return repository / name / "1" / "weights.safetensors"


def served(repository: Path = REPOSITORY) -> list[str]:
    """The systems that a repository has weights of."""
    return [name for name in SYSTEMS if weights_file(name, repository).exists()]


def load(name: str, repository: Path = REPOSITORY) -> tuple[Any, WeightsCard]:
    """A system's network with a repository's weights, ready to read, and their card.

    Raises:
        WeightsInvalid: the file is not usable or not of this system.
    """
    system = SYSTEMS[name]
    written = system.card_name if isinstance(system, ExamSystem) else system.name
    return load_network(weights_file(name, repository), name=written, presets=system.presets, build=system.build)
