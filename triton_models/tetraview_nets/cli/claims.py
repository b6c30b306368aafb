"""The command line of the claims: one command a study."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from tetraview_nets import weights
from tetraview_nets.mommi.storage import SHIPPED_WEIGHTS
from tetraview_nets.studies.claims import concat, heads, triview
from tetraview_nets.studies.claims.report import publish

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


@app.command("heads")
def heads_command(  # noqa: PLR0917
    out: Annotated[Path, typer.Option(help="Folder of the trainings; a killed run goes on from it.")],
    results: Annotated[Path | None, typer.Option(help="Folder of claims.csv; default: --out.")] = None,
    weights_file: Annotated[Path, typer.Option(help="The detector whose features are frozen.")] = SHIPPED_WEIGHTS,
    train_exams: Annotated[int, typer.Option(min=1, help="Training exams; those with a mass are used.")] = 1000,
    exams: Annotated[int, typer.Option(min=1, help="Test exams.")] = 400,
    control_exams: Annotated[int, typer.Option(min=1, help="Test exams without decoys.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each head.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training.")] = heads.SCHEDULE.steps,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each.")] = 1,
    cache_root: Annotated[Path | None, typer.Option(help="Root of the phantom cache.")] = None,
    keep_bank: Annotated[bool, typer.Option(help="Keep the frozen features, some gigabytes.")] = False,
) -> None:
    """What the other view of the breast is worth to the RoI head, and what tells its RoIs apart (claims 1, 2, 4)."""
    study = heads.HeadStudy(
        weights_file=weights_file,
        train_exams=train_exams,
        test_exams=exams,
        control_exams=control_exams,
        seeds=seeds,
        schedule=replace(heads.SCHEDULE, steps=steps),
        out=out,
        root=cache_root,
    )
    heads.prepare(study, workers=workers, say=typer.echo)
    heads.run(study, workers=workers, say=typer.echo)
    heads.write_recalls(study, (results or out) / "heads.csv")
    sizes = f"--train-exams {train_exams} --exams {exams} --control-exams {control_exams}"
    command = f"tetraview_nets claims heads {sizes} --seeds {seeds} --steps {steps} --out DIR"
    publish(heads.claims(study, command=command), results=results or out)
    if not keep_bank:
        heads.clear(study)


@app.command("triview")
def triview_command(  # noqa: PLR0917
    out: Annotated[Path, typer.Option(help="Folder of the readings; a killed run goes on from it.")],
    results: Annotated[Path | None, typer.Option(help="Folder of claims.csv and triview.md; default: --out.")] = None,
    weights_file: Annotated[Path, typer.Option(help="The detector.")] = SHIPPED_WEIGHTS,
    exams: Annotated[int, typer.Option(min=1, help="Test exams.")] = 400,
    control_exams: Annotated[int, typer.Option(min=1, help="Test exams of each control.")] = 200,
    workers: Annotated[int, typer.Option(min=1, help="Processes that render missing phantoms.")] = 1,
    cache_root: Annotated[Path | None, typer.Option(help="Root of the phantom cache.")] = None,
) -> None:
    """Whether four views are read better than two or one (claim 1), and how well each route is calibrated."""
    study = triview.TriViewStudy(
        weights_file=weights_file, exams=exams, control_exams=control_exams, out=out, root=cache_root
    )
    readings = {}
    with Progress() as progress:
        for setting in triview.SETTINGS:
            chosen = study.cached(setting, workers=workers)
            bar = progress.add_task(setting.name, total=len(chosen))
            readings[setting.name] = triview.read(study, setting, chosen, done=partial(progress.advance, bar))
    command = f"tetraview_nets claims triview --exams {exams} --control-exams {control_exams} --out DIR"
    card = weights.read(weights_file)[1]
    source = f"Weights {card.name} {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]})."
    folder = results or out
    publish(triview.claims(readings, command=command), results=folder)
    (folder / "triview.md").write_text(triview.markdown(readings, source=source, command=command), encoding="utf-8")
    triview.write_calibration(readings, card, folder, command=command)
