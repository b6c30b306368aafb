"""The command line of CRU-Net: train, export, evaluate, study."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from tetraview_nets.cache import Split
from tetraview_nets.claims.table import record
from tetraview_nets.crunet import evaluate
from tetraview_nets.crunet.network import CruNet
from tetraview_nets.crunet.presets import PRESETS, SMALL
from tetraview_nets.crunet.recipe import RECIPES
from tetraview_nets.crunet.study import ARMS, STUDY_RECIPE, Study
from tetraview_nets.crunet.system import SYSTEM
from tetraview_nets.crunet.training import CruTraining
from tetraview_nets.datasets.catalogue import DatasetName
from tetraview_nets.datasets.command import DatasetRequest
from tetraview_nets.datasets.grouping import Part
from tetraview_nets.datasets.lesions import dataset_lesions
from tetraview_nets.lesions import LesionSet, render_lesions
from tetraview_nets.options import CacheOption, DeviceName, DeviceOption, OutOption, ThreadsOption, WorkersOption
from tetraview_nets.pin import pin
from tetraview_nets.weights import load_network

SHIPPED_WEIGHTS = Path(__file__).parents[2] / "repository" / SYSTEM.name / "1" / "weights.safetensors"

app = typer.Typer(help="The segmenter CRU-Net: training, evaluation.", no_args_is_help=True)
console = Console()


class PresetName(StrEnum):
    """Presets: three for a CPU and the paper's two, whose exact random field wants a GPU."""

    TINY = "tiny"
    SMALL = "small"
    SLIM = "slim"
    PAPER = "paper"
    PAPER_FILM = "paper_film"


PresetOption = Annotated[PresetName, typer.Option(help="Which sizes.")]


@app.command()
def train(  # noqa: PLR0917
    out: OutOption,
    preset: PresetOption = PresetName.SLIM,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Train the network, then write weights.safetensors."""
    torch.set_num_threads(threads)
    training = _training(out, preset, device=device, workers=workers, cache_root=cache_root)
    training.run()
    _export(training, out / "weights.safetensors")


@app.command()
def export(  # noqa: PLR0917
    out: OutOption,
    weights_file: Annotated[Path, typer.Option(help="The file to write.")] = SHIPPED_WEIGHTS,
    preset: PresetOption = PresetName.SLIM,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Judge a trained network on validation exams and write the weights file."""
    torch.set_num_threads(threads)
    _export(_training(out, preset, device=device, workers=workers, cache_root=cache_root), weights_file)


def _training(out: Path, preset: PresetName, *, device: str, workers: int, cache_root: Path | None) -> CruTraining:
    recipe = RECIPES[preset]
    render_lesions(Split.TRAIN, exams=recipe.exams, workers=workers, root=cache_root)
    render_lesions(Split.VALIDATION, exams=recipe.validation_exams, workers=workers, root=cache_root)
    return CruTraining(preset=PRESETS[preset], recipe=recipe, folder=out, device=torch.device(device), cache=cache_root)


def _export(training: CruTraining, path: Path) -> None:
    card = training.export(path)
    config = pin(path, card)
    console.print_json(card.document())
    console.print(f"weights in {path}" + (f", pinned in {config}" if config else ""))


@app.command("evaluate")
def evaluate_command(  # noqa: PLR0917
    folder: Annotated[Path | None, typer.Argument(help="Folder of the data set; default: phantoms.")] = None,
    dataset: Annotated[DatasetName | None, typer.Option(help="A data set of real mammograms.")] = None,
    part: Annotated[Part, typer.Option(help="Which of its exams.")] = Part.ALL,
    spacing_mm: Annotated[float | None, typer.Option(help="Pixel spacing of images that do not state one.")] = None,
    spacing_source: Annotated[str | None, typer.Option(help="Where that spacing is from.")] = None,
    exams: Annotated[int, typer.Option(min=1, help="How many exams of the split.")] = 300,
    split: Annotated[Split, typer.Option(help="Which seeds.")] = Split.TEST,
    weights_file: Annotated[Path, typer.Option(help="A weights file.")] = SHIPPED_WEIGHTS,
    out: Annotated[Path | None, typer.Option(help="Folder for crunet_PRESET.csv and .md.")] = None,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Print Dice per mass and pooled, in true and in detected boxes, beside the paper's table."""
    torch.set_num_threads(threads)
    request = DatasetRequest.of(dataset, folder, part=part, spacing_mm=spacing_mm, spacing_source=spacing_source)
    network, card = load_network(weights_file, name=SYSTEM.name, presets=PRESETS, build=CruNet)
    if request:
        found = dataset_lesions(request)
        masses, flags, name = found.lesions.masses, request.flags, f"crunet_{card.preset}_{request.dataset}"
        source = f"{found.collection.name}, part {part}; {len(found.skipped)} images or masses left out;"
    else:
        render_lesions(split, exams=exams, workers=workers, root=cache_root)
        masses = LesionSet.read(split, exams=exams, root=cache_root).masses
        flags, name = f"--exams {exams} --split {split}", f"crunet_{card.preset}"
        source = f"{exams} {split} exams of phantom generator {card.generator_version}, every one with a mass;"
    weights = f"weights {card.name} {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]})."
    rows = evaluate.figures(network, masses)
    text = evaluate.markdown(rows, command=f"tetraview_nets crunet evaluate {flags}", source=f"{source} {weights}")
    console.print(Markdown(text))
    if out:
        evaluate.write_csv(out / f"{name}.csv", rows)
        (out / f"{name}.md").write_text(text, encoding="utf-8")


@app.command()
def study(  # noqa: PLR0917
    out: OutOption,
    results: Annotated[Path | None, typer.Option(help="Folder of claims.csv; default: --out.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Training seeds, more than once; default 0, 1 and 2.")] = None,
    exams: Annotated[int, typer.Option(min=1, help="Test exams.")] = 300,
    compare_only: Annotated[bool, typer.Option(help="Train nothing; compare the trainings that have ended.")] = False,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
) -> None:
    """Compare five configurations of network and random field, and the field's control (claim 8)."""
    torch.set_num_threads(threads)
    recipe, seeds = STUDY_RECIPE, seed or list(range(3))
    for split, count in ((Split.TRAIN, recipe.exams), (Split.VALIDATION, recipe.validation_exams), (Split.TEST, exams)):
        render_lesions(split, exams=count, workers=workers, root=cache_root)
    plan = Study(preset=SMALL, recipe=recipe, folder=out, test_exams=exams, seeds=seeds, cache=cache_root)
    with Progress(console=console) as progress:
        bar = progress.add_task("trainings", total=len(seeds) * len(ARMS))
        if not compare_only:
            plan.train(done=lambda: progress.advance(bar))
    flags = " ".join(f"--seed {each}" for each in seeds)
    rows = plan.rows(command=f"tetraview_nets crunet study --exams {exams} {flags} --out DIR")
    record(rows, results=results or out)
    for row in rows:
        effect = f"{row.effect:+.4f} [{row.low:+.4f}, {row.high:+.4f}]"
        console.print(f"{row.contrast} ({row.setting}, {row.measure}): {effect} {row.verdict}")
