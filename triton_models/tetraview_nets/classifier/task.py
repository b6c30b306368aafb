"""The classifier's training task, and how the network is watched while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.classifier.network import DenseNet, Grades
from tetraview_nets.classifier.presets import ClassifierPreset
from tetraview_nets.classifier.recipe import FIXED_PARTS, ClassifierRecipe, Weighting
from tetraview_nets.learning.birads import LEVELS
from tetraview_nets.learning.crops import augmented, detected
from tetraview_nets.learning.lesions import UNASSESSED, LesionDraw, LesionSet
from tetraview_nets.losses import kendall, masked_mean
from tetraview_nets.metrics import auc

#: The position of each category, by index; the last answers for ``UNASSESSED`` and is never looked at.
_TARGETS = (*LEVELS.values(), 0.0)
#: Patches graded at once.
CHUNK = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """Labels of B patches, and which of them are known."""

    #: int64 [B], 1 is malignant.
    malignant: Tensor
    #: bool [B], whether ``malignant`` may be learnt from.
    known: Tensor
    #: float32 [B], position of the reader's category in [0, 1].
    level: Tensor
    #: bool [B], whether a reader gave one.
    assessed: Tensor


def loss_terms(
    logits: Tensor, level: Tensor, labels: Labels, *, weighting: Weighting, log_variance: Tensor
) -> dict[str, Tensor]:
    """The weighed losses of a batch; unknown labels count in none of them.

    Args:
        logits: [B, 2].
        level: [B], the regressed suspicion.
        labels: those of the batch.
        weighting: how both losses are added up.
        log_variance: [2], learnt.
    """
    classification = masked_mean(functional.cross_entropy(logits, labels.malignant, reduction="none"), labels.known)
    if weighting is Weighting.BINARY:
        return {"classification": classification}
    regression = masked_mean((level - labels.level).square(), labels.assessed)
    if weighting is Weighting.LEARNED:
        return kendall(classification, regression, log_variance)
    return {"classification": FIXED_PARTS[0] * classification, "regression": FIXED_PARTS[1] * regression}


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Input of a training."""

    preset: ClassifierPreset
    recipe: ClassifierRecipe
    #: Patches the network learns from.
    lesions: LesionSet
    #: Patches it is watched on.
    watched: LesionSet
    device: torch.device


class MalignancyTask:
    """Tell malignant from benign patches and place them on the BI-RADS line; every batch follows from its step."""

    def __init__(self, given: Material) -> None:
        self.given = given
        self._net = DenseNet(given.preset).to(given.device)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: nn.Module = self._net
        self._draw = LesionDraw(given.lesions)
        self._watched = given.watched.masses.classed
        self._patches = detected(self._watched, given.preset.patch)

    def losses(self, step: int) -> dict[str, Tensor]:
        """The weighed losses of a step's batch."""
        generator = np.random.default_rng([self.given.recipe.schedule.seed, step])
        recipe = self.given.recipe
        chosen = self._draw.draw(generator, recipe.schedule.batch, mass_share=recipe.mass_share)
        patches = np.stack([augmented(self.given.lesions[i], self.given.preset.patch, generator) for i in chosen])
        logits, level = self._net(torch.from_numpy(patches[:, None]).to(self.given.device))
        labels = labels_of(self.given.lesions, chosen, device=self.given.device)
        weighting, log_variance = self.given.recipe.weighting, self._net.log_variance
        return loss_terms(logits, level, labels, weighting=weighting, log_variance=log_variance)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Area under the ROC curve of both heads, malignant among watched masses."""
        assert isinstance(network, DenseNet)
        malignant = np.array([lesion.malignant for lesion in self._watched])
        grades = grade_all(network, self._patches, device=self.given.device)
        return {name: auc(getattr(grades, name).double().numpy(), malignant) for name in Grades._fields}


def labels_of(lesions: LesionSet, chosen: Sequence[int], *, device: torch.device) -> Labels:
    """The labels of some patches as tensors."""
    picked = [lesions[i] for i in chosen]
    birads = [lesion.birads for lesion in picked]
    return Labels(
        malignant=torch.tensor([int(lesion.malignant) for lesion in picked], device=device),
        known=torch.tensor([lesion.known for lesion in picked], device=device),
        level=torch.tensor([_TARGETS[index] for index in birads], device=device),
        assessed=torch.tensor([index != UNASSESSED for index in birads], device=device),
    )


def grade_all(network: DenseNet, patches: Tensor, *, device: torch.device) -> Grades:
    """Grades of patches [N, S, S] in pieces, on the CPU."""
    pieces = [network.grade(piece.to(device)) for piece in torch.split(patches, CHUNK)]
    malignancy, birads = (torch.cat(column).cpu() for column in zip(*pieces, strict=True))
    return Grades(malignancy=malignancy, birads=birads)
