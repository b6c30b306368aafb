"""What is to become of an exam whose images are there."""

from __future__ import annotations

from collections.abc import Sequence

from tetraview.domain.exam import ExamState, Remark
from tetraview.domain.instance import NOTED, Decision, Instance
from tetraview.domain.verdict import Verdict
from tetraview.domain.view import Laterality, View
from tetraview.exam.choice import Choice, choose_images
from tetraview.exam.identity import contradictions
from tetraview.settings import Requires

#: Slices, projections and what is computed from them.
_OF_TOMOSYNTHESIS = frozenset({Decision.TOMOSYNTHESIS, Decision.SYNTHETIC})


def judge(instances: Sequence[Instance], *, requires: Requires = "any", forced: bool = False) -> Verdict:
    """Whether an exam is read and from which images.

    Args:
        instances: those in force.
        requires: the slots that must be filled: all ``four``, both of each breast that was imaged (``per_breast``) or
            ``any`` of them.
        forced: whether a person asked for reading what there is, which lifts the requirement and nothing else.
    """
    choice = choose_images(instances)
    differing = contradictions(instances)
    if differing:
        differ = "differs" if len(differing) == 1 else "differ"
        detail = (
            f"{' and '.join(differing)} {differ} between images of this study: correct it in the PACS and send again"
        )
        return _verdict(ExamState.HELD, choice, Remark.IDENTITY_DIFFERS, detail)
    if not choice.images:
        return _verdict(ExamState.SKIPPED, choice, *_nothing_to_read(instances, choice))
    wanting = _wanting(choice, requires)
    if wanting and not forced:
        detail = f"the policy `requires = {requires}` asks for {_listed(wanting)} too"
        return _verdict(ExamState.SKIPPED, choice, Remark.REQUIRES_MORE, detail)
    return _verdict(ExamState.READING, choice, *_remark(choice))


def _verdict(state: ExamState, choice: Choice, remark: Remark | None, detail: str) -> Verdict:
    others = dict(choice.others)
    if state is not ExamState.READING:
        others |= {image.path: (Decision.EXAM_NOT_READ, detail) for image in choice.images.values()}
    return Verdict(state=state, images=choice.images, others=others, remark=remark, detail=detail)


def _nothing_to_read(instances: Sequence[Instance], choice: Choice) -> tuple[Remark, str]:
    if choice.mosaics:
        return Remark.MOSAIC, f"{_listed(choice.mosaics)} came as images of parts of the breast"
    decisions = {instance.eligibility.decision for instance in instances} - NOTED
    if Decision.TOMOSYNTHESIS in decisions and decisions <= _OF_TOMOSYNTHESIS:
        return Remark.NO_2D, "tomosynthesis only, which is not read"
    return Remark.NO_IMAGE, "no image of it is read"


def _wanting(choice: Choice, requires: Requires) -> tuple[View, ...]:
    """The slots that a policy asks for and that are empty."""
    if requires == "any":
        return ()
    imaged = {view.laterality for view in choice.images}
    return tuple(view for view in choice.missing if requires == "four" or view.laterality in imaged)


def _remark(choice: Choice) -> tuple[Remark | None, str]:
    if choice.mosaics:
        return Remark.MOSAIC, f"{_listed(choice.mosaics)} came as images of parts of the breast and is not read"
    absent = [side for side in Laterality if all(view.laterality is not side for view in choice.images)]
    if absent:
        breast = "left" if absent[0] is Laterality.LEFT else "right"
        return Remark.UNILATERAL, f"no image of the {breast} breast"
    if choice.missing:
        return Remark.INCOMPLETE, f"{_listed(choice.missing)} did not come"
    return None, ""


def _listed(views: Sequence[View]) -> str:
    return ", ".join(views)
