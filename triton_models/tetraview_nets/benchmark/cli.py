"""The command line of the benchmark's own checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from tetraview_nets.benchmark import observer, observer_table

app = typer.Typer(help="Check what the phantom benchmark can show and what it gives away.", no_args_is_help=True)
console = Console()

OutOption = Annotated[Path | None, typer.Option(help="Folder for the page; default: print only.")]


@app.callback()
def benchmark() -> None:
    """Check what the phantom benchmark can show and what it gives away."""


@app.command("observer")
def observer_command(
    fitted: Annotated[int, typer.Option(min=20, help="Training exams an observer is fitted on.")] = 400,
    tested: Annotated[int, typer.Option(min=20, help="Test exams it reads.")] = 1200,
    out: OutOption = None,
) -> None:
    """Print how much an idealised observer gains from more views, by default and in the controls."""
    readings = observer.study(fitted=fitted, tested=tested)
    command = f"tetraview_nets benchmark observer --fitted {fitted} --tested {tested}"
    _show(observer_table.markdown(readings, fitted=fitted, command=command), out, "phantom_observer.md")


def _show(text: str, out: Path | None, name: str) -> None:
    console.print(Markdown(text))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
