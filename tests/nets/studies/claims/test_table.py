"""The table of claims: replacement of rows, differences of differences, and the page made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tetraview.phantom import GENERATOR_VERSION
from tetraview_nets.cli.main import app
from tetraview_nets.metrics import Paired, paired_mean
from tetraview_nets.studies.claims.endpoints import ENDPOINTS
from tetraview_nets.studies.claims.measured import Measured, rows
from tetraview_nets.studies.claims.report import publish
from tetraview_nets.studies.claims.table import Claim, Part, load, record

ROW = Claim(
    claim="2",
    generator="3",
    contrast="nipple - box_xywh",
    measure="recall at 0.5 FPPI",
    patients=4,
    images=16,
    lesions=6,
    seeds=3,
    first=0.5,
    second=0.4,
    effect=0.1,
    low=0.05,
    high=0.15,
    command="tetraview_nets claims heads",
    compared="Heads on frozen features.",
)
CONTROL = replace(ROW, setting="nipples shuffled", control=True, low=-0.1, lost=0.1, lost_low=0.01, lost_high=0.2)


def test_rows_come_back_as_they_were_recorded(tmp_path: Path) -> None:
    """Recorded rows are read back equal, by part and claim and before their controls, whatever the order given."""
    tenth, first = replace(ROW, claim="10"), replace(ROW, claim="1", compared="")
    real = replace(first, part=Part.REAL, generator="")
    record([real, tenth, CONTROL, ROW, first], results=tmp_path)
    assert load(tmp_path) == [first, ROW, CONTROL, tenth, real]
    before = (tmp_path / "claims.csv").read_bytes()
    record([CONTROL, tenth], results=tmp_path)
    assert (tmp_path / "claims.csv").read_bytes() == before


def test_a_new_measurement_replaces_only_its_row(tmp_path: Path) -> None:
    """A repeated measurement, on any phantoms, replaces its row; another measure or part is another row."""
    others = [replace(ROW, measure="recall at 1 FPPI"), replace(ROW, part=Part.REAL, generator="")]
    record([replace(ROW, generator="1"), *others], results=tmp_path)
    record([ROW], results=tmp_path)
    assert load(tmp_path) == [ROW, *others]


def measured(found: Paired, **changed: object) -> Measured:
    """One contrast."""
    one = Measured(claim="2", contrast="a - b", measure="hits", found=found, images=8, lesions=6)
    return replace(one, **changed)  # type: ignore[arg-type]


def test_controls_are_held_against_the_default() -> None:
    """A control's row has the default's effect less its own, other rows have none; rows name their phantoms."""
    patients, nothing = np.arange(4), np.zeros((2, 4))
    gain = paired_mean(np.array([[1.0, 1, 1, 0]] * 2), nothing, patients, resamples=200)
    less = paired_mean(np.array([[1.0, 0, 0, 0]] * 2), nothing, patients, resamples=200)
    found = rows(
        [measured(gain), measured(less, setting="none", control=True), measured(gain, setting="elsewhere")],
        command="again",
        compared="",
    )
    default, control, elsewhere = found
    assert control.lost == pytest.approx(0.5)
    assert control.lost_low is not None
    assert control.lost_low >= 0
    assert default.lost is elsewhere.lost is None
    assert (default.generator, default.patients, default.seeds) == (GENERATOR_VERSION, 4, 2)
    one = paired_mean(np.ones((1, 4)), nothing[:1], patients, resamples=200)
    _, unlike = rows([measured(gain), measured(one, setting="none", control=True)], command="again", compared="")
    assert unlike.lost is None


def test_the_page_judges_the_endpoint_alone(tmp_path: Path) -> None:
    """A claim begins with its endpoint, verdict and the paper's numbers; other rows show intervals and no verdict."""
    other = replace(ROW, measure="recall at 1 FPPI")
    real = replace(
        ROW, claim="1", part=Part.REAL, generator="", contrast="tri - single", setting="INbreast, four views"
    )
    publish([ROW, CONTROL, other, real], results=tmp_path)
    page = (tmp_path / "claims.md").read_text(encoding="utf-8")
    phantoms, on_real = page.split("## Part 2")
    line = next(line for line in phantoms.splitlines() if line.startswith("**Primary endpoint:**"))
    assert line.startswith(
        "**Primary endpoint:** nipple - box_xywh, default, recall at 0.5 FPPI: +0.100 [+0.050, +0.150]"
    )
    assert "**reproduced**" in line
    assert next(each for each in ENDPOINTS if each.claim == "2").paper in line
    assert "default less control +0.100 [+0.010, +0.200]: gain goes with “nipples shuffled”" in phantoms
    secondary = phantoms.split("#### Secondary")[1]
    assert "| nipple - box_xywh | default | recall at 1 FPPI | 4 / 16 / 6 | 3 | 3 |" in secondary
    assert "reproduced" not in secondary
    assert "INbreast, four views, recall at 0.5 FPPI: +0.100" in on_real
    for name in ("claim_2.png", "claim_1_real.png"):
        assert f"({name})" in page
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_the_page_is_written_anew_from_the_table(tmp_path: Path) -> None:
    """One command makes page and plots from the table."""
    record([ROW], results=tmp_path)
    result = CliRunner().invoke(app, ["claims", "page", "--results", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "nipple - box_xywh" in (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert (tmp_path / "claim_2.png").exists()


def test_old_rows_are_marked_and_not_judged(tmp_path: Path) -> None:
    """A row measured on earlier phantoms says so and bears no verdict."""
    publish([replace(ROW, generator="1")], results=tmp_path)
    page = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "not judged, measured before the endpoint was named" in page
    assert "phantoms 1." in page
    assert "**reproduced**" not in page
