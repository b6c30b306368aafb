"""Findings in real mammograms lie where masses can be; their number is written down, not judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tetraview.findings.size import MAX_LONG_AXIS_MM

pytestmark = pytest.mark.system

BENCH = Path(__file__).parents[1] / "bench" / "real_exams.py"


@pytest.fixture(scope="module")
def images(triton: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every image of the real exams with the places of its findings, as the bench measures them."""
    folder = os.environ.get("TETRAVIEW_EXAMS")
    if not folder:
        pytest.skip("TETRAVIEW_EXAMS names no folder of real exams")
    out = tmp_path_factory.mktemp("real")
    command = [sys.executable, str(BENCH), folder, "--triton", triton]
    options = ["--table", str(out / "table.md"), "--json", str(out / "images.json")]
    ran = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=500)
    assert ran.returncode == 0, ran.stderr
    sys.stdout.write(ran.stdout)
    found: list[dict[str, Any]] = json.loads((out / "images.json").read_text())["images"]
    assert found
    return found


def test_every_real_image_is_read(images: list[dict[str, Any]]) -> None:
    """No image of the real exams fails, and each names its route."""
    assert {image["route"] for image in images} <= {"tri", "ipsi", "bi", "single"}


def test_findings_lie_in_the_breast_and_not_on_markers(images: list[dict[str, Any]]) -> None:
    """The middle of every finding is in the breast, most of its outline too, and next to none of it on a marker."""
    for image in images:
        for found in image["findings"]:
            assert found["centre_in_breast"], (image["exam"], image["view"], found)
            assert found["inside_breast"] >= 0.5
            assert found["on_marker"] < 0.05


def test_no_finding_is_longer_than_masses_are(images: list[dict[str, Any]]) -> None:
    """The gland is no mass: by outline of detector or segmenter no mark is longer than 60 mm."""
    for image in images:
        for found in image["findings"]:
            assert found["long_axis_mm"] <= MAX_LONG_AXIS_MM, (image["exam"], image["view"], found)


def test_findings_do_not_lie_on_the_edge_of_the_pectoral_muscle(images: list[dict[str, Any]]) -> None:
    """Where the muscle's edge is known, no finding has its middle within 5 mm of it."""
    on_edge = [
        (image["exam"], image["view"], found)
        for image in images
        for found in image["findings"]
        if found["centre_on_muscle_edge"]
    ]
    assert on_edge == []
