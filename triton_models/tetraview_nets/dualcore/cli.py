"""The command line of DualCoreNet: train, export, evaluate, study."""

from __future__ import annotations

from dataclasses import replace
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
from tetraview_nets.classifier.storage import malignancy_map
from tetraview_nets.datasets.catalogue import DatasetName
from tetraview_nets.datasets.command import DatasetRequest
from tetraview_nets.datasets.grouping import Part
from tetraview_nets.datasets.lesions import dataset_lesions
from tetraview_nets.dualcore import evaluate
from tetraview_nets.dualcore.network import DualCoreNet
from tetraview_nets.dualcore.presets import PRESETS, SMALL
from tetraview_nets.dualcore.recipe import RECIPES
from tetraview_nets.dualcore.study import STUDY_RECIPE, Study
from tetraview_nets.dualcore.system import SYSTEM
from tetraview_nets.dualcore.training import DualTraining
from tetraview_nets.lesions import LesionSet, render_lesions
from tetraview_nets.options import CacheOption, DeviceName, DeviceOption, OutOption, ThreadsOption, WorkersOption
from tetraview_nets.pin import pin
from tetraview_nets.weights import load_network

SHIPPED_WEIGHTS = Path(__file__).parents[2] / "repository" / SYSTEM.name / "1" / "weights.safetensors"

app = typer.Typer(help="DualCoreNet, outline and malignancy in one pass: training, evaluation.", no_args_is_help=True)
console = Console()


class PresetName(StrEnum):
    """Presets: three for a CPU and the paper's, which wants a GPU."""

    TINY = "tiny"
    SMALL = "small"
    SLIM = "slim"
    PAPER = "paper"


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
    """Train both paths and then the whole, and write weights.safetensors with its probability map."""
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
    """Fit the probability map of a trained network on validation exams and write the weights file."""
    torch.set_num_threads(threads)
    _export(_training(out, preset, device=device, workers=workers, cache_root=cache_root), weights_file)


def _training(out: Path, preset: PresetName, *, device: str, workers: int, cache_root: Path | None) -> DualTraining:
    recipe = RECIPES[preset]
    render_lesions(Split.TRAIN, exams=recipe.exams, workers=workers, root=cache_root)
    render_lesions(Split.VALIDATION, exams=recipe.validation_exams, workers=workers, root=cache_root)
    return DualTraining(
        preset=PRESETS[preset], recipe=recipe, folder=out, device=torch.device(device), cache=cache_root
    )


def _export(training: DualTraining, path: Path) -> None:
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
    out: Annotated[Path | None, typer.Option(help="Folder for dualcore_PRESET.csv and .md.")] = None,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Print Dice of outlines and AUC of malignancy, with patient bootstrap intervals, beside the paper's tables."""
    torch.set_num_threads(threads)
    request = DatasetRequest.of(dataset, folder, part=part, spacing_mm=spacing_mm, spacing_source=spacing_source)
    network, card = load_network(weights_file, name=SYSTEM.name, presets=PRESETS, build=DualCoreNet)
    if request:
        found = dataset_lesions(request)
        lesions, flags, name = found.lesions, request.flags, f"dualcore_{card.preset}_{request.dataset}"
        graded = replace(lesions, lesions=tuple(lesion for lesion in lesions if lesion.known))
        source = f"{found.collection.name}, part {part}; {len(found.skipped)} images or masses left out;"
    else:
        render_lesions(split, exams=exams, workers=workers, root=cache_root)
        lesions = graded = LesionSet.read(split, exams=exams, root=cache_root)
        flags, name = f"--exams {exams} --split {split}", f"dualcore_{card.preset}"
        source = f"{exams} {split} exams of phantom generator {card.generator_version}, every one with a mass;"
    weights = f"weights {card.name} {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]})."
    rows = evaluate.figures(network, lesions, graded=graded, platt=malignancy_map(card))
    text = evaluate.markdown(rows, command=f"tetraview_nets dualcore evaluate {flags}", source=f"{source} {weights}")
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
    """Compare both paths together with each alone, and with labels that follow from texture only (claim 9)."""
    torch.set_num_threads(threads)
    recipe, seeds = STUDY_RECIPE, seed or list(range(3))
    for split, count in ((Split.TRAIN, recipe.exams), (Split.VALIDATION, recipe.watched_exams), (Split.TEST, exams)):
        render_lesions(split, exams=count, workers=workers, root=cache_root)
    plan = Study(preset=SMALL, recipe=recipe, folder=out, test_exams=exams, seeds=seeds, cache=cache_root)
    with Progress(console=console) as progress:
        bar = progress.add_task("trainings", total=2 * len(seeds))
        if not compare_only:
            plan.train(done=lambda: progress.advance(bar))
    flags = " ".join(f"--seed {each}" for each in seeds)
    rows = plan.rows(command=f"tetraview_nets dualcore study --exams {exams} {flags} --out DIR")
    record(rows, results=results or out)
    for row in rows:
        effect = f"{row.effect:+.4f} [{row.low:+.4f}, {row.high:+.4f}]"
        console.print(f"{row.contrast} ({row.setting}, {row.measure}): {effect} {row.verdict}")
