"""Claim 8: does the random field help, and is the residual shortcut neutral?

Five ways of building the network are trained on the same masses with the same seeds: U-Net (no shortcut, no field), the
residual U-Net (λ = 0), the field alone in the loss (λ = 1), and λ = 0.67 with and without shortcuts. The paper's own
figures lie so close together that a tie is expected.

The field can help only by the evidence of neighbours. In the control the network's beliefs are dealt to other pixels
before the field and go back to their places after it, the same way in every patch: the field keeps its picture, its
weights and its passes, but its pairs of neighbours say nothing about the outline, so the gain from it must be gone.
A flat picture would be a weaker control: closeness alone would still smooth the outline.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tetraview_nets.crunet.evaluate import Pixels, outlined
from tetraview_nets.crunet.network import CruNet
from tetraview_nets.crunet.presets import CruPreset
from tetraview_nets.crunet.recipe import RECIPES, CruRecipe
from tetraview_nets.crunet.training import CruTraining
from tetraview_nets.metrics import paired_mean
from tetraview_nets.studies.claims.measured import Measured
from tetraview_nets.studies.patch_study import CPU, PatchStudy, patients_of

#: The control's name.
SCATTERED = "beliefs at other pixels in the field"
STUDY_RECIPE: CruRecipe = RECIPES["small"]
#: λ of the paper.
SHARE = 0.67


class ScatteredCruNet(CruNet):
    """CRU-Net whose field is told beliefs about other pixels."""

    def __init__(self, preset: CruPreset) -> None:
        super().__init__(preset)
        dealt = torch.from_numpy(np.random.default_rng(0).permutation(preset.size**2))
        self.register_buffer("dealt", dealt, persistent=False)
        self.register_buffer("back", dealt.argsort(), persistent=False)

    def refined(self, unary: Tensor, grey: Tensor) -> Tensor:
        """As ``CruNet.refined``, between two shufflings that undo each other."""
        scattered = super().refined(_dealt(unary, self.get_buffer("dealt")), grey)
        return _dealt(scattered, self.get_buffer("back"))


def _dealt(values: Tensor, order: Tensor) -> Tensor:
    """The same pixels in another order, [..., S, S]."""
    return values.flatten(-2)[..., order].reshape(values.shape)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of building and training the network."""

    #: As the table says it.
    name: str
    residual: bool
    crf_share: float
    #: Whether this is the control.
    scattered: bool = False

    @property
    def folder(self) -> str:
        """Folder of its trainings."""
        shortcuts = "residual" if self.residual else "plain"
        return f"{shortcuts}-{self.crf_share:g}" + ("-scattered" if self.scattered else "")


UNET = Arm(name="U-Net", residual=False, crf_share=0.0)
NO_FIELD = Arm(name="λ=0", residual=True, crf_share=0.0)
FIELD_ALONE = Arm(name="λ=1", residual=True, crf_share=1.0)
NO_RESIDUAL = Arm(name="λ=0.67 no residual", residual=False, crf_share=SHARE)
WHOLE = Arm(name="λ=0.67", residual=True, crf_share=SHARE)
CONTROL = replace(WHOLE, scattered=True)
ARMS = (WHOLE, NO_FIELD, UNET, NO_RESIDUAL, FIELD_ALONE, CONTROL)
#: First and second arm of every contrast: the field with and without shortcuts, shortcuts with and without the field.
CONTRASTS = (
    (WHOLE, NO_FIELD),
    (NO_RESIDUAL, UNET),
    (FIELD_ALONE, NO_FIELD),
    (WHOLE, NO_RESIDUAL),
    (NO_FIELD, UNET),
    (WHOLE, UNET),
    (CONTROL, NO_FIELD),
)


@dataclass(frozen=True, kw_only=True)
class Study(PatchStudy[CruPreset, CruRecipe, Arm]):
    """All trainings of the study, in one folder.

    Each ended one leaves the Dice of its test masses there, in detected and in true boxes: float [2, N].
    """

    claim = "8"

    @property
    def arms(self) -> Sequence[Arm]:
        """All of them."""
        return ARMS

    def _answers(self) -> Iterator[Measured]:
        for first, second in CONTRASTS:
            dice = self._loaded(first, second)
            if not dice:
                continue
            for i, boxes in enumerate(("detected", "true")):
                one, other = (each[:, i] for each in dice)
                yield self._measured(
                    f"{first.name} - {second.name}",
                    f"Dice per mass in {boxes} boxes",
                    paired_mean(one, other, patients_of(self._tested)),
                    self._tested,
                    control=SCATTERED if first.scattered else "",
                )

    def _train(self, arm: Arm, seed: int) -> None:
        network = CruTraining(
            preset=replace(self.preset, residual=arm.residual, crf_share=arm.crf_share),
            recipe=replace(self.recipe, schedule=replace(self.recipe.schedule, seed=seed)),
            folder=self._folder(arm, seed),
            device=CPU,
            cache=self.cache,
            lesions=self._lesions.masses,
            watched=self._watched.masses,
            build=ScatteredCruNet if arm.scattered else CruNet,
        ).run()
        counted = [outlined(network, self._tested, detected=detected)[Pixels.IMAGE] for detected in (True, False)]
        np.save(self._path(arm, seed), np.array([[each.dice for each in boxes] for boxes in counted]))

    def _compared(self) -> str:
        schedule = self.recipe.schedule
        return (
            f"CRU-Net of preset {self.preset.name}, {schedule.steps} steps of {schedule.batch} masses of "
            f"{self.recipe.exams} training exams; outlines on the image's pixels, one patch a view. λ is the random "
            "field's part in the loss; at 0 there is none."
        )
