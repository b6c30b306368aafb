"""Every system that Triton serves, by the name of its model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tetraview_nets.classifier.system import SYSTEM as MOMMI_CLASSIFIER
from tetraview_nets.crunet.system import SYSTEM as CRUNET
from tetraview_nets.dualcore.system import SYSTEM as DUALCORE
from tetraview_nets.mommi_system import SYSTEM as MOMMI_DETECTOR
from tetraview_nets.rescunet.system import SYSTEM as RESCUNET
from tetraview_nets.system import ExamSystem, PatchSystem
from tetraview_nets.unetpp.system import SYSTEM as UNETPP

DETECTORS: Mapping[str, ExamSystem] = MappingProxyType({system.name: system for system in (MOMMI_DETECTOR,)})
PATCH_SYSTEMS: Mapping[str, PatchSystem] = MappingProxyType(
    {system.name: system for system in (UNETPP, CRUNET, DUALCORE, RESCUNET, MOMMI_CLASSIFIER)}
)
