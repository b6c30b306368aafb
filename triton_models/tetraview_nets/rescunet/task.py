"""ResCU-Net's training task, and how the network is watched while it learns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tetraview_nets.learning.crops import augmented_pair, pairs
from tetraview_nets.learning.lesions import Lesion, LesionDraw, LesionSet
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
    """Classes of B patches, and which of them are known."""

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
        classes: classes of the B masses.
    """
    known = torch.where(classes.malignant, 1.0, BENIGN)[:, None, None]
    either = logits.detach().sigmoid().clamp(BENIGN, 1)
    return torch.where(masks, torch.where(classes.known[:, None, None], known, either), 0.0)


def loss_terms(
    logits: Tensor,
    masks: Tensor,
    classes: Classes,
    *,
    mixed: bool,
    mass_term: bool = True,
    learnt: Tensor | None = None,
) -> dict[str, Tensor]:
    """Cross-entropy of the pixels, and under mixed supervision that of each mass as a whole.

    The paper has the first term alone, printed without its minus sign. Ours adds the class as the weak label that it
    is: the mean of a mass's log odds has the target of its pixels. Pixel by pixel the networks learn next to nothing of
    the class in the few hundred steps of a CPU; by the mean they begin to after some three hundred.

    Args:
        logits: [B, S, S].
        masks: bool [B, S, S].
        classes: classes of the B masses.
        mixed: whether the class is painted into the mask.
        mass_term: whether mixed supervision has the second term.
        learnt: bool [B], whether the mask is known; None where all are.
    """
    counted = torch.ones_like(classes.known) if learnt is None else learnt
    if not mixed:
        return {"pixels": _pixels(logits, masks.float(), counted)}
    pixels = _pixels(logits, soft_target(logits, masks, classes), counted)
    if not mass_term:
        return {"pixels": pixels}
    whole = torch.where(masks, logits, 0.0).sum((1, 2)) / masks.sum((1, 2)).clamp_min(1)
    aim = torch.where(classes.malignant, 1.0, BENIGN)
    each = functional.binary_cross_entropy_with_logits(whole, aim, reduction="none")
    return {"pixels": pixels, "masses": masked_mean(each, classes.known & masks.any(dim=2).any(dim=1))}


def _pixels(logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Cross-entropy of the pixels of the patches that count."""
    terms = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return masked_mean(terms.mean(dim=(1, 2)), counted)


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Input of a training."""

    preset: RescunetPreset
    recipe: RescunetRecipe
    #: Lesions the network learns from.
    lesions: LesionSet
    #: Lesions whose masses it is watched on.
    watched: LesionSet
    device: torch.device

    @cached_property
    def _draw(self) -> LesionDraw:
        return LesionDraw(self.lesions)

    def draw(self, generator: np.random.Generator) -> list[Lesion]:
        """The lesions of a batch, masses first."""
        chosen = self._draw.draw(generator, self.recipe.schedule.batch, mass_share=self.recipe.mass_share)
        return [self.lesions[i] for i in chosen]


class MapTask:
    """Draw the discriminative map; every batch follows from its step."""

    def __init__(self, given: Material) -> None:
        self.given = given
        self._net = RescuNet(given.preset).to(given.device)
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: nn.Module = self._net
        self._watched = given.watched.masses
        self._patches, self._masks = pairs(self._watched, given.preset.patch, detected=True)
        self._outlined = torch.tensor([lesion.outlined for lesion in self._watched])
        self._classed = np.array([lesion.known for lesion in self._watched])

    def losses(self, step: int) -> dict[str, Tensor]:
        """Cross-entropy of a step's batch."""
        generator = np.random.default_rng([self.given.recipe.schedule.seed, step])
        lesions, device = self.given.draw(generator), self.given.device
        drawn = [augmented_pair(lesion, self.given.preset.patch, generator) for lesion in lesions]
        patches, masks = (torch.from_numpy(np.stack(each)).to(device) for each in zip(*drawn, strict=True))
        logits = self._net(patches[:, None])[:, 0]
        classes = Classes.of(lesions, device=device)
        # A mass without a mask was not outlined; an object that is no mass needs no mask.
        learnt = torch.tensor([lesion.kind > 0 or bool(lesion.mask.any()) for lesion in lesions], device=device)
        recipe = self.given.recipe
        return loss_terms(
            logits,
            masks,
            classes,
            mixed=recipe.mixed_supervision,
            mass_term=recipe.mass_term,
            learnt=learnt,
        )

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Dice on patches as drawn by a detector, and how well the score ranks, on watched masses."""
        assert isinstance(network, RescuNet)
        reading = read_patches(network, self._patches, device=self.given.device)
        assert reading.probability is not None
        assert reading.threshold is not None
        assert reading.malignancy is not None
        found = reading.probability >= reading.threshold[:, None, None]
        seen = zip(found[self._outlined], self._masks[self._outlined], strict=True)
        counts = [Confusion.of(a.numpy(), b.numpy()) for a, b in seen]
        malignant = np.array([lesion.malignant for lesion in self._watched])[self._classed]
        return {
            "dice": mean_per_roi(counts)["dice"],
            "auc": auc(reading.malignancy.double().numpy()[self._classed], malignant),
        }
