"""The command line that every network on patches has: train, finish and evaluate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from tetraview_nets.cli.options import (
    CacheOption,
    DataOption,
    DeviceName,
    DeviceOption,
    InitOption,
    MixOption,
    OutOption,
    OverwriteOption,
    StepsOption,
    ThreadsOption,
    WeakOption,
    WorkersOption,
)
from tetraview_nets.cli.pin import announce, to_write
from tetraview_nets.cli.real import AnySplit, AnySplitOption, RealDataOption, evaluate_data
from tetraview_nets.datasets.catalogue import DatasetName
from tetraview_nets.datasets.command import DatasetRequest
from tetraview_nets.datasets.grouping import Part
from tetraview_nets.datasets.lesions import dataset_lesions
from tetraview_nets.datasets.material import DataRequest, lesion_material
from tetraview_nets.learning.cache import Split
from tetraview_nets.learning.figure_table import write_csv
from tetraview_nets.learning.lesions import Lesion, LesionSet, render_lesions
from tetraview_nets.learning.patch_training import PatchRecipe, PatchTraining
from tetraview_nets.system import PatchPreset, PatchSystem
from tetraview_nets.systems import weights_file as shipped
from tetraview_nets.weights import WeightsCard, load_network

ExamsOption = Annotated[int, typer.Option(min=1, help="How many exams of the split.")]
WeightsOption = Annotated[Path, typer.Option(help="A weights file.")]

console = Console()


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The lesions that a network is judged on."""

    lesions: LesionSet
    #: Their description in a report.
    source: str
    #: The options that choose them again.
    flags: str
    #: The data set they come from; None for phantoms.
    dataset: DatasetName | None = None

    def classed(self, lesion: Lesion) -> bool:
        """Whether the truth states the lesion's class, as it does for every phantom."""
        return self.dataset is None or lesion.known


@dataclass(frozen=True, kw_only=True)
class PatchPackage:
    """One network on patches, as its command line needs it."""

    #: Name of the command and of the tables of results.
    name: str
    system: PatchSystem
    recipes: Mapping[str, PatchRecipe]
    training: Callable[..., PatchTraining[Any, Any, Any]]
    #: Makes the rows of the table of results, from a network, its card and some lesions.
    figures: Callable[[Any, WeightsCard, Chosen], Sequence[Any]]
    #: Makes the page of results from its rows, the command that produced them and their source.
    markdown: Callable[..., str]
    #: Note that the report adds on a data set.
    dataset_note: str = ""

    @property
    def weights(self) -> Path:
        """The weights that Triton serves."""
        return shipped(self.system.name)


def add_training(app: typer.Typer, package: PatchPackage, *, train_help: str, finish_help: str) -> None:
    """Give a command line `train` and `finish`."""
    preset_option = typer.Option("slim", help="Which sizes.")
    names: Any = StrEnum("PresetName", [(name, name) for name in package.system.presets])  # type: ignore[misc]
    presets = partial(_with_choice, names=names)

    def prepared(
        out: Path, preset: str, request: DataRequest, *, steps: int | None, weak: bool, device: str
    ) -> PatchTraining[Any, Any, Any]:
        recipe: Any = package.recipes[preset]
        if steps:
            recipe = shortened(recipe, steps)
        if not request.folders:
            render_lesions(Split.TRAIN, exams=recipe.exams, workers=request.workers, root=request.root)
            render_lesions(Split.VALIDATION, exams=recipe.validation_exams, workers=request.workers, root=request.root)
        sizes: PatchPreset = package.system.presets[preset]
        material = lesion_material(request, weak=weak, gives=package.system.gives) if request.folders else None
        return package.training(
            preset=sizes,
            recipe=recipe,
            folder=out,
            device=torch.device(device),
            cache=request.root,
            material=material,
        )

    @app.command(help=train_help)
    @presets
    def train(  # noqa: PLR0917
        out: OutOption,
        preset: str = preset_option,
        data: DataOption = None,
        mix: MixOption = None,
        weak: WeakOption = False,
        init: InitOption = None,
        steps: StepsOption = None,
        device: DeviceOption = DeviceName.CPU,
        threads: ThreadsOption = 2,
        workers: WorkersOption = 2,
        cache_root: CacheOption = None,
    ) -> None:
        torch.set_num_threads(threads)
        request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
        training = prepared(out, preset, request, steps=steps, weak=weak, device=device)
        replace(training, init=init).run()
        weights_file = out / "weights.safetensors"
        announce(weights_file, training.export(weights_file), console=console)

    @app.command(help=finish_help)
    @presets
    def finish(  # noqa: PLR0917
        out: OutOption,
        weights_file: Annotated[Path | None, typer.Option(help="The file to write; default: in OUT.")] = None,
        preset: str = preset_option,
        data: DataOption = None,
        mix: MixOption = None,
        weak: WeakOption = False,
        steps: StepsOption = None,
        overwrite: OverwriteOption = False,
        device: DeviceOption = DeviceName.CPU,
        threads: ThreadsOption = 2,
        workers: WorkersOption = 2,
        cache_root: CacheOption = None,
    ) -> None:
        torch.set_num_threads(threads)
        path = to_write(weights_file or out / "weights.safetensors", overwrite=overwrite)
        request = DataRequest(folders=data or [], mix=mix, workers=workers, root=cache_root)
        training = prepared(out, preset, request, steps=steps, weak=weak, device=device)
        announce(path, training.export(path), console=console)


def shortened(recipe: Any, steps: int) -> Any:
    """The recipe with ``steps`` steps in all; several stages keep their proportions."""
    if not hasattr(recipe, "schedules"):
        return replace(recipe, schedule=recipe.schedule.of(steps))
    whole = sum(schedule.steps for schedule in recipe.schedules.values())
    parts = {
        stage: schedule.of(max(1, round(steps * schedule.steps / whole)))
        for stage, schedule in recipe.schedules.items()
    }
    return replace(recipe, schedules=parts)


def _with_choice(command: Callable[..., None], *, names: type[StrEnum]) -> Callable[..., None]:
    """The command with these names as the values of its option `preset`, which typer reads from its annotations."""
    command.__annotations__["preset"] = names
    return command


def add_evaluation(app: typer.Typer, package: PatchPackage, *, text: str) -> None:
    """Give a command line `evaluate` on phantom lesions and on data sets."""
    out_option = typer.Option(None, help=f"Folder for {package.name}_PRESET.csv and .md.")

    @app.command("evaluate", help=text)
    def evaluate_command(  # noqa: PLR0917
        folder: Annotated[Path | None, typer.Argument(help="Folder of the data set; default: phantoms.")] = None,
        dataset: Annotated[DatasetName | None, typer.Option(help="A data set of real mammograms.")] = None,
        part: Annotated[Part, typer.Option(help="Which of its exams.")] = Part.ALL,
        spacing_mm: Annotated[float | None, typer.Option(help="Pixel spacing of images that do not state one.")] = None,
        spacing_source: Annotated[str | None, typer.Option(help="Where that spacing is from.")] = None,
        exams: ExamsOption = 300,
        split: AnySplitOption = None,
        data: RealDataOption = None,
        weights_file: WeightsOption = package.weights,
        out: Path | None = out_option,
        threads: ThreadsOption = 2,
        workers: WorkersOption = 2,
        cache_root: CacheOption = None,
    ) -> None:
        torch.set_num_threads(threads)
        if data:
            evaluate_data(
                data,
                split=split,
                systems=[package.system.name],
                weights={package.system.name: weights_file},
                out=out,
                workers=workers,
                root=cache_root,
            )
            return
        seeds = (split or AnySplit.TEST).of_phantoms()
        request = DatasetRequest.of(dataset, folder, part=part, spacing_mm=spacing_mm, spacing_source=spacing_source)
        network, card = load_package(package, weights_file)
        if request:
            chosen = of_dataset(request, note=package.dataset_note)
        else:
            chosen = of_phantoms(card, seeds, exams=exams, workers=workers, root=cache_root)
        judge(package, network, card, chosen, out=out)


def load_package(package: PatchPackage, weights_file: Path) -> tuple[Any, WeightsCard]:
    """A package's network with the weights of a file, and their card.

    Raises:
        WeightsInvalid: the file is not usable or not of this network.
    """
    system = package.system
    return load_network(weights_file, name=system.name, presets=system.presets, build=system.build)


def of_dataset(request: DatasetRequest, *, note: str) -> Chosen:
    """The masses of a data set.

    Raises:
        DatasetUnusable: the folder does not hold the data set, or no mass in it can be used.
    """
    found = dataset_lesions(request)
    source = f"{found.collection.name}, part {request.part}; {len(found.skipped)} images or masses left out;{note}"
    return Chosen(lesions=found.lesions, source=source, flags=request.flags, dataset=request.dataset)


def of_phantoms(card: WeightsCard, split: Split, *, exams: int, workers: int, root: Path | None) -> Chosen:
    """The lesions of the first phantom exams of a split, rendered where the cache lacks them."""
    render_lesions(split, exams=exams, workers=workers, root=root)
    source = f"{exams} {split} exams of phantom generator {card.generator_version}, every one with a mass;"
    lesions = LesionSet.read(split, exams=exams, root=root)
    return Chosen(lesions=lesions, source=source, flags=f"--exams {exams} --split {split}")


def judge(package: PatchPackage, network: Any, card: WeightsCard, chosen: Chosen, *, out: Path | None) -> None:
    """Print a network's results on lesions, and write them where asked."""
    rows = package.figures(network, card, chosen)
    weights = f"weights {card.name} {card.version} ({card.preset}, sha256 {card.weights_sha256[:12]}). {card.trained}"
    command = f"tetraview_nets {package.name} evaluate {chosen.flags}"
    text = package.markdown(rows, command=command, source=f"{chosen.source} {weights}")
    console.print(Markdown(text))
    if out:
        name = f"{package.name}_{card.preset}" + (f"_{chosen.dataset}" if chosen.dataset else "")
        write_csv(out / f"{name}.csv", rows)
        (out / f"{name}.md").write_text(text, encoding="utf-8")
