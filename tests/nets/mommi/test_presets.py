"""The presets of MommiNet-v2 and the sizes of the networks they build."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tetraview_nets.blocks.hrnet import HRNet
from tetraview_nets.mommi.bidual import BiDualNet
from tetraview_nets.mommi.fusion import FusionNet
from tetraview_nets.mommi.ipsidual import IpsiDualNet
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS


def millions(network: nn.Module) -> float:
    """Trainable numbers of a network, in millions."""
    return sum(p.numel() for p in network.parameters()) / 1e6


@pytest.mark.parametrize(
    ("network", "expected"),
    [(IpsiDualNet, 89.3), (BiDualNet, 65.9), (FusionNet, 2.0)],
)
def test_paper_preset_has_the_papers_size(network: type[nn.Module], expected: float) -> None:
    """The paper preset builds networks within one per cent (fusion: two) of the specified parameter counts."""
    with torch.device("meta"):
        built = network(PRESETS["paper"])
    assert millions(built) == pytest.approx(expected, rel=0.02 if network is FusionNet else 0.01)


def test_paper_backbone_is_hrnet_48() -> None:
    """The paper's backbone without a head has 65.3 million parameters."""
    with torch.device("meta"):
        assert millions(HRNet(PRESETS["paper"].backbone)) == pytest.approx(65.3, rel=0.01)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_the_whole_detector(name: str) -> None:
    """Every preset is found under its own name, builds, and has sides that the coarsest stride divides."""
    preset = PRESETS[name]
    with torch.device("meta"):
        assert millions(MommiNet(preset)) > 0
    assert preset.name == name
    assert preset.height % 64 == preset.width % 64 == 0
    assert preset.fc % preset.heads == 0
    assert (preset.frame.height, preset.frame.width) == (preset.height, preset.width)
