"""The table of claims: verdicts, replacement of rows, and the page made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tetraview_nets.studies.claims.report import REMARKS, publish
from tetraview_nets.studies.claims.table import Claim, load, record

ROW = Claim(
    claim="2",
    title="Nipple distance beats box geometry",
    contrast="nipple - box_xywh",
    setting="default",
    control=False,
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


@pytest.mark.parametrize(
    ("low", "high", "of_claim", "of_control"),
    [
        (0.01, 0.2, "reproduced", "gain remains"),
        (-0.1, 0.2, "inconclusive (CI covers 0)", "gain vanishes"),
        (0.0, 0.2, "inconclusive (CI covers 0)", "gain vanishes"),
        (-0.2, -0.01, "not reproduced", "gain vanishes"),
    ],
)
def test_a_verdict_follows_from_the_interval(low: float, high: float, of_claim: str, of_control: str) -> None:
    """Only an interval clear of 0 decides a claim, and a control fails only when the gain is clearly there."""
    assert replace(ROW, low=low, high=high).verdict == of_claim
    assert replace(ROW, low=low, high=high, control=True).verdict == of_control


def test_rows_come_back_as_they_were_recorded(tmp_path: Path) -> None:
    """Recorded rows are read back equal, claims by number and before their controls, whatever the order given."""
    control = replace(ROW, setting="nipples shuffled", control=True, low=-0.1)
    tenth, first = replace(ROW, claim="10"), replace(ROW, claim="1", compared="")
    record([tenth, control, ROW, first], results=tmp_path)
    assert load(tmp_path) == [first, ROW, control, tenth]
    before = (tmp_path / "claims.csv").read_bytes()
    record([control, tenth], results=tmp_path)
    assert (tmp_path / "claims.csv").read_bytes() == before


def test_a_new_measurement_replaces_only_its_row(tmp_path: Path) -> None:
    """Recording the same contrast, setting and measure again replaces that row and leaves the others."""
    other = replace(ROW, measure="recall at 1 FPPI")
    record([ROW, other], results=tmp_path)
    record([replace(ROW, effect=-0.1, low=-0.2, high=-0.05)], results=tmp_path)
    assert load(tmp_path) == [replace(ROW, effect=-0.1, low=-0.2, high=-0.05), other]


def test_the_page_shows_every_row_and_a_plot(tmp_path: Path) -> None:
    """The page has a section a claim with its sentence, numbers, verdicts and plot, which is a PNG beside it."""
    publish([ROW, replace(ROW, claim="4", control=True, setting="no_decoys")], results=tmp_path)
    page = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert page.index("## Claim 2") < page.index("## Claim 4")
    assert "| nipple - box_xywh | default | recall at 0.5 FPPI | 4 / 16 / 6 | 3 |" in page
    assert "+0.100 [+0.050, +0.150] | reproduced |" in page
    assert "no_decoys (control)" in page
    assert "among the\n1 that are no controls" in page
    assert REMARKS["4"] in page
    assert REMARKS["11"] not in page
    assert "Heads on frozen features." in page
    for name in ("claim_2.png", "claim_4.png"):
        assert f"({name})" in page
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
