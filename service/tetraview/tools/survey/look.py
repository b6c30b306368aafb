"""Files as they would be received, exams as they would be settled: by the same functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tetraview.domain.exam import ExamState, Remark, exam_id_of
from tetraview.domain.instance import NOTED, Decision, Instance
from tetraview.domain.verdict import Verdict
from tetraview.domain.view import Route
from tetraview.exam import judge
from tetraview.settings import Images, Requires
from tetraview.tools.files import SAME_INSTANCE, instance_of
from tetraview.tools.survey.outcome import UNUSABLE, SurveyedExam, SurveyedFile
from tetraview.tools.survey.shelf import Shelf


def look_at(
    files: Iterable[Path], *, called_ae_title: str, policy: Images, requires: Requires
) -> Iterator[SurveyedFile | SurveyedExam]:
    """First the files that hold nothing new, as they are met, then the exams in the others.

    Args:
        files: any files; only their headers are read, one at a time.
        called_ae_title: our AE title that they are taken to be sent to.
        policy: which images are read there.
        requires: the slots that an exam must fill there.
    """
    with Shelf() as shelf:
        for path in files:
            instance = instance_of(path, called_ae_title=called_ae_title, policy=policy, digest=False)
            if isinstance(instance, str):
                yield SurveyedFile(path=str(path), decision=UNUSABLE, because=instance)
            elif not shelf.put(instance):
                yield SurveyedFile(path=str(path), decision=UNUSABLE, because=SAME_INSTANCE)
        for instances in shelf.studies():
            yield exam_of(instances, requires=requires)


def exam_of(instances: list[Instance], *, requires: Requires) -> SurveyedExam:
    """The exam that the instances of one study would become."""
    verdict = judge(instances, requires=requires)
    study = instances[0].study_instance_uid
    exam_id = exam_id_of(called_ae_title=instances[0].called_ae_title, study_instance_uid=study)
    return SurveyedExam(
        exam_id=exam_id,
        study_instance_uid=study,
        state=verdict.state,
        reason=_reason(instances, verdict),
        detail=verdict.detail,
        files=tuple(_file(instance, verdict, exam_id) for instance in instances),
        is_mammography=any(instance.eligibility.decision not in NOTED for instance in instances),
    )


def _file(instance: Instance, verdict: Verdict, exam_id: str) -> SurveyedFile:
    eligibility = instance.eligibility
    decision, because = verdict.others.get(instance.path, (eligibility.decision, eligibility.because))
    return SurveyedFile(
        path=instance.path,
        exam_id=exam_id,
        decision=decision,
        because=because,
        flags=eligibility.flags,
        view=eligibility.view or "" if decision is Decision.READ else "",
    )


def _reason(instances: list[Instance], verdict: Verdict) -> str:
    if verdict.state is ExamState.READING:
        present = frozenset(verdict.images)
        routes = {Route.of(view, present) for view in present}
        return " + ".join(route for route in Route if route in routes)
    if verdict.remark is Remark.NO_IMAGE:
        return _commonest(instances)
    return verdict.remark or verdict.state


def _commonest(instances: list[Instance]) -> str:
    """The reason that most of the mammograms have; twins For Processing say it only where they are alone."""
    decisions = Counter(instance.eligibility.decision for instance in instances)
    kinds = sorted(
        decisions,
        key=lambda decision: (decision in NOTED, decision is Decision.FOR_PROCESSING, -decisions[decision], decision),
    )
    return kinds[0]
