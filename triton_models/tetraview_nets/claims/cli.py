"""The command line of the claims: one command a study."""

from __future__ import annotations

import typer

app = typer.Typer(help="Measure the paper's claims on the phantom benchmark.", no_args_is_help=True)


@app.callback()
def claims() -> None:
    """Measure the paper's claims on the phantom benchmark; each study adds its rows to claims.csv and claims.md."""
