"""The command line of the networks: phantoms, tables over several detectors, cards, and a command for each system."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from tetraview.domain.view import Route
from tetraview_nets import weights
from tetraview_nets.cli.benchmark import app as benchmark_app
from tetraview_nets.cli.claims import app as claims_app
from tetraview_nets.cli.classifier import app as classifier_app
from tetraview_nets.cli.crunet import app as crunet_app
from tetraview_nets.cli.detector import render, rendered, source_of
from tetraview_nets.cli.diagrams import diagrams
from tetraview_nets.cli.dualcore import app as dualcore_app
from tetraview_nets.cli.export import ExportUnusable, export_command
from tetraview_nets.cli.golden import golden_command
from tetraview_nets.cli.mommi import PACKAGE as MOMMI
from tetraview_nets.cli.mommi import PresetName, PresetOption
from tetraview_nets.cli.mommi import app as mommi_app
from tetraview_nets.cli.options import CacheOption, ThreadsOption, WorkersOption
from tetraview_nets.cli.pin import WeightsKept
from tetraview_nets.cli.plain import app as plain_app
from tetraview_nets.cli.real import (
    AnySplit,
    AnySplitOption,
    NamedWeightsOption,
    RealDataOption,
    SystemOption,
    evaluate_data,
    known_systems,
    named_weights,
)
from tetraview_nets.cli.rescunet import app as rescunet_app
from tetraview_nets.cli.unetpp import app as unetpp_app
from tetraview_nets.cli.yolo_msp import PACKAGE as YOLO_MSP
from tetraview_nets.cli.yolo_msp import app as yolo_msp_app
from tetraview_nets.datasets.catalogue import DatasetName
from tetraview_nets.datasets.command import DatasetRequest, evaluate_folder
from tetraview_nets.datasets.evaluation import Reader
from tetraview_nets.datasets.grouping import Part
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning import froc_table
from tetraview_nets.learning.cache import ExamSet, Split
from tetraview_nets.learning.distributed import WorkersUnfit
from tetraview_nets.learning.evaluate import BlobDetector, read_exams
from tetraview_nets.learning.froc_table import Difference
from tetraview_nets.learning.lesions import render_lesions
from tetraview_nets.learning.train import CheckpointMismatch, LossNotFinite, NotTrained
from tetraview_nets.metrics import ImageResult
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.storage import SHIPPED_WEIGHTS

app = typer.Typer(help="Train, evaluate and export the networks of tetraview.", no_args_is_help=True)
app.command("export")(export_command)
app.command("golden")(golden_command)
app.add_typer(claims_app, name="claims")
app.add_typer(benchmark_app, name="benchmark")
app.add_typer(classifier_app, name="classifier")
app.add_typer(crunet_app, name="crunet")
app.command()(diagrams)
app.add_typer(dualcore_app, name="dualcore")
app.add_typer(mommi_app, name="mommi")
app.add_typer(plain_app, name="plain")
app.add_typer(rescunet_app, name="rescunet")
app.add_typer(unetpp_app, name="unetpp")
app.add_typer(yolo_msp_app, name="yolo_msp")
console = Console()


class DetectorName(StrEnum):
    """Detectors that can be evaluated."""

    MOMMI = "mommi"
    BLOB = "blob"
    YOLO_MSP = "yolo_msp"


@app.command()
def phantoms(
    preset: PresetOption = PresetName.SLIM,
    split: Annotated[Split, typer.Option(help="Which seeds.")] = Split.TRAIN,
    exams: Annotated[int, typer.Option(min=1, help="How many exams.")] = 2500,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Render phantom exams into the cache that training and evaluation read."""
    folder = render(MOMMI.key(preset, split), exams, workers=workers, root=cache_root)
    console.print(f"{exams} {split} exams in {folder}")


@app.command("lesions")
def lesions_command(
    split: Annotated[Split, typer.Option(help="Which seeds.")] = Split.TRAIN,
    exams: Annotated[int, typer.Option(min=1, help="How many exams.")] = 500,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Render phantom exams and keep the tissue around their lesions, from which all patches are cut."""
    folder = render_lesions(split, exams=exams, workers=workers, root=cache_root)
    console.print(f"{exams} {split} exams in {folder}")


@app.command("evaluate")
def evaluate_command(  # noqa: PLR0917
    folder: Annotated[Path | None, typer.Argument(help="Folder of the data set; default: phantoms.")] = None,
    dataset: Annotated[DatasetName | None, typer.Option(help="A data set of real mammograms.")] = None,
    part: Annotated[Part, typer.Option(help="Which of its exams.")] = Part.ALL,
    spacing_mm: Annotated[float | None, typer.Option(help="Pixel spacing of images that do not state one.")] = None,
    spacing_source: Annotated[str | None, typer.Option(help="Where that spacing is from.")] = None,
    detector: Annotated[list[DetectorName] | None, typer.Option(help="May be repeated; default mommi.")] = None,
    route: Annotated[list[Route] | None, typer.Option(help="Routes of mommi; default tri.")] = None,
    exams: Annotated[int, typer.Option(min=1, help="How many exams of the split.")] = 200,
    split: AnySplitOption = None,
    data: RealDataOption = None,
    system: SystemOption = None,
    named: NamedWeightsOption = None,
    weights_file: Annotated[Path, typer.Option(help="Weights of mommi.")] = SHIPPED_WEIGHTS,
    out: Annotated[Path | None, typer.Option(help="Folder for froc_PRESET.csv and .md; default: print only.")] = None,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Print the FROC table of detectors on phantom exams or a data set, or all figures on folders of mammograms."""
    torch.set_num_threads(threads)
    if data:
        evaluate_data(
            data,
            split=split,
            systems=known_systems(system),
            weights=named_weights(named),
            out=out,
            workers=workers,
            root=cache_root,
        )
        return
    seeds = (split or AnySplit.TEST).of_phantoms()
    request = DatasetRequest.of(dataset, folder, part=part, spacing_mm=spacing_mm, spacing_source=spacing_source)
    network, card = MOMMI.load(weights_file)
    routes, detectors = route or [Route.TRI], detector or [DetectorName.MOMMI]
    frame = network.preset.frame
    readers = {str(name): _reader(name, network, routes) for name in detectors}
    if request:
        source = f"Read with {source_of(card)}. {card.trained}"
        evaluate_folder(request, readers, frame=frame, weights=source, console=console, out=out)
        return
    chosen = rendered(MOMMI.key(card.preset, seeds), exams, workers=workers, root=cache_root)
    results = [found for name, reader in readers.items() for found in _read(name, reader, chosen)]
    rows = [row for name, each, found in results for row in froc_table.froc_rows(name, each, found)]
    text = froc_table.markdown(
        rows,
        _differences(results),
        command=_command(detectors, routes, exams=exams, split=seeds),
        source=f"{exams} {seeds} exams of phantom generator {card.generator_version}; {source_of(card)}.",
    )
    console.print(Markdown(text))
    if out:
        froc_table.write_csv(out / f"froc_{card.preset}.csv", rows)
        (out / f"froc_{card.preset}.md").write_text(text, encoding="utf-8")


RouteReading = tuple[str, Route, list[ImageResult]]


def _read(name: str, reader: Reader, exams: ExamSet) -> list[RouteReading]:
    """One detector on its routes."""
    detector, routes = reader
    readings = []
    with Progress(console=console) as progress:
        for route in routes:
            bar = progress.add_task(f"{name} {route}", total=len(exams))
            readings.append((name, route, read_exams(detector, exams, route, done=partial(progress.advance, bar))))
    return readings


def _reader(name: DetectorName, network: MommiNet, routes: list[Route]) -> Reader:
    """A detector with the routes that it reads by: mommi with those asked for, any other with single views.

    Raises:
        WeightsInvalid: its shipped weights cannot be used or read other frames than those of mommi.
    """
    if name is DetectorName.MOMMI:
        return MOMMI.detector(network), routes
    if name is DetectorName.BLOB:
        return BlobDetector(), [Route.SINGLE]
    other, _ = YOLO_MSP.load(YOLO_MSP.weights)
    if other.preset.frame != network.preset.frame:
        raise weights.WeightsInvalid(f"{YOLO_MSP.weights} reads other frames than the weights of mommi")
    return YOLO_MSP.detector(other), YOLO_MSP.by(None)


def _differences(readings: list[RouteReading]) -> list[Difference]:
    """The first reading against all others."""
    named = {f"{name} {route}": found for name, route, found in readings}
    return froc_table.differences(named, first=next(iter(named)))


def _command(detectors: list[DetectorName], routes: list[Route], *, exams: int, split: Split) -> str:
    flags = [*(f"--detector {detector}" for detector in detectors), *(f"--route {route}" for route in routes)]
    return f"tetraview_nets evaluate {' '.join(flags)} --exams {exams} --split {split}"


@app.command()
def describe(weights_file: Annotated[Path, typer.Argument(help="A weights file.")] = SHIPPED_WEIGHTS) -> None:
    """Print the card of a weights file after checking its tensors against its digest."""
    tensors, card = weights.read(weights_file)
    console.print_json(card.document())
    console.print(f"{sum(tensor.numel() for tensor in tensors.values()):,} numbers in {len(tensors)} tensors")


def main() -> None:
    """Run the command line; a sentence instead of a traceback for what a person can put right."""
    try:
        app()
    except (
        weights.WeightsInvalid,
        FileNotFoundError,
        DatasetUnusable,
        ExportUnusable,
        CheckpointMismatch,
        LossNotFinite,
        NotTrained,
        WorkersUnfit,
        WeightsKept,
    ) as error:
        raise SystemExit(str(error)) from error
