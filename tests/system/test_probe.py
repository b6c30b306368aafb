"""The probe, sent to a real PACS."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

pytestmark = pytest.mark.system

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"


def probe(folder: Path, orthanc: Any, *, output: str) -> str:
    """Run the probe and return its output."""
    there = orthanc.pacs.destination
    (folder / "tetraview.toml").write_text(
        f"""data_dir = "{folder / "data"}"
        [[destinations]]
        name = "north"
        output = "{output}"
        ae_title = "{there.ae_title}"
        host = "{there.host}"
        port = {there.port}
        """
    )
    command = [sys.executable, "-m", "tetraview", "probe", "--to", "north", "--out", str(folder / "out")]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"TETRAVIEW_CONFIG": str(folder / "tetraview.toml"), "COLUMNS": "200"},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def white(image: Dataset) -> Any:
    """The spots of an image, bool [rows, columns]."""
    return image.pixel_array == 2**image.BitsStored - 1


def assert_marks_lie_on_spots(orthanc: Any, said: str) -> None:
    """Each Segmentation covers just the white pixels of its image, where the printed list says they are."""
    images = {image.SOPInstanceUID: image for image in map(_parsed, orthanc.by_sop_class(MAMMOGRAM))}
    assert len(images) == 4
    listed = dict(re.findall(r"\b([RL]-\w+) +[RL]1-\w+ +centre (\d+ % from the left edge, \d+ % from the top)", said))
    assert len(listed) == 4
    for segmentation in map(_parsed, orthanc.files("SEG")):
        source = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
        image = images.pop(source)
        frames = segmentation.pixel_array.reshape(-1, image.Rows, image.Columns).astype(bool)
        assert (frames.any(axis=0) == white(image)).all()
        rows, columns = np.nonzero(frames[0])
        left = 50 * (columns.min() + columns.max() + 1) / image.Columns
        top = 50 * (rows.min() + rows.max() + 1) / image.Rows
        place = f"{left:.0f} % from the left edge, {top:.0f} % from the top"
        assert listed[f"{image.ImageLaterality}-{image.ViewPosition}"] == place
    assert images == {}
    assert "0 refused" in said


def test_marks_of_the_probe_lie_on_its_spots(orthanc: Any, tmp_path: Path) -> None:
    """A Segmentation with a made-up plane covers its image's white spots in the PACS."""
    assert_marks_lie_on_spots(orthanc, probe(tmp_path, orthanc, output="slicer"))


def test_the_probe_sent_again_is_the_same_objects(orthanc: Any, tmp_path: Path) -> None:
    """An administrator may send the probe as often as needed; the PACS holds one study of marks on their spots."""
    assert_marks_lie_on_spots(orthanc, probe(tmp_path, orthanc, output="pacs"))
    first = sorted(instance["ID"] for instance in orthanc.instances())
    files = sorted(orthanc.files("SR") + orthanc.files("CAD SR") + orthanc.files("SEG"))
    probe(tmp_path, orthanc, output="pacs")
    assert sorted(instance["ID"] for instance in orthanc.instances()) == first
    assert sorted(orthanc.files("SR") + orthanc.files("CAD SR") + orthanc.files("SEG")) == files


def _parsed(file: bytes) -> Dataset:
    return dcmread(BytesIO(file))
