"""The command line of the studies of a paper's claims: train the compared networks, publish the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import Progress

from tetraview_nets.cli.options import CacheOption, OutOption, ThreadsOption, WorkersOption
from tetraview_nets.studies.claims import report
from tetraview_nets.studies.claims.table import Claim
from tetraview_nets.studies.patch_study import PatchStudy

ResultsOption = Annotated[Path | None, typer.Option(help="Folder of claims.csv; default: --out.")]
CompareOption = Annotated[bool, typer.Option(help="Train nothing; compare the trainings that have ended.")]
TestExamsOption = Annotated[int, typer.Option(min=1, help="Test exams.")]

console = Console()


def add_study(
    app: typer.Typer, command: str, plan: Callable[..., PatchStudy[Any, Any, Any]], *, text: str, trainings: int = 3
) -> None:
    """Give a command line a study of one claim.

    Args:
        app: the command line to which the last word of the command is added.
        command: such as ``crunet study``.
        plan: makes the study from ``folder``, ``test_exams``, ``seeds`` and ``cache``.
        text: the comparison, for the help.
        trainings: seeds of each arm, unless others are asked for.
    """
    seed_option = typer.Option(None, help=f"Training seeds, more than once; default 0 to {trainings - 1}.")

    @app.command(command.rsplit(maxsplit=1)[-1], help=text)
    def study(  # noqa: PLR0917
        out: OutOption,
        results: ResultsOption = None,
        seed: list[int] | None = seed_option,
        exams: TestExamsOption = 2000,
        compare_only: CompareOption = False,
        threads: ThreadsOption = 1,
        workers: WorkersOption = 1,
        cache_root: CacheOption = None,
    ) -> None:
        torch.set_num_threads(threads)
        seeds = seed or list(range(trainings))
        study = plan(folder=out, test_exams=exams, seeds=seeds, cache=cache_root)
        study.render(workers=workers)
        train_missing(study, total=len(seeds) * len(study.arms), workers=workers, compare_only=compare_only)
        publish(study.rows(command=again(command, exams, seeds)), results=results or out)


def train_missing(study: Any, *, total: int, workers: int, compare_only: bool) -> None:
    """Run the trainings that a study lacks, under a progress bar."""
    with Progress(console=console) as progress:
        bar = progress.add_task("trainings", total=total)
        if not compare_only:
            study.train(workers=workers, done=lambda: progress.advance(bar))


def again(command: str, exams: int, seeds: Sequence[int]) -> str:
    """The command line that makes the rows of a study again."""
    return f"tetraview_nets {command} --exams {exams} {' '.join(f'--seed {seed}' for seed in seeds)} --out DIR"


def publish(rows: Sequence[Claim], *, results: Path) -> None:
    """Put rows into the table of claims, and print them."""
    report.publish(rows, results=results)
    for row in rows:
        said = f"{row.first:.4f} {row.second:.4f} {row.effect:+.4f} [{row.low:+.4f}, {row.high:+.4f}]"
        console.print(f"{row.contrast} ({row.setting}, {row.measure}): {said}", markup=False)
