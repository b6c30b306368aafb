"""Sizes of the plain network and how it is trained, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tetraview.domain.frame import Frame
from tetraview_nets.learning.schedule import Rhythm, Schedule


@dataclass(frozen=True, kw_only=True)
class PlainPreset:
    """Every size of the network and of its training."""

    name: str
    #: Canonical pixels that views come in.
    frame: Frame
    #: Channels at strides 4, 8, 16 and 32.
    widths: tuple[int, int, int, int]
    #: Residual blocks at each of them.
    blocks: tuple[int, int, int, int]
    #: Channels of the pyramid.
    neck: int
    #: Rows and columns of the windows that training reads; views are read whole.
    window: tuple[int, int]
    schedule: Schedule
    rhythm: Rhythm
    #: Exams looked at while training goes on.
    watched_exams: int
    #: The phantom recipe where phantoms are learnt from.
    phantom: str = "training"


# 3,400 steps are forty minutes of one core without AVX-512. Windows cost half of what whole views do.
SLIM = PlainPreset(
    name="slim",
    frame=Frame(height=512, width=256, spacing_mm=0.45),
    widths=(24, 48, 96, 160),
    blocks=(1, 2, 2, 2),
    neck=32,
    window=(384, 192),
    schedule=Schedule(steps=3400, batch=8, learning_rate=2e-3, warm_up=100, weight_decay=1e-2, average=0.998),
    rhythm=Rhythm(logged=25, saved=100, validated=850),
    watched_exams=60,
)

TINY = PlainPreset(
    name="tiny",
    frame=Frame(height=128, width=64, spacing_mm=1.8),
    widths=(8, 8, 8, 8),
    blocks=(1, 1, 1, 1),
    neck=8,
    window=(96, 64),
    schedule=Schedule(steps=20, batch=4, learning_rate=2e-3, warm_up=5, average=0.9),
    rhythm=Rhythm(logged=5, saved=5, validated=20),
    watched_exams=2,
)

PRESETS: Mapping[str, PlainPreset] = MappingProxyType({preset.name: preset for preset in (TINY, SLIM)})
