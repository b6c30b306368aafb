"""The command line of the networks: render phantoms, train, evaluate, describe."""

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
from tetraview.imaging.canonical import Frame
from tetraview_nets import weights
from tetraview_nets.cli.benchmark import app as benchmark_app
from tetraview_nets.cli.claims import app as claims_app
from tetraview_nets.cli.classifier import app as classifier_app
from tetraview_nets.cli.crunet import app as crunet_app
from tetraview_nets.cli.diagrams import diagrams
from tetraview_nets.cli.dualcore import app as dualcore_app
from tetraview_nets.cli.export import ExportUnusable, export_command
from tetraview_nets.cli.options import CacheOption, DeviceName, DeviceOption, OutOption, ThreadsOption, WorkersOption
from tetraview_nets.cli.pin import announce
from tetraview_nets.cli.plain import app as plain_app
from tetraview_nets.cli.rescunet import app as rescunet_app
from tetraview_nets.cli.unetpp import app as unetpp_app
from tetraview_nets.cli.yolo_msp import app as yolo_msp_app
from tetraview_nets.datasets.catalogue import DatasetName
from tetraview_nets.datasets.command import DatasetRequest, evaluate_folder
from tetraview_nets.datasets.grouping import Part
from tetraview_nets.datasets.truth import DatasetUnusable
from tetraview_nets.learning import cache, evaluate, froc_table
from tetraview_nets.learning.cache import CROWDED, CacheKey, ExamSet, Split
from tetraview_nets.learning.distributed import ALONE, Workers, WorkersUnfit, joined
from tetraview_nets.learning.froc_table import Difference
from tetraview_nets.learning.lesions import render_lesions
from tetraview_nets.learning.train import CheckpointMismatch, LossNotFinite, NotTrained
from tetraview_nets.metrics import ImageResult
from tetraview_nets.mommi import evaluate as mommi_evaluate
from tetraview_nets.mommi import storage as mommi_storage
from tetraview_nets.mommi.network import MommiNet
from tetraview_nets.mommi.presets import PRESETS
from tetraview_nets.mommi.recipe import RECIPES, Stage
from tetraview_nets.mommi.storage import SHIPPED_WEIGHTS
from tetraview_nets.mommi.training import Training
from tetraview_nets.yolo_msp import storage as yolo_storage
from tetraview_nets.yolo_msp.task import YoloDetector

#: Four views with an image and a mask.
BYTES_PER_PIXEL = 8

app = typer.Typer(help="Train, evaluate and export the networks of tetraview.", no_args_is_help=True)
app.command("export")(export_command)
app.add_typer(claims_app, name="claims")
app.add_typer(benchmark_app, name="benchmark")
app.add_typer(classifier_app, name="classifier")
app.add_typer(crunet_app, name="crunet")
app.command()(diagrams)
app.add_typer(dualcore_app, name="dualcore")
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


class PresetName(StrEnum):
    """Presets: two for a CPU, one for a GPU and the paper's, which wants several."""

    TINY = "tiny"
    SLIM = "slim"
    MEDIUM = "medium"
    PAPER = "paper"


PresetOption = Annotated[PresetName, typer.Option(help="Which sizes.")]


@app.command()
def phantoms(
    preset: PresetOption = PresetName.SLIM,
    split: Annotated[Split, typer.Option(help="Which seeds.")] = Split.TRAIN,
    exams: Annotated[int, typer.Option(min=1, help="How many exams.")] = 2500,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Render phantom exams into the cache that training and evaluation read."""
    folder = _render(_key(preset, split), exams, workers, cache_root)
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


def _key(preset: str, split: Split) -> CacheKey:
    return CacheKey(recipe=RECIPES[preset].phantom, frame=PRESETS[preset].frame, split=split)


def _render(key: CacheKey, exams: int, workers: int, root: Path | None) -> Path:
    with Progress(console=console) as progress:
        gigabytes = exams * key.frame.height * key.frame.width * BYTES_PER_PIXEL / 1e9
        bar = progress.add_task(f"{key.split} phantoms ({gigabytes:.1f} GB)", total=exams)
        return cache.build(key, exams=exams, workers=workers, root=root, done=lambda n: progress.advance(bar, n))


@app.command()
def train(  # noqa: PLR0917
    out: OutOption,
    preset: PresetOption = PresetName.SLIM,
    stage: Annotated[Stage | None, typer.Option(help="One stage; default all, then the weights file.")] = None,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Train MommiNet-v2 stage by stage; after the last one write weights.safetensors as ``finish`` does.

    Under torchrun several processes share each batch: torchrun --nproc-per-node 4 -m tetraview_nets train ...
    """
    torch.set_num_threads(threads)
    with joined(device) as (group, own):
        if group.first:
            _render_recipe(preset, workers, cache_root)
        group.wait()
        training = _training(out, preset, device=own, cache_root=cache_root, group=group)
        for each in Stage if stage is None else [stage]:
            training.run(each)
        if stage is None and group.first:
            _finish(training, out / "weights.safetensors")


@app.command()
def finish(  # noqa: PLR0917
    out: OutOption,
    weights_file: Annotated[Path, typer.Option(help="The file to write.")] = SHIPPED_WEIGHTS,
    preset: PresetOption = PresetName.SLIM,
    device: DeviceOption = DeviceName.CPU,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Fit scorer, operating points and calibration of trained stages on validation exams; write the weights file."""
    torch.set_num_threads(threads)
    _render_recipe(preset, workers, cache_root)
    _finish(_training(out, preset, device=torch.device(device), cache_root=cache_root, group=ALONE), weights_file)


def _render_recipe(preset: PresetName, workers: int, cache_root: Path | None) -> None:
    _render(_key(preset, Split.TRAIN), RECIPES[preset].exams, workers, cache_root)
    if RECIPES[preset].crowded_exams:
        key = CacheKey(recipe=CROWDED, frame=PRESETS[preset].frame, split=Split.TRAIN)
        _render(key, RECIPES[preset].crowded_exams, workers, cache_root)
    _render(_key(preset, Split.VALIDATION), RECIPES[preset].validation_exams, workers, cache_root)


def _training(
    out: Path, preset: PresetName, *, device: torch.device, cache_root: Path | None, group: Workers
) -> Training:
    return Training(
        preset=PRESETS[preset], recipe=RECIPES[preset], folder=out, device=device, cache=cache_root, workers=group
    )


def _finish(training: Training, path: Path) -> None:
    announce(path, training.export(path), console=console)


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
    split: Annotated[Split, typer.Option(help="Which seeds.")] = Split.TEST,
    weights_file: Annotated[Path, typer.Option(help="Weights of mommi.")] = SHIPPED_WEIGHTS,
    out: Annotated[Path | None, typer.Option(help="Folder for froc_PRESET.csv and .md; default: print only.")] = None,
    threads: ThreadsOption = 2,
    workers: WorkersOption = 2,
    cache_root: CacheOption = None,
) -> None:
    """Print the FROC table of detectors on phantom exams or a data set, with patient bootstrap intervals."""
    torch.set_num_threads(threads)
    request = DatasetRequest.of(dataset, folder, part=part, spacing_mm=spacing_mm, spacing_source=spacing_source)
    network, card = mommi_storage.load(weights_file)
    routes, detectors = route or [Route.TRI], detector or [DetectorName.MOMMI]
    source = f"weights {card.name} {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]})"
    if request:
        readers = {str(name): (_detector(name, network), _routes(name, routes)) for name in detectors}
        frame = PRESETS[card.preset].frame
        evaluate_folder(request, readers, frame=frame, weights=f"Read with {source}.", console=console, out=out)
        return
    key = _key(card.preset, split)
    _render(key, exams, workers, cache_root)
    chosen = ExamSet(key, exams=exams, root=cache_root)
    results = [found for name in detectors for found in _read(name, network, chosen, routes)]
    rows = [row for name, each, found in results for row in froc_table.froc_rows(name, each, found)]
    text = froc_table.markdown(
        rows,
        _differences(results),
        command=_command(detectors, routes, exams=exams, split=split),
        source=f"{exams} {split} exams of phantom generator {card.generator_version}; {source}.",
    )
    console.print(Markdown(text))
    if out:
        froc_table.write_csv(out / f"froc_{card.preset}.csv", rows)
        (out / f"froc_{card.preset}.md").write_text(text, encoding="utf-8")


Reading = tuple[DetectorName, Route, list[ImageResult]]


def _read(name: DetectorName, network: MommiNet, exams: ExamSet, routes: list[Route]) -> list[Reading]:
    """One detector on all routes."""
    detector = _detector(name, network)
    readings = []
    with Progress(console=console) as progress:
        for route in _routes(name, routes):
            bar = progress.add_task(f"{name} {route}", total=len(exams))
            readings.append(
                (name, route, evaluate.read_exams(detector, exams, route, done=partial(progress.advance, bar)))
            )
    return readings


def _detector(name: DetectorName, network: MommiNet) -> evaluate.Detector:
    if name is DetectorName.BLOB:
        return evaluate.BlobDetector()
    if name is DetectorName.YOLO_MSP:
        return _yolo_msp(network.preset.frame)
    return mommi_evaluate.MommiDetector(network)


def _yolo_msp(frame: Frame) -> YoloDetector:
    """The shipped YOLOv3 with multi-scale prediction.

    Raises:
        WeightsInvalid: it cannot be used or reads other frames.
    """
    detector, _ = yolo_storage.load()
    if detector.preset.frame != frame:
        raise weights.WeightsInvalid(f"{yolo_storage.SHIPPED_WEIGHTS} reads other frames than the weights of mommi")
    return YoloDetector(detector)


def _routes(name: DetectorName, routes: list[Route]) -> list[Route]:
    """Only mommi looks at more than single views."""
    return routes if name is DetectorName.MOMMI else [Route.SINGLE]


def _differences(readings: list[Reading]) -> list[Difference]:
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
    ) as error:
        raise SystemExit(str(error)) from error
