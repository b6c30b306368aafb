"""`tetraview read` says what it waits for, also where nobody sees a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tetraview.cli.main import app, console
from tetraview.errors import TritonUnavailable
from tetraview.tools import offline, wait


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Set as soon as a line is printed, some moments after a wait began in place of seconds."""
    event, print_ = Event(), Console.print

    def hear(self: Console, *words: Any, **options: Any) -> None:
        print_(self, *words, **options)
        if str(words[0]).startswith("waiting"):
            event.set()

    monkeypatch.setattr(Console, "print", hear)
    monkeypatch.setattr(wait, "_SECONDS", 0.05)
    return event


def test_a_wait_is_announced_within_ten_seconds() -> None:
    """A person who waits is told the reason before ten seconds are over."""
    assert wait._SECONDS < 10


def test_read_says_that_it_waits_for_triton(
    phantom_exam: Path, tmp_path: Path, said: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Triton loads, or does not answer, a line says where it is and which models are waited for."""

    @contextmanager
    def away(*_: Any, **__: Any) -> Iterator[Any]:
        assert said.wait(60)
        raise TritonUnavailable("it never came")
        yield

    monkeypatch.setattr(offline, "triton_at_hand", away)
    result = CliRunner().invoke(app, ["read", str(phantom_exam), "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, TritonUnavailable)
    assert "waiting for Triton, at 127.0.0.1:8001" in result.output.replace("localhost", "127.0.0.1")
    assert "mommi_detector" in result.output


def test_read_says_that_it_waits_for_an_answer(
    phantom_exam: Path, tmp_path: Path, said: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Triton reads, a line says who is waited for."""

    def hang(*_: Any, **__: Any) -> Any:
        assert said.wait(60)
        return SimpleNamespace(reading=None)

    @contextmanager
    def at_hand(settings: Any, **_: Any) -> Iterator[Any]:
        yield settings

    monkeypatch.setattr(offline, "triton_at_hand", at_hand)
    monkeypatch.setattr(offline, "read_to_folder", hang)
    monkeypatch.setattr("tetraview.cli.main._show", lambda _: None)
    result = CliRunner().invoke(app, ["read", str(phantom_exam), "--out", str(tmp_path / "out")])
    assert "to read them" in result.output


def test_what_is_quick_is_not_announced(capsys: pytest.CaptureFixture[str]) -> None:
    """A wait that ends at once leaves no line in a pipe."""
    with wait.waiting(console, "waiting for nobody"):
        pass
    assert capsys.readouterr().out == ""
