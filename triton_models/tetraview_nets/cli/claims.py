"""The command line of the claims: one command for each study, and one that writes the page anew."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from tetraview_nets import weights
from tetraview_nets.datasets.material import HYBRID_EXAMS, DataRequest
from tetraview_nets.mommi.storage import SHIPPED_WEIGHTS
from tetraview_nets.studies.claims import concat, heads, real, triview
from tetraview_nets.studies.claims.measured import rows
from tetraview_nets.studies.claims.report import publish

app = typer.Typer(help="Measure the papers' claims on phantoms and on real exams.", no_args_is_help=True)

OutOption = Annotated[Path, typer.Option(help="Folder of trainings and readings; a killed run goes on from it.")]
ResultsOption = Annotated[Path | None, typer.Option(help="Folder of claims.csv; default: --out.")]
WorkersOption = Annotated[int, typer.Option(min=1, help="Processes, one thread each.")]
CacheOption = Annotated[Path | None, typer.Option(help="Root of the phantom cache.")]
ExamsOption = Annotated[int, typer.Option(min=1, help="Test exams.")]
ControlOption = Annotated[int, typer.Option(min=1, help="Test exams of each control; as many are the same patients.")]
DetectorOption = Annotated[Path, typer.Option(help="The detector; its features are frozen where heads are trained.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Trainings of each head.")]
StepsOption = Annotated[int, typer.Option(min=1, help="Steps of each training.")]


@app.callback()
def claims() -> None:
    """Measure the papers' claims; each study adds its rows to claims.csv and writes claims.md anew."""


@app.command("page")
def page_command(results: Annotated[Path, typer.Option(help="Folder of claims.csv.")]) -> None:
    """Write claims.md and its plots anew from claims.csv."""
    publish([], results=results)


@app.command("concat")
def concat_command(  # noqa: PLR0917
    out: OutOption,
    results: ResultsOption = None,
    seed: Annotated[list[int] | None, typer.Option(help="Training seeds, more than once; default 0, 1 and 2.")] = None,
    exams: ExamsOption = 2000,
    control_exams: ControlOption = 2000,
    steps: StepsOption = concat.SCHEDULE.steps,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
) -> None:
    """Where BiDualNet-v2 joins the breasts (claim 3), and how much the other breast helps (claims 1 and 4)."""
    concat.measure(
        concat.Sizes(test_exams=exams, control_exams=control_exams, root=cache_root),
        schedule=concat.SCHEDULE.of(steps),
        out=out,
        results=results or out,
        seeds=seed or concat.SEEDS,
        workers=workers,
    )


@app.command("heads")
def heads_command(  # noqa: PLR0917
    out: OutOption,
    results: ResultsOption = None,
    weights_file: DetectorOption = SHIPPED_WEIGHTS,
    train_exams: Annotated[int, typer.Option(min=1, help="Training exams; those with a mass are used.")] = 1000,
    exams: ExamsOption = 2000,
    control_exams: ControlOption = 2000,
    seeds: SeedsOption = 3,
    steps: StepsOption = heads.SCHEDULE.steps,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
    keep_bank: Annotated[bool, typer.Option(help="Keep the frozen features, some gigabytes.")] = False,
) -> None:
    """How much the other view of the breast helps the RoI head, and what tells its RoIs apart (claims 1, 2, 4)."""
    study = heads.phantom_study(
        weights_file,
        out=out,
        train_exams=train_exams,
        test_exams=exams,
        control_exams=control_exams,
        seeds=seeds,
        schedule=replace(heads.SCHEDULE, steps=steps),
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
    out: OutOption,
    results: ResultsOption = None,
    weights_file: DetectorOption = SHIPPED_WEIGHTS,
    exams: ExamsOption = 2000,
    control_exams: ControlOption = 2000,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
) -> None:
    """Whether four views are read better than two or one (claim 1), and how well each route is calibrated."""
    readings = {}
    with Progress() as progress:
        for setting in triview.phantom_settings(
            weights_file, exams=exams, control_exams=control_exams, root=cache_root
        ):
            setting.exams.prepare(workers=workers)
            bar = progress.add_task(setting.name, total=setting.exams.exams)
            done = partial(progress.advance, bar)
            readings[setting.name] = triview.read(weights_file, setting, out=out, workers=workers, done=done)
    command = f"tetraview_nets claims triview --exams {exams} --control-exams {control_exams} --out DIR"
    card = weights.read(weights_file)[1]
    source = f"Weights {card.name} {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]})."
    folder = results or out
    compared = f"{triview.COMPARED} {source}"
    publish(rows(triview.measured(readings), command=command, compared=compared), results=folder)
    (folder / "triview.md").write_text(triview.markdown(readings, source=source, command=command), encoding="utf-8")
    triview.write_calibration(readings, card, folder, command=command)


@app.command("real")
def real_command(  # noqa: PLR0917
    data: Annotated[list[Path], typer.Option(help="A folder of mammograms with manifest.csv; may be repeated.")],
    out: OutOption,
    results: ResultsOption = None,
    weights_file: DetectorOption = SHIPPED_WEIGHTS,
    seeds: SeedsOption = 3,
    steps: StepsOption = heads.SCHEDULE.steps,
    hybrids: Annotated[int, typer.Option(min=1, help="Hybrid exams that heads learn from.")] = HYBRID_EXAMS,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
) -> None:
    """Claims 1, 2 and 4 on real exams: routes, what relates RoIs of two views, which companion."""
    study = real.RealStudy(
        data=DataRequest(folders=data, mix=None, workers=workers, root=cache_root),
        weights_file=weights_file,
        out=out,
        seeds=seeds,
        schedule=replace(heads.SCHEDULE, steps=steps),
        hybrids=hybrids,
    )
    named = " ".join(f"--data {folder.name.upper()}" for folder in data)
    command = f"tetraview_nets claims real {named} --seeds {seeds} --steps {steps} --hybrids {hybrids} --out DIR"
    publish(real.claims(study, command=command, workers=workers, say=typer.echo), results=results or out)
