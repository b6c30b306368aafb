"""Masses whose label follows from fine texture alone, while coarse shape says nothing of it: claim 9's control.

In the phantom a mass of suspicion s has a coarse cue s + t, which drives lobulation and edge blur, and a fine cue
s - t, which drives spicules and specks; t is uniform within a quarter of 0 and never takes a cue out of [0, 1]. Where s
lies within a quarter of a half, the pair (coarse, fine) is therefore uniform on a square that stands on its corner
around (1/2, 1/2): at any coarse cue the fine one lies as often above a half as below. Spicules are drawn from 0.55 on.
Those of these masses with a fine cue between 0.45 and 0.55 are left out, so that the label, *drawn with spicules*, is
exactly as likely as its opposite whatever the coarse shape. Contrast rises with s, and so a little with the label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tetraview.phantom import RECIPES
from tetraview.phantom.anatomy import sample_anatomy
from tetraview.phantom.appearance import Appearance
from tetraview.phantom.plan import plan_exam
from tetraview_nets.learning.lesions import PHANTOM_RECIPE, LesionSet

#: Middle of both cues and of the suspicion, and how far the kept masses' suspicion may lie from it.
MIDDLE, REACH = 0.5, 0.25
#: Fine cues this near to the middle are left out: spicules begin at its upper end.
BAND = 0.05


def appearances(seed: int) -> Mapping[str, Appearance]:
    """How the masses of an exam were planned to look, by label."""
    plan = plan_exam(seed, RECIPES[PHANTOM_RECIPE], sample_anatomy(seed))
    return {each.label: each.appearance for seen in plan.values() for each in seen if each.assessment}


def texture_labelled(lesions: LesionSet) -> LesionSet:
    """The masses at which texture is independent of shape, *malignant* now meaning that they were drawn with spicules.

    Args:
        lesions: phantom lesions of the recipe ``PHANTOM_RECIPE``.
    """
    looks = {seed: appearances(seed) for seed in {lesion.seed for lesion in lesions}}
    kept = [
        replace(mass, malignant=looks[mass.seed][mass.label].fine > MIDDLE, known=True)
        for mass in lesions.masses
        if balanced(looks[mass.seed][mass.label])
    ]
    return replace(lesions, lesions=tuple(kept))


def balanced(looks: Appearance) -> bool:
    """Whether spicules are as likely as not at this object's coarse cue."""
    return abs(looks.suspicion - MIDDLE) <= REACH and abs(looks.fine - MIDDLE) >= BAND
