"""A whole training of the plain network: its run, operating points, one weights file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from tetraview.domain.view import Route
from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets import weights
from tetraview_nets.learning.evaluate import operating_points, read_exams, recall_figures
from tetraview_nets.learning.material import ExamMaterial
from tetraview_nets.learning.sources import Sources, note, noted
from tetraview_nets.learning.train import Run, averaged
from tetraview_nets.plain.network import PlainDetector, PlainNet
from tetraview_nets.plain.presets import PlainPreset
from tetraview_nets.plain.storage import NAME, VERSION
from tetraview_nets.plain.task import PlainTask
from tetraview_nets.weights import WeightsCard, save


@dataclass(frozen=True, kw_only=True)
class PlainTraining:
    """One training of one preset, in one folder."""

    preset: PlainPreset
    #: Where checkpoints and loss tables go.
    folder: Path
    device: torch.device
    material: ExamMaterial
    #: Weights of this network to begin with; None for new ones.
    init: Path | None = None

    def run(self) -> nn.Module:
        """Train to the end, from the last checkpoint on."""
        torch.manual_seed(self.preset.schedule.seed)
        task = PlainTask(self.preset, self.material, self.device)
        if self.init is not None:
            task.network.load_state_dict(weights.read(self.init)[0])
        note(self.folder, NAME, self.material.data_sets, init=self.init)
        return Run(NAME, task, self.preset.schedule, self.folder, rhythm=self.preset.rhythm).finish()

    def trained(self) -> PlainNet:
        """The network with the averaged weights of the last checkpoint.

        Raises:
            NotTrained: there is none at the schedule's end.
        """
        network = PlainNet(self.preset)
        network.load_state_dict(averaged(self.folder, NAME, self.preset.schedule))
        return network.to(self.device).eval()

    def export(self, path: Path) -> WeightsCard:
        """Choose operating points on validation exams and write the weights file.

        Raises:
            NotTrained: training has not ended.
        """
        network = self.trained()
        results = read_exams(PlainDetector(network), self.material.validation, Route.SINGLE)
        sources = Sources(training_data=self.material.data_sets) + noted(self.folder)
        card = WeightsCard(
            name=NAME,
            version=VERSION,
            preset=self.preset.name,
            generator_version=GENERATOR_VERSION,
            training_data=sources.training_data,
            commands=sources.commands,
            operating_points=operating_points({Route.SINGLE: results}),
            training={
                **self.material.described,
                "schedule": asdict(self.preset.schedule),
                "validation": {k: round(float(v), 4) for k, v in recall_figures(results).items()},
            },
        )
        return save(path, network, card)
