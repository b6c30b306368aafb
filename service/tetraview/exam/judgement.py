"""The decision about an exam whose images are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tetraview.domain.exam import ExamState, Remark
from tetraview.domain.instance import NOTED, Decision, Instance
from tetraview.domain.verdict import Verdict
from tetraview.domain.view import Laterality, View, ViewPosition
from tetraview.exam.choice import Choice, choose_images
from tetraview.exam.identity import contradictions
from tetraview.settings import Requires

#: Slices, projections and the images computed from them.
_OF_TOMOSYNTHESIS = frozenset({Decision.TOMOSYNTHESIS, Decision.SYNTHETIC})


def judge(instances: Sequence[Instance], *, requires: Requires = "any", forced: bool = False) -> Verdict:
    """Whether an exam is read and from which images.

    Args:
        instances: the instances in force.
        requires: the slots that must be filled: all ``four``, both of each breast that was imaged (``per_breast``) or
            ``any`` of them.
        forced: whether a person asked for reading what there is, which lifts the requirement and nothing else.
    """
    choice = choose_images(instances)
    unread = _unread(instances, choice)
    state, remark, detail = _decided(instances, choice, unread, requires=requires, forced=forced)
    others = dict(choice.others)
    if state is not ExamState.READING:
        because = f"its exam is {state}: {remark}"
        others |= {image.path: (Decision.EXAM_NOT_READ, because) for image in choice.images.values()}
    return Verdict(state=state, images=choice.images, others=others, unread=unread, remark=remark, detail=detail)


def _decided(
    instances: Sequence[Instance], choice: Choice, unread: Mapping[View, str], *, requires: Requires, forced: bool
) -> tuple[ExamState, Remark | None, str]:
    differing = contradictions(instances)
    if differing:
        differ = "differs" if len(differing) == 1 else "differ"
        detail = (
            f"{' and '.join(differing)} {differ} between images of this study: correct it where it is kept and send it "
            "again; discard what came if it then has other UIDs or another sender"
        )
        return ExamState.HELD, Remark.IDENTITY_DIFFERS, detail
    if not choice.images:
        return ExamState.SKIPPED, *_nothing_to_read(instances, choice)
    wanting = _wanting(choice, requires)
    if wanting and not forced:
        detail = f"the policy `requires = {requires}` asks for {_listed(wanting)} too"
        return ExamState.SKIPPED, Remark.REQUIRES_MORE, detail
    return ExamState.READING, *_remark(choice, unread)


def _unread(instances: Sequence[Instance], choice: Choice) -> dict[View, str]:
    """Why each slot is empty that an image could have filled; a twin For Processing says it only where it is alone."""
    unread: dict[View, str] = dict.fromkeys(choice.mosaics, Decision.MOSAIC)
    for view in choice.missing:
        shown = {_decision(image, choice) for image in instances if image.eligibility.shows is view}
        codes = sorted(shown - {Decision.FOR_PROCESSING}) or sorted(shown)
        if codes and view not in unread:
            unread[view] = ", ".join(codes)
    return unread


def _decision(image: Instance, choice: Choice) -> Decision:
    return choice.others[image.path][0] if image.path in choice.others else image.eligibility.decision


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


def _remark(choice: Choice, unread: Mapping[View, str]) -> tuple[Remark | None, str]:
    if not choice.missing:
        return None, ""
    said = [f"{view} came and is not read ({code})" for view, code in unread.items()]
    absent = [view for view in choice.missing if view not in unread]
    sides = [side for side in Laterality if sum(view.laterality is side for view in absent) == len(ViewPosition)]
    if sides:
        said.append(f"no image of the {'left' if sides[0] is Laterality.LEFT else 'right'} breast")
    elif absent:
        said.append(f"{_listed(absent)} did not come")
    remark = Remark.MOSAIC if choice.mosaics else Remark.UNILATERAL if sides else Remark.INCOMPLETE
    return remark, "; ".join(said)


def _listed(views: Sequence[View]) -> str:
    return ", ".join(views)
