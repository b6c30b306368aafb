from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import InferResult

from tetraview.domain.view import View
from tetraview.errors import ModelMismatch
from tetraview.inference.detector_response import read_response


@given(flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 7)), min_size=1, max_size=4), data=st.data())
def test_flipped_bits_give_detections_in_range_or_the_named_fault(answers: Any, flips: Any, data: Any) -> None:
    """An answer with any bits flipped is refused, or each of its scores and boxes is in range."""
    good, message = answers
    answer = good()
    name = data.draw(st.sampled_from(sorted(answer)))
    content = bytearray(answer[name].tobytes())
    for place, bit in flips:
        content[place % len(content)] ^= 1 << bit
    answer[name] = np.frombuffer(bytes(content), answer[name].dtype).reshape(answer[name].shape)
    result = InferResult(message(answer))
    try:
        found = read_response(result, exam_id="exam", views=[View.L_CC, View.L_MLO], shape=(16, 8))
    except ModelMismatch:
        return
    masses = [mass for view in found.views for mass in view.detections]
    assert len(masses) == 3
    assert all(0 <= mass.score <= 1 and -0.01 < mass.box.x0 < mass.box.x1 < 8.01 for mass in masses)


@given(cut=st.integers(1, 47))
def test_a_shortened_tensor_is_refused(answers: Any, cut: int) -> None:
    """E8: bytes that are missing at the end of a tensor never pass."""
    good, message = answers
    cropped = message(good())
    cropped.raw_output_contents[1] = cropped.raw_output_contents[1][:-cut]
    try:
        read_response(InferResult(cropped), exam_id="exam", views=[View.L_CC, View.L_MLO], shape=(16, 8))
    except ModelMismatch as error:
        assert "boxes" in str(error)  # noqa: PT017 - the fixture of pytest.raises is not for generated cases
        return
    raise AssertionError("a shortened tensor passed")
