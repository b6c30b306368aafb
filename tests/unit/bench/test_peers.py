from __future__ import annotations

from pathlib import Path

from tests.bench.peers import ANSWERS, REASONS, REQUESTS, table

PAGE = Path(__file__).parents[3] / "deploy" / "routing" / "PEERS.md"


def test_a_difference_without_a_reason_is_named() -> None:
    """A row in which we answer as all others do has no reason; one that differs has one, or is named."""
    rows = {"nothing": ["accepted", "accepted"], "HTTP": ["aborted 2/2", "closed"], "news": ["accepted", "closed"]}
    text, unexplained = table(rows, ["we", "they"], head="what")
    assert unexplained == ["news"]
    assert "| nothing | accepted | accepted |  |" in text
    assert f"| HTTP | aborted 2/2 | closed | {REASONS['HTTP']} |" in text


def test_the_page_has_every_input() -> None:
    """The committed page was made from the inputs as they are now, and explains every difference."""
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    names = [row[0].removeprefix("| ") for row in rows]
    assert {*REQUESTS, *ANSWERS} <= set(names)
    for row in rows:
        outcomes, reason = row[1:-1], row[-1]
        assert len(set(outcomes)) == 1 or reason.strip("| "), row
