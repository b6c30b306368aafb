"""How classifiers rank masses whose class is known, in boxes as a detector draws them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from tetraview_nets.learning.crops import detected
from tetraview_nets.learning.lesions import Lesion, LesionSet
from tetraview_nets.learning.pieces import read_patches
from tetraview_nets.metrics import auc, interval, patient_weights
from tetraview_nets.metrics.arrays import Floats, Integers
from tetraview_nets.studies.real.figure import Figure, Group
from tetraview_nets.studies.real.outlines import PatchReader

#: The table.
AUC = "AUC"
#: The baseline that costs nothing.
ALL_BENIGN = "all benign"
VIEWS, MASSES = "each view", "mean of views"


def malignancy_figures(readers: Sequence[PatchReader], group: Group, lesions: LesionSet) -> list[Figure]:
    """Area under the ROC curve of every classifier; nothing where only one class is known."""
    known = LesionSet(split=lesions.split, lesions=tuple(each for each in lesions.masses if each.known))
    if {each.malignant for each in known} != {False, True}:
        return []
    scores = {ALL_BENIGN: np.zeros(len(known))}
    scores |= {each.name: malignancy_of(each, known) for each in readers if "malignancy" in each.gives}
    owner = masses_of(known)
    _, first = np.unique(owner, return_index=True)
    joined = LesionSet(split=known.split, lesions=tuple(known[i] for i in first))
    figures = []
    for name, values in scores.items():
        means = np.bincount(owner, values) / np.bincount(owner)
        figures.append(_figure(name, group, values, known, of=VIEWS))
        figures.append(_figure(name, group, means, joined, of=MASSES))
    return figures


def malignancy_of(reader: PatchReader, masses: LesionSet) -> Floats:
    """The score of each mass: float [N]."""
    patches = detected(masses, reader.network.preset.patch)
    found = read_patches(reader.network, patches, device=torch.device("cpu")).malignancy
    assert found is not None
    return np.asarray(found.double().numpy())


def masses_of(views: Sequence[Lesion]) -> Integers:
    """Which mass each view of one shows, as an index: the same where a breast has but one mass in every view."""
    breasts: dict[tuple[int, str], list[int]] = defaultdict(list)
    for i, each in enumerate(views):
        exam, _, rest = each.label.partition("/")
        breasts[each.seed, f"{exam}/{rest[:1]}"].append(i)
    owner = np.arange(len(views))
    for seen in breasts.values():
        if len({views[i].label for i in seen}) == len(seen):
            owner[seen] = seen[0]
    return np.unique(owner, return_inverse=True)[1]


def _figure(system: str, group: Group, scores: Floats, cases: LesionSet, *, of: str) -> Figure:
    malignant, patients = (np.array([getattr(each, name) for each in cases]) for name in ("malignant", "seed"))
    _, index = np.unique(patients, return_inverse=True)
    weights = patient_weights(int(index.max()) + 1)[:, index]
    low, high = interval(np.array([auc(scores, malignant, weight) for weight in weights]))
    return Figure(
        table=AUC,
        system=system,
        data=group.data,
        medium=group.medium,
        of=of,
        measure=AUC,
        count=len(scores),
        value=auc(scores, malignant),
        low=float(low),
        high=float(high),
    )
