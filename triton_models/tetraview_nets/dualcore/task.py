"""What both paths learn from, and how they are watched while they learn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.crunet.network import loss_terms
from tetraview_nets.dualcore.network import THRESHOLD, DualCoreNet, DualOutput, SinglePath
from tetraview_nets.dualcore.presets import DualPreset
from tetraview_nets.dualcore.recipe import SEGMENTATION_PARTS, DualRecipe, Stage
from tetraview_nets.dualcore.tight import TightSquare
from tetraview_nets.learning.crops import augmented_pair, pairs
from tetraview_nets.learning.lesions import Lesion, LesionSet
from tetraview_nets.learning.pieces import CHUNK, joined
from tetraview_nets.losses import masked_mean
from tetraview_nets.metrics import Confusion, auc, mean_per_roi


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Patches with what is known of them."""

    #: float32 [B, 1, S, S].
    patches: Tensor
    #: bool [B, S, S].
    masks: Tensor
    #: int64 [B], 1 is malignant.
    malignant: Tensor
    #: bool [B], whether ``malignant`` may be learnt from.
    known: Tensor
    #: bool [B], whether it is a mass, whose outline may be learnt from.
    mass: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What a training is given."""

    preset: DualPreset
    recipe: DualRecipe
    #: Lesions the networks learn from.
    lesions: LesionSet
    #: Lesions whose masses they are watched on.
    watched: LesionSet
    device: torch.device

    @cached_property
    def _masses(self) -> list[Lesion]:
        return list(self.lesions.masses)

    @cached_property
    def _mimics(self) -> list[Lesion]:
        return [lesion for lesion in self.lesions if lesion.kind > 0]

    def draw(self, generator: np.random.Generator, *, batch: int) -> Batch:
        """Changed patches of masses and, where the recipe wants them, mimics."""
        masses = round(self.recipe.mass_share * batch)
        wanted = (self._masses, masses), (self._mimics, batch - masses)
        drawn = [group[int(i)] for group, count in wanted if count for i in generator.choice(len(group), count)]
        cut = [augmented_pair(lesion, self.preset.patch, generator) for lesion in drawn]
        patches, outlines = (torch.from_numpy(np.stack(each)).to(self.device) for each in zip(*cut, strict=True))
        return Batch(
            patches=patches[:, None],
            masks=outlines,
            malignant=torch.tensor([int(lesion.malignant) for lesion in drawn], device=self.device),
            known=torch.tensor([lesion.known for lesion in drawn], device=self.device),
            mass=torch.tensor([lesion.kind == 0 for lesion in drawn], device=self.device),
        )


class ReadingTask:
    """Tell malignant masses from all else and, where the network outlines, their pixels from those around them."""

    def __init__(self, stage: Stage, network: SinglePath | DualCoreNet, given: Material) -> None:
        self.stage, self.given = stage, given
        self._net = network.to(given.device)
        self.network: nn.Module = self._net
        self._tight = TightSquare.of(given.preset).to(given.device)
        self._watched = pairs(given.watched.masses, given.preset.patch, detected=True)

    def losses(self, step: int) -> dict[str, Tensor]:
        """The weighed losses of a step's batch, which follows from the stage's seed and the step."""
        schedule = self.given.recipe.schedules[self.stage]
        # Stages see other batches, so that joint training does not begin with the batches that the paths began with.
        generator = np.random.default_rng([schedule.seed, list(Stage).index(self.stage), step])
        batch = self.given.draw(generator, batch=schedule.batch)
        found: DualOutput = self._net(batch.patches)
        entropy = functional.cross_entropy(found.logits, batch.malignant, reduction="none")
        return {"classification": masked_mean(entropy, batch.known), **self._outline_losses(found, batch)}

    def _outline_losses(self, found: DualOutput, batch: Batch) -> dict[str, Tensor]:
        """Those of the segmenter on masses; nothing where the network outlines nothing."""
        if found.unary is None or found.refined is None:
            return {}
        masks = self._tight.cut(batch.masks[batch.mass].float()) >= 1 / 2
        share, part = self.given.preset.segmenter.crf_share, SEGMENTATION_PARTS[self.stage]
        terms = loss_terms(found.unary[batch.mass], found.refined[batch.mass], masks, crf_share=share)
        return {name: part * term for name, term in terms.items()}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Area under the ROC curve, and Dice coefficient per mass on the pixels of the tight squares."""
        assert isinstance(network, SinglePath | DualCoreNet)
        patches, masks = self._watched
        found = read_all(network, patches, device=self.given.device)
        malignant = np.array([lesion.malignant for lesion in self.given.watched.masses])
        figures = {"auc": auc(found.logits.softmax(dim=1)[:, 1].double().numpy(), malignant)}
        if found.refined is None:
            return figures
        outlined, truth = found.refined.sigmoid() >= THRESHOLD, self._tight.cpu().cut(masks.float()) >= 1 / 2
        counted = [Confusion.of(each.numpy(), true.numpy()) for each, true in zip(outlined, truth, strict=True)]
        return {**figures, "dice": mean_per_roi(counted)["dice"]}


@torch.no_grad()
def read_all(network: SinglePath | DualCoreNet, patches: Tensor, *, device: torch.device) -> DualOutput:
    """What a network says of patches [N, S, S], in pieces, on the CPU."""
    pieces = [network(piece[:, None].to(device)) for piece in torch.split(patches, CHUNK)]
    logits, unary, refined = zip(*pieces, strict=True)
    return DualOutput(logits=torch.cat(logits).cpu(), unary=joined(unary), refined=joined(refined))
