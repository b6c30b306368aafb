"""Claim 8: does the random field help, and is the residual shortcut neutral?

Five ways of building the network are trained on the same masses with the same seeds: U-Net (no shortcut, no field), the
residual U-Net (λ = 0), the field alone in the loss (λ = 1), and λ = 0.67 with and without shortcuts. The paper's own
figures lie so close together that a tie is expected.

The field can help only by what neighbours tell. In the control the network's beliefs are dealt out to other pixels
before the field and go back to their places after it, the same way in every patch: the field keeps its picture, its
weights and its passes, but who talks to whom says nothing about the outline, so what was gained by it must be gone.
A flat picture would be a weaker control: closeness alone would still smooth the outline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tetraview_nets.cache import Split
from tetraview_nets.claims.table import Claim
from tetraview_nets.crunet.evaluate import Pixels, outlined
from tetraview_nets.crunet.network import CruNet
from tetraview_nets.crunet.presets import CruPreset
from tetraview_nets.crunet.recipe import RECIPES, CruRecipe
from tetraview_nets.crunet.training import CruTraining
from tetraview_nets.lesions import LesionSet
from tetraview_nets.metrics import paired_mean
from tetraview_nets.metrics.arrays import Floats

CLAIM, TITLE = "8", "A random field behind the network helps, residual shortcuts are neutral"
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
        """Of its trainings."""
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
class Study:
    """All trainings of the study, in one folder; each ended one leaves the Dice of its test masses there."""

    preset: CruPreset
    recipe: CruRecipe
    folder: Path
    test_exams: int
    #: Of the trainings of each arm.
    seeds: Sequence[int]
    #: The phantom cache's root; None for the default.
    cache: Path | None = None

    def train(self, *, done: Callable[[], None] = lambda: None) -> None:
        """Train what is missing, ``done`` called after each training."""
        # Seed by seed, so that a study cut short has every arm about equally often.
        for seed in self.seeds:
            for arm in ARMS:
                if not self._dice_path(arm, seed).exists():
                    self._train(arm, seed)
                done()

    def rows(self, *, command: str) -> list[Claim]:
        """Every contrast in both kinds of boxes, by the seeds that both arms have ended."""
        rows = []
        for pair in CONTRASTS:
            seeds = [seed for seed in self.seeds if all(self._dice_path(arm, seed).exists() for arm in pair)]
            if seeds:
                first, second = (np.stack([np.load(self._dice_path(arm, seed)) for seed in seeds]) for arm in pair)
                rows += [
                    self._row(pair, (first[:, i], second[:, i]), boxes=boxes, command=command)
                    for i, boxes in enumerate(("detected", "true"))
                ]
        return rows

    def _dice_path(self, arm: Arm, seed: int) -> Path:
        """Dice of all test masses after one training, in detected and in true boxes: float [2, N]."""
        return self.folder / f"{arm.folder}-{seed}.npy"

    def _train(self, arm: Arm, seed: int) -> None:
        network = self._training(arm, seed).run(masses=self._masses, watched=self._watched)
        counted = [outlined(network, self._test, detected=detected)[Pixels.IMAGE] for detected in (True, False)]
        np.save(self._dice_path(arm, seed), np.array([[each.dice for each in boxes] for boxes in counted]))

    def _training(self, arm: Arm, seed: int) -> CruTraining:
        return CruTraining(
            preset=replace(self.preset, residual=arm.residual, crf_share=arm.crf_share),
            recipe=replace(self.recipe, schedule=replace(self.recipe.schedule, seed=seed)),
            folder=self.folder / f"{arm.folder}-{seed}",
            device=torch.device("cpu"),
            cache=self.cache,
            build=ScatteredCruNet if arm.scattered else CruNet,
        )

    def _row(self, pair: tuple[Arm, Arm], dice: tuple[Floats, Floats], *, boxes: str, command: str) -> Claim:
        first, second = pair
        patients = np.array([mass.seed for mass in self._test])
        found = paired_mean(*dice, patients)
        return Claim(
            claim=CLAIM,
            title=TITLE,
            contrast=f"{first.name} - {second.name}",
            setting=SCATTERED if first.scattered else "default",
            control=first.scattered,
            measure=f"Dice per mass in {boxes} boxes",
            patients=len(np.unique(patients)),
            images=len(self._test),
            lesions=len({(mass.seed, mass.label) for mass in self._test}),
            seeds=len(dice[0]),
            first=found.first,
            second=found.second,
            effect=found.effect,
            low=found.low,
            high=found.high,
            command=command,
            compared=self._compared(),
        )

    def _compared(self) -> str:
        schedule = self.recipe.schedule
        return (
            f"CRU-Net of preset {self.preset.name}, {schedule.steps} steps of {schedule.batch} masses of "
            f"{self.recipe.exams} training exams; outlines on the image's pixels, one patch a view. λ is the random "
            "field's part in the loss; at 0 there is none."
        )

    @cached_property
    def _masses(self) -> LesionSet:
        return LesionSet.read(Split.TRAIN, exams=self.recipe.exams, root=self.cache).masses

    @cached_property
    def _watched(self) -> LesionSet:
        return LesionSet.read(Split.VALIDATION, exams=self.recipe.validation_exams, root=self.cache).masses

    @cached_property
    def _test(self) -> LesionSet:
        return LesionSet.read(Split.TEST, exams=self.test_exams, root=self.cache).masses
