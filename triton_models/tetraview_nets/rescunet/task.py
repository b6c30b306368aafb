"""What ResCU-Net learns from, and how it is watched while it learns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.learning.crops import augmented_pair, pairs
from tetraview_nets.learning.lesions import Lesion, LesionSet
from tetraview_nets.learning.pieces import read_patches
from tetraview_nets.losses import masked_mean
from tetraview_nets.metrics import Confusion, auc, mean_per_roi
from tetraview_nets.rescunet.network import RescuNet
from tetraview_nets.rescunet.otsu import BENIGN_GREY, MALIGNANT_GREY
from tetraview_nets.rescunet.presets import RescunetPreset
from tetraview_nets.rescunet.recipe import RescunetRecipe

#: Target inside a benign mass; 1 inside a malignant one, 0 outside.
BENIGN = BENIGN_GREY / MALIGNANT_GREY


@dataclass(frozen=True, kw_only=True, eq=False)
class Classes:
    """What is known of the classes of B patches."""

    #: bool [B].
    malignant: Tensor
    #: bool [B], whether ``malignant`` may be learnt from.
    known: Tensor

    @classmethod
    def of(cls, lesions: list[Lesion], *, device: torch.device) -> Classes:
        """The classes of some lesions as tensors."""
        return cls(
            malignant=torch.tensor([lesion.malignant for lesion in lesions], device=device),
            known=torch.tensor([lesion.known for lesion in lesions], device=device),
        )


def soft_target(logits: Tensor, masks: Tensor, classes: Classes) -> Tensor:
    """The target of mixed supervision: 0 outside, 0.502 inside a benign and 1 inside a malignant mass.

    A mass of unknown class may be either, so its pixels are only asked to be at least benign: their target is what the
    network says, held between both classes, where the cross-entropy has no gradient.

    Args:
        logits: [B, S, S].
        masks: bool [B, S, S].
        classes: of the B masses.
    """
    known = torch.where(classes.malignant, 1.0, BENIGN)[:, None, None]
    either = logits.detach().sigmoid().clamp(BENIGN, 1)
    return torch.where(masks, torch.where(classes.known[:, None, None], known, either), 0.0)


def loss_terms(logits: Tensor, masks: Tensor, classes: Classes, *, mixed: bool) -> dict[str, Tensor]:
    """Cross-entropy of the pixels, and under mixed supervision that of each mass as a whole.

    The paper has the first term alone, printed without its minus sign. Ours adds the class as the weak label that it
    is: the mean of a mass's log odds has the target of its pixels. Pixel by pixel the networks learn next to nothing of
    the class in the few hundred steps of a CPU; by the mean they begin to after some three hundred.

    Args:
        logits: [B, S, S].
        masks: bool [B, S, S].
        classes: of the B masses.
        mixed: whether the class is painted into the mask.
    """
    if not mixed:
        return {"pixels": functional.binary_cross_entropy_with_logits(logits, masks.float())}
    pixels = functional.binary_cross_entropy_with_logits(logits, soft_target(logits, masks, classes))
    whole = torch.where(masks, logits, 0.0).sum((1, 2)) / masks.sum((1, 2)).clamp_min(1)
    aim = torch.where(classes.malignant, 1.0, BENIGN)
    each = functional.binary_cross_entropy_with_logits(whole, aim, reduction="none")
    return {"pixels": pixels, "masses": masked_mean(each, classes.known)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What a training is given."""

    preset: RescunetPreset
    recipe: RescunetRecipe
    #: Lesions the network learns from.
    lesions: LesionSet
    #: Lesions whose masses it is watched on.
    watched: LesionSet
    device: torch.device

    @cached_property
    def masses(self) -> np.ndarray:
        """Indices of the masses."""
        return np.flatnonzero([lesion.kind == 0 for lesion in self.lesions])

    @cached_property
    def mimics(self) -> np.ndarray:
        """Indices of what is no mass."""
        return np.flatnonzero([lesion.kind > 0 for lesion in self.lesions])

    def draw(self, generator: np.random.Generator) -> list[Lesion]:
        """The lesions of a batch, masses first."""
        batch = self.recipe.schedule.batch
        masses = round(self.recipe.mass_share * batch)
        chosen = [*generator.choice(self.masses, masses)]
        if masses < batch:
            chosen += [*generator.choice(self.mimics, batch - masses)]
        return [self.lesions[int(i)] for i in chosen]


class MapTask:
    """Draw the discriminative map; every batch follows from its step."""

    def __init__(self, given: Material) -> None:
        self.given = given
        self._net = RescuNet(given.preset).to(given.device)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: nn.Module = self._net
        self._watched = given.watched.masses
        self._patches, self._masks = pairs(self._watched, given.preset.patch, detected=True)

    def losses(self, step: int) -> dict[str, Tensor]:
        """Cross-entropy of a step's batch."""
        generator = np.random.default_rng([self.given.recipe.schedule.seed, step])
        lesions, device = self.given.draw(generator), self.given.device
        drawn = [augmented_pair(lesion, self.given.preset.patch, generator) for lesion in lesions]
        patches, masks = (torch.from_numpy(np.stack(each)).to(device) for each in zip(*drawn, strict=True))
        logits = self._net(patches[:, None])[:, 0]
        classes = Classes.of(lesions, device=device)
        return loss_terms(logits, masks, classes, mixed=self.given.recipe.mixed_supervision)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Dice on patches as drawn by a detector, and how well the score ranks, on watched masses."""
        assert isinstance(network, RescuNet)
        reading = read_patches(network, self._patches, device=self.given.device)
        assert reading.probability is not None
        assert reading.threshold is not None
        assert reading.malignancy is not None
        found = reading.probability >= reading.threshold[:, None, None]
        counts = [Confusion.of(a.numpy(), b.numpy()) for a, b in zip(found, self._masks, strict=True)]
        malignant = np.array([lesion.malignant for lesion in self._watched])
        return {
            "dice": mean_per_roi(counts)["dice"],
            "auc": auc(reading.malignancy.double().numpy(), malignant),
        }
