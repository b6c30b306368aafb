"""MommiNet-v2 as Triton serves it."""

from __future__ import annotations

from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.system import ExamSystem

SYSTEM = ExamSystem(name="mommi_detector", card_name="mommi", presets=PRESETS, build=MommiNet, map_varies=True)
