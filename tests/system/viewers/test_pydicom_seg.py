"""Segmentations of the `slicer` output in pydicom-seg, a reader that is neither ours nor highdicom's nor dcmqi's.

It runs in a process of its own with an older pydicom and gives what 3D Slicer works with: masks on a grid with spacing,
origin and direction.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tetraview.domain.output import OUTPUTS
from tetraview.domain.view import View
from tetraview.report import write_report
from tetraview.tools.probe.exam import probe_exam

pytestmark = pytest.mark.system

READER = Path(__file__).parents[3] / ".viewers" / "pydicom-seg-0.4.1"
READ = """
import json, sys
import numpy, pydicom, pydicom_seg
read = pydicom_seg.SegmentReader().read(pydicom.dcmread(sys.argv[1]))
segments = list(read.available_segments)
grids = [read.segment_image(number) for number in segments]
numpy.save(sys.argv[2], numpy.array([read.segment_data(number) for number in segments]))
print(json.dumps([[grid.GetSpacing(), grid.GetOrigin(), grid.GetDirection()] for grid in grids]))
"""


def read(segmentation: Path, masks: Path) -> subprocess.CompletedProcess[str]:
    """Read a Segmentation in the reader's own process; its grids as JSON, its masks as a file."""
    if not READER.is_dir():
        pytest.skip("pydicom-seg is not installed (deploy/viewers-setup)")
    command = [sys.executable, "-W", "ignore", "-c", READ, str(segmentation), str(masks)]
    environment = os.environ | {"PYTHONPATH": str(READER)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_another_reader_finds_the_marks_of_the_slicer_output(tmp_path: Path) -> None:
    """Masks cover the white spots of each image and nothing else, on a grid of its pixel spacing at the origin."""
    exam, reading = probe_exam(tmp_path)
    write_report(exam, reading, spool=Path("/"), folder=tmp_path, outputs=[OUTPUTS["slicer"]])
    for view in View:
        done = read(tmp_path / "slicer" / f"seg-{view}.dcm", tmp_path / "masks.npy")
        assert done.returncode == 0, done.stderr
        image = dcmread(exam.images[view].path)
        masks = np.load(tmp_path / "masks.npy")
        assert len(masks) == sum(finding.view is view for finding in reading.findings)
        assert (masks.max(axis=0)[0] == (image.pixel_array == 2**image.BitsStored - 1)).all()
        row_mm, column_mm = map(float, image.ImagerPixelSpacing)
        axes = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        assert json.loads(done.stdout) == [[[column_mm, row_mm, 1.0], [0.0, 0.0, 0.0], axes]] * len(masks)


def test_another_reader_needs_the_slicer_output(tmp_path: Path) -> None:
    """Without a plane, as the standard has it for mammograms, the reader refuses a file, so the output is needed."""
    exam, reading = probe_exam(tmp_path)
    write_report(exam, reading, spool=Path("/"), folder=tmp_path, outputs=[OUTPUTS["air"]])
    done = read(tmp_path / "air" / "seg-L-CC.dcm", tmp_path / "masks.npy")
    assert done.returncode != 0
    assert "Pixel measures FG is missing" in done.stderr
