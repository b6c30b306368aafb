"""The detector as Triton serves it."""

from __future__ import annotations

from tetraview_nets.system import ExamSystem
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import PRESETS
from tetraview_nets.yolo_msp.storage import MODEL

SYSTEM = ExamSystem(name=MODEL, card_name=MODEL, presets=PRESETS, build=YoloMsp, map_varies=True)
