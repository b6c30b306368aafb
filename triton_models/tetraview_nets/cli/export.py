"""The command that writes networks for a GPU server and holds them to PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from tetraview_nets.learning.samples import phantom_sample, random_sample
from tetraview_nets.onnx.config import Backend
from tetraview_nets.onnx.parity import Parity, compare, markdown
from tetraview_nets.onnx.repository import write_system
from tetraview_nets.systems import REPOSITORY, SYSTEMS, load, served

console = Console()


class ExportUnusable(ValueError):
    """The networks cannot be written as asked."""


def export_command(  # noqa: PLR0917
    out: Annotated[Path, typer.Option(help="Folder of the Triton repository to write; must be new or empty.")],
    backend: Annotated[Backend, typer.Option(help="What is to run the networks.")] = Backend.ONNXRUNTIME,
    model: Annotated[list[str] | None, typer.Option(help="A served model; may be repeated; default all.")] = None,
    repository: Annotated[Path, typer.Option(help="Repository with the weights.")] = REPOSITORY,
    check: Annotated[bool, typer.Option("--check", help="Hold the files to PyTorch on noise and a phantom.")] = False,
    results: Annotated[Path | None, typer.Option(help="Folder for the check's onnx.md; default: print only.")] = None,
) -> None:
    """Write the networks as ONNX and the Triton repository that serves them on a GPU."""
    torch.set_num_threads(1)
    names = _chosen(model, repository)
    if out.exists() and any(out.iterdir()):
        raise ExportUnusable(f"{out} is not empty: name a new folder")
    rows: list[Parity] = []
    for name in names:
        files = write_system(name, out, repository=repository, backend=backend)
        console.print(f"{name} and {len(files)} parts in {out}")
        if check:
            rows += _compared(name, files, repository)
    if check:
        _report(rows, results)


def _chosen(wanted: Sequence[str] | None, repository: Path) -> list[str]:
    there = served(repository)
    missing = [name for name in wanted or () if name not in there]
    if missing or not there:
        raise ExportUnusable(
            f"{repository} has no weights of {', '.join(missing) or 'any model'}; it has {', '.join(there) or 'none'}"
        )
    return list(wanted or there)


def _compared(name: str, files: dict[str, Path], repository: Path) -> list[Parity]:
    network, card = load(name, repository)
    system = SYSTEMS[name]
    samples = {"noise": random_sample(system, card.preset), "phantom": phantom_sample(system, card.preset)}
    return compare(name, network, files, samples)


def _report(rows: Sequence[Parity], results: Path | None) -> None:
    """Print the comparison.

    Raises:
        ExportUnusable: a difference is too large.
    """
    text = markdown(rows, command="tetraview_nets export --out DIR --check")
    console.print(Markdown(text))
    if results:
        results.mkdir(parents=True, exist_ok=True)
        (results / "onnx.md").write_text(text, encoding="utf-8")
    wrong = [f"{row.model} {row.part} on {row.shown}" for row in rows if not row.holds]
    if wrong:
        raise ExportUnusable(f"ONNX Runtime differs from PyTorch in {', '.join(wrong)}")
