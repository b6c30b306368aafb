"""The results of the study of stages: claim 6 as rows, and a page with every group, normal views included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tetraview_nets.learning.cache import CanonicalExam
from tetraview_nets.metrics import interval, paired_mean, patient_weights
from tetraview_nets.studies.claims import measured
from tetraview_nets.studies.claims.measured import Measured
from tetraview_nets.studies.claims.table import DEFAULT, Claim
from tetraview_nets.studies.unetpp_stages import FACTOR, Group, Outlined, StageStudy
from tetraview_nets.unetpp.presets import Architecture, SegmenterPreset

CLAIM = "6"
#: First and second group of every contrast.
CONTRASTS = ((Group.TWO, Group.ONE), (Group.MSP, Group.TWO), (Group.MSP, Group.LEVEL), (Group.MSP, Group.ONE))
#: From here on a mass is large, millimetres.
LARGE_MM = 40.0
NAMES = {Architecture.UNET: "U-Net", Architecture.UNETPP: "v19U-Net++"}
NOTE = (
    "Dice is the mean over views with a mass and over trainings, with the 95 % interval of a bootstrap over patients "
    "and trainings. The paper's test images all show a mass, so what its system outlines in others is not known."
)
Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]


def rows(study: StageStudy, *, command: str) -> list[Claim]:
    """Compare the groups of each architecture by the trainings that have ended."""
    found = []
    for preset in study.presets:
        outlined = list(study.outlined(preset).values())
        if outlined:
            for pair in CONTRASTS:
                found += [_measured(study, preset, outlined, pair, large=large) for large in (False, True)]
    return measured.rows([each for each in found if each], command=command, compared=_compared(study))


def _measured(
    study: StageStudy, preset: SegmenterPreset, outlined: Sequence[Outlined], pair: tuple[Group, Group], *, large: bool
) -> Measured | None:
    """One contrast; None where no view is of the setting."""
    sides = np.array([_shortest_mm(study.tested[exam], view) for exam, view in study.spots])
    shown = (sides >= LARGE_MM) & np.isfinite(sides) if large else np.isfinite(sides)
    if not shown.any():
        return None
    first, second = (_dice(outlined, group)[:, shown] for group in pair)
    return Measured(
        claim=CLAIM,
        contrast=f"{NAMES[preset.architecture]}: {pair[0]} - {pair[1]}",
        setting=f"masses of {LARGE_MM:g} mm and more" if large else DEFAULT,
        control=large,
        measure="Dice per view with a mass",
        found=paired_mean(first, second, _patients(study)[shown]),
        images=int(shown.sum()),
        lesions=_masses(study, shown),
    )


def _shortest_mm(exam: CanonicalExam, view: int) -> float:
    """The longer side of the smallest mass of a view, infinity where it shows none."""
    boxes = exam.boxes[exam.masses(view)]
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) * exam.spacing_mm[view]
    return float(sides.min(initial=np.inf))


def _patients(study: StageStudy) -> NDArray[np.int64]:
    """Whose each view is: int [views]."""
    return np.array([study.tested[exam].seed for exam, _ in study.spots])


def _dice(outlined: Sequence[Outlined], group: Group) -> Floats:
    """Dice of a group under each training: float [seeds, views]."""
    return np.stack([each.dice[list(Group).index(group)] for each in outlined])


def _masses(study: StageStudy, shown: Booleans) -> int:
    """Masses of the breast in some of the views, each counted once."""
    chosen = [(study.tested[exam], view) for (exam, view), kept in zip(study.spots, shown, strict=True) if kept]
    return len({(exam.seed, str(exam.labels[i])) for exam, view in chosen for i in exam.masses(view)})


def _compared(study: StageStudy) -> str:
    frame, crops, whole = study.key.frame, study.crops, study.one_stage
    return (
        f"Encoders of {study.preset.widths} channels. Equal effort: in training each way sees {study.effort / 1e6:.0f} "
        f"million pixels, of which the detector {study.detector_pixels / 1e6:.0f}. One stage: {whole.steps} steps of "
        f"{whole.batch} views of {frame.height // FACTOR} x {frame.width // FACTOR} pixels. Second stage: "
        f"{crops.schedule.steps} steps of {crops.schedule.batch} crops of {study.preset.patch.size} pixels. Both on "
        f"{crops.exams} training exams; boxes of one training of the detector ({study.detector[:12]}), counted at "
        f"{frame.spacing_mm} mm."
    )


def page(study: StageStudy, *, command: str) -> str:
    """Every group of both architectures as Markdown."""
    with_mass = np.array([len(study.tested[exam].masses(view)) > 0 for exam, view in study.spots])
    read = (
        f"Test views with a mass: {int(with_mass.sum())}, of {study.test_exams} exams; "
        f"without one: {int((~with_mass).sum())}, of {study.normal_exams} exams."
    )
    lines = [
        "# Masses in whole views: one stage, two stages, multi-scale prediction",
        "",
        _compared(study),
        read,
        NOTE,
        "",
        "| network | group | trainings | Dice | views without a mass in which something is outlined | mm² in them |",
        "|---|---|--:|---|--:|--:|",
        *(
            _line(study, preset, outlined, group, with_mass)
            for preset in study.presets
            if (outlined := list(study.outlined(preset).values()))
            for group in Group
        ),
        "",
        f"Made by `{command}`.",
        "",
    ]
    return "\n".join(lines)


def _line(
    study: StageStudy, preset: SegmenterPreset, outlined: Sequence[Outlined], group: Group, with_mass: Booleans
) -> str:
    dice = _dice(outlined, group)[:, with_mass]
    _, index = np.unique(_patients(study)[with_mass], return_inverse=True)
    weights = patient_weights(int(index.max()) + 1)[:, index]
    samples = weights @ dice.T / weights.sum(axis=1, keepdims=True)  # [resamples, seeds]
    drawn = np.random.default_rng(0).integers(0, len(dice), samples.shape)
    low, high = interval(np.take_along_axis(samples, drawn, axis=1).mean(axis=1))
    areas = np.stack([each.area_mm2[list(Group).index(group)] for each in outlined])[:, ~with_mass]
    return (
        f"| {NAMES[preset.architecture]} | {group} | {len(outlined)} | {dice.mean():.3f} [{low:.3f}, {high:.3f}] "
        f"| {(areas > 0).mean():.0%} | {areas.mean():.0f} |"
    )
