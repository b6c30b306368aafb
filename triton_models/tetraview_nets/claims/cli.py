"""The command line of the claims: one command a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tetraview_nets.claims import concat

app = typer.Typer(help="Measure the paper's claims on the phantom benchmark.", no_args_is_help=True)


@app.callback()
def claims() -> None:
    """Measure the paper's claims on the phantom benchmark; each study adds its rows to claims.csv and claims.md."""


@app.command("concat")
def concat_command(  # noqa: PLR0917
    out: Annotated[Path, typer.Option(help="Folder of the trainings; a killed run goes on from it.")],
    results: Annotated[Path | None, typer.Option(help="Folder of claims.csv; default: --out.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Training seeds, more than once; default 0, 1 and 2.")] = None,
    exams: Annotated[int, typer.Option(min=1, help="Test exams.")] = 400,
    control_exams: Annotated[int, typer.Option(min=1, help="Test exams without islands.")] = 200,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of this process.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that render missing phantoms.")] = 1,
    cache_root: Annotated[Path | None, typer.Option(help="Root of the phantom cache.")] = None,
) -> None:
    """Where BiDualNet-v2 joins the breasts (claim 3), and what the other breast is worth (claims 1 and 4)."""
    concat.measure(
        concat.cached_exams(test_exams=exams, control_exams=control_exams, workers=workers, root=cache_root),
        out=out,
        results=results or out,
        seeds=seed or concat.SEEDS,
        threads=threads,
    )
