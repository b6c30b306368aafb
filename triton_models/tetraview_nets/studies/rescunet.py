"""Claim 10: does painting the class into the mask help to outline masses, and is the joint decision right?

Each of three networks with the same encoder is trained with mixed supervision and without it on the same patches with
the same seeds, and judged on masses of exams nobody trained on. In the control the classes are dealt out at random
among the training masses whose class is known: then the class figures must fall to chance, and the gain in outlines
must be gone. The target of a network without mixed supervision has no class, so it has one arm for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tetraview_nets.learning.lesions import LesionSet
from tetraview_nets.learning.schedule import Schedule
from tetraview_nets.metrics import Paired, paired_auc, paired_mean
from tetraview_nets.metrics.arrays import Booleans, Floats
from tetraview_nets.rescunet.mass_reading import MassReading
from tetraview_nets.rescunet.otsu import Otsu
from tetraview_nets.rescunet.presets import Architecture, RescunetPreset
from tetraview_nets.rescunet.recipe import RECIPES, RescunetRecipe
from tetraview_nets.rescunet.training import RescunetTraining
from tetraview_nets.studies.claims.measured import Measured
from tetraview_nets.studies.patch_study import CPU, PatchStudy, patients_of

#: Recipe of every training: masses alone and the pixels' loss alone, as in the paper. Pixel by pixel the class is
#: learnt late.
STUDY_RECIPE = replace(
    RECIPES["small"],
    schedule=Schedule(steps=1000, batch=16, learning_rate=5e-3, warm_up=30, average=0.97),
    mass_share=1.0,
    mass_term=False,
)
#: The control's name.
SHUFFLED = "classes shuffled"
#: The threshold of a map that was trained on masks alone, where Otsu's is not asked.
HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of training."""

    architecture: Architecture
    mixed: bool
    #: Whether classes are dealt out at random among the training masses.
    shuffled: bool = False

    @property
    def folder(self) -> str:
        """Folder of its trainings."""
        way = ("shuffled" if self.shuffled else "mixed") if self.mixed else "masks"
        return f"{self.architecture}-{way}"


ARCHITECTURES = (Architecture.RESCUNET, Architecture.UNET, Architecture.SEGNET)
MIXED, MASKS, CONTROL = (
    {each: Arm(architecture=each, mixed=mixed, shuffled=shuffled) for each in ARCHITECTURES}
    for mixed, shuffled in ((True, False), (False, False), (True, True))
)
#: The control is made with the paper's network alone: two more would take a third of the study's time.
CONTROLLED = (Architecture.RESCUNET,)
ARMS = (
    *(arms[each] for each in ARCHITECTURES for arms in (MIXED, MASKS)),
    *(CONTROL[each] for each in CONTROLLED),
)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure of two arms, or two figures of one."""

    contrast: str
    name: str
    first: tuple[Arm, str]
    second: tuple[Arm, str]

    @property
    def control(self) -> bool:
        """Whether it was trained on shuffled classes."""
        return self.first[0].shuffled


def measures(architecture: Architecture) -> list[Measure]:
    """The measures of one network."""
    masks, found = MASKS[architecture], []
    controls = [CONTROL[architecture]] if architecture in CONTROLLED else []
    for mixed in (MIXED[architecture], *controls):
        against = f"{architecture}: mixed - masks alone"
        found += [
            Measure(contrast=against, name="Dice, both by Otsu", first=(mixed, "dice"), second=(masks, "dice")),
            Measure(contrast=against, name="Dice, Otsu against 0.5", first=(mixed, "dice"), second=(masks, "half")),
            Measure(contrast=against, name="AUC of class", first=(mixed, "score"), second=(masks, "score")),
            Measure(
                contrast=f"{architecture}: Otsu guarded - literal",
                name="accuracy of class",
                first=(mixed, "guarded"),
                second=(mixed, "literal"),
            ),
            Measure(
                contrast=f"{architecture}: Otsu guarded - all benign",
                name="accuracy of class",
                first=(mixed, "guarded"),
                second=(mixed, "benign"),
            ),
        ]
    if controls:
        true, dealt = (MIXED[architecture], "score"), (CONTROL[architecture], "score")
        found.append(
            Measure(contrast=f"{architecture}: true classes - shuffled", name="AUC of class", first=true, second=dealt)
        )
    return found


def between_networks() -> list[Measure]:
    """ResCU-Net against the two networks it joins, all with mixed supervision."""
    ours = MIXED[Architecture.RESCUNET]
    return [
        Measure(contrast=f"rescunet - {other}, mixed", name=name, first=(ours, figure), second=(MIXED[other], figure))
        for other in (Architecture.UNET, Architecture.SEGNET)
        for name, figure in (("Dice, both by Otsu", "dice"), ("AUC of class", "score"))
    ]


MEASURES = (*(measure for each in ARCHITECTURES for measure in measures(each)), *between_networks())


@dataclass(frozen=True, kw_only=True)
class Study(PatchStudy[RescunetPreset, RescunetRecipe, Arm]):
    """All trainings of the study, in one folder; each ended one leaves the figures of its test masses there."""

    claim = "10"
    suffix = ".npz"

    @property
    def arms(self) -> Sequence[Arm]:
        """All of them."""
        return ARMS

    def _answers(self) -> Iterator[Measured]:
        for measure in MEASURES:
            sides = measure.first, measure.second
            seeds = self._common(*(arm for arm, _ in sides))
            if seeds:
                first, second = (np.stack([self._figure(*side, seed) for seed in seeds]) for side in sides)
                yield self._measured(
                    measure.contrast,
                    measure.name,
                    self._paired(measure, (first, second)),
                    self._tested,
                    control=SHUFFLED if measure.control else "",
                )

    def _figure(self, arm: Arm, name: str, seed: int) -> Floats:
        """One figure of every test mass after one training: float [N]."""
        with np.load(self._path(arm, seed)) as stored:
            return np.asarray(stored[name], dtype=np.float64)

    def _train(self, arm: Arm, seed: int) -> None:
        schedule = replace(self.recipe.schedule, seed=seed)
        network = RescunetTraining(
            preset=replace(self.preset, architecture=arm.architecture),
            recipe=replace(self.recipe, mixed_supervision=arm.mixed, schedule=schedule),
            folder=self._folder(arm, seed),
            device=CPU,
            cache=self.cache,
            lesions=shuffled(self._lesions) if arm.shuffled else self._lesions,
            watched=self._watched,
        ).run()
        outcome = MassReading.of(network, self._tested, detected=True, device=CPU)
        np.savez(self._path(arm, seed), **self._figures(outcome))  # type: ignore[arg-type]

    def _figures(self, outcome: MassReading) -> dict[str, Floats]:
        malignant = self._malignant
        return {
            "dice": np.array([confusion.dice for confusion in outcome.confusions]),
            "half": np.array([confusion.dice for confusion in outcome.confusions_at(HALF)]),
            "score": outcome.malignancy,
            "guarded": (outcome.called_malignant(Otsu.GUARDED) == malignant).astype(np.float64),
            "literal": (outcome.called_malignant(Otsu.LITERAL) == malignant).astype(np.float64),
            "benign": (~malignant).astype(np.float64),
        }

    def _paired(self, measure: Measure, values: tuple[Floats, Floats]) -> Paired:
        patients = patients_of(self._tested)
        if measure.first[1] == "score":
            return paired_auc(*values, self._malignant, patients)
        return paired_mean(*values, patients)

    def _compared(self) -> str:
        schedule, preset = self.recipe.schedule, self.preset
        return (
            f"Networks of preset {preset.name} on {preset.size}×{preset.size} pixels, {schedule.steps} steps of "
            f"{schedule.batch} patches of masses of {self.recipe.exams} training exams; judged on masses in jittered "
            "boxes, one patch a view, Dice at the image's own pixels, the class as biopsy would say. Mixed supervision "
            "is the paper's, the pixels' loss alone, without the mean of each mass that our shipped training adds. "
            "Scores of a network that was taught masks alone may rank below chance."
        )

    @property
    def _malignant(self) -> Booleans:
        return np.array([mass.malignant for mass in self._tested])


def shuffled(lesions: LesionSet) -> LesionSet:
    """The same masses, the known classes dealt out anew among them; the order of dealing is always the same."""
    known = np.flatnonzero([lesion.kind == 0 and lesion.known for lesion in lesions])
    dealt = np.random.default_rng(0).permutation(known)
    changed = list(lesions)
    for mass, giver in zip(known, dealt, strict=True):
        changed[mass] = replace(lesions[int(mass)], malignant=lesions[int(giver)].malignant)
    return replace(lesions, lesions=tuple(changed))
