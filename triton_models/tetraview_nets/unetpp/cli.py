"""The command line of v19U-Net++: train, export, evaluate, study."""

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

from tetraview_nets import cache
from tetraview_nets.cache import CacheKey, Split
from tetraview_nets.claims.table import Claim, record
from tetraview_nets.datasets.catalogue import DatasetName
from tetraview_nets.datasets.command import DatasetRequest
from tetraview_nets.datasets.grouping import Part
from tetraview_nets.datasets.lesions import dataset_lesions
from tetraview_nets.lesions import LesionSet, render_lesions
from tetraview_nets.options import CacheOption, DeviceName, DeviceOption, OutOption, ThreadsOption, WorkersOption
from tetraview_nets.pin import pin
from tetraview_nets.unetpp import evaluate, stages_table
from tetraview_nets.unetpp.finder import YoloFinder
from tetraview_nets.unetpp.presets import PRESETS, SMALL
from tetraview_nets.unetpp.recipe import RECIPES, WHOLE_VIEWS
from tetraview_nets.unetpp.segmenter import Segmenter
from tetraview_nets.unetpp.stages import StageStudy
from tetraview_nets.unetpp.study import CropStudy
from tetraview_nets.unetpp.system import SYSTEM
from tetraview_nets.unetpp.training import SegmenterTraining
from tetraview_nets.weights import load_network
from tetraview_nets.yolo_msp import storage as yolo

SHIPPED_WEIGHTS = Path(__file__).parents[2] / "repository" / SYSTEM.name / "1" / "weights.safetensors"
#: Of the phantoms with whole views, half of which show a mass.
WHOLE_VIEW_RECIPE = "training"
#: Test exams of which views without a mass are read too.
NORMAL_EXAMS = 50

app = typer.Typer(help="The segmenter v19U-Net++ and a U-Net of its size: training, evaluation.", no_args_is_help=True)
console = Console()


class PresetName(StrEnum):
    """Three sizes for a CPU and the paper's, which wants a GPU; each with nested skips or as a plain U-Net."""

    TINY = "tiny"
    SMALL = "small"
    SLIM = "slim"
    PAPER = "paper"
    TINY_UNET = "tiny_unet"
    SMALL_UNET = "small_unet"
    SLIM_UNET = "slim_unet"
    PAPER_UNET = "paper_unet"


PresetOption = Annotated[PresetName, typer.Option(help="Which sizes.")]
SeedOption = Annotated[list[int] | None, typer.Option(help="Training seeds, more than once; default 0, 1 and 2.")]
ResultsOption = Annotated[Path | None, typer.Option(help="Folder of claims.csv; default: --out.")]
CompareOption = Annotated[bool, typer.Option(help="Train nothing; compare the trainings that have ended.")]
study = typer.Typer(help="Contrasts of the paper's claims.", no_args_is_help=True)
app.add_typer(study, name="study")


@app.command()
def train(  # noqa: PLR0917
    out: OutOption,
    preset: PresetOption = PresetName.SLIM,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Train a segmenter, then write weights.safetensors."""
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
    """Measure a trained segmenter on validation exams and write the weights file."""
    torch.set_num_threads(threads)
    _export(_training(out, preset, device=device, workers=workers, cache_root=cache_root), weights_file)


def _training(
    out: Path, preset: PresetName, *, device: str, workers: int, cache_root: Path | None
) -> SegmenterTraining:
    recipe = RECIPES[preset]
    render_lesions(Split.TRAIN, exams=recipe.exams, workers=workers, root=cache_root)
    render_lesions(Split.VALIDATION, exams=recipe.validation_exams, workers=workers, root=cache_root)
    return SegmenterTraining(
        preset=PRESETS[preset], recipe=recipe, folder=out, device=torch.device(device), cache=cache_root
    )


def _export(training: SegmenterTraining, path: Path) -> None:
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
    out: Annotated[Path | None, typer.Option(help="Folder for unetpp_PRESET.csv and .md.")] = None,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Print how well outlines agree with the truth, in true and in detected boxes, beside the paper's tables."""
    torch.set_num_threads(threads)
    request = DatasetRequest.of(dataset, folder, part=part, spacing_mm=spacing_mm, spacing_source=spacing_source)
    network, card = load_network(weights_file, name=SYSTEM.name, presets=PRESETS, build=Segmenter)
    name = f"unetpp_{card.preset}"
    if request:
        found = dataset_lesions(request)
        masses, flags, name = found.lesions, request.flags, f"{name}_{request.dataset}"
        source = f"{found.collection.name}, part {part}; {len(found.skipped)} images or masses left out; nothing of it "
        source += "was trained on, so that the paper's splits do not matter;"
    else:
        render_lesions(split, exams=exams, workers=workers, root=cache_root)
        masses, flags = LesionSet.read(split, exams=exams, root=cache_root), f"--exams {exams} --split {split}"
        source = f"{exams} {split} exams of phantom generator {card.generator_version}, every one with a mass;"
    rows = evaluate.figures(network, masses.masses, device=torch.device("cpu"))
    weights = f"weights {card.name} {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]})."
    text = evaluate.markdown(rows, command=f"tetraview_nets unetpp evaluate {flags}", source=f"{source} {weights}")
    console.print(Markdown(text))
    if out:
        evaluate.write_csv(out / f"{name}.csv", rows)
        (out / f"{name}.md").write_text(text, encoding="utf-8")


@study.command()
def crops(  # noqa: PLR0917
    out: OutOption,
    results: ResultsOption = None,
    seed: SeedOption = None,
    exams: Annotated[int, typer.Option(min=1, help="Test exams.")] = 300,
    compare_only: CompareOption = False,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
) -> None:
    """Compare v19U-Net++ with a U-Net on the same crops (claim 7)."""
    torch.set_num_threads(threads)
    recipe, seeds = RECIPES[SMALL.name], seed or list(range(3))
    for split, count in ((Split.TRAIN, recipe.exams), (Split.VALIDATION, recipe.validation_exams), (Split.TEST, exams)):
        render_lesions(split, exams=count, workers=workers, root=cache_root)
    plan = CropStudy(preset=SMALL, recipe=recipe, folder=out, test_exams=exams, seeds=seeds, cache=cache_root)
    with Progress(console=console) as progress:
        bar = progress.add_task("trainings", total=4 * len(seeds))
        if not compare_only:
            plan.train(done=lambda: progress.advance(bar))
    _record(plan.rows(command=f"tetraview_nets unetpp study crops --exams {exams} {_flags(seeds)}"), results or out)


@study.command()
def stages(  # noqa: PLR0917
    out: OutOption,
    results: ResultsOption = None,
    seed: SeedOption = None,
    exams: Annotated[int, typer.Option(min=1, help="Test exams.")] = 300,
    detector: Annotated[Path, typer.Option(help="Weights of yolo_msp.")] = yolo.SHIPPED_WEIGHTS,
    compare_only: CompareOption = False,
    threads: ThreadsOption = 1,
    workers: WorkersOption = 1,
    cache_root: CacheOption = None,
) -> None:
    """Compare one stage, two stages and two with multi-scale prediction on whole views (claim 6)."""
    torch.set_num_threads(threads)
    recipe, seeds = RECIPES[SMALL.name], seed or list(range(3))
    found, card = yolo.load(detector)
    key = CacheKey(recipe=WHOLE_VIEW_RECIPE, frame=found.preset.frame, split=Split.TEST)
    plan = StageStudy(
        preset=SMALL,
        crops=recipe,
        whole=WHOLE_VIEWS,
        key=key,
        find=YoloFinder(found),
        detector=card.weights_sha256,
        folder=out,
        test_exams=exams,
        normal_exams=min(NORMAL_EXAMS, exams),
        seeds=seeds,
        cache=cache_root,
    )
    for split, count in ((Split.TRAIN, recipe.exams), (Split.VALIDATION, recipe.validation_exams), (Split.TEST, exams)):
        cache.build(replace(key, split=split), exams=count, workers=workers, root=cache_root)
    with Progress(console=console) as progress:
        bar = progress.add_task("trainings", total=2 * len(seeds))
        if not compare_only:
            plan.train(done=lambda: progress.advance(bar))
    command = f"tetraview_nets unetpp study stages --exams {exams} {_flags(seeds)}"
    _record(stages_table.rows(plan, command=command), results or out)
    text = stages_table.page(plan, command=command)
    ((results or out) / "unetpp_stages.md").write_text(text, encoding="utf-8")
    console.print(Markdown(text))


def _flags(seeds: list[int]) -> str:
    return " ".join([*(f"--seed {each}" for each in seeds), "--out DIR"])


def _record(rows: list[Claim], results: Path) -> None:
    record(rows, results=results)
    for row in rows:
        console.print(
            f"{row.contrast} ({row.setting}): {row.first:.4f} {row.second:.4f} "
            f"{row.effect:+.4f} [{row.low:+.4f}, {row.high:+.4f}] {row.verdict}"
        )
