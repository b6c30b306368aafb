"""The training task of both paths, and how the networks are watched while they learn."""

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
from tetraview_nets.learning.lesions import LesionDraw, LesionSet
from tetraview_nets.learning.pieces import CHUNK, joined
from tetraview_nets.losses import masked_mean
from tetraview_nets.metrics import Confusion, auc, mean_per_roi


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Patches with their masks and labels, and which of these may be learnt from."""

    #: float32 [B, 1, S, S].
    patches: Tensor
    #: bool [B, S, S].
    masks: Tensor
    #: int64 [B], 1 is malignant.
    malignant: Tensor
    #: bool [B], whether ``malignant`` may be learnt from.
    known: Tensor
    #: bool [B], whether it is a mass with a mask, which may be learnt from.
    outlined: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Input of a training."""

    preset: DualPreset
    recipe: DualRecipe
    #: Lesions the networks learn from.
    lesions: LesionSet
    #: Lesions whose masses they are watched on.
    watched: LesionSet
    device: torch.device

    @cached_property
    def _draw(self) -> LesionDraw:
        return LesionDraw(self.lesions)

    def draw(self, generator: np.random.Generator, *, batch: int) -> Batch:
        """Changed patches of masses and, where the recipe wants them, mimics."""
        chosen = self._draw.draw(generator, batch, mass_share=self.recipe.mass_share)
        drawn = [self.lesions[i] for i in chosen]
        cut = [augmented_pair(lesion, self.preset.patch, generator) for lesion in drawn]
        patches, outlines = (torch.from_numpy(np.stack(each)).to(self.device) for each in zip(*cut, strict=True))
        return Batch(
            patches=patches[:, None],
            masks=outlines,
            malignant=torch.tensor([int(lesion.malignant) for lesion in drawn], device=self.device),
            known=torch.tensor([lesion.known for lesion in drawn], device=self.device),
            outlined=torch.tensor(
                [lesion.kind == 0 and bool(lesion.mask.any()) for lesion in drawn], device=self.device
            ),
        )


class ReadingTask:
    """Tell malignant masses from all else and, where the network outlines, their pixels from those around them."""

    def __init__(self, stage: Stage, network: SinglePath | DualCoreNet, given: Material) -> None:
        self.stage, self.given = stage, given
        self._net = network.to(given.device)
        self.network: nn.Module = self._net
        self._tight = TightSquare.of(given.preset).to(given.device)
        self._watched = pairs(given.watched.masses, given.preset.patch, detected=True)
        self._outlined = torch.tensor([lesion.outlined for lesion in given.watched.masses])
        self._classed = np.array([lesion.known for lesion in given.watched.masses])

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
        """Losses of the segmenter on masses: none where the network outlines nothing, zero where no mass has a mask."""
        if found.unary is None or found.refined is None:
            return {}
        any_outlined = bool(batch.outlined.any())
        counted = batch.outlined if any_outlined else torch.ones_like(batch.outlined)
        masks = self._tight.cut(batch.masks[counted].float()) >= 1 / 2
        share = self.given.preset.segmenter.crf_share
        part = SEGMENTATION_PARTS[self.stage] if any_outlined else 0.0
        terms = loss_terms(found.unary[counted], found.refined[counted], masks, crf_share=share)
        return {name: part * term for name, term in terms.items()}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Area under the ROC curve, and Dice coefficient per mass on the pixels of the tight squares."""
        assert isinstance(network, SinglePath | DualCoreNet)
        patches, masks = self._watched
        found = read_all(network, patches, device=self.given.device)
        malignant = np.array([lesion.malignant for lesion in self.given.watched.masses])[self._classed]
        scores = found.logits.softmax(dim=1)[:, 1].double().numpy()[self._classed]
        figures = {"auc": auc(scores, malignant)}
        if found.refined is None:
            return figures
        outlined, truth = found.refined.sigmoid() >= THRESHOLD, self._tight.cpu().cut(masks.float()) >= 1 / 2
        seen = zip(outlined[self._outlined], truth[self._outlined], strict=True)
        counted = [Confusion.of(each.numpy(), true.numpy()) for each, true in seen]
        return {**figures, "dice": mean_per_roi(counted)["dice"]}


@torch.no_grad()
def read_all(network: SinglePath | DualCoreNet, patches: Tensor, *, device: torch.device) -> DualOutput:
    """A network's output for patches [N, S, S], read in pieces, on the CPU."""
    pieces = [network(piece[:, None].to(device)) for piece in torch.split(patches, CHUNK)]
    logits, unary, refined = zip(*pieces, strict=True)
    return DualOutput(logits=torch.cat(logits).cpu(), unary=joined(unary), refined=joined(refined))
