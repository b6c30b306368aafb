"""Labels of findings stay legible."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tetraview.domain.geometry import Box
from tetraview.report.labels import place_labels

SIZE = (800.0, 900.0)
BOXES = st.builds(
    lambda x, y, width, height: Box(x, y, x + width, y + height),
    st.floats(-50, 790),
    st.floats(-50, 890),
    st.floats(1, 400),
    st.floats(1, 400),
)


@given(st.lists(BOXES, max_size=6))
def test_every_label_lies_inside_the_picture(boxes: list[Box]) -> None:
    """Wherever findings lie, each gets one label of its width that is wholly inside."""
    labels = place_labels(boxes, widths=[100.0] * len(boxes), text=20.0, size=SIZE)
    assert len(labels) == len(boxes)
    for label in labels:
        assert abs(label.width - 100.0) < 1e-6
        assert label.x0 >= 0
        assert label.y0 >= 0
        assert label.x1 <= SIZE[0] + 1e-6
        assert label.y1 <= SIZE[1] + 1e-6


def test_a_lone_label_stands_just_over_its_finding() -> None:
    """With room, a label is centred over the finding and does not touch it."""
    (label,) = place_labels([Box(300, 400, 360, 450)], widths=[100.0], text=20.0, size=SIZE)
    assert label.centre[0] == 330
    assert 0 < 400 - label.y1 < 20


def test_a_label_at_the_upper_edge_goes_under_its_finding() -> None:
    """Where there is no room over a finding, the label stands under it instead of on it."""
    (label,) = place_labels([Box(300, 4, 360, 50)], widths=[100.0], text=20.0, size=SIZE)
    assert 0 < label.y0 - 50 < 20


@given(st.floats(0, 700), st.floats(100, 700), st.integers(2, 5))
def test_labels_of_findings_on_one_spot_do_not_cover_each_other(x: float, y: float, count: int) -> None:
    """Up to five findings in one place have labels apart."""
    boxes = [Box(x, y, x + 60, y + 60)] * count
    labels = place_labels(boxes, widths=[100.0] * count, text=20.0, size=SIZE)
    overlaps = [a.iou(b) for i, a in enumerate(labels) for b in labels[:i]]
    assert max(overlaps) < 1e-9


def test_a_label_does_not_cover_another_finding() -> None:
    """If two findings lie one over the other, the lower one's label goes under it rather than into the upper one."""
    upper, lower = Box(300, 300, 360, 360), Box(305, 362, 355, 400)
    labels = place_labels([upper, lower], widths=[100.0, 100.0], text=20.0, size=SIZE)
    assert labels[1].iou(upper) == 0
    assert labels[1].y0 > lower.y1
