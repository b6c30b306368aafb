"""Every system that Triton serves, by the name of its model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tetraview_nets.classifier.system import SYSTEM as MOMMI_CLASSIFIER
from tetraview_nets.mommi_system import SYSTEM as MOMMI_DETECTOR
from tetraview_nets.system import ExamSystem, PatchSystem

DETECTORS: Mapping[str, ExamSystem] = MappingProxyType({system.name: system for system in (MOMMI_DETECTOR,)})
PATCH_SYSTEMS: Mapping[str, PatchSystem] = MappingProxyType({system.name: system for system in (MOMMI_CLASSIFIER,)})
