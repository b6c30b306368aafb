"""YOLOv3 with multi-scale prediction on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tetraview_nets.cli.main import app
from tetraview_nets.weights import WeightsCard, WeightsInvalid, save
from tetraview_nets.yolo_msp import storage
from tetraview_nets.yolo_msp.network import YoloMsp
from tetraview_nets.yolo_msp.presets import TINY

COLUMNS = "study_id,image_id,laterality,view_position,split"


@pytest.fixture
def folder(tmp_path: Path, drawing: Any, mass: Any) -> Path:
    """One view with a mass, as VinDr-Mammo has it."""
    drawn = drawing("L", [mass()])
    drawn.write(tmp_path / "images" / "s1" / "s1LCC.dicom")
    row = "s1,s1LCC,L,CC,test"
    (tmp_path / "breast-level_annotations.csv").write_text(f"{COLUMNS}\n{row}", encoding="utf-8")
    box = ",".join(str(corner) for corner in drawn.box())
    findings = f"{COLUMNS},finding_categories,finding_birads,xmin,ymin,xmax,ymax\n{row},['Mass'],BI-RADS 4,{box}"
    (tmp_path / "finding_annotations.csv").write_text(findings, encoding="utf-8")
    return tmp_path


def test_a_folder_is_read_by_the_same_code_as_phantoms(folder: Path) -> None:
    """The package's own command writes the report of a data set, read on the route single."""
    torch.manual_seed(0)
    weights = folder / "weights.safetensors"
    save(weights, YoloMsp(TINY), WeightsCard(name=storage.MODEL, version="0", preset="tiny", generator_version="0"))
    arguments = ["yolo_msp", "evaluate", "--dataset", "vindr_mammo", str(folder), "--weights-file", str(weights)]
    result = CliRunner().invoke(
        app, [*arguments, "--threads", "1", "--out", str(folder / "out")], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    text = (folder / "out" / "vindr_mammo.md").read_text(encoding="utf-8")
    assert "| **yolo_msp, ours** | single |" in text
    assert "weights yolo_msp_detector 0 (tiny" in text


def test_detectors_of_different_frames_are_not_compared(trained: Path) -> None:
    """The shipped detector beside weights of mommi that read another frame is refused in a sentence."""
    if not storage.SHIPPED_WEIGHTS.exists():
        pytest.skip("the shipped weights are missing")
    mommi = trained / "out" / "weights.safetensors"
    options = ["--weights-file", str(mommi), "--split", "validation", "--cache-root", str(trained / "cache")]
    arguments = ["evaluate", "--detector", "yolo_msp", "--exams", "1", *options]
    with pytest.raises(WeightsInvalid, match="reads other frames"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
