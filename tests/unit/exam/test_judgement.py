from __future__ import annotations

from typing import Any

import pytest

from tetraview.domain.exam import ExamState, Remark
from tetraview.domain.instance import Decision
from tetraview.domain.view import View
from tetraview.exam import judge
from tetraview.settings import Requires

LEFT = (View.L_CC, View.L_MLO)
THREE = (View.R_CC, View.L_CC, View.L_MLO)


@pytest.mark.parametrize(
    ("views", "requires", "state", "remark", "detail"),
    [
        (tuple(View), "any", ExamState.READING, None, ""),
        (tuple(View), "four", ExamState.READING, None, ""),
        (THREE, "any", ExamState.READING, Remark.INCOMPLETE, "R-MLO did not come"),
        (LEFT, "any", ExamState.READING, Remark.UNILATERAL, "no image of the right breast"),
        (LEFT[:1], "any", ExamState.READING, Remark.UNILATERAL, "no image of the right breast"),
        (LEFT, "per_breast", ExamState.READING, Remark.UNILATERAL, "no image of the right breast"),
        (
            *(THREE, "per_breast", ExamState.SKIPPED, Remark.REQUIRES_MORE),
            "the policy `requires = per_breast` asks for R-MLO too",
        ),
        (
            *(LEFT, "four", ExamState.SKIPPED, Remark.REQUIRES_MORE),
            "the policy `requires = four` asks for R-CC, R-MLO too",
        ),
        ((), "any", ExamState.SKIPPED, Remark.NO_IMAGE, "no image of it is read"),
    ],
)
def test_an_exam_is_read_as_far_as_its_policy_goes(
    *, image: Any, views: tuple[View, ...], requires: Requires, state: ExamState, remark: Remark | None, detail: str
) -> None:
    """Missing views are named; whether the rest is read depends on the policy, and a single breast is no fault."""
    verdict = judge([image(view, uid=str(view)) for view in views], requires=requires)
    assert (verdict.state, verdict.remark, verdict.detail) == (state, remark, detail)
    assert set(verdict.images) == set(views)


def test_a_person_can_have_an_exam_read_that_its_policy_skips(image: Any) -> None:
    """A request for the reading lifts the requirement, and the exam still names the missing views."""
    verdict = judge([image(view, uid=str(view)) for view in THREE], requires="four", forced=True)
    assert (verdict.state, verdict.remark) == (ExamState.READING, Remark.INCOMPLETE)


def test_tomosynthesis_alone_is_skipped(image: Any) -> None:
    """An exam of tomosynthesis only says that there is nothing two-dimensional to read."""
    verdict = judge([image(None, decision=Decision.TOMOSYNTHESIS)])
    assert (verdict.state, verdict.remark) == (ExamState.SKIPPED, Remark.NO_2D)


def test_tomosynthesis_beside_images_that_are_not_read_is_no_reason(image: Any) -> None:
    """An exam with two-dimensional images that are not read is not called tomosynthesis only."""
    decisions = (Decision.TOMOSYNTHESIS, Decision.IMPLANT)
    verdict = judge([image(None, decision=decision, uid=decision) for decision in decisions])
    assert (verdict.state, verdict.remark) == (ExamState.SKIPPED, Remark.NO_IMAGE)


def test_a_mosaic_is_said_where_it_leaves_a_slot_empty(image: Any) -> None:
    """An exam of parts only is skipped as a mosaic; with other views these are read and the mosaic is named."""
    tiles = [image(View.R_MLO, uid=uid, partial=True) for uid in "12"]
    assert judge(tiles).remark is Remark.MOSAIC
    verdict = judge([*tiles, image(View.R_CC, uid="3")])
    assert (verdict.state, verdict.remark) == (ExamState.READING, Remark.MOSAIC)
    assert set(verdict.images) == {View.R_CC}


@pytest.mark.parametrize(
    ("facts", "attribute"),
    [
        ({"patient_key": "q"}, "PatientID (0010,0020)"),
        ({"patient_key": ""}, "PatientID (0010,0020)"),
        ({"accession_key": "b"}, "AccessionNumber (0008,0050)"),
        ({"study_date_key": "b"}, "StudyDate (0008,0020)"),
    ],
)
@pytest.mark.parametrize("forced", [False, True])
def test_images_of_two_identities_are_held(image: Any, facts: dict[str, str], attribute: str, *, forced: bool) -> None:
    """An exam whose images disagree about patient, order or day is never read, even on request."""
    known = {"accession_key": "a", "study_date_key": "a"}
    images = [image(View.L_CC, uid="1", **known), image(View.R_CC, uid="2", **(known | facts))]
    verdict = judge(images, forced=forced)
    assert (verdict.state, verdict.remark) == (ExamState.HELD, Remark.IDENTITY_DIFFERS)
    assert verdict.detail.startswith(f"{attribute} differs between images of this study")


def test_an_image_that_is_not_read_can_have_an_exam_held(image: Any) -> None:
    """An ineligible mammogram of another patient also shows that a study is mixed up; a foreign report does not."""
    ours = image(View.L_CC, uid="1")
    assert judge([ours, image(None, uid="2", patient_key="q")]).state is ExamState.HELD
    noted = image(None, uid="2", patient_key="q", decision=Decision.NOT_MAMMOGRAPHY)
    assert judge([ours, noted]).state is ExamState.READING


@pytest.mark.parametrize("keys", [{"accession_key": ""}, {"study_date_key": ""}])
def test_an_empty_order_or_date_contradicts_nothing(image: Any, keys: dict[str, str]) -> None:
    """Many modalities leave the Accession Number of some images empty."""
    known = {"accession_key": "a", "study_date_key": "a"}
    images = [image(View.L_CC, uid="1", **known), image(View.R_CC, uid="2", **(known | keys))]
    assert judge(images).state is ExamState.READING


def test_images_of_an_exam_that_is_not_read_say_so(image: Any) -> None:
    """No image of a held or skipped exam is marked as read, and each names the reason of its exam."""
    for verdict in (
        judge([image(View.L_CC, uid="1"), image(View.R_CC, uid="2", patient_key="q")]),
        judge([image(View.L_CC, uid="1"), image(View.R_CC, uid="2")], requires="four"),
    ):
        because = f"its exam is {verdict.state}: {verdict.remark}"
        assert set(verdict.others.values()) == {(Decision.EXAM_NOT_READ, because)}
        assert len(verdict.others) == 2


def test_what_an_earlier_version_did_not_keep_contradicts_nothing(image: Any) -> None:
    """Images that were recorded before identities were kept are not taken for another patient's."""
    older = image(View.L_CC, uid="1", patient_key=None, accession_key=None, study_date_key=None)
    assert judge([older, image(View.R_CC, uid="2", accession_key="a", study_date_key="d")]).state is ExamState.READING


def test_a_view_that_came_and_is_not_read_is_not_said_to_be_missing(image: Any) -> None:
    """An exam with an implant view and a tomosynthesis in place of two views names both, and the missing view."""
    images = [
        image(View.R_CC, uid="1", shows=View.R_CC),
        image(None, uid="2", decision=Decision.IMPLANT, shows=View.L_CC),
        image(None, uid="3", decision=Decision.FOR_PROCESSING, shows=View.L_CC),
        image(None, uid="4", decision=Decision.TOMOSYNTHESIS, shows=View.R_MLO),
    ]
    verdict = judge(images)
    assert verdict.unread == {View.L_CC: "IMPLANT", View.R_MLO: "TOMOSYNTHESIS"}
    assert (verdict.state, verdict.remark) == (ExamState.READING, Remark.INCOMPLETE)
    assert set(verdict.detail.split("; ")) == {
        "R-MLO came and is not read (TOMOSYNTHESIS)",
        "L-CC came and is not read (IMPLANT)",
        "L-MLO did not come",
    }


def test_a_breast_with_an_implant_is_not_absent(image: Any) -> None:
    """A breast both of whose views are left out was imaged: the exam is incomplete, not unilateral."""
    right = [image(view, uid=str(view), shows=view) for view in (View.R_CC, View.R_MLO)]
    left = [image(None, uid=str(view), decision=Decision.IMPLANT, shows=view) for view in (View.L_CC, View.L_MLO)]
    assert judge([*right, *left]).remark is Remark.INCOMPLETE
    assert judge(right).remark is Remark.UNILATERAL
