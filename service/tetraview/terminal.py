"""What all commands share: where they print, and the option that names the settings file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()
errors = Console(stderr=True, style="red", markup=False, highlight=False, soft_wrap=True)

ConfigFile = Annotated[Path | None, typer.Option("--config", envvar="TETRAVIEW_CONFIG", help="Settings file (TOML).")]
