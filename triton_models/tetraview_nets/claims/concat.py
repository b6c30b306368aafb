"""Where the bilateral network joins the breasts, and what the other breast is worth to it.

MommiNet-v2, Table 5 (the branches joined after stage 1, 2 or 3), the bilateral part of its main table, and the
bilateral side of its cross-use table. BiDualNet-v2 is trained whole, from scratch, once per arm and seed; all arms of
a seed see the same views in the same order.

Deviations: a slim network on images reduced to 1.8 mm pixels, so that many trainings fit an hour of one CPU core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from tetraview_nets.bidual import BiDualNet, components
from tetraview_nets.cache import CanonicalExam
from tetraview_nets.claims.pairs import Companion, batch, exam_batch
from tetraview_nets.claims.table import Claim
from tetraview_nets.data import Draw
from tetraview_nets.losses import pixel_focal
from tetraview_nets.metrics import ImageResult, paired_recall
from tetraview_nets.presets import TINY, HRNetShape, MommiPreset
from tetraview_nets.schedule import Schedule
from tetraview_nets.tasks import recall_figures
from tetraview_nets.train import Run
