from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tetraview.domain.delivery import ResultKind
from tetraview.domain.view import View

DCENTVFY, DCMPSCHK = Path("/usr/bin/dcentvfy"), Path("/usr/bin/dcmpschk")
#: Display attributes of an image.
GREYS = {
    "RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "US",
    "WindowCenter": [2000, 1500], "WindowWidth": [3000, 800], "VOILUTFunction": "SIGMOID",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tools() -> None:
    """Missing tools skip the test on a laptop and fail it where the suite is the gate."""
    if not (DCENTVFY.exists() and DCMPSCHK.exists()):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("dicom3tools and DCMTK are missing")


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def assert_clean(desk: Any, complaints: Any) -> None:
    for result in desk.write():
        assert complaints(desk.folder / result.path) == [], result.path


@pytest.mark.parametrize("attributes", [{}, GREYS, GREYS | {"ImagerPixelSpacing": None}], ids=["bare", "greys", "flat"])
def test_presentation_states_are_valid(
    desk: Any, image: Any, finding: Any, complaints: Any, attributes: dict[str, Any]
) -> None:
    """Presentation states pass dciodvfy and DCMTK's own checker, whose images have greys and spacing or have none."""
    desk.output = replace(desk.output, objects=(ResultKind.PRESENTATION_STATE,))
    desk.add(View.L_CC, finding(View.L_CC), finding(View.L_CC, number=2), source=image(View.L_CC, **attributes))
    assert_clean(desk, complaints)
    said = run(DCMPSCHK, desk.out / "pr-L-CC.dcm").stderr.splitlines()
    wrong = [line.partition("attribute:")[2].split()[0] for line in said if "Affected attribute" in line]
    # Its pattern for DT does not match whole seconds with an offset from UTC.
    assert set(wrong) <= {"ContributionDateTime"}, said
    assert len(wrong) == sum("Error" in line for line in said)


@pytest.mark.parametrize("attributes", [{}, {"LossyImageCompression": "01", "PatientOrientation": None}])
def test_secondary_captures_are_valid(
    desk: Any, image: Any, finding: Any, complaints: Any, attributes: dict[str, Any]
) -> None:
    """Secondary Captures pass the validator, also of a lossy image without directions."""
    desk.output = replace(desk.output, objects=(ResultKind.SECONDARY_CAPTURE,))
    desk.add(View.L_CC, finding(View.L_CC), source=image(View.L_CC, **attributes))
    desk.show(View.L_CC)
    assert_clean(desk, complaints)


def test_the_results_of_an_exam_agree(full_desk: Any) -> None:
    """Patient, study and series attributes are the same all over the results of an exam and its images."""
    full_desk.output = replace(full_desk.output, objects=tuple(ResultKind))
    full_desk.show(View.L_CC)
    full_desk.show(View.L_MLO)
    results = [full_desk.folder / result.path for result in full_desk.write()]
    checked = run(DCENTVFY, *results, *sorted(full_desk.spool.iterdir()))
    assert [line for line in checked.stderr.splitlines() if line.startswith("Error")] == []
