"""The networks on patches on a data set's folder, from their command lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tetraview_nets.cli.main import app
from tetraview_nets.systems import PATCH_SYSTEMS
from tetraview_nets.weights import WeightsCard, save

HEADER = (
    "patient_id,left or right breast,image view,abnormality id,assessment,pathology,image file path,ROI mask file path"
)
COMMANDS = {"unetpp": "unetpp_segmenter", "crunet": "crunet_segmenter", "dualcore": "dualcore", "rescunet": "rescunet"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_network_is_judged_on_a_data_sets_folder(
    command: str, tmp_path: Path, drawing: Any, mass: Any, dicom: Callable[..., Path]
) -> None:
    """The page names the data set, the command and the weights, and the table has the figures of its masses."""
    folder, rows = tmp_path / "cbis", []
    for patient, (side, pathology) in enumerate((("RIGHT", "MALIGNANT"), ("LEFT", "BENIGN"))):
        name, drawn = f"Mass-Test_P_0000{patient}_{side}_CC", drawing(side[0], [mass()])
        drawn.write(folder / name / "a" / "1.dcm", spacing_mm=None)
        dicom(folder / f"{name}_1" / "a" / "1.dcm", (drawn.masks[0] * 255).astype(np.uint8))
        rows.append(f"P_0000{patient},{side},CC,1,4,{pathology},{name}/a/1.dcm,{name}_1/a/1.dcm")
    (folder / "mass_case_description_test_set.csv").write_text("\n".join([HEADER, *rows, ""]))
    torch.manual_seed(0)
    system = COMMANDS[command]
    network = PATCH_SYSTEMS[system].build(PATCH_SYSTEMS[system].presets["tiny"])
    card = WeightsCard(name=system, version="0", preset="tiny", generator_version="0")
    written = save(tmp_path / "w.safetensors", network, card)
    spacing = ["--spacing-mm", "0.5", "--spacing-source", "a test"]
    places = ["--weights-file", str(tmp_path / "w.safetensors"), "--out", str(tmp_path), "--threads", "1"]
    asked = [command, "evaluate", str(folder), "--dataset", "cbis_ddsm", *spacing, *places]
    result = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    page = (tmp_path / f"{command}_tiny_cbis_ddsm.md").read_text(encoding="utf-8")
    assert f"`tetraview_nets {command} evaluate --dataset cbis_ddsm FOLDER --part all --spacing-mm 0.5" in page
    assert "0 images or masses left out;" in page
    assert written.weights_sha256[:12] in page
    table = (tmp_path / f"{command}_tiny_cbis_ddsm.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) > 2
